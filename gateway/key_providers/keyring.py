"""The keyring file: what it holds and how it is written.

Layout: format (1 byte), then either 0x00 and the JSON, or 0x01, a 16-byte salt, a
12-byte nonce and the JSON under AES-256-GCM with a key that Argon2id makes of the
passphrase (RFC 9106, section 4, second recommended option: 64 MiB, 3 passes, 4 lanes).
The bytes before the ciphertext are authenticated.
"""

import base64
import json
import os
import stat
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from gateway.errors import KeyUnavailable

FILE_NAME: Final = "keyring"
_FORMAT_V1: Final = b"\x01"
_CLEAR: Final = b"\x00"
_SEALED: Final = b"\x01"
_SALT_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class StoredSealingKey:
    """The private half of a sealing key."""

    private_key: bytes = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyring:
    """Every key that never enters the database. ``epochs`` is newest first."""

    vault_id: str
    epochs: dict[str, bytes] = field(repr=False)
    sealing_keys: list[StoredSealingKey] = field(repr=False)
    identity_key: bytes = field(repr=False)
    log_key: bytes = field(repr=False)
    mac_root: bytes = field(repr=False)


def write_keyring(folder: Path, keyring: Keyring, passphrase: bytes | None) -> None:
    """Replaces the keyring file at once: the old one or the new one, never half."""
    content = encode_keyring(keyring, passphrase)
    temporary = folder / f".{FILE_NAME}.new"
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / FILE_NAME)
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def read_keyring(folder: Path, passphrase: bytes | None) -> Keyring:
    """Reads the keyring file.

    Raises:
        KeyUnavailable: Missing, readable by others, damaged, or a wrong passphrase.
    """
    file = folder / FILE_NAME
    try:
        mode = file.stat().st_mode | folder.stat().st_mode
        content = file.read_bytes()
    except OSError as error:
        raise KeyUnavailable(metadata={"keyring": "cannot be read"}) from error
    if mode & _OTHERS:
        raise KeyUnavailable(metadata={"keyring": "others can read it; chmod go= it"})
    return decode_keyring(content, passphrase)


def encode_keyring(keyring: Keyring, passphrase: bytes | None) -> bytes:
    """Returns the file's bytes."""
    text = json.dumps(
        {
            "vault_id": keyring.vault_id,
            "epochs": [[name, _show(key)] for name, key in keyring.epochs.items()],
            "sealing_keys": [
                [_show(key.private_key), key.expires_at.isoformat()]
                for key in keyring.sealing_keys
            ],
            "identity_key": _show(keyring.identity_key),
            "log_key": _show(keyring.log_key),
            "mac_root": _show(keyring.mac_root),
        }
    ).encode()
    if passphrase is None:
        return _FORMAT_V1 + _CLEAR + text
    salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
    head = _FORMAT_V1 + _SEALED + salt + nonce
    return head + AESGCM(_stretch(passphrase, salt)).encrypt(nonce, text, head)


def decode_keyring(content: bytes, passphrase: bytes | None) -> Keyring:
    """Reads the file's bytes.

    Raises:
        KeyUnavailable: Damaged, of another version, or a wrong passphrase.
    """
    if content[:1] != _FORMAT_V1 or content[1:2] not in (_CLEAR, _SEALED):
        raise KeyUnavailable(metadata={"keyring": "is not of a version we know"})
    text = content[2:]
    if content[1:2] == _SEALED:
        text = _open(content, passphrase)
    try:
        return _read(json.loads(text))
    except (ValueError, KeyError, TypeError):
        # "from None": the error's text quotes the keys that it could not read.
        raise KeyUnavailable(metadata={"keyring": "is damaged"}) from None


def _open(content: bytes, passphrase: bytes | None) -> bytes:
    if passphrase is None:
        raise KeyUnavailable(metadata={"keyring": "needs its passphrase file"})
    start = 2 + _SALT_BYTES
    head = content[: start + _NONCE_BYTES]
    key = _stretch(passphrase, head[2:start])
    try:
        return AESGCM(key).decrypt(head[start:], content[len(head) :], head)
    except (InvalidTag, ValueError) as error:
        raise KeyUnavailable(
            metadata={"keyring": "does not open with this passphrase"}
        ) from error


def _stretch(passphrase: bytes, salt: bytes) -> bytes:
    return Argon2id(
        salt=salt, length=32, iterations=3, lanes=4, memory_cost=64 * 1024
    ).derive(passphrase)


def _read(facts: dict[str, Any]) -> Keyring:
    return Keyring(
        vault_id=facts["vault_id"],
        epochs={name: _bytes(key) for name, key in facts["epochs"]},
        sealing_keys=[
            StoredSealingKey(_bytes(key), datetime.fromisoformat(ends).astimezone(UTC))
            for key, ends in facts["sealing_keys"]
        ],
        identity_key=_bytes(facts["identity_key"]),
        log_key=_bytes(facts["log_key"]),
        mac_root=_bytes(facts["mac_root"]),
    )


def _show(key: bytes) -> str:
    return base64.b64encode(key).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
