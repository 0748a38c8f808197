"""The gateway's own log commits every minute to every merchant's checkpoint.

A merchant checks that the log it is shown is the one that the gateway committed to. To
show two readers different logs, a gateway then has to show two operator logs, too; and
that one is public.
"""

import re
from base64 import b64decode
from typing import Final

from bailee.audit.entries import EntryInvalid, read_facts
from bailee.audit.keys import VerifierKey
from bailee.audit.tree import leaf_hash, root_of
from bailee.errors import ReceiptInvalid
from bailee.receipts import Checkpoint, verify_receipt
from bailee.v1 import audit_service_pb2

_TYPE: Final = "log.committed"
_TEXT: Final = re.compile(r"([^\n]+)\n(0|[1-9][0-9]*)\n([A-Za-z0-9+/]{43}=)\n")


class CommitmentInvalid(ValueError):
    """The proof does not show that the operator log commits to this log."""


def read_commitment(
    message: audit_service_pb2.OperatorCommitment, key: VerifierKey
) -> Checkpoint:
    """Returns the checkpoint of this log that the operator log commits to.

    Raises:
        CommitmentInvalid: The proof does not verify, or it is about another log.
    """
    try:
        proved = verify_receipt(
            message.receipt,
            log_origin=_operator_origin(message.receipt.proof, key),
            log_key=key.public_key,
        )
        facts = read_facts(proved.entry)
        leaf = leaf_hash(message.salt + message.checkpoint_text.encode())
        count = int(facts["count"])
        root = root_of(leaf, message.index, count, list(message.hashes))
    except (ReceiptInvalid, EntryInvalid, KeyError, TypeError, ValueError) as error:
        raise CommitmentInvalid("its proof does not verify") from error
    if facts.get("type") != _TYPE or root is None or facts.get("subject") != root.hex():
        raise CommitmentInvalid("the checkpoint is not under the operator log's entry")
    return _read_text(message.checkpoint_text, key.name)


def _operator_origin(proof: str, key: VerifierKey) -> str:
    """Returns the operator log's origin: of this vault, of any generation."""
    vault = key.name.split("/m/", maxsplit=1)[0]
    named = re.search(
        rf"^{re.escape(vault)}/m/gateway/g[1-9][0-9]*$", proof, re.MULTILINE
    )
    if named is None:
        raise CommitmentInvalid("it is not of this vault's operator log")
    return named[0]


def _read_text(text: str, origin: str) -> Checkpoint:
    match = _TEXT.fullmatch(text)
    if match is None or match[1] != origin:
        raise CommitmentInvalid("it is about another log")
    return Checkpoint(int(match[2]), b64decode(match[3]))
