"""OpenBao as a keeper of cards: transit keys for each purpose, KV for ciphertexts.

Set up as its documentation advises: named transit keys that are not exportable, one
policy for each kind of caller, a file audit device. A card is encrypted once for each
granted purpose, so that a purpose that was not granted has nothing to decrypt. Whoever
charges a card gets its number, because that is what a secrets manager is for.
"""

import base64
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.cli.init import free_port
from tests.conformance.suite import RECURRING, Refused

_ROOT = Path(__file__).parents[2]
_REQUIREMENTS = _ROOT / "requirements" / "conformance.txt"
_FETCH_SECONDS = 300
_START_SECONDS = 20
_POLICY = """
path "kv/data/shop/*" { capabilities = ["create", "read", "update", "delete"] }
path "kv/metadata/shop/*" { capabilities = ["delete"] }
path "transit/+/shop.*" { capabilities = ["create", "update"] }
"""


class OpenBao:
    """See Adapter."""

    name = "OpenBao"

    def __init__(self, address, audit_file):
        self.answers = []
        self._address = address
        self._audit_file = audit_file
        self._root = "root"
        for path, kind in (("transit", "transit"), ("kv", "kv-v2")):
            self._ask("POST", f"sys/mounts/{path}", {"type": kind})
        self._billing = self._caller("shop", _POLICY)
        self._stranger = self._caller("other", _POLICY.replace("shop", "other"))

    def store(self, number, purposes):
        token = f"card-{uuid.uuid4().hex}"
        plain = base64.b64encode(number.encode()).decode()
        sealed = {}
        for purpose in purposes:
            # Whoever runs it can make a key for any purpose; nothing says no.
            self._ask("POST", f"transit/keys/{_key(purpose)}", {})
            answer = self._ask(
                "POST",
                f"transit/encrypt/{_key(purpose)}",
                {"plaintext": plain},
                self._billing,
            )
            sealed[purpose] = answer["data"]["ciphertext"]
        self._ask("POST", f"kv/data/shop/{token}", {"data": sealed}, self._billing)
        return token

    def use(self, token, purpose):
        self._decrypt(token, purpose, self._billing)

    def use_as_another_tenant(self, token):
        self._decrypt(token, RECURRING, self._stranger)

    def reveal(self, token):
        self._decrypt(token, RECURRING, self._root)

    def erase(self, token):
        self._ask("DELETE", f"kv/metadata/shop/{token}", None, self._billing)

    def record(self):
        return self._audit_file.read_bytes()

    def verify(self, *, tampered):
        """The audit file has no signature and no chain, and no tool checks it."""
        raise Refused

    def _decrypt(self, token, purpose, caller):
        stored = self._ask("GET", f"kv/data/shop/{token}", None, caller)
        ciphertext = stored["data"]["data"].get(purpose)
        if ciphertext is None:
            raise Refused
        answer = self._ask(
            "POST",
            f"transit/decrypt/{_key(purpose)}",
            {"ciphertext": ciphertext},
            caller,
        )
        # As the caller reads it: the field is base64.
        self.answers.append(base64.b64decode(answer["data"]["plaintext"]))

    def _caller(self, name, policy):
        self._ask("POST", f"sys/policies/acl/{name}", {"policy": policy})
        answer = self._ask("POST", "auth/token/create", {"policies": [name]})
        return answer["auth"]["client_token"]

    def _ask(self, method, path, body, token=None):
        request = urllib.request.Request(
            f"{self._address}/v1/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Vault-Token": token or self._root},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                content = response.read()
        except urllib.error.HTTPError as error:
            self.answers.append(error.read())
            raise Refused from error
        self.answers.append(content)
        return json.loads(content) if content else {}


def _key(purpose):
    return f"shop.{purpose.replace('.', '-')}"


@contextmanager
def openbao(folder):
    """Runs a server in memory, on a free port of this machine."""
    program, port = fetch_openbao(), free_port()
    audit_file, config = folder / "audit.log", folder / "bao.hcl"
    options = f'options {{ file_path = "{audit_file}" }}'
    config.write_text(f'audit "file" "uses" {{ {options} }}\n')
    address = f"http://127.0.0.1:{port}"
    with (folder / "bao.log").open("wb") as log:
        process = subprocess.Popen(
            [
                program,
                "server",
                "-dev",
                "-dev-root-token-id=root",
                "-dev-no-store-token",
                f"-dev-listen-address=127.0.0.1:{port}",
                f"-config={config}",
            ],
            stdout=log,
            stderr=log,
        )
        try:
            _wait(address)
            yield OpenBao(address, audit_file)
        finally:
            process.terminate()
            process.wait(timeout=10)


def fetch_openbao():
    """Returns the program, or skips the test and says why."""
    folder = _ROOT / "build" / "conformance-venv"
    installed, wanted = folder / ".installed", _REQUIREMENTS.read_text("utf-8")
    if not installed.exists() or installed.read_text("utf-8") != wanted:
        pip = [folder / "bin/python", "-m", "pip", "install", "--quiet"]
        quiet = ["--disable-pip-version-check", "--require-hashes"]
        try:
            for command in (
                [sys.executable, "-m", "venv", "--clear", folder],
                [*pip, *quiet, "-r", _REQUIREMENTS],
            ):
                subprocess.run(
                    command, check=True, capture_output=True, timeout=_FETCH_SECONDS
                )
        except (subprocess.SubprocessError, OSError):
            pytest.skip("OpenBao could not be installed: it was not compared with")
        installed.write_text(wanted, "utf-8")
    return folder / "bin" / "bao"


def _wait(address):
    ends = time.monotonic() + _START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"{address}/v1/sys/health", timeout=1):
                return
        except OSError:
            assert time.monotonic() < ends, "OpenBao did not start"
            time.sleep(0.1)
