"""What the vault needs from storage, and what a recipient of a card declares."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from gateway.audit.denials import DenialUnit
from gateway.cards.expiry import Expiry
from gateway.idempotency.ports import RequestUnit
from gateway.keys.ports import KeyUnit
from gateway.merchants.ports import MerchantUnit
from gateway.policy.mandate import Mandate
from gateway.policy.ports import PolicyUnit
from gateway.words.identifiers import CardTokenName, MerchantId, ProcessorAccountId
from gateway.words.lifecycles import CardState
from gateway.words.purposes import Purpose


class KeyKind(StrEnum):
    """What a data key seals."""

    CARD = "card"
    REFERENCE = "reference"


class CardField(StrEnum):
    """A data element of a card that a recipient may ask for."""

    NUMBER = "number"
    EXPIRY = "expiry"
    BILLING_NAME = "billing_name"
    BILLING_ADDRESS = "billing_address"
    BILLING_EMAIL = "billing_email"
    BILLING_PHONE = "billing_phone"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCard:
    """A card as the database holds it. ``sealed`` is None after erasure.

    ``generation`` counts the numbers this token has had; it is part of the AAD.
    ``policy_version`` is the one in force when the card was collected.
    """

    token: CardTokenName
    customer_reference: str
    state: CardState
    brand: str
    last_four: str
    expiry: Expiry | None
    mandate: Mandate
    policy_version: int
    generation: int
    created_at: datetime
    last_used_at: datetime | None = None
    sealed: bytes | None = field(default=None, repr=False)
    number_fingerprint: bytes | None = field(default=None, repr=False)
    expiry_fingerprint: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrappedDataKey:
    """One copy of a data key, wrapped for one purpose."""

    kind: KeyKind
    purpose: Purpose
    wrapping_key_id: str
    wrapped: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedReference:
    """A processor's credential reference, sealed with the card's reference key."""

    account_id: ProcessorAccountId
    generation: int
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFilter:
    """Which cards a list shows; what is empty matches every card."""

    customer_reference: str = ""
    state: CardState | None = None
    last_four: str = ""


class CardStore(Protocol):
    """The merchant's cards."""

    def add(self, card: StoredCard, keys: Sequence[WrappedDataKey]) -> None:
        """Stores a card and the wrapped copies of its two data keys."""

    def add_all(
        self, cards: Sequence[tuple[StoredCard, Sequence[WrappedDataKey]]]
    ) -> None:
        """Stores cards as ``add`` does: all of them, or none."""

    def find(self, token: CardTokenName) -> StoredCard | None:
        """Returns the card, erased or not."""

    def find_many(
        self, tokens: Collection[CardTokenName]
    ) -> Mapping[CardTokenName, StoredCard]:
        """Returns the cards that exist, erased or not, by token."""

    def list(
        self, wanted: CardFilter, after: CardTokenName | None, limit: int
    ) -> Sequence[StoredCard]:
        """Returns cards that match, the newest first.

        With ``after``, only those that were stored before that card: a list that goes
        on shows nothing twice and misses nothing, whatever was stored meanwhile.
        """

    def holders(
        self, tokens: Collection[CardTokenName]
    ) -> Mapping[CardTokenName, Sequence[ProcessorAccountId]]:
        """Returns the accounts that hold a reference, of the cards that have any."""

    def lock(self, token: CardTokenName) -> StoredCard | None:
        """Returns the card and holds its row until the unit ends."""

    def keys(self, token: CardTokenName) -> Sequence[WrappedDataKey]:
        """Returns every wrapped copy that exists."""

    def find_key(
        self, token: CardTokenName, kind: KeyKind, purpose: Purpose
    ) -> WrappedDataKey | None:
        """Returns the copy for this purpose, if it was granted."""

    def mark_used(self, token: CardTokenName, at: datetime) -> None:
        """Sets the time of last use."""

    def erase(self, token: CardTokenName, at: datetime) -> None:
        """Destroys keys, sealed data, fingerprints, last four, expiry, references and
        the salts of the log entries that name the card. The emptied row stays.
        """

    def put_reference(self, token: CardTokenName, reference: SealedReference) -> None:
        """Stores a credential reference, replacing that account's older one."""

    def references(self, token: CardTokenName) -> Sequence[SealedReference]:
        """Returns the credential references of the card."""

    def find_reference(
        self, token: CardTokenName, account_id: ProcessorAccountId
    ) -> SealedReference | None:
        """Returns the reference that this account gave for the card."""

    def count_same_last_four(self, last_four: str, except_fingerprint: bytes) -> int:
        """Returns how many distinct other numbers end in these digits."""


class VaultUnit(DenialUnit, PolicyUnit, RequestUnit, MerchantUnit, Protocol):
    """The slice of the unit of work that the vault uses."""

    @property
    def cards(self) -> CardStore:
        """The merchant's cards."""


class DataKeyStore(Protocol):
    """The wrapped copies of the merchant's data keys, for whoever re-wraps them."""

    def rewrap(
        self, token: CardTokenName, old: WrappedDataKey, new: WrappedDataKey
    ) -> bool:
        """Replaces a copy by one under a newer wrapping key of the same purpose.

        Returns whether it was there: nothing that was erased meanwhile comes back.
        """


class RewrapUnit(VaultUnit, KeyUnit, Protocol):
    """The slice of the unit of work that re-wrapping uses."""

    @property
    def data_keys(self) -> DataKeyStore:
        """The wrapped copies of the merchant's data keys."""


@dataclass(frozen=True, slots=True)
class CardUnder:
    """A card with a copy that an epoch's wrapping keys wrapped."""

    number: int
    merchant: MerchantId
    token: CardTokenName


class CardsUnderEpoch(Protocol):
    """Finds the cards that a rotation has to visit, of every merchant."""

    async def cards_under(
        self, epoch: str, *, after: int, limit: int
    ) -> Sequence[CardUnder]:
        """Returns the next cards in the order of their numbers.

        Args:
            epoch: The epoch to leave.
            after: The number of the last card that was visited; 0 at first.
            limit: How many at most.
        """


class CardRecipient(Protocol):
    """Who is handed an opened card, and what it declared beforehand.

    The door refuses a purpose or a field that is not declared (I2).
    """

    @property
    def name(self) -> str:
        """The processor's name, as in ProcessorAccount.processor."""

    @property
    def purposes(self) -> Collection[Purpose]:
        """The purposes it serves."""

    @property
    def fields(self) -> Collection[CardField]:
        """The data elements it needs; it gets no others."""
