"""Every way a call can fail, and the stable reason the caller sees.

Invariants:
  * Messages are fixed in the class. Details are typed and safe: field paths, names
    that we made, delays. What is not in an error cannot leak from it.
  * A business outcome (a decline, an unknown result) is a value, not an error.
"""

from datetime import timedelta
from enum import StrEnum
from typing import ClassVar


class Reason(StrEnum):
    """Stable on the wire: ``google.rpc.ErrorInfo.reason``, domain ``bailee``."""

    REQUEST_MALFORMED = "REQUEST_MALFORMED"
    REQUEST_INVALID = "REQUEST_INVALID"
    CARD_INVALID = "CARD_INVALID"
    CARD_EXPIRED = "CARD_EXPIRED"
    SEALED_CARD_REJECTED = "SEALED_CARD_REJECTED"
    PLAIN_CARD_REFUSED = "PLAIN_CARD_REFUSED"
    AMOUNT_NOT_REPRESENTABLE = "AMOUNT_NOT_REPRESENTABLE"
    CALLER_UNKNOWN = "CALLER_UNKNOWN"
    CALLER_NOT_PERMITTED = "CALLER_NOT_PERMITTED"
    CALLER_NOT_FOUND = "CALLER_NOT_FOUND"
    POLICY_DENIED = "POLICY_DENIED"
    MERCHANT_NOT_FOUND = "MERCHANT_NOT_FOUND"
    CARD_TOKEN_NOT_FOUND = "CARD_TOKEN_NOT_FOUND"  # noqa: S105 - a reason, not a secret
    PAYMENT_NOT_FOUND = "PAYMENT_NOT_FOUND"
    REFUND_NOT_FOUND = "REFUND_NOT_FOUND"
    PROCESSOR_ACCOUNT_NOT_FOUND = "PROCESSOR_ACCOUNT_NOT_FOUND"
    CREDENTIAL_NOT_FOUND = "CREDENTIAL_NOT_FOUND"
    POLICY_VERSION_NOT_FOUND = "POLICY_VERSION_NOT_FOUND"
    RPC_NOT_FOUND = "RPC_NOT_FOUND"
    REQUEST_ID_REUSED = "REQUEST_ID_REUSED"
    REQUEST_IN_PROGRESS = "REQUEST_IN_PROGRESS"
    ALREADY_CHARGED = "ALREADY_CHARGED"
    STATE_CONFLICT = "STATE_CONFLICT"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    PROCESSOR_UNAVAILABLE = "PROCESSOR_UNAVAILABLE"
    KEY_UNAVAILABLE = "KEY_UNAVAILABLE"
    STORAGE_UNAVAILABLE = "STORAGE_UNAVAILABLE"
    AUDIT_UNAVAILABLE = "AUDIT_UNAVAILABLE"
    INTEGRITY_VIOLATION = "INTEGRITY_VIOLATION"
    ANCHOR_UNUSABLE = "ANCHOR_UNUSABLE"
    DATABASE_ROLLED_BACK = "DATABASE_ROLLED_BACK"
    PAYMENTS_HELD = "PAYMENTS_HELD"
    CARDS_HELD = "CARDS_HELD"
    CANCELED = "CANCELED"
    INTERNAL = "INTERNAL"


class GatewayError(Exception):
    """A call that cannot be done.

    ``metadata`` holds dynamic parts that are safe to show: names and reasons that the
    gateway made. ``retry_delay`` says when to try again, where that helps.
    """

    reason: ClassVar[Reason] = Reason.INTERNAL
    message: ClassVar[str] = "internal error"

    def __init__(
        self,
        *,
        metadata: dict[str, str] | None = None,
        retry_delay: timedelta | None = None,
    ) -> None:
        super().__init__(self.message)
        self.metadata = dict(metadata or {})
        self.retry_delay = retry_delay


class FieldError(GatewayError):
    """A field of the request is wrong. Never carries the offending value."""

    def __init__(self, field: str, description: str) -> None:
        super().__init__()
        self.field = field
        self.description = description


class RequestMalformed(GatewayError):
    """The bytes are not the request message of this RPC."""

    reason = Reason.REQUEST_MALFORMED
    message = "the request is not a valid protobuf message of this RPC"


class RequestInvalid(FieldError):
    """A field is missing, too long, or not of the documented form."""

    reason = Reason.REQUEST_INVALID
    message = "a field of the request is invalid"


class CardInvalid(FieldError):
    """The card's data cannot be right."""

    reason = Reason.CARD_INVALID
    message = "the card's data is invalid"


class CardExpired(FieldError):
    """The card's last month has ended everywhere on Earth."""

    reason = Reason.CARD_EXPIRED
    message = "the card has expired"


class SealedCardRejected(GatewayError):
    """Tampered, foreign, stale or sealed with an unknown key: not told apart."""

    reason = Reason.SEALED_CARD_REJECTED
    message = "the sealed card cannot be opened; seal it again with a current key"


class PlainCardRefused(GatewayError):
    """The gateway takes sealed cards only."""

    reason = Reason.PLAIN_CARD_REFUSED
    message = "this gateway takes sealed cards only; seal the card with the client"


class AmountNotRepresentable(GatewayError):
    """The processor cannot express this amount in this currency."""

    reason = Reason.AMOUNT_NOT_REPRESENTABLE
    message = "the processor cannot represent this amount"


class CallerUnknown(GatewayError):
    """No client certificate that names a registered caller."""

    reason = Reason.CALLER_UNKNOWN
    message = "the client certificate does not name a caller of this gateway"


