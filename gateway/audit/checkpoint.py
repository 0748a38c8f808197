"""Checkpoints: a log's size and root, signed as a C2SP note.

Formats: https://c2sp.org/tlog-checkpoint and https://c2sp.org/signed-note. The key's
name is the log's origin. There are no extension lines.

Invariants:
  * A note has one spelling: numbers without leading zeros, base64 with its padding and
    with zeros in the bits that the last letter does not need.
  * Lines signed with other keys (a witness's) must be well formed; they prove nothing
    here and are otherwise ignored, as signed-note asks.
"""

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.words.identifiers import MerchantId

_ED25519: Final = b"\x01"  # signed-note signature type
_KEY_ID_BYTES: Final = 4
_PUBLIC_KEY_BYTES: Final = 32
_BODY_LINES: Final = 3
_SIGNATURES_MAX: Final = 100  # as golang.org/x/mod/sumdb/note
_HASH_BYTES: Final = 32
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_ORIGIN: Final = re.compile(r"[^\s+]+/m/([a-z][a-z0-9-]*)/g[1-9][0-9]*")
_SIGNATURE_LINE: Final = re.compile(r"\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")


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


def merchant_of(origin: str) -> str:
    """Returns the merchant that an origin names.

    Raises:
        CheckpointInvalid: It is not an origin as ``origin_of`` makes them.
    """
    match = _ORIGIN.fullmatch(origin)
    if match is None:
        raise CheckpointInvalid("the origin is not that of a merchant's log")
    return match[1]


def generation_of(origin: str) -> int:
    """Returns the generation that an origin of ``origin_of`` names."""
    return int(origin.rpartition("/g")[2])


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
        key = read_base64(encoded)
    except ValueError as error:
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
    except (InvalidSignature, ValueError) as error:
        raise CheckpointInvalid("the checkpoint's signature does not verify") from error
    try:
        size, root = read_decimal(lines[1]), read_base64(lines[2])
    except ValueError as error:
        raise CheckpointInvalid("the checkpoint's size or root is malformed") from error
    if len(root) != _HASH_BYTES:
        raise CheckpointInvalid("the checkpoint's size or root is malformed")
    return Checkpoint(size, root)


def read_decimal(text: str) -> int:
    """Returns a number that is written as the C2SP formats write them.

    Raises:
        ValueError: Leading zeros, signs, spaces, or not below 10^19.
    """
    if not _SIZE.fullmatch(text):
        raise ValueError("not a decimal number")
    return int(text)


def read_base64(text: str) -> bytes:
    """Returns the bytes of canonical base64 (RFC 4648 sections 3.5 and 4).

    Raises:
        ValueError: Another alphabet, missing padding, or bits that are not zero.
    """
    content = base64.b64decode(text, validate=True)
    if base64.b64encode(content).decode() != text:
        raise ValueError("not canonical base64")
    return content


def _find_signature(signatures: str, origin: str, public_key: bytes) -> bytes:
    wanted = key_id(origin, public_key)
    *lines, end = signatures.split("\n")
    found: bytes | None = None
    if end or not 0 < len(lines) <= _SIGNATURES_MAX:
        raise CheckpointInvalid("the checkpoint's signatures are malformed")
    for line in lines:
        match = _SIGNATURE_LINE.fullmatch(line)
        if match is None:
            raise CheckpointInvalid("the checkpoint's signatures are malformed")
        try:
            blob = read_base64(match[2])
        except ValueError as error:
            raise CheckpointInvalid("a signature is not base64") from error
        if match[1] == origin and blob[:_KEY_ID_BYTES] == wanted:
            if found is not None:
                raise CheckpointInvalid("the checkpoint is signed twice with one key")
            found = blob[_KEY_ID_BYTES:]
    if found is None:
        raise CheckpointInvalid("the checkpoint has no signature of this key")
    return found
