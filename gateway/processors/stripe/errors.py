"""Stripe's errors as the port's.

Invariants:
  * Only an answer from Stripe that says so proves that nothing was executed. Silence
    after the request began to leave, a 5xx and a conflict prove nothing.
  * What comes out carries a word of ours and nothing of Stripe's: an error of the SDK
    holds the answer, and the frames of its traceback hold the request.

Source: docs.stripe.com/error-codes and docs.stripe.com/error-low-level.
"""

import logging
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import aiohttp
import stripe

from gateway.errors import ProcessorUnavailable
from gateway.payments.processor import (
    Declined,
    ProcessorOutcomeUnknown,
    ProcessorRefused,
)
from gateway.processors.stripe.declines import decline_of
from gateway.processors.stripe.outcomes import (
    UNREADABLE,
    is_confirmable,
    read_card_refusal,
)

_log: Final = logging.getLogger(__name__)

# What may come out of a call. The SDK does not convert a timeout or a broken
# connection within the body; a Stripe-Notice header becomes a warning, which
# ``python -W error`` raises.
VENDOR_ERRORS: Final = (
    stripe.StripeError,
    aiohttp.ClientError,
    OSError,
    TimeoutError,
    UserWarning,
    *UNREADABLE,
)

RAW_CARDS_NOT_ENABLED: Final = "RAW_CARDS_NOT_ENABLED"
NOT_FOUND: Final = "NOT_FOUND_AT_PROCESSOR"
REQUEST_REFUSED: Final = "REQUEST_REFUSED"

# Codes of requests that Stripe did not execute, and the reason that callers see.
REFUSALS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "amount_too_large": "AMOUNT_INVALID",
        "amount_too_small": "AMOUNT_INVALID",
        "invalid_charge_amount": "AMOUNT_INVALID",
        "invalid_charge_amount_no_decimal_compatible": "AMOUNT_NOT_REPRESENTABLE",
        "balance_insufficient": "BALANCE_TOO_LOW",
        "insufficient_funds": "BALANCE_TOO_LOW",
        "capture_charge_authorization_expired": "AUTHORIZATION_EXPIRED",
        "charge_expired_for_capture": "AUTHORIZATION_EXPIRED",
        "charge_already_captured": "ALREADY_CAPTURED",
        "charge_already_refunded": "ALREADY_REFUNDED",
        "charge_not_refundable": "NOT_REFUNDABLE",
        "charge_disputed": "DISPUTED",
        "refund_disputed_payment": "DISPUTED",
        "payment_intent_unexpected_state": "STATE_CONFLICT",
        "intent_invalid_state": "STATE_CONFLICT",
        "expired_payment_method": "CARD_EXPIRED",
        "customer_max_payment_methods": "CUSTOMER_FULL",
        "resource_missing": NOT_FOUND,
    }
)

_GENERALLY_UNSAFE: Final = "sending credit card numbers directly"
_BAD_REQUEST, _UNAUTHORIZED, _PAYMENT_REQUIRED = 400, 401, 402
_FORBIDDEN, _NOT_FOUND, _CONFLICT, _RATE_LIMITED = 403, 404, 409, 429
_SERVER_ERROR: Final = 500
# What may be logged. Stripe's codes and names of parameters have no digits; a card
# number has nothing else.
_WORD: Final = re.compile(r"[a-z_\[\]]{1,64}")
_REQUEST_ID: Final = re.compile(r"req_[A-Za-z0-9]{1,60}")


def read_failure(
    error: Exception, *, operation: str, sent: bool
) -> Declined | Exception:
    """Returns a decline, or the port's exception for what went wrong.

    ``sent`` tells whether the request had begun to leave.
    """
    status = getattr(error, "http_status", None)
    _note(error, operation, status)
    if isinstance(error, stripe.StripeError) and isinstance(status, int):
        return _read_answer(error, status)
    return ProcessorOutcomeUnknown() if sent else ProcessorUnavailable()


def _read_answer(  # noqa: PLR0911 - one return for each kind of answer
    error: stripe.StripeError, status: int
) -> Declined | Exception:
    if status == _RATE_LIMITED or isinstance(error, stripe.RateLimitError):
        return ProcessorUnavailable()
    answer = error.error
    if answer is None:
        # Something between Stripe and us answered, or Stripe's answer was cut.
        return ProcessorOutcomeUnknown()
    code = answer.code or ""
    if status < _SERVER_ERROR and _GENERALLY_UNSAFE in (answer.message or "").lower():
        # It has no code of its own, and comes with 402 though it is no decline.
        return ProcessorRefused(RAW_CARDS_NOT_ENABLED)
    if status in (_UNAUTHORIZED, _FORBIDDEN):
        return ProcessorRefused("CREDENTIAL_REJECTED")
    if status == _CONFLICT and code == "lock_timeout":
        return ProcessorUnavailable()
    if status not in (_BAD_REQUEST, _PAYMENT_REQUIRED, _NOT_FOUND):
        return ProcessorOutcomeUnknown()
    if answer.type == "card_error":
        return _read_decline(answer)
    if answer.type == "idempotency_error":
        return ProcessorRefused("IDEMPOTENCY_MISMATCH")
    return ProcessorRefused(REFUSALS.get(code, REQUEST_REFUSED))


def _read_decline(answer: stripe.ErrorObject) -> Declined:
    intent = answer.payment_intent
    return Declined(
        decline=decline_of(read_card_refusal(answer)),
        processor_object=intent.id if intent is not None else "",
        still_confirmable=intent is not None and is_confirmable(intent),
    )


def _note(error: Exception, operation: str, status: int | None) -> None:
    """Logs what support needs to find the request in Stripe's dashboard."""
    answer = getattr(error, "error", None)
    fields = {
        "operation": operation,
        "error": type(error).__qualname__,
        "status": status,
        "stripe_request": _word(getattr(error, "request_id", None), _REQUEST_ID),
        "stripe_type": _word(getattr(answer, "type", None)),
        "stripe_code": _word(getattr(answer, "code", None)),
        "stripe_decline_code": _word(getattr(answer, "decline_code", None)),
        "stripe_param": _word(getattr(answer, "param", None)),
    }
    _log.info("Stripe did not say yes", extra=fields)


def _word(value: object, form: re.Pattern[str] = _WORD) -> str:
    """Returns a code as it is, and of anything else only that it was there."""
    if value is None:
        return ""
    return value if isinstance(value, str) and form.fullmatch(value) else "[other]"
