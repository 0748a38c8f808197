"""How an error looks on the wire: one code for each reason, one shape for all.

Invariants:
  * Every reason has a row; a test walks the enum.
  * The text is the error class's fixed message. Nothing else an exception says is sent.
  * Every status carries ErrorInfo (domain ``bailee``). A wrong field adds BadRequest,
    a delay adds RetryInfo.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from gateway.errors import FieldError, GatewayError, Reason

ERROR_DOMAIN: Final = "bailee"

_Code = grpc.StatusCode

CODE_BY_REASON: Final[Mapping[Reason, grpc.StatusCode]] = MappingProxyType(
    {
        Reason.REQUEST_MALFORMED: _Code.INVALID_ARGUMENT,
        Reason.REQUEST_INVALID: _Code.INVALID_ARGUMENT,
        Reason.CARD_INVALID: _Code.INVALID_ARGUMENT,
        Reason.CARD_EXPIRED: _Code.INVALID_ARGUMENT,
        Reason.SEALED_CARD_REJECTED: _Code.INVALID_ARGUMENT,
        Reason.PLAIN_CARD_REFUSED: _Code.INVALID_ARGUMENT,
        Reason.AMOUNT_NOT_REPRESENTABLE: _Code.INVALID_ARGUMENT,
        Reason.CALLER_UNKNOWN: _Code.UNAUTHENTICATED,
        Reason.CALLER_NOT_PERMITTED: _Code.PERMISSION_DENIED,
        Reason.POLICY_DENIED: _Code.PERMISSION_DENIED,
        Reason.MERCHANT_NOT_FOUND: _Code.NOT_FOUND,
        Reason.CARD_TOKEN_NOT_FOUND: _Code.NOT_FOUND,
        Reason.PAYMENT_NOT_FOUND: _Code.NOT_FOUND,
        Reason.PROCESSOR_ACCOUNT_NOT_FOUND: _Code.NOT_FOUND,
        Reason.RPC_NOT_FOUND: _Code.UNIMPLEMENTED,
        Reason.REQUEST_ID_REUSED: _Code.ALREADY_EXISTS,
        Reason.REQUEST_IN_PROGRESS: _Code.ABORTED,
        Reason.ALREADY_CHARGED: _Code.ALREADY_EXISTS,
        Reason.STATE_CONFLICT: _Code.FAILED_PRECONDITION,
        Reason.LIMIT_EXCEEDED: _Code.RESOURCE_EXHAUSTED,
        Reason.PROCESSOR_UNAVAILABLE: _Code.UNAVAILABLE,
        Reason.KEY_UNAVAILABLE: _Code.UNAVAILABLE,
        Reason.STORAGE_UNAVAILABLE: _Code.UNAVAILABLE,
        Reason.AUDIT_UNAVAILABLE: _Code.UNAVAILABLE,
        Reason.INTEGRITY_VIOLATION: _Code.DATA_LOSS,
        # Not CANCELLED, which says that the caller gave up: the gateway did, and the
        # same request may be sent again.
        Reason.CANCELED: _Code.UNAVAILABLE,
        Reason.INTERNAL: _Code.INTERNAL,
    }
)


def make_status(error: GatewayError, incident: str = "") -> grpc.Status:
    """Returns the status that tells a caller about the error.

    Args:
        error: What happened.
        incident: Where the log holds more; set for errors that nobody foresaw.
    """
    metadata = dict(error.metadata)
    message = error.message
    if incident:
        metadata["incident"] = incident
        message = f"{message}; incident {incident}"
    status = status_pb2.Status(
        code=CODE_BY_REASON[error.reason].value[0], message=message
    )
    status.details.add().Pack(
        error_details_pb2.ErrorInfo(
            reason=error.reason.value, domain=ERROR_DOMAIN, metadata=metadata
        )
    )
    if isinstance(error, FieldError):
        status.details.add().Pack(_bad_request(error))
    if error.retry_delay is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromTimedelta(error.retry_delay)
        status.details.add().Pack(retry)
    return rpc_status.to_status(status)


def _bad_request(error: FieldError) -> error_details_pb2.BadRequest:
    violation = error_details_pb2.BadRequest.FieldViolation(
        field=error.field, description=error.description
    )
    return error_details_pb2.BadRequest(field_violations=[violation])
