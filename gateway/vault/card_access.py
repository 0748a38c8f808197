"""The one door through which a card opens (I2).

The order is fixed:
  1. decide by policy, with the card's row locked,
  2. append the intent entry in the caller's unit of work,
  3. that unit commits durably,
  4. unwrap the data key under the purpose's wrapping key,
  5. open, and hand the declared fields to a recipient that declared the purpose,
  6. the use case appends the outcome entry.

No durable intent, no unwrap.
"""

from dataclasses import dataclass, field
from datetime import datetime

from gateway.audit.ports import Appended
from gateway.cards.details import BillingDetails
from gateway.cards.expiry import Expiry
from gateway.cards.pan import Pan
from gateway.merchants.ports import ProcessorAccount
from gateway.vault.ports import (
    CardRecipient,
    SealedReference,
    StoredCard,
    VaultUnit,
    WrappedDataKey,
)
from gateway.words.identifiers import (
    CardTokenName,
    MerchantId,
    PaymentName,
    ProcessorAccountId,
    RequestId,
)
from gateway.words.money import Money
from gateway.words.purposes import Purpose, Verb


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One use of one card that somebody asks for.

    ``card_salt`` is 16 fresh random bytes for the intent (or denial) entry.
    """

    merchant: MerchantId
    token: CardTokenName
    verb: Verb
    purpose: Purpose
    caller: str
    request_id: RequestId
    at: datetime
    card_salt: bytes = field(repr=False)
    account: ProcessorAccount | None = None
    payment: PaymentName | None = None
    amount: Money | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """An allowed use, with what opens the card once the intent is durable."""

    use: Use
    card: StoredCard
    card_key: WrappedDataKey
    reference_key: WrappedDataKey
    reference: SealedReference | None
    appended: Appended


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """A use that is not allowed; the denial is an entry of the log."""

    rule: str
    appended: Appended


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedCard:
    """The declared fields of a card, in clear, inside one call."""

    number: Pan | None = None
    expiry: Expiry | None = None
    billing: BillingDetails | None = field(default=None, repr=False)


class CardAccess:
    """Decides, records and opens. (The body is being written.)"""

    def intend(self, unit: VaultUnit, use: Use) -> Intent | Denial:
        """Decides and appends the intent, or the denial, in the caller's unit.

        Raises:
            CardTokenNotFound: No such token for this merchant.
        """
        raise NotImplementedError

    async def open_card(self, intent: Intent, recipient: CardRecipient) -> OpenedCard:
        """Returns the fields that the recipient declared.

        Raises:
            InvariantBroken: The intent is not durable, or the recipient did not
                declare the purpose.
            IntegrityViolation: The stored bytes are damaged or foreign.
        """
        raise NotImplementedError

    async def open_reference(
        self, intent: Intent, recipient: CardRecipient
    ) -> bytes | None:
        """Returns the processor's credential reference, if the account gave one.

        The card itself stays shut. Raises as ``open_card``.
        """
        raise NotImplementedError

    async def seal_reference(
        self, intent: Intent, account_id: ProcessorAccountId, reference: bytes
    ) -> SealedReference:
        """Seals a credential reference for storing in a later unit."""
        raise NotImplementedError
