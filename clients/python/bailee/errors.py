"""One exception class for each reason that the gateway gives.

A decline is not an error: ``Payment.state`` says DECLINED.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, cast

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

_STATUS_TRAILER: Final = "grpc-status-details-bin"
_UNREACHABLE: Final = {
    grpc.StatusCode.UNAVAILABLE: (
        "no gateway answered, or a certificate was refused; bailee doctor tells which"
    ),
    grpc.StatusCode.DEADLINE_EXCEEDED: (
        "no answer before the deadline; the same request_id asks what became of it"
    ),
}


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """A field of the request and what is wrong with it."""

    field: str
    description: str


class BaileeError(Exception):
    """A call that the gateway did not do.

    Attributes:
        reason: Stable, in capitals, such as ``CARD_EXPIRED``; empty when no gateway
            answered.
        code: The gRPC status code.
        metadata: Names that help, such as ``payment``.
        retry_after: Seconds to wait before the same call, or None.
        request_id: Send it again with the same request to learn what became of it.
        violations: The fields at fault.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.reason = ""
        self.code = grpc.StatusCode.UNKNOWN
        self.metadata: Mapping[str, str] = {}
        self.retry_after: float | None = None
        self.request_id = ""
        self.violations: tuple[FieldViolation, ...] = ()


class ReceiptInvalid(BaileeError):
    """A receipt does not verify under the pinned log key."""


class LogRollback(BaileeError):
    """The audit log went backwards or forked. Keep both receipts and call someone."""


class LogRestored(LogRollback):
    """The operator restored a backup, and the log goes on under a new name, signed with
    the pinned key. Entries since the backup are lost, your receipts of them are not:
    keep them, ask the operator what happened, then take the new bundle.
    """


class GatewayUnreachable(BaileeError):
    """No gateway answered. A refused certificate looks the same: ``bailee doctor``."""


class SealingKeyUntrusted(BaileeError):
    """The gateway offered a sealing key that the pinned identity key did not sign."""


_CLASSES: dict[str, type[BaileeError]] = {}


def _reason(name: str, meaning: str) -> type[BaileeError]:
    """Makes the class of one reason: CARD_EXPIRED becomes CardExpired."""
    title = "".join(word.capitalize() for word in name.split("_"))
    made = type(title, (BaileeError,), {"__doc__": meaning, "__module__": __name__})
    _CLASSES[name] = made
    return made


