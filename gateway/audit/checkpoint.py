"""Checkpoints: a log's size and root, signed as a C2SP note.

Formats: https://c2sp.org/tlog-checkpoint and https://c2sp.org/signed-note. The key's
name is the log's origin. There are no extension lines.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.words.identifiers import MerchantId

_ED25519: Final = b"\x01"  # signed-note signature type
_KEY_ID_BYTES: Final = 4
_PUBLIC_KEY_BYTES: Final = 32
_BODY_LINES: Final = 3


class CheckpointInvalid(Exception):
    """Not a checkpoint of this log under this key; the text says why."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's size and root hash."""

    size: int
    root: bytes


def origin_of(vault_id: str, merchant: MerchantId, generation: int) -> str:
    """Returns the log's origin: a schema-less URL that nobody else uses."""
    return f"{vault_id}/m/{merchant}/g{generation}"


def key_id(origin: str, public_key: bytes) -> bytes:
    """Returns the four bytes that name a key in a note."""
    named = origin.encode() + b"\n" + _ED25519 + public_key
    return hashlib.sha256(named).digest()[:_KEY_ID_BYTES]


def verifier_key(origin: str, public_key: bytes) -> str:
    """Returns the key as note verifiers take it: name, key id, base64 of the key."""
    encoded = base64.b64encode(_ED25519 + public_key).decode()
    return f"{origin}+{key_id(origin, public_key).hex()}+{encoded}"


def read_verifier_key(text: str) -> tuple[str, bytes]:
    """Returns origin and raw public key of a verifier key.

    Raises:
        ValueError: Not a verifier key of an Ed25519 key.
    """
    try:
        origin, named, encoded = text.strip().split("+", 2)
        key = base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error) as error:
        raise ValueError("not a verifier key: name+id+key is expected") from error
    if key[:1] != _ED25519 or len(key) != 1 + _PUBLIC_KEY_BYTES:
        raise ValueError("not an Ed25519 verifier key")
    if key_id(origin, key[1:]).hex() != named:
        raise ValueError("the verifier key's id does not fit its name and key")
    return origin, key[1:]


def checkpoint_text(origin: str, size: int, root: bytes) -> bytes:
    """Returns the note's text, which is what is signed."""
    return f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n".encode()


def signed_note(text: bytes, origin: str, public_key: bytes, signature: bytes) -> str:
    """Returns the text with its signature line."""
    blob = base64.b64encode(key_id(origin, public_key) + signature).decode()
    return f"{text.decode()}\n\u2014 {origin} {blob}\n"


def open_checkpoint(note: str, *, origin: str, public_key: bytes) -> Checkpoint:
    """Verifies a checkpoint; signatures of other keys are ignored.

    Raises:
        CheckpointInvalid: Another log, no signature of this key, or damaged.
    """
    text, separator, signatures = note.partition("\n\n")
    lines = text.split("\n")
    if not separator or len(lines) != _BODY_LINES or lines[0] != origin:
        raise CheckpointInvalid("the checkpoint is not of this log")
    signature = _find_signature(signatures, origin, public_key)
    try:
        key = Ed25519PublicKey.from_public_bytes(public_key)
        key.verify(signature, f"{text}\n".encode())
        size, root = int(lines[1]), base64.b64decode(lines[2], validate=True)
    except (InvalidSignature, ValueError, binascii.Error) as error:
        raise CheckpointInvalid("the checkpoint's signature does not verify") from error
    return Checkpoint(size, root)


def _find_signature(signatures: str, origin: str, public_key: bytes) -> bytes:
    wanted = key_id(origin, public_key)
    prefix = f"\u2014 {origin} "
    for line in signatures.split("\n"):
        if not line.startswith(prefix):
            continue
        try:
            blob = base64.b64decode(line.removeprefix(prefix), validate=True)
        except (ValueError, binascii.Error):
            continue
        if blob[:_KEY_ID_BYTES] == wanted:
            return blob[_KEY_ID_BYTES:]
    raise CheckpointInvalid("the checkpoint has no signature of this key")