class CallerNotPermitted(GatewayError):
    """The caller lacks the role, or does not act for this merchant."""

    reason = Reason.CALLER_NOT_PERMITTED
    message = "the caller may not do this"


class CallerNotFound(GatewayError):
    """The gateway has no such caller."""

    reason = Reason.CALLER_NOT_FOUND
    message = "no such caller; list them with: bailee caller list"


class PolicyDenied(GatewayError):
    """The use is not allowed; the denial is in the log."""

    reason = Reason.POLICY_DENIED
    message = "the policy or the mandate does not allow this use"


class MerchantNotFound(GatewayError):
    """No such merchant for this caller."""

    reason = Reason.MERCHANT_NOT_FOUND
    message = "no such merchant"


class CardTokenNotFound(GatewayError):
    """No such token for this merchant."""

    reason = Reason.CARD_TOKEN_NOT_FOUND
    message = "no such card token"


class PaymentNotFound(GatewayError):
    """No such payment for this merchant."""

    reason = Reason.PAYMENT_NOT_FOUND
    message = "no such payment"


class RefundNotFound(GatewayError):
    """No such refund for this merchant."""

    reason = Reason.REFUND_NOT_FOUND
    message = "no such refund"


class ProcessorAccountNotFound(GatewayError):
    """The merchant has no such processor account, or several and none was named."""

    reason = Reason.PROCESSOR_ACCOUNT_NOT_FOUND
    message = "no such processor account; name one of the merchant's accounts"


class CredentialNotFound(GatewayError):
    """The processor account has no such active credential."""

    reason = Reason.CREDENTIAL_NOT_FOUND
    message = "the processor account has no such active credential"


class PolicyVersionNotFound(GatewayError):
    """No such policy version, or another text was published under the number."""

    reason = Reason.POLICY_VERSION_NOT_FOUND
    message = "no such policy version, or its text is another; read it again"


class RpcNotFound(GatewayError):
    """No such RPC."""

    reason = Reason.RPC_NOT_FOUND
    message = "no such RPC"


class RequestIdReused(GatewayError):
    """The request id came before with another request."""

    reason = Reason.REQUEST_ID_REUSED
    message = "this request_id was used with a different request; use a new one"


class RequestInProgress(GatewayError):
    """The first call with this request id still runs."""

    reason = Reason.REQUEST_IN_PROGRESS
    message = "the first call with this request_id still runs; ask again"


class AlreadyCharged(GatewayError):
    """The charge_once_key is held; the metadata names the payment."""

    reason = Reason.ALREADY_CHARGED
    message = "this charge_once_key already has a payment"


class StateConflict(GatewayError):
    """The resource's state does not allow this."""

    reason = Reason.STATE_CONFLICT
    message = "the state, or what is left of the amount, does not allow this"


class LimitExceeded(GatewayError):
    """Too much at once, or too large."""

    reason = Reason.LIMIT_EXCEEDED
    message = "a limit was exceeded"


class ProcessorUnavailable(GatewayError):
    """The processor could not be asked: nothing was sent."""

    reason = Reason.PROCESSOR_UNAVAILABLE
    message = "the processor cannot be reached; nothing was charged"


class KeyUnavailable(GatewayError):
    """The key provider did not answer."""

    reason = Reason.KEY_UNAVAILABLE
    message = "the keys cannot be reached; nothing was done"


class StorageUnavailable(GatewayError):
    """The database did not commit."""

    reason = Reason.STORAGE_UNAVAILABLE
    message = "the database cannot be reached; nothing was done"


class AnchorUnusable(GatewayError):
    """What would tell whether the database was rolled back is missing or damaged."""

    reason = Reason.ANCHOR_UNUSABLE
    message = (
        "the anchor cannot be used, so nothing tells whether the database is the "
        "newest; put the anchor back, or accept the database as it is with: "
        "bailee restore DIR --accept"
    )


class DatabaseRolledBack(GatewayError):
    """The database is older than the anchor that is kept outside it."""

    reason = Reason.DATABASE_ROLLED_BACK
    message = (
        "the database is older than its anchor: entries of the log are missing; put "
        "the newest database back, or accept the loss with: bailee restore DIR --accept"
    )


class PaymentsHeld(GatewayError):
    """The database was restored, and its payments are not reconciled yet."""

    reason = Reason.PAYMENTS_HELD
    message = (
        "the database was restored from a backup; no money moves until the operator "
        "has reconciled its payments with the processor; nothing was done"
    )


class CardsHeld(GatewayError):
    """The database was restored, and which cards were erased since is not known."""

    reason = Reason.CARDS_HELD
    message = (
        "the database was restored from a backup and erasures may be missing; no card "
        "opens until the operator has erased them again; nothing was done"
    )


class AuditUnavailable(GatewayError):
    """The log cannot be written, so the card stays shut."""

    reason = Reason.AUDIT_UNAVAILABLE
    message = "the audit log cannot be written; nothing was done"


class IntegrityViolation(GatewayError):
    """A failed authentication tag or a broken log. A person must look."""

    reason = Reason.INTEGRITY_VIOLATION
    message = "stored data failed its integrity check"


class CallCanceled(GatewayError):
    """The gateway gave the call up while stopping."""

    reason = Reason.CANCELED
    message = "the gateway is stopping; try again"


class InvariantBroken(GatewayError):
    """A state that cannot happen, happened."""