RequestMalformed = _reason("REQUEST_MALFORMED", "Not a message of this RPC.")
RequestInvalid = _reason("REQUEST_INVALID", "A field is wrong; see violations.")
CardInvalid = _reason("CARD_INVALID", "The card's data is wrong; see violations.")
CardExpired = _reason("CARD_EXPIRED", "The card's last month has ended.")
SealedCardRejected = _reason("SEALED_CARD_REJECTED", "Seal the card again.")
PlainCardRefused = _reason("PLAIN_CARD_REFUSED", "This gateway takes sealed cards.")
AmountNotRepresentable = _reason(
    "AMOUNT_NOT_REPRESENTABLE", "The processor cannot express the amount."
)
CallerUnknown = _reason("CALLER_UNKNOWN", "The certificate names no caller.")
CallerNotPermitted = _reason("CALLER_NOT_PERMITTED", "The caller lacks the role.")
CallerNotFound = _reason("CALLER_NOT_FOUND", "The gateway has no such caller.")
PolicyDenied = _reason("POLICY_DENIED", "Policy or mandate does not allow the use.")
MerchantNotFound = _reason("MERCHANT_NOT_FOUND", "No such merchant.")
CardTokenNotFound = _reason("CARD_TOKEN_NOT_FOUND", "No such card token.")
PaymentNotFound = _reason("PAYMENT_NOT_FOUND", "No such payment.")
RefundNotFound = _reason("REFUND_NOT_FOUND", "No such refund.")
ProcessorAccountNotFound = _reason(
    "PROCESSOR_ACCOUNT_NOT_FOUND", "Name one of the merchant's processor accounts."
)
CredentialNotFound = _reason(
    "CREDENTIAL_NOT_FOUND", "The account has no such active credential."
)
PolicyVersionNotFound = _reason(
    "POLICY_VERSION_NOT_FOUND", "No such version, or its text is another."
)
RpcNotFound = _reason("RPC_NOT_FOUND", "The gateway is older than this client.")
RequestIdReused = _reason("REQUEST_ID_REUSED", "Used with a different request.")
RequestInProgress = _reason("REQUEST_IN_PROGRESS", "The first call still runs.")
AlreadyCharged = _reason("ALREADY_CHARGED", "metadata['payment'] holds the key.")
StateConflict = _reason("STATE_CONFLICT", "The state does not allow this.")
LimitExceeded = _reason("LIMIT_EXCEEDED", "Too much at once, or too large.")
ProcessorUnavailable = _reason("PROCESSOR_UNAVAILABLE", "Nothing was charged.")
KeyUnavailable = _reason("KEY_UNAVAILABLE", "Nothing was done.")
StorageUnavailable = _reason("STORAGE_UNAVAILABLE", "Nothing was done.")
AuditUnavailable = _reason("AUDIT_UNAVAILABLE", "Nothing was done.")
IntegrityViolation = _reason("INTEGRITY_VIOLATION", "Call the operator.")
AnchorUnusable = _reason("ANCHOR_UNUSABLE", "The gateway does not start.")
DatabaseRolledBack = _reason("DATABASE_ROLLED_BACK", "The gateway does not start.")
PaymentsHeld = _reason(
    "PAYMENTS_HELD", "The gateway's database was restored; nothing was done."
)
CardsHeld = _reason(
    "CARDS_HELD", "The gateway's database was restored; nothing was done."
)
Canceled = _reason("CANCELED", "The gateway is stopping.")
Internal = _reason("INTERNAL", "Give the incident number to the operator.")


def from_rpc_error(error: grpc.RpcError, request_id: str) -> BaileeError:
    """Turns a gRPC error into the class of its reason."""
    code: grpc.StatusCode = error.code()
    status = _read_status(error)
    made = _from_status(status, code, error.details() or code.name)
    made.code = code
    made.request_id = request_id
    return made


def _from_status(
    status: status_pb2.Status | None, code: grpc.StatusCode, text: str
) -> BaileeError:
    if status is None:
        why = _UNREACHABLE.get(code)
        return GatewayUnreachable(f"{why} ({text})") if why else BaileeError(text)
    info = error_details_pb2.ErrorInfo()
    retry = error_details_pb2.RetryInfo()
    bad = error_details_pb2.BadRequest()
    for detail in status.details:
        for message in (info, retry, bad):
            detail.Unpack(message)  # does nothing for another type
    violations = tuple(
        FieldViolation(item.field, item.description) for item in bad.field_violations
    )
    shown = "".join(f"; {item.field} {item.description}" for item in violations)
    for name in sorted(info.metadata):
        shown += f"; {name}={info.metadata[name]}"
    made = _CLASSES.get(info.reason, BaileeError)(f"{status.message}{shown}")
    made.reason = info.reason
    made.metadata = dict(info.metadata)
    made.violations = violations
    if retry.HasField("retry_delay"):
        made.retry_after = retry.retry_delay.ToTimedelta().total_seconds()
    return made


def _read_status(error: grpc.RpcError) -> status_pb2.Status | None:
    """Returns the google.rpc.Status of the trailers, if a gateway sent one."""
    # Pairs, whether the call was synchronous (named tuples) or not (plain ones).
    pairs = cast("Iterable[tuple[str, str | bytes]]", error.trailing_metadata() or ())
    for key, value in pairs:
        if key == _STATUS_TRAILER and isinstance(value, bytes):
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                return None
    return None
