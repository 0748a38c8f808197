"""The keyring file: what it holds, how it is written, and who may read it.

Layout, version 1: 0x01, then one of

  * 0x00 || SHA-256 of the JSON (32) || JSON
  * 0x01 || passes (4) || memory in KiB (4) || lanes (4) || salt (16) || nonce (12) ||
    the JSON under AES-256-GCM; the key is Argon2id of the passphrase, and every byte
    before the ciphertext is authenticated. Integers are big-endian.

Invariants:
  * The file is replaced at once: after a power cut it is the old one or the new one.
  * A folder or file that others can read is refused, not repaired: somebody may have
    read it.
  * A change is applied to what the file holds now, under a lock, so that two programs
    cannot undo each other: a lost epoch key would be lost cards.
  * No error and no repr holds a key.
"""

import base64
import fcntl
import hashlib
import hmac
import json
import os
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from gateway.errors import KeyUnavailable

FILE_NAME: Final = "keyring"
KEY_BYTES: Final = 32
EPOCHS_MAX: Final = 2
KEYRING: Final = "keyring"
ROTATION_ASKED: Final = "rotation asked"

_FORMAT_V1: Final = b"\x01"
_CLEAR: Final = b"\x01\x00"
_SEALED: Final = b"\x01\x01"
_DIGEST_BYTES: Final = 32
_SALT_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_COSTS: Final = struct.Struct(">III")
_STRETCH_BYTES: Final = _COSTS.size + _SALT_BYTES
# RFC 9106, section 4, second recommended option: 3 passes, 64 MiB, 4 lanes.
_COSTS_NEW: Final = _COSTS.pack(3, 64 * 1024, 4)
# What a header may ask for, since it is read before it can be authenticated.
_COSTS_MAX: Final = (64, 4 * 1024 * 1024, 64)
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class StoredSealingKey:
    """The private half of a sealing key."""

    private_key: bytes = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyring:
    """Every key that never enters the database. ``epochs`` is newest first.

    ``times`` says when an epoch key or, by ``KEYRING``, the keyring was made, and by
    ``ROTATION_ASKED`` when somebody last asked for a rotation. The keyrings of the
    first gateways do not know.
    """

    vault_id: str
    epochs: dict[str, bytes] = field(repr=False)
    sealing_keys: list[StoredSealingKey] = field(repr=False)
    identity_key: bytes = field(repr=False)
    log_key: bytes = field(repr=False)
    mac_root: bytes = field(repr=False)
    times: dict[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stretched:
    """A passphrase, stretched: the costs and salt that were used, and the key."""

    costs_and_salt: bytes
    key: bytes = field(repr=False)

    @classmethod
    def new(cls, passphrase: bytes) -> Self:
        """Stretches a passphrase with a fresh salt.

        Raises:
            KeyUnavailable: The passphrase is empty.
        """
        return cls.again(passphrase, _COSTS_NEW + os.urandom(_SALT_BYTES))

    @classmethod
    def again(cls, passphrase: bytes, costs_and_salt: bytes) -> Self:
        """Stretches a passphrase as a file's header says.

        Raises:
            KeyUnavailable: The passphrase is empty, or the header is damaged.
        """
        if not passphrase:
            raise KeyUnavailable(metadata={"keyring": "its passphrase file is empty"})
        passes, memory, lanes = costs = _COSTS.unpack(costs_and_salt[: _COSTS.size])
        too_much = any(map(int.__gt__, costs, _COSTS_MAX))
        if too_much or not passes or not lanes or memory < 8 * lanes:
            raise KeyUnavailable(metadata={"keyring": "is damaged"})
        argon = Argon2id(
            salt=costs_and_salt[_COSTS.size :],
            length=KEY_BYTES,
            iterations=passes,
            lanes=lanes,
            memory_cost=memory,
        )
        return cls(costs_and_salt, argon.derive(passphrase))


class KeyringFile:
    """A keyring in its folder; open it once, change it as long as the program runs."""

    def __init__(self, folder: Path, stretched: Stretched | None) -> None:
        """Use ``create`` or ``open``."""
        self._folder = folder
        self._stretched = stretched

    @classmethod
    def create(cls, folder: Path, keyring: Keyring, passphrase: bytes | None) -> Self:
        """Writes a new keyring into a new folder.

        Raises:
            FileExistsError: The folder exists; a keyring is never overwritten.
            KeyUnavailable: The passphrase is empty.
        """
        stretched = None if passphrase is None else Stretched.new(passphrase)
        folder.mkdir(mode=0o700)
        _write(folder, encode_keyring(keyring, stretched))
        _sync(folder.parent)
        return cls(folder, stretched)

    @classmethod
    def open(cls, folder: Path, passphrase: bytes | None) -> tuple[Self, Keyring]:
        """Reads a keyring.

        Raises:
            KeyUnavailable: Missing, readable by others, damaged, wrong passphrase.
        """
        content = _read(folder)
        stretched = None
        if content[:2] == _SEALED:
            if passphrase is None:
                raise KeyUnavailable(metadata={"keyring": "needs its passphrase file"})
            head = content[2 : 2 + _STRETCH_BYTES]
            if len(head) < _STRETCH_BYTES:
                raise KeyUnavailable(metadata={"keyring": "is damaged"})
            stretched = Stretched.again(passphrase, head)
        return cls(folder, stretched), decode_keyring(content, stretched)

    def version(self) -> tuple[int, int]:
        """Returns what changes whenever the file is replaced.

        Raises:
            KeyUnavailable: It cannot be read.
        """
        try:
            found = (self._folder / FILE_NAME).stat()
        except OSError as error:
            raise KeyUnavailable(metadata={"keyring": "cannot be read"}) from error
        return found.st_ino, found.st_mtime_ns

    def read(self) -> Keyring:
        """Returns what the file holds now.

        Raises:
            KeyUnavailable: As ``open``; or the passphrase was changed meanwhile.
        """
        return decode_keyring(_read(self._folder), self._stretched)

    def change(self, change: Callable[[Keyring], Keyring]) -> Keyring:
        """Applies a change to what the file holds now, and returns the result.

        Raises:
            KeyUnavailable: As ``open``; or the passphrase was changed meanwhile, or the
                folder cannot be written.
        """
        with _locked(self._folder):
            now = decode_keyring(_read(self._folder), self._stretched)
            changed = change(now)
            try:
                _write(self._folder, encode_keyring(changed, self._stretched))
            except OSError as error:
                raise KeyUnavailable(
                    metadata={"keyring": "cannot be written"}
                ) from error
        return changed


def encode_keyring(keyring: Keyring, stretched: Stretched | None) -> bytes:
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
            "times": {
                name: moment.isoformat() for name, moment in keyring.times.items()
            },
        }
    ).encode()
    if stretched is None:
        return _CLEAR + hashlib.sha256(text).digest() + text
    nonce = os.urandom(_NONCE_BYTES)
    head = _SEALED + stretched.costs_and_salt + nonce
    return head + AESGCM(stretched.key).encrypt(nonce, text, head)


