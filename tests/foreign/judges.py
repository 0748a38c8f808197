"""Programs by others that judge our logs, fetched into build/ when first needed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_BUILD = ROOT / "build" / "foreign"
_SOURCE = Path(__file__).parent / "verifier"
_REQUIREMENTS = ROOT / "requirements" / "foreign.txt"
_FETCH_SECONDS = 300


def build_verifier():
    """Returns the Go verifier, or skips the test and says why."""
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        pytest.skip("no Go toolchain: x/mod/sumdb did not judge our logs")
    _BUILD.mkdir(parents=True, exist_ok=True)
    program = _BUILD / "verifier"
    command = [go, "build", "-o", program, "."]
    environment = os.environ | {"GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local"}
    fetched = subprocess.run(
        [go, "mod", "download"],
        cwd=_SOURCE,
        env=environment,
        capture_output=True,
        check=False,
    )
    if fetched.returncode:
        pytest.skip("golang.org/x/mod could not be fetched: it did not judge our logs")
    built = subprocess.run(
        command,
        cwd=_SOURCE,
        env=environment,
        capture_output=True,
        check=False,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    return program


def fetch_pymerkle():
    """Returns the Python of pymerkle's own environment, or skips the test.

    pymerkle is under the GPL: it is never installed beside the product.
    """
    folder = _BUILD / "venv"
    python, installed = folder / "bin" / "python", folder / ".installed"
    wanted = _REQUIREMENTS.read_text("utf-8")
    if installed.exists() and installed.read_text("utf-8") == wanted:
        return python
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    try:
        for command in (
            [sys.executable, "-m", "venv", "--clear", folder],
            [*pip, "--require-hashes", "-r", _REQUIREMENTS],
        ):
            subprocess.run(
                command, check=True, capture_output=True, timeout=_FETCH_SECONDS
            )
    except (subprocess.SubprocessError, OSError):
        pytest.skip("pymerkle could not be installed: it did not judge our logs")
    installed.write_text(wanted, "utf-8")
    return python
