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

from gateway.audit.denials import append_denial
from gateway.audit.entry import Decision as AuditDecision
from gateway.audit.entry import Entry, EntryType
from gateway.audit.ports import Appended
from gateway.cards.details import BillingDetails, CardDetails
from gateway.cards.expiry import Expiry
from gateway.cards.pan import Pan
from gateway.errors import (
    CardsHeld,
    CardTokenNotFound,
    IntegrityViolation,
    InvariantBroken,
)
from gateway.keys.hierarchy import KeyHierarchy
from gateway.merchants.ports import ProcessorAccount
from gateway.policy.decide import Decision, decide
from gateway.policy.in_force import Asked, InForce, policy_in_force
from gateway.policy.permissions import INDISPENSABLE, DataElement
from gateway.policy.policy_time import PolicyTime
from gateway.vault import envelope
from gateway.vault.card_record import decode_details
from gateway.vault.ports import (
    CardField,
    CardRecipient,
    KeyKind,
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
    elements: frozenset[DataElement]
    appended: Appended = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """A use that is not allowed. The denial is an entry of the log; of too many in one
    minute, ``appended`` is None: they are counted.
    """

    rule: str
    appended: Appended | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedCard:
    """The declared fields of a card, in clear, inside one call."""

    number: Pan | None = None
    expiry: Expiry | None = None
    billing: BillingDetails | None = field(default=None, repr=False)


class CardAccess:
    """Decides, records and opens."""

    def __init__(
        self, *, hierarchy: KeyHierarchy, policy_time: PolicyTime, vault_id: str
    ) -> None:
        self._hierarchy = hierarchy
        self._policy_time = policy_time
        self._vault_id = vault_id

    def intend(self, unit: VaultUnit, use: Use) -> Intent | Denial:
        """Decides and appends the intent, or the denial, in the caller's unit.

        Raises:
            CardsHeld: A restore may have brought erased cards back.
            CardTokenNotFound: No such token for this merchant.
            MerchantNotFound: No such merchant.
            InvariantBroken: The unit is of another merchant than the use; the log
                takes no entry of another.
        """
        held_since = unit.holds.get().cards_since
        if held_since is not None:
            since = held_since.isoformat(timespec="seconds")
            raise CardsHeld(metadata={"since": since})
        card = unit.cards.lock(use.token)
        if card is None:
            raise CardTokenNotFound
        merchant = unit.merchants.get()
        policy = policy_in_force(unit, self._asked(use))
        elements = policy.permissions.elements(use.purpose, use.verb)
        card_key = unit.cards.find_key(use.token, KeyKind.CARD, use.purpose)
        reference_key = unit.cards.find_key(use.token, KeyKind.REFERENCE, use.purpose)
        decision = decide(
            verb=use.verb,
            purpose=use.purpose,
            granted=card_key is not None and card.mandate.grants(use.purpose, use.at),
            in_policy=elements >= INDISPENSABLE,
            merchant=merchant.state,
            card=card.state,
        )
        if not decision.allowed:
            entry = _entry(EntryType.USE_DENIED, use, decision, policy)
            return Denial(rule=decision.rule, appended=append_denial(unit, entry))
        if card_key is None or reference_key is None:
            # No copy of the keys exists for this purpose: whatever the decision was,
            # nothing can open the card (I3).
            denied = Decision(allowed=False, rule="no-key-for-purpose")
            entry = _entry(EntryType.USE_DENIED, use, denied, policy)
            return Denial(rule=denied.rule, appended=append_denial(unit, entry))
        reference = None
        if use.account is not None:
            account_id = use.account.account_id
            reference = unit.cards.find_reference(use.token, account_id)
        entry = _entry(EntryType.USE_INTENT, use, decision, policy)
        return Intent(
            use=use,
            card=card,
            card_key=card_key,
            reference_key=reference_key,
            reference=reference,
            elements=elements,
            appended=unit.log.append(entry),
        )

    def deny(self, unit: VaultUnit, use: Use, rule: str) -> Denial:
        """Appends a denial without asking: for a card that was not stored."""
        policy = policy_in_force(unit)
        denied = Decision(allowed=False, rule=rule)
        entry = _entry(EntryType.USE_DENIED, use, denied, policy)
        return Denial(rule=rule, appended=append_denial(unit, entry))

    def _asked(self, use: Use) -> Asked:
        return Asked(
            merchant=use.merchant,
            caller=use.caller,
            request_id=use.request_id,
            at=use.at,
            policy_at=self._policy_time.at(use.at),
        )

    async def open_card(self, intent: Intent, recipient: CardRecipient) -> OpenedCard:
        """Returns the fields that the recipient declared.

        Raises:
            InvariantBroken: The intent is not durable, or the recipient did not
                declare the purpose.
            IntegrityViolation: The stored bytes are damaged or foreign.
            KeyUnavailable: The key provider did not answer.
        """
        _check_recipient(intent, recipient)
        if intent.card.sealed is None:
            raise IntegrityViolation
        data_key = await self._unwrap(intent, intent.card_key)
        aad = envelope.card_aad(self._vault_id, intent.use.merchant, intent.card)
        details = decode_details(
            envelope.open_sealed(data_key, intent.card.sealed, aad)
        )
        return _only_declared(details, recipient, intent.elements)

    async def open_reference(
        self, intent: Intent, recipient: CardRecipient
    ) -> bytes | None:
        """Returns the processor's credential reference, if the account gave one.

        The card itself stays shut. Raises as ``open_card``.
        """
        _check_recipient(intent, recipient)
        reference = intent.reference
        if reference is None:
            return None
        data_key = await self._unwrap(intent, intent.reference_key)
        aad = self._reference_aad(intent, reference.account_id, reference.generation)
        return envelope.open_sealed(data_key, reference.sealed, aad)

    async def seal_reference(
        self, intent: Intent, account_id: ProcessorAccountId, reference: bytes
    ) -> SealedReference:
        """Seals a credential reference for storing in a later unit.

        Raises:
            InvariantBroken: The intent is not durable, or names another account.
            IntegrityViolation: The stored key is damaged or foreign.
            KeyUnavailable: The key provider did not answer.
        """
        account = intent.use.account
        if account is None or account.account_id != account_id:
            raise InvariantBroken
        if not intent.appended.is_durable:
            raise InvariantBroken
        data_key = await self._unwrap(intent, intent.reference_key)
        generation = intent.reference.generation + 1 if intent.reference else 1
        aad = self._reference_aad(intent, account_id, generation)
        return SealedReference(
            account_id=account_id,
            generation=generation,
            sealed=envelope.seal(data_key, reference, aad),
        )

    async def _unwrap(self, intent: Intent, key: WrappedDataKey) -> bytes:
        """Unwraps one copy with the one wrapping key that it names."""
        merchant = intent.use.merchant
        wrapping = await self._hierarchy.wrapping_key_by_id(
            merchant, key.wrapping_key_id
        )
        if wrapping.purpose is not intent.use.purpose:
            raise IntegrityViolation
        context = envelope.data_key_context(
            self._vault_id, merchant, intent.card, key.kind
        )
        return wrapping.unwrap(key.wrapped, context)

    def _reference_aad(
        self, intent: Intent, account_id: ProcessorAccountId, generation: int
    ) -> bytes:
        return envelope.reference_aad(
            self._vault_id, intent.use.merchant, intent.card, account_id, generation
        )


def _check_recipient(intent: Intent, recipient: CardRecipient) -> None:
    """Refuses before anything is unwrapped."""
    if not intent.appended.is_durable:
        raise InvariantBroken
    account = intent.use.account
    if account is None or account.processor != recipient.name:
        raise InvariantBroken
    if intent.use.purpose not in recipient.purposes:
        raise InvariantBroken


def _only_declared(
    details: CardDetails,
    recipient: CardRecipient,
    elements: frozenset[DataElement],
) -> OpenedCard:
    """Leaves out what the recipient did not declare or the policy does not allow."""
    fields = {field for field in recipient.fields if DataElement(field) in elements}
    full, address = details.billing, CardField.BILLING_ADDRESS in fields
    billing = BillingDetails(
        name=full.name if CardField.BILLING_NAME in fields else "",
        line1=full.line1 if address else "",
        line2=full.line2 if address else "",
        city=full.city if address else "",
        region=full.region if address else "",
        postal_code=full.postal_code if address else "",
        country=full.country if address else "",
        email=full.email if CardField.BILLING_EMAIL in fields else "",
        phone=full.phone if CardField.BILLING_PHONE in fields else "",
    )
    return OpenedCard(
        number=details.number if CardField.NUMBER in fields else None,
        expiry=details.expiry if CardField.EXPIRY in fields else None,
        billing=billing if billing != BillingDetails() else None,
    )


def _entry(kind: EntryType, use: Use, decision: Decision, policy: InForce) -> Entry:
    allowed = AuditDecision.ALLOWED if decision.allowed else AuditDecision.DENIED
    account = use.account
    return Entry(
        type=kind,
        merchant=use.merchant,
        at=use.at,
        caller=use.caller,
        request_id=use.request_id,
        action=use.verb.value,
        purpose=use.purpose,
        policy_version=policy.version.number,
        policy_sha256=policy.version.sha256,
        decision=allowed,
        rule=decision.rule,
        payment=use.payment,
        processor_account=None if account is None else account.account_id,
        environment=None if account is None else account.environment.value,
        external_account=None if account is None else account.external_account,
        processor_host=None if account is None else account.host,
        amount=use.amount,
        card=use.token,
        card_salt=use.card_salt,
    )
