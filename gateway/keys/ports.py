"""What holds keys: the provider outside the database, and the store inside it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol, TypeAlias

from gateway.audit.ports import AuditUnit
from gateway.words.identifiers import MerchantId
from gateway.words.purposes import Purpose


class KeyUse(StrEnum):
    """What a wrapping key is for that is no use of a card."""

    PROCESSOR_CREDENTIAL = "processor_credential"


# What a wrapping key is for.
WrapsFor: TypeAlias = Purpose | KeyUse


@dataclass(frozen=True, slots=True, kw_only=True)
class SealingKey:
    """The public half of a key that cards are sealed to, and who vouches for it."""

    key_id: str
    public_key: bytes
    expires_at: datetime
    signature: bytes


class KeyProvider(Protocol):
    """Keeps the keys that never enter the database or its backups.

    Implementations pass tests/contract/key_provider_contract.py, may be called from
    several threads, and raise only what is listed here.
    """

    @property
    def vault_id(self) -> str:
        """Names this vault; bound into every ciphertext."""

    @property
    def log_public_key(self) -> bytes:
        """The raw Ed25519 key that verifies checkpoints."""

    @property
    def identity_public_key(self) -> bytes:
        """The raw Ed25519 key that verifies sealing keys; clients pin it."""

    def epochs(self) -> Sequence[str]:
        """Returns the ids of the epoch keys, newest first; at most two."""

    async def wrap(self, epoch: str, key: bytes, context: bytes) -> bytes:
        """Wraps a wrapping key under an epoch key, bound to the context.

        Raises:
            KeyUnavailable: No such epoch key, or the provider did not answer.
        """

    async def unwrap(self, epoch: str, wrapped: bytes, context: bytes) -> bytes:
        """Returns the wrapping key.

        Raises:
            KeyUnavailable: No such epoch key, or the provider did not answer.
            IntegrityViolation: Another key, another context, or damaged bytes.
        """

    def sealing_keys(self, now: datetime) -> Sequence[SealingKey]:
        """Returns the keys that open envelopes now, the preferred one first."""

    def open_sealed(
        self, key_id: str, ciphertext: bytes, info: bytes, now: datetime
    ) -> bytes:
        """Opens an HPKE envelope.

        Raises:
            SealedCardRejected: Unknown or retired key, another info, damaged bytes.
        """

    def sign_checkpoint(self, text: bytes) -> bytes:
        """Returns the log key's Ed25519 signature."""

    def mac_key(self, label: str) -> bytes:
        """Derives a 32-byte key for a label (HKDF-SHA256 from a root of its own).

        Labels in use: ``fingerprint/<merchant>``, ``request/<merchant>``,
        ``page-token``.
        """


class RotatableKeyProvider(KeyProvider, Protocol):
    """A key provider whose epoch and sealing keys can be rotated.

    A process that is killed between two steps asks again: both changes may be repeated.
    """

    def epoch_made_at(self, epoch: str) -> datetime | None:
        """Returns when the epoch key was made, if the provider knows."""

    def needs_sealing_key(self, now: datetime) -> bool:
        """Whether it is time for a new sealing key: every day."""

    def rotate_sealing_key(self, now: datetime) -> SealingKey:
        """Makes a sealing key, destroys those that ended, and returns the new one.

        Raises:
            KeyUnavailable: Nothing changed.
        """

    def refresh(self) -> None:
        """Takes in what another process changed.

        Raises:
            KeyUnavailable: The provider did not answer.
        """

    def rotation_asked_at(self) -> datetime | None:
        """Returns when a person last asked for a rotation of the epoch key."""

    async def make_epoch(self, epoch: str, now: datetime) -> None:
        """Makes an epoch key under this id and prefers it; does nothing if it exists.

        Raises:
            KeyUnavailable: Two epoch keys exist, or the provider did not answer.
        """

    async def destroy_epoch(self, epoch: str) -> None:
        """Destroys an epoch key for good; does nothing if it does not exist.

        Raises:
            InvariantBroken: It is the newest.
            KeyUnavailable: The provider did not answer.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredWrappingKey:
    """A wrapping key as the database holds it: wrapped by an epoch key.

    Nothing new is wrapped with it from ``retired_at`` on.
    """

    key_id: str
    purpose: WrapsFor
    epoch: str
    wrapped: bytes = field(repr=False)
    created_at: datetime
    retired_at: datetime | None = None


class KeyStore(Protocol):
    """The merchant's wrapping keys."""

    def newest(self, purpose: WrapsFor, epoch: str) -> StoredWrappingKey | None:
        """Returns the wrapping key of this purpose and epoch, if there is one."""

    def find(self, key_id: str) -> StoredWrappingKey | None:
        """Returns the wrapping key with this id."""

    def add(self, key: StoredWrappingKey) -> None:
        """Stores a wrapping key."""

    def retire(self, epoch: str, at: datetime) -> int:
        """Closes the wrapping keys of an epoch: from now on no copy is stored that they
        wrapped. Returns how many were still open.
        """


class KeyUnit(Protocol):
    """The slice of the unit of work that holds wrapping keys."""

    @property
    def keys(self) -> KeyStore:
        """The merchant's wrapping keys."""


class EpochState(StrEnum):
    """How far an epoch is."""

    PLANNED = "planned"
    CURRENT = "current"
    RETIRING = "retiring"
    DESTROYED = "destroyed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """What the gateway knows of an epoch key; the key itself is in the provider.

    ``due_at`` is when its rotation must begin: erasure receipts have promised it.
    ``moved`` counts the copies that were re-wrapped away from it. ``instance`` is the
    process that rotates it, and works on it until ``lease_until``.
    """

    epoch: str
    state: EpochState
    made_at: datetime
    due_at: datetime | None = None
    destroyed_at: datetime | None = None
    moved: int = 0
    instance: str = ""
    lease_until: datetime | None = None


class EpochStore(Protocol):
    """The epochs of the whole gateway; used in units of the GATEWAY scope."""

    def all(self) -> Sequence[Epoch]:
        """Returns every epoch, the newest first."""

    def put(self, epoch: Epoch) -> None:
        """Stores an epoch, replacing what was known of it."""


class EpochUnit(AuditUnit, Protocol):
    """The slice of the unit of work that holds epochs."""

    @property
    def epochs(self) -> EpochStore:
        """Every epoch; in units of the GATEWAY scope only."""


class WrappingKeyHolders(Protocol):
    """Finds the merchants that a rotation has to visit."""

    async def merchants_with_epoch(self, epoch: str) -> Sequence[MerchantId]:
        """Returns the merchants that have an open wrapping key of this epoch."""


class Rewrap(Protocol):
    """Moves one kind of wrapped copies from an old epoch's wrapping keys to new ones.

    There is one for each table that refers to wrapping keys.
    """

    async def move(self, epoch: str, moved: Callable[[int], Awaitable[None]]) -> int:
        """Re-wraps every copy that an epoch's wrapping keys wrapped.

        Args:
            epoch: The old epoch.
            moved: Told after each unit how many copies it re-wrapped.

        Returns:
            How many copies there were.

        Raises:
            IntegrityViolation: A copy does not open; a person must look.
            KeyUnavailable: The key provider did not answer.
        """