def decode_keyring(content: bytes, stretched: Stretched | None) -> Keyring:
    """Reads the file's bytes.

    Raises:
        KeyUnavailable: Damaged, of another version, or a wrong passphrase.
    """
    if content[:2] == _SEALED:
        text = _open(content, stretched)
    elif content[:2] == _CLEAR:
        text = content[2 + _DIGEST_BYTES :]
        digest = hashlib.sha256(text).digest()
        if not hmac.compare_digest(digest, content[2 : 2 + _DIGEST_BYTES]):
            raise KeyUnavailable(metadata={"keyring": "is damaged"})
    elif content[:1] == _FORMAT_V1 or not content:
        raise KeyUnavailable(metadata={"keyring": "is damaged"})
    else:
        raise KeyUnavailable(metadata={"keyring": "is of a version we do not know"})
    try:
        return _parse(json.loads(text))
    except (ValueError, KeyError, TypeError):
        # "from None": the error's text quotes the keys that it could not read.
        raise KeyUnavailable(metadata={"keyring": "is damaged"}) from None


def _open(content: bytes, stretched: Stretched | None) -> bytes:
    start = 2 + _STRETCH_BYTES
    head = content[: start + _NONCE_BYTES]
    if stretched is None or not hmac.compare_digest(
        head[2:start], stretched.costs_and_salt
    ):
        raise KeyUnavailable(
            metadata={"keyring": "has another passphrase now; start again"}
        )
    body = content[len(head) :]
    try:
        return AESGCM(stretched.key).decrypt(head[start:], body, head)
    except (InvalidTag, ValueError) as error:
        raise KeyUnavailable(
            metadata={"keyring": "does not open with this passphrase, or is damaged"}
        ) from error


def _parse(facts: dict[str, Any]) -> Keyring:
    epochs = {str(name): _bytes(key) for name, key in facts["epochs"]}
    if not 0 < len(epochs) <= EPOCHS_MAX:
        raise ValueError
    return Keyring(
        vault_id=str(facts["vault_id"]),
        epochs=epochs,
        sealing_keys=[
            StoredSealingKey(_bytes(key), datetime.fromisoformat(ends).astimezone(UTC))
            for key, ends in facts["sealing_keys"]
        ],
        identity_key=_bytes(facts["identity_key"]),
        log_key=_bytes(facts["log_key"]),
        mac_root=_bytes(facts["mac_root"]),
        times={
            str(name): datetime.fromisoformat(moment).astimezone(UTC)
            for name, moment in facts.get("times", {}).items()
        },
    )


def _read(folder: Path) -> bytes:
    """Returns the file's bytes, if the gateway's user alone can read them."""
    try:
        # A pipe of this name must not make the gateway wait for somebody to write.
        handle = os.open(folder / FILE_NAME, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            # The file that is open, not whatever bears its name by now.
            mode = os.fstat(handle).st_mode
            if not stat.S_ISREG(mode):
                raise KeyUnavailable(metadata={"keyring": "is not a file"})
            mode |= folder.stat().st_mode
            content = file.read()
    except OSError as error:
        raise KeyUnavailable(metadata={"keyring": "cannot be read"}) from error
    if mode & _OTHERS:
        raise KeyUnavailable(
            metadata={
                "keyring": "others can read it; run chmod -R go= on its folder, and "
                "rotate its keys if anybody did"
            }
        )
    return content


def _write(folder: Path, content: bytes) -> None:
    temporary = folder / f".{FILE_NAME}.new"
    temporary.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(os.open(temporary, flags, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / FILE_NAME)
    _sync(folder)


def _sync(folder: Path) -> None:
    """Makes names in the folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Waits until no other program changes the keyring."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise KeyUnavailable(metadata={"keyring": "cannot be read"}) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _show(key: bytes) -> str:
    return base64.b64encode(key).decode()


def _bytes(text: str) -> bytes:
    key = base64.b64decode(text, validate=True)
    if len(key) != KEY_BYTES:
        raise ValueError
    return key
