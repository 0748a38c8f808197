"""Derives the client for threads from the one on asyncio.

    python -m tests.client.generate

The two differ only in ``async`` and ``await`` and in the names below; whoever changes
``_async`` runs this, and a test compares.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "clients/python/bailee"
NAMES = {
    r"AsyncIterator": "Iterator",
    r"\bAsync([A-Z]\w+)": r"\1",
    r"\basync (def|with|for) ": r"\1 ",
    r"\bawait ": "",
    r"__aenter__": "__enter__",
    r"__aexit__": "__exit__",
    r"Awaitable\[(\w+)\]": r"\1",
    r"Awaitable, ": "",
    r"import asyncio\n": "",
    r"asyncio\.sleep": "time.sleep",
    r"import grpc\.aio\n": "",
    r"grpc\.aio\.": "grpc.",
    r"bailee\._async": "bailee._sync",
    r"on asyncio\. .*": 'for threads. Generated from ``_async``; do not edit."""',
}


def to_sync(source):
    """Returns the same module without asyncio."""
    for pattern, replacement in NAMES.items():
        source = re.sub(pattern, replacement, source)
    return source


def generate(package):
    """Writes ``_sync`` of a package folder from our ``_async``."""
    target = package / "_sync"
    target.mkdir(exist_ok=True)
    for file in (CLIENT / "_async").glob("*.py"):
        (target / file.name).write_text(to_sync(file.read_text("utf-8")), "utf-8")
    ruff = [sys.executable, "-m", "ruff"]
    for command in (["check", "--select", "I", "--fix"], ["format"]):
        subprocess.run(
            [*ruff, *command, "--quiet", "--config", ROOT / "pyproject.toml", target],
            check=True,
        )


if __name__ == "__main__":
    generate(CLIENT)
