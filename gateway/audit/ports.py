"""What the log needs from storage and keys."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from gateway.audit.entry import Entry


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof that one entry is in the log (C2SP tlog-proof)."""

    entry: bytes
    proof: str
    card_salt: bytes | None = field(repr=False)
    object_salt: bytes | None = field(repr=False)


class Appended(Protocol):
    """An entry that was appended in a unit."""

    @property
    def index(self) -> int:
        """Position in the merchant's log, from 0."""

    @property
    def is_durable(self) -> bool:
        """Whether the unit's commit has happened and would survive a power cut."""

    def receipt(self) -> Receipt:
        """Returns the proof, signing the commit's checkpoint on first use.

        Raises:
            InvariantBroken: The commit has not happened (I5: no signature before it).
        """


class AuditLog(Protocol):
    """The merchant's log inside a unit."""

    def append(self, entry: Entry) -> Appended:
        """Sequences the entry in this unit: it commits or vanishes with it.

        Raises:
            AuditUnavailable: The log cannot be written.
        """

    def receipt(self, index: int) -> Receipt:
        """Returns a proof of a committed entry under the newest committed checkpoint.

        Raises:
            IntegrityViolation: There is no such entry.
        """

    def committed(self) -> "LogReader":
        """Returns the log as it was when the unit began; in units that read.

        Raises:
            MerchantNotFound: There is no such merchant.
            InvariantBroken: The unit commits.
        """


class AuditUnit(Protocol):
    """The slice of the unit of work that holds the log."""

    @property
    def log(self) -> AuditLog:
        """The merchant's log."""


class CheckpointSigner(Protocol):
    """Signs checkpoints as C2SP signed notes with Ed25519."""

    @property
    def public_key(self) -> bytes:
        """The raw 32-byte Ed25519 public key."""

    def sign(self, text: bytes) -> bytes:
        """Returns the 64-byte Ed25519 signature of the note's text."""


class LogReader(Protocol):
    """One moment of a merchant's committed log, for proofs, checks and exports.

    What it returns is what is stored, right or wrong: whoever reads checks it.
    Implementations pass tests/contract/log_reader_contract.py.
    """

    def checkpoint(self) -> str:
        """Returns the newest signed checkpoint, as a C2SP note."""

    def size(self) -> int:
        """Returns how many entries are stored, counted from the entries themselves.

        Raises:
            IntegrityViolation: They cannot be counted.
        """

    def leaves(self, start: int, stop: int) -> Iterable[bytes]:
        """Returns the leaves of a range that are stored, in the order of the log.

        A missing one is left out. Callers ask for ranges of a size that fits memory.
        """

    def node(self, level: int, index: int) -> bytes:
        """Returns the stored hash of a complete subtree; level 0 are the leaves.

        Raises:
            IntegrityViolation: It is not stored.
        """
