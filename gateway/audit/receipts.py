"""The text of a receipt: a C2SP tlog-proof (https://c2sp.org/tlog-proof).

The Python client checks receipts with code of its own, clients/python/bailee/
receipts.py, so that a fault in one is seen by the other. There is no ``extra`` line.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.audit import tree
from gateway.audit.checkpoint import (
    CheckpointInvalid,
    open_checkpoint,
    read_base64,
    read_decimal,
)

_HEADER: Final = "c2sp.org/tlog-proof@v1"
_INDEX: Final = "index "


class ReceiptInvalid(Exception):
    """A proof does not show that the entry is in the log; the text says why."""


@dataclass(frozen=True, slots=True)
class VerifiedReceipt:
    """What a receipt proved: the entry has this index in this signed log."""

    index: int
    size: int
    root: bytes


def format_proof(index: int, path: Sequence[bytes], note: str) -> str:
    """Returns index, inclusion path and signed checkpoint as one text."""
    hashes = "".join(f"{base64.b64encode(part).decode()}\n" for part in path)
    return f"{_HEADER}\n{_INDEX}{index}\n{hashes}\n{note}"


def verify_receipt(
    entry: bytes, proof: str, *, origin: str, public_key: bytes
) -> VerifiedReceipt:
    """Checks a receipt with the log's public key alone.

    Args:
        entry: The exact bytes of the entry.
        proof: The tlog-proof.
        origin: The log's name, pinned with the key.
        public_key: The log's raw Ed25519 key.

    Raises:
        ReceiptInvalid: Another log or key, another entry, or damaged.
    """
    head, _, note = proof.partition("\n\n")
    header, *lines = head.split("\n")
    if header != _HEADER or not lines or not lines[0].startswith(_INDEX):
        raise ReceiptInvalid("the proof is not a C2SP tlog-proof")
    try:
        index = read_decimal(lines[0].removeprefix(_INDEX))
        path = [read_base64(line) for line in lines[1:]]
        checkpoint = open_checkpoint(note, origin=origin, public_key=public_key)
        tree.verify_inclusion(
            tree.leaf_hash(entry), index, checkpoint.size, path, root=checkpoint.root
        )
    except (ValueError, CheckpointInvalid) as error:
        raise ReceiptInvalid(str(error)) from error
    return VerifiedReceipt(index, checkpoint.size, checkpoint.root)
