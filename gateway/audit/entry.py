"""One entry of the log, before it becomes bytes.

Invariants:
  * An entry holds no card number, security code or billing detail (I1).
  * Card tokens and processor objects appear only as SHA-256(salt || value): with the
    salt erased, an entry no longer links to its card.
  * Integers stay within 2^53 - 1 (RFC 8785 section 3.2.2.3).
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from gateway.words.identifiers import (
    CardTokenName,
    MerchantId,
    PaymentName,
    ProcessorAccountId,
    RequestId,
)
from gateway.words.money import Money
from gateway.words.purposes import Purpose


class EntryType(StrEnum):
    """What happened."""

    LOG_STARTED = "log.started"
    CARD_TOKENIZED = "card.tokenized"
    CARD_ERASED = "card.erased"
    USE_INTENT = "use.intent"
    USE_OUTCOME = "use.outcome"
    USE_DENIED = "use.denied"
    PAYMENT_INTENT = "payment.intent"
    PAYMENT_OUTCOME = "payment.outcome"
    WRAPPING_KEY_CREATED = "key.wrapping_created"
    MERCHANT_CREATED = "merchant.created"
    MERCHANT_UPDATED = "merchant.updated"
    MERCHANT_DEACTIVATED = "merchant.deactivated"
    ACCOUNT_CREATED = "account.created"
    ACCOUNT_CHECKED = "account.checked"
    ACCOUNT_ACCEPTED = "account.accepted"
    CREDENTIAL_ADDED = "account.credential_added"
    CREDENTIAL_RETIRED = "account.credential_retired"
    CALLER_CREATED = "caller.created"
    CALLER_DISABLED = "caller.disabled"
    CALLER_ENABLED = "caller.enabled"
    CERTIFICATE_ISSUED = "caller.certificate_issued"
    WRAPPING_KEYS_RETIRED = "key.wrapping_retired"
    KEY_ROTATION_PLANNED = "key.rotation_planned"
    EPOCH_KEY_CREATED = "key.epoch_created"
    EPOCH_KEY_DESTROYED = "key.epoch_destroyed"
    SEALING_KEY_CREATED = "key.sealing_created"
    POLICY_PUBLISHED = "policy.published"
    POLICY_NOTICE = "policy.notice"
    POLICY_ACCEPTED = "policy.accepted"
    POLICY_IN_FORCE = "policy.in_force"
    CLOCK_ACCEPTED = "clock.accepted"
    LOG_RESTORED = "log.restored"
    PAYMENTS_RECONCILED = "restore.payments_reconciled"
    CARDS_RELEASED = "restore.cards_released"
    LOG_READ = "log.read"
    LOGS_COMMITTED = "log.committed"
    GATEWAY_STARTED = "gateway.started"
    GATEWAY_STOPPED = "gateway.stopped"


class Decision(StrEnum):
    """What the policy said."""

    ALLOWED = "allowed"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class PreviousLog:
    """The log that the log of a restored database follows, as it was last seen.

    It had ``size`` entries and this ``root``; the backup held the first
    ``restored_size`` of them, so those from there to ``size`` are lost.
    """

    origin: str
    size: int
    root: bytes
    restored_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One event. ``None`` fields are left out of the leaf.

    ``card_salt`` and ``object_salt`` are 16 fresh random bytes each, drawn by the
    caller before the unit starts, whenever ``card`` or ``processor_object`` is set.
    ``action`` refines the type: ``charge``, ``capture``, ``cancel``, ``refund``.
    ``outcome`` is the neutral result in capitals, such as ``CAPTURED``.
    ``external_account`` is the processor's id of the account, ``processor_host`` the
    host that is asked.
    ``subject`` is what else the entry is about, by a name that tells nothing of a
    cardholder: a caller, a key. ``count`` says how many events the entry stands for.
    ``effective_at`` is when what the entry announces begins to hold; for an erased
    card, when no backup opens it either. ``previous`` is the log that this one follows.
    """

    type: EntryType
    merchant: MerchantId
    at: datetime
    caller: str
    request_id: RequestId | None = None
    action: str | None = None
    purpose: Purpose | None = None
    policy_version: int | None = None
    policy_sha256: str | None = None
    decision: Decision | None = None
    rule: str | None = None
    payment: PaymentName | None = None
    processor_account: ProcessorAccountId | None = None
    environment: str | None = None
    external_account: str | None = None
    processor_host: str | None = None
    amount: Money | None = None
    card_opened: bool | None = None
    outcome: str | None = None
    card: CardTokenName | None = None
    card_salt: bytes | None = field(default=None, repr=False)
    processor_object: str | None = None
    object_salt: bytes | None = field(default=None, repr=False)
    previous: PreviousLog | None = None
    subject: str | None = None
    count: int | None = None
    effective_at: datetime | None = None
