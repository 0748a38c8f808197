"""From a reason to what travels: gRPC code and google.rpc.Status details.

Invariants:
  * Every reason has a row; a test walks the enum. docs/errors.md is made from it.
  * The text is the error class's fixed message. Nothing else an exception says is sent.
  * Every status carries ErrorInfo (domain ``bailee``). A wrong field adds BadRequest,
    a delay adds RetryInfo.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from bailee.v1 import item_error_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc import Status, StatusCode
from grpc_status import rpc_status

from gateway.errors import FieldError, GatewayError, Reason

DOMAIN: Final = "bailee"

CODES: Final[Mapping[Reason, StatusCode]] = MappingProxyType(
    {
        Reason.REQUEST_MALFORMED: StatusCode.INVALID_ARGUMENT,
        Reason.REQUEST_INVALID: StatusCode.INVALID_ARGUMENT,
        Reason.CARD_INVALID: StatusCode.INVALID_ARGUMENT,
        Reason.CARD_EXPIRED: StatusCode.INVALID_ARGUMENT,
        Reason.SEALED_CARD_REJECTED: StatusCode.INVALID_ARGUMENT,
        Reason.PLAIN_CARD_REFUSED: StatusCode.INVALID_ARGUMENT,
        Reason.AMOUNT_NOT_REPRESENTABLE: StatusCode.INVALID_ARGUMENT,
        Reason.CALLER_UNKNOWN: StatusCode.UNAUTHENTICATED,
        Reason.CALLER_NOT_PERMITTED: StatusCode.PERMISSION_DENIED,
        Reason.CALLER_NOT_FOUND: StatusCode.NOT_FOUND,
        Reason.POLICY_DENIED: StatusCode.PERMISSION_DENIED,
        Reason.MERCHANT_NOT_FOUND: StatusCode.NOT_FOUND,
        Reason.CARD_TOKEN_NOT_FOUND: StatusCode.NOT_FOUND,
        Reason.PAYMENT_NOT_FOUND: StatusCode.NOT_FOUND,
        Reason.REFUND_NOT_FOUND: StatusCode.NOT_FOUND,
        Reason.PROCESSOR_ACCOUNT_NOT_FOUND: StatusCode.NOT_FOUND,
        Reason.CREDENTIAL_NOT_FOUND: StatusCode.NOT_FOUND,
        Reason.POLICY_VERSION_NOT_FOUND: StatusCode.NOT_FOUND,
        Reason.RPC_NOT_FOUND: StatusCode.UNIMPLEMENTED,
        Reason.REQUEST_ID_REUSED: StatusCode.ALREADY_EXISTS,
        Reason.REQUEST_IN_PROGRESS: StatusCode.ABORTED,
        Reason.ALREADY_CHARGED: StatusCode.ALREADY_EXISTS,
        Reason.STATE_CONFLICT: StatusCode.FAILED_PRECONDITION,
        Reason.LIMIT_EXCEEDED: StatusCode.RESOURCE_EXHAUSTED,
        Reason.PROCESSOR_UNAVAILABLE: StatusCode.UNAVAILABLE,
        Reason.KEY_UNAVAILABLE: StatusCode.UNAVAILABLE,
        Reason.STORAGE_UNAVAILABLE: StatusCode.UNAVAILABLE,
        Reason.AUDIT_UNAVAILABLE: StatusCode.UNAVAILABLE,
        Reason.INTEGRITY_VIOLATION: StatusCode.DATA_LOSS,
        # These two keep a gateway from starting, so no call ever fails with them.
        Reason.ANCHOR_UNUSABLE: StatusCode.FAILED_PRECONDITION,
        Reason.DATABASE_ROLLED_BACK: StatusCode.FAILED_PRECONDITION,
        Reason.PAYMENTS_HELD: StatusCode.FAILED_PRECONDITION,
        Reason.CARDS_HELD: StatusCode.FAILED_PRECONDITION,
        # Not CANCELLED, which says that the caller gave up: the gateway did, and the
        # same request may be sent again.
        Reason.CANCELED: StatusCode.UNAVAILABLE,
        Reason.INTERNAL: StatusCode.INTERNAL,
    }
)


def show_error(error: GatewayError, incident: str = "") -> Status:
    """Returns the status to abort with; it holds only the error's safe details.

    Args:
        error: What happened.
        incident: A number under which the log says more; the caller can ask about it.
    """
    message, metadata = error.message, dict(error.metadata)
    if incident:
        message = f"{message}; incident {incident}"
        metadata["incident"] = incident
    info = error_details_pb2.ErrorInfo(
        reason=error.reason.value, domain=DOMAIN, metadata=metadata
    )
    code: int = CODES[error.reason].value[0]
    status = status_pb2.Status(code=code, message=message)
    status.details.add().Pack(info)
    if isinstance(error, FieldError):
        bad = error_details_pb2.BadRequest()
        violation = bad.field_violations.add()
        violation.field, violation.description = error.field, error.description
        status.details.add().Pack(bad)
    if error.retry_delay is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromTimedelta(error.retry_delay)
        status.details.add().Pack(retry)
    return rpc_status.to_status(status)


def show_item_error(error: GatewayError) -> item_error_pb2.ItemError:
    """Returns what one item of a batch failed with: the same facts as a status."""
    code: int = CODES[error.reason].value[0]
    shown = item_error_pb2.ItemError(
        code=code,
        reason=error.reason.value,
        message=error.message,
        metadata=error.metadata,
    )
    if isinstance(error, FieldError):
        shown.field, shown.description = error.field, error.description
    return shown
