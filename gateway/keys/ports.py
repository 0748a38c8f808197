"""What holds keys: the provider outside the database, and the store inside it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from gateway.words.purposes import Purpose


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


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredWrappingKey:
    """A wrapping key as the database holds it: wrapped by an epoch key."""

    key_id: str
    purpose: Purpose
    epoch: str
    wrapped: bytes = field(repr=False)
    created_at: datetime


class KeyStore(Protocol):
    """The merchant's wrapping keys."""

    def newest(self, purpose: Purpose, epoch: str) -> StoredWrappingKey | None:
        """Returns the wrapping key of this purpose and epoch, if there is one."""

    def find(self, key_id: str) -> StoredWrappingKey | None:
        """Returns the wrapping key with this id."""

    def add(self, key: StoredWrappingKey) -> None:
        """Stores a wrapping key."""


class KeyUnit(Protocol):
    """The slice of the unit of work that holds wrapping keys."""

    @property
    def keys(self) -> KeyStore:
        """The merchant's wrapping keys."""
