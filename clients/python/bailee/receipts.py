"""Checking receipts with the pinned log key alone.

A receipt is an entry and a C2SP tlog-proof (https://c2sp.org/tlog-proof): the entry's
index, an RFC 6962 inclusion path and a checkpoint signed as a C2SP signed note.

Invariants:
  * A proof has one spelling: numbers without signs, spaces or leading zeros, base64
    with its padding and with zeros in the bits that the last letter does not need.
  * Lines signed with other keys (a witness's) must be well formed; they prove nothing
    here and are otherwise ignored, as signed-note asks.
"""

import base64
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from google.protobuf.message import Message

from bailee.bundle import Bundle
from bailee.errors import LogRestored, LogRollback, ReceiptInvalid
from bailee.v1 import receipt_pb2

_PROOF_HEADER: Final = "c2sp.org/tlog-proof@v1"
_INDEX: Final = "index "
_ED25519: Final = b"\x01"
_KEY_ID_BYTES: Final = 4
_HASH_BYTES: Final = 32
_SIGNATURES_MAX: Final = 100
# Nothing happened, so there is no entry: the policy had been accepted before.
_RECEIPT_MAY_LACK: Final = frozenset({"AcceptPolicyResponse"})
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_SIGNATURE_LINE: Final = re.compile(r"\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The log's size and root hash, as the gateway signed them."""

    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class VerifiedReceipt:
    """What a receipt proved: this entry, at this index, under this checkpoint."""

    entry: bytes
    index: int
    checkpoint: Checkpoint


def verify_receipt(
    receipt: receipt_pb2.Receipt, *, log_origin: str, log_key: bytes
) -> VerifiedReceipt:
    """Checks signature and inclusion.

    Raises:
        LogRestored: The log that is pinned has ended; another one follows it.
        ReceiptInvalid: Anything does not fit; the text says what.
    """
    try:
        head, note = receipt.proof.split("\n\n", 1)
        header, index_line, *path_lines = head.split("\n")
        if header != _PROOF_HEADER or not index_line.startswith(_INDEX):
            raise ReceiptInvalid("the proof is not a C2SP tlog-proof")
        index = _read_decimal(index_line.removeprefix(_INDEX))
        path = [_read_hash(line) for line in path_lines]
    except ValueError as error:
        raise ReceiptInvalid("the proof is not a C2SP tlog-proof") from error
    checkpoint = open_checkpoint(note, log_origin=log_origin, log_key=log_key)
    leaf = hashlib.sha256(b"\x00" + receipt.entry).digest()
    if _root_of(leaf, index, checkpoint.size, path) != checkpoint.root:
        raise ReceiptInvalid("the entry is not in the log that the checkpoint signs")
    return VerifiedReceipt(bytes(receipt.entry), index, checkpoint)


def open_checkpoint(note: str, *, log_origin: str, log_key: bytes) -> Checkpoint:
    """Verifies a C2SP checkpoint.

    Raises:
        LogRestored: A later generation of this log, signed with the pinned key.
        ReceiptInvalid: Another log, another key, or damaged.
    """
    text, separator, signatures = note.partition("\n\n")
    body = text + "\n"
    lines = text.split("\n")
    if not separator or len(lines) != 3:  # noqa: PLR2004
        raise ReceiptInvalid("the checkpoint is not of this log")
    if lines[0] != log_origin:
        if not _follows(lines[0], log_origin):
            raise ReceiptInvalid("the checkpoint is not of this log")
        open_checkpoint(note, log_origin=lines[0], log_key=log_key)
        raise LogRestored(
            f"the operator restored a backup: {log_origin} has ended, and the log goes "
            f"on as {lines[0]}; keep your receipts, ask what is lost, and take a new "
            "bundle"
        )
    signature = _signature_of(signatures, log_origin, log_key)
    try:
        Ed25519PublicKey.from_public_bytes(log_key).verify(signature, body.encode())
    except (InvalidSignature, ValueError) as error:
        raise ReceiptInvalid("the checkpoint's signature does not verify") from error
    try:
        return Checkpoint(_read_decimal(lines[1]), _read_hash(lines[2]))
    except ValueError as error:
        raise ReceiptInvalid("the checkpoint's size or root is malformed") from error


def _follows(origin: str, log_origin: str) -> bool:
    """Whether an origin names a later generation of the same log."""
    log, _, generation = origin.rpartition("/g")
    pinned_log, _, pinned = log_origin.rpartition("/g")
    try:
        return log == pinned_log and _read_decimal(generation) > _read_decimal(pinned)
    except ValueError:
        return False


def _signature_of(signatures: str, log_origin: str, log_key: bytes) -> bytes:
    """Returns the signature made with the pinned key; others are ignored."""
    named = log_origin.encode() + b"\n" + _ED25519 + log_key
    key_id = hashlib.sha256(named).digest()[:_KEY_ID_BYTES]
    *lines, end = signatures.split("\n")
    if end or not 0 < len(lines) <= _SIGNATURES_MAX:
        raise ReceiptInvalid("the checkpoint's signatures are malformed")
    found = [
        blob[_KEY_ID_BYTES:]
        for name, blob in map(_read_signature, lines)
        if name == log_origin and blob[:_KEY_ID_BYTES] == key_id
    ]
    if len(found) != 1:
        raise ReceiptInvalid("the checkpoint is not signed once with the pinned key")
    return found[0]


def _read_signature(line: str) -> tuple[str, bytes]:
    """Returns the key's name of a signature line, and what follows it."""
    match = _SIGNATURE_LINE.fullmatch(line)
    try:
        if match is None:
            raise ValueError("not a signature line")
        return match[1], _read_base64(match[2])
    except ValueError as error:
        raise ReceiptInvalid("the checkpoint's signatures are malformed") from error


def _read_decimal(text: str) -> int:
    """Returns a number as the C2SP formats write it; int() takes "+1", "01", " 1"."""
    if not _DECIMAL.fullmatch(text):
        raise ValueError("not a decimal number")
    return int(text)


def _read_base64(text: str) -> bytes:
    """Returns the bytes of canonical base64 (RFC 4648 sections 3.5 and 4)."""
    content = base64.b64decode(text, validate=True)
    if base64.b64encode(content).decode() != text:
        raise ValueError("not canonical base64")
    return content


def _read_hash(text: str) -> bytes:
    """Returns a hash; all are SHA-256."""
    content = _read_base64(text)
    if len(content) != _HASH_BYTES:
        raise ValueError("not a hash")
    return content


def _root_of(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Recomputes the root from a leaf and its path (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size:
        raise ReceiptInvalid("the proof's index lies outside the log")
    node, last, current = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise ReceiptInvalid("the proof is longer than the tree is high")
        if node & 1 or node == last:
            current = hashlib.sha256(b"\x01" + sibling + current).digest()
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            current = hashlib.sha256(b"\x01" + current + sibling).digest()
        node, last = node >> 1, last >> 1
    if last != 0:
        raise ReceiptInvalid("the proof is shorter than the tree is high")
    return current


class LogMemory:
    """Remembers the highest checkpoint and notices a log that goes backwards."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._highest = Checkpoint(0, b"")

    @property
    def highest(self) -> Checkpoint:
        """The largest checkpoint seen."""
        return self._highest

    def accept(self, checkpoint: Checkpoint, *, size_before_call: int) -> None:
        """Takes the checkpoint of a call that began when the log had this size.

        Answers may overtake each other, so only what was known when the call began
        counts as "before".

        Raises:
            LogRollback: Smaller than the log was before the call, or another root at
                a size already seen.
        """
        with self._lock:
            if checkpoint.size < size_before_call:
                raise LogRollback(
                    f"the log had {size_before_call} entries and now claims "
                    f"{checkpoint.size}"
                )
            if checkpoint.size == self._highest.size and checkpoint != self._highest:
                raise LogRollback(
                    f"two different logs of {checkpoint.size} entries are signed"
                )
            if checkpoint.size > self._highest.size:
                self._highest = checkpoint


class LogMemories:
    """The logs of one gateway: one for each merchant, all signed with one key."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._memories: dict[str, LogMemory] = defaultdict(LogMemory)

    def size(self, merchant: str) -> int:
        """Returns the size of the merchant's largest checkpoint seen."""
        return self._memories[merchant].highest.size

    def verify(self, merchant: str, receipt: receipt_pb2.Receipt) -> VerifiedReceipt:
        """Checks a receipt of the merchant's log under the pinned key.

        Raises:
            ReceiptInvalid: Anything does not fit; the text says what.
        """
        return verify_receipt(
            receipt,
            log_origin=self._bundle.log_origin_of(merchant),
            log_key=self._bundle.log_key,
        )

    def accept(self, merchant: str, response: Message, size_before: int) -> None:
        """Checks every receipt of an answer and remembers the log.

        Raises:
            ReceiptInvalid: A receipt does not verify, or is missing.
            LogRollback: The log is shorter than before the call, or forked.
        """
        for receipt in receipts_of(response):
            verified = self.verify(merchant, receipt)
            self._memories[merchant].accept(
                verified.checkpoint, size_before_call=size_before
            )


def receipts_of(response: Message) -> Iterator[receipt_pb2.Receipt]:
    """Yields the receipt of an answer, and those of a batch's items.

    Raises:
        ReceiptInvalid: It lacks one.
    """
    fields = response.DESCRIPTOR.fields_by_name
    if "receipt" in fields:
        if response.HasField("receipt"):
            yield getattr(response, "receipt")  # noqa: B009
        elif response.DESCRIPTOR.name not in _RECEIPT_MAY_LACK:
            # Who leaves it out may have left out the entry.
            raise ReceiptInvalid("the answer has no receipt")
    if "results" in fields:
        for result in getattr(response, "results"):  # noqa: B009
            chosen = result.WhichOneof("result")
            if chosen is not None:
                yield from receipts_of(getattr(result, chosen))
