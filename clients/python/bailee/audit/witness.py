"""Cosigning checkpoints, as a C2SP witness (https://c2sp.org/tlog-cosignature).

A cosignature says: at this time, this was the largest log I had seen of this origin,
and it continued every one that I had seen before. Two readers who compare cosigned
checkpoints cannot be shown different logs.
"""

import base64
import struct
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from bailee.audit.keys import WITNESS, VerifierKey
from bailee.audit.tree import is_prefix
from bailee.errors import ReceiptInvalid
from bailee.receipts import Checkpoint, open_checkpoint

_PROOF_LINES_MAX: Final = 63
_STAMP: Final = struct.Struct(">Q")
_SIGNATURE_BYTES: Final = 64
_ID_BYTES: Final = 4


class WitnessKey:
    """A witness's private key and its name."""

    def __init__(self, name: str, private_key: Ed25519PrivateKey) -> None:
        self._private_key = private_key
        public = private_key.public_key().public_bytes_raw()
        self.public: Final = VerifierKey(name, public, WITNESS)

    @classmethod
    def open(cls, file: Path, name: str) -> "WitnessKey":
        """Reads the key, making it if there is none; only its owner may read it.

        Raises:
            ValueError: The file holds no Ed25519 key.
        """
        if not file.exists():
            made = Ed25519PrivateKey.generate().private_bytes_raw()
            file.touch(mode=0o600)
            file.write_text(base64.b64encode(made).decode() + "\n", "utf-8")
        raw = base64.b64decode(file.read_text("utf-8").strip(), validate=True)
        return cls(name, Ed25519PrivateKey.from_private_bytes(raw))

    def cosign(self, note: str, now: datetime) -> str:
        """Returns the signature line for a checkpoint that was verified before."""
        seconds = int(now.timestamp())
        signature = self._private_key.sign(_message(note, seconds))
        blob = self.public.key_id + _STAMP.pack(seconds) + signature
        return f"\u2014 {self.public.name} {base64.b64encode(blob).decode()}\n"


def cosigned_at(note: str, key: VerifierKey) -> int | None:
    """Returns when a witness cosigned a checkpoint, in Unix seconds, or None.

    Only a signature that verifies counts.
    """
    for line in note.partition("\n\n")[2].split("\n"):
        encoded = line.removeprefix(f"\u2014 {key.name} ")
        if encoded == line:
            continue
        blob = base64.b64decode(encoded)
        stamped, signature = blob[_ID_BYTES:-_SIGNATURE_BYTES], blob[-_SIGNATURE_BYTES:]
        if blob[:_ID_BYTES] != key.key_id or len(stamped) != _STAMP.size:
            continue
        (seconds,) = _STAMP.unpack(stamped)
        public = Ed25519PublicKey.from_public_bytes(key.public_key)
        try:
            public.verify(signature, _message(note, seconds))
        except InvalidSignature:
            continue
        return int(seconds)
    return None


class WitnessMemory(Protocol):
    """What a witness keeps: the largest checkpoint that it cosigned for each log."""

    def cosigned(self, origin: str) -> Checkpoint | None:
        """Returns the newest one of this log."""

    def keep(self, origin: str, checkpoint: Checkpoint) -> None:
        """Keeps a newer one; durable when it returns."""


class Witness:
    """Answers ``add-checkpoint`` (https://c2sp.org/tlog-witness), one at a time."""

    def __init__(
        self, *, key: WitnessKey, logs: dict[str, bytes], memory: WitnessMemory
    ) -> None:
        """Makes a witness.

        Args:
            key: What it signs with.
            logs: The public key of each log that it watches, by origin.
            memory: What it cosigned before.
        """
        self._key = key
        self._logs = logs
        self._memory = memory

    def add_checkpoint(self, body: bytes, now: datetime) -> tuple[int, str, str]:
        """Returns status, content type and body of the answer."""
        plain = "text/plain"
        try:
            head, note = body.decode("utf-8").split("\n\n", 1)
            first, *lines = head.split("\n")
            old_size = _read_size(first)
            proof = [base64.b64decode(line, validate=True) for line in lines]
        except ValueError:
            return 400, plain, "malformed\n"
        if len(proof) > _PROOF_LINES_MAX:
            return 400, plain, "too many proof lines\n"
        origin = note.partition("\n")[0]
        if origin not in self._logs:
            return 404, plain, "unknown log\n"
        try:
            checkpoint = open_checkpoint(
                note, log_origin=origin, log_key=self._logs[origin]
            )
        except ReceiptInvalid:
            return 403, plain, "no signature of a key that is known\n"
        if old_size > checkpoint.size:
            return 400, plain, "the old size is larger than the checkpoint\n"
        return self._continue(origin, old_size, checkpoint, proof, note, now)

    def _continue(
        self,
        origin: str,
        old_size: int,
        checkpoint: Checkpoint,
        proof: list[bytes],
        note: str,
        now: datetime,
    ) -> tuple[int, str, str]:
        known = self._memory.cosigned(origin)
        known_size = 0 if known is None else known.size
        if old_size != known_size:
            return 409, "text/x.tlog.size", f"{known_size}\n"
        if known is not None:
            if known.size == checkpoint.size and known.root != checkpoint.root:
                return 409, "text/x.tlog.size", f"{known_size}\n"
            old, new = (known.size, known.root), (checkpoint.size, checkpoint.root)
            if not is_prefix(old, new, proof):
                return 422, "text/plain", "the log was rewritten\n"
        elif proof:
            return 422, "text/plain", "the empty log needs no proof\n"
        self._memory.keep(origin, checkpoint)
        return 200, "text/plain", self._key.cosign(note, now)


def _message(note: str, seconds: int) -> bytes:
    text = note.partition("\n\n")[0]
    return f"cosignature/v1\ntime {seconds}\n{text}\n".encode()


def _read_size(line: str) -> int:
    digits = line.removeprefix("old ")
    if digits == line or not digits.isascii() or not digits.isdigit():
        raise ValueError("not a size line")
    if digits != str(int(digits)):
        raise ValueError("leading zeros")
    return int(digits)
