"""What the log needs from storage and keys."""

from dataclasses import dataclass
from typing import Protocol

from gateway.audit.entry import Entry


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof that one entry is in the log (C2SP tlog-proof)."""

    entry: bytes
    proof: str
    card_salt: bytes | None
    object_salt: bytes | None


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
