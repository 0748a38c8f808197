"""What a program needs to call a gateway: address, certificates and pinned keys.

The operator makes a bundle with ``bailee init`` or ``bailee caller add``: a folder with
``bundle.json``, ``ca.pem``, ``client.pem`` and ``client-key.pem`` (mode 0600).
"""

import base64
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

_FORMAT_VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """Address, identity and pinned keys of one caller.

    Attributes:
        address: ``host:port``; the host is in the server's certificate.
        vault_id: Names the vault; bound into every sealed card.
        merchant: The merchant that calls act for unless they name another.
        identity_key: Raw Ed25519 key that vouches for sealing keys. Pinned: it never
            comes from the gateway itself.
        log_key: Raw Ed25519 key that signs the audit log's checkpoints. Pinned.
        log_origin: The merchant's log, as its checkpoints name it.
    """

    address: str
    vault_id: str
    merchant: str
    identity_key: bytes
    log_key: bytes
    log_origin: str
    ca_certificate: bytes = field(repr=False)
    client_certificate: bytes = field(repr=False)
    client_key: bytes = field(repr=False)

    @classmethod
    def read(cls, path: str | Path) -> "Bundle":
        """Reads a bundle folder.

        Raises:
            FileNotFoundError: A file of the bundle is missing.
            ValueError: bundle.json is not JSON, or not of a version this client knows.
        """
        folder = Path(path)
        try:
            text = (folder / "bundle.json").read_text("utf-8")
            facts: dict[str, Any] = json.loads(text)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{folder} holds no bundle.json; a gateway's bundles are in bundles/"
            ) from error
        except json.JSONDecodeError as error:
            raise ValueError(
                f"{folder / 'bundle.json'} is not JSON: {error}"
            ) from error
        if facts.get("version") != _FORMAT_VERSION:
            raise ValueError(
                f"{folder / 'bundle.json'}: this client reads version "
                f"{_FORMAT_VERSION}; upgrade the bailee package"
            )
        return cls(
            address=facts["address"],
            vault_id=facts["vault_id"],
            merchant=facts["merchant"],
            identity_key=base64.b64decode(facts["identity_key"], validate=True),
            log_key=base64.b64decode(facts["log_key"], validate=True),
            log_origin=facts["log_origin"],
            ca_certificate=(folder / "ca.pem").read_bytes(),
            client_certificate=(folder / "client.pem").read_bytes(),
            client_key=(folder / "client-key.pem").read_bytes(),
        )

    def log_origin_of(self, merchant: str) -> str:
        """Returns the name of a merchant's log; only the merchant's part differs."""
        vault, _, generation = self.log_origin.rpartition(f"/m/{self.merchant}/")
        return f"{vault}/m/{merchant}/{generation}"

    def write(self, path: str | Path) -> None:
        """Writes the bundle to a new folder; the key is readable by its owner only.

        Raises:
            FileExistsError: The folder exists; nothing is overwritten.
        """
        folder = Path(path)
        folder.mkdir(parents=True, mode=0o700)
        facts = {
            "version": _FORMAT_VERSION,
            "address": self.address,
            "vault_id": self.vault_id,
            "merchant": self.merchant,
            "identity_key": base64.b64encode(self.identity_key).decode(),
            "log_key": base64.b64encode(self.log_key).decode(),
            "log_origin": self.log_origin,
        }
        (folder / "bundle.json").write_text(json.dumps(facts, indent=2) + "\n")
        (folder / "ca.pem").write_bytes(self.ca_certificate)
        (folder / "client.pem").write_bytes(self.client_certificate)
        key = folder / "client-key.pem"
        key.touch(mode=0o600)
        key.write_bytes(self.client_key)
