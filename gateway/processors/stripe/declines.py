"""What Stripe's codes mean, in neutral words: a closed table.

Sources: docs.stripe.com/declines/codes and docs.stripe.com/error-codes. A code that is
not here is OTHER, counted by its name in the log, and never soft.
"""

import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.payments.decline_reasons import DeclineReason
from gateway.payments.processor import Decline, DeclineClass, RetryAdvice

_log: Final = logging.getLogger(__name__)

_SOFT, _HARD = DeclineClass.SOFT, DeclineClass.HARD
_FRAUD, _CONFIG = DeclineClass.FRAUD, DeclineClass.CONFIGURATION
_NEVER, _LATER, _NOW = RetryAdvice.NEVER, RetryAdvice.LATER, RetryAdvice.ONCE_NOW
_NEW_DATA = RetryAdvice.AFTER_NEW_DATA
_AUTHENTICATE = RetryAdvice.AFTER_AUTHENTICATION
_R = DeclineReason

_Row = tuple[DeclineReason, DeclineClass, RetryAdvice, tuple[str, ...]]
ROWS: Final[tuple[_Row, ...]] = (
    (_R.INSUFFICIENT_FUNDS, _SOFT, _LATER, ("insufficient_funds",)),
    (
        _R.LIMIT_EXCEEDED,
        _SOFT,
        _LATER,
        ("card_velocity_exceeded", "withdrawal_count_limit_exceeded"),
    ),
    (
        _R.ISSUER_UNAVAILABLE,
        _SOFT,
        _LATER,
        (
            "issuer_not_available",
            "try_again_later",
            "reenter_transaction",
            "approve_with_id",
        ),
    ),
    (_R.PROCESSING_ERROR, _SOFT, _NOW, ("processing_error",)),
    (
        _R.DO_NOT_HONOR,
        _SOFT,
        _LATER,
        (
            "do_not_honor",
            "generic_decline",
            "no_action_taken",
            "card_declined",
            "partner_generic_decline",
        ),
    ),
    (_R.CALL_ISSUER, _SOFT, _NEW_DATA, ("call_issuer",)),
    (
        _R.AUTHENTICATION_REQUIRED,
        _SOFT,
        _AUTHENTICATE,
        ("authentication_required", "mobile_device_authentication_required"),
    ),
    (
        _R.RATE_LIMITED,
        _SOFT,
        _LATER,
        (
            "card_decline_rate_limit_exceeded",
            "rate_limit",
            "payment_intent_rate_limit_exceeded",
        ),
    ),
    (
        _R.CARD_EXPIRED,
        _HARD,
        _NEW_DATA,
        ("expired_card", "invalid_expiry_month", "invalid_expiry_year"),
    ),
    (_R.NUMBER_INCORRECT, _HARD, _NEW_DATA, ("incorrect_number", "invalid_number")),
    (_R.SECURITY_CODE_INCORRECT, _HARD, _NEW_DATA, ("incorrect_cvc", "invalid_cvc")),
    (
        _R.ADDRESS_INCORRECT,
        _HARD,
        _NEW_DATA,
        ("incorrect_zip", "incorrect_address", "incorrect_postal_code"),
    ),
    (
        _R.PIN_INCORRECT,
        _HARD,
        _NEW_DATA,
        (
            "incorrect_pin",
            "invalid_pin",
            "pin_try_exceeded",
            "offline_pin_required",
            "online_or_offline_pin_required",
        ),
    ),
    (_R.CARD_UPDATED, _HARD, _NEW_DATA, ("new_account_information_available",)),
    (_R.ACCOUNT_CLOSED, _HARD, _NEVER, ("invalid_account",)),
    (
        _R.NOT_SUPPORTED,
        _HARD,
        _NEVER,
        ("card_not_supported", "currency_not_supported"),
    ),
    (
        _R.NOT_PERMITTED,
        _HARD,
        _NEVER,
        (
            "transaction_not_allowed",
            "not_permitted",
            "service_not_allowed",
            "security_violation",
            "restricted_card",
            "do_not_try_again",
            "previously_declined_do_not_retry",
        ),
    ),
    (
        _R.AUTHORIZATION_REVOKED,
        _HARD,
        _NEVER,
        (
            "revocation_of_authorization",
            "revocation_of_all_authorizations",
            "stop_payment_order",
        ),
    ),
    (_R.LOST_OR_STOLEN, _FRAUD, _NEVER, ("lost_card", "stolen_card", "pickup_card")),
    (
        _R.SUSPECTED_FRAUD,
        _FRAUD,
        _NEVER,
        (
            "fraudulent",
            "merchant_blacklist",
            "highest_risk_level",
            "blocklist",
            "rule",
            "partner_high_risk_customer",
        ),
    ),
    (
        _R.AMOUNT_INVALID,
        _CONFIG,
        _NEVER,
        (
            "invalid_amount",
            "amount_too_small",
            "amount_too_large",
            "invalid_charge_amount",
        ),
    ),
    (
        _R.TEST_LIVE_MISMATCH,
        _CONFIG,
        _NEVER,
        (
            "testmode_decline",
            "test_mode_live_card",
            "live_mode_test_card",
            "testmode_charges_only",
            "livemode_mismatch",
        ),
    ),
    (_R.DUPLICATE, _CONFIG, _NEVER, ("duplicate_transaction",)),
)
BY_CODE: Final[Mapping[str, _Row]] = MappingProxyType(
    {code: row for row in ROWS for code in row[3]}
)
_ADVICE: Final = {
    "do_not_try_again": _NEVER,
    "try_again_later": _LATER,
    "confirm_card_data": _NEW_DATA,
}
# Mastercard merchant advice codes that forbid another try.
_NETWORK_NEVER: Final = frozenset({"03", "21"})


def classify(
    *,
    code: str | None = None,
    decline_code: str | None = None,
    advice_code: str | None = None,
    network_advice_code: str | None = None,
) -> Decline:
    """Returns the decline that Stripe's codes describe.

    A decline code that is not in the table never falls back to the soft
    ``card_declined``. Advice of the network or of Stripe outranks the table's own; a
    soft decline that must never be tried again is hard.
    """
    named = decline_code or code or ""
    row = BY_CODE.get(named)
    if row is None:
        # Counted by name; a code is Stripe's own word and holds no card data.
        _log.warning("unmapped decline code", extra={"decline_code": named[:60]})
        reason, kind, retry = _R.OTHER, _HARD, _NEVER
    else:
        reason, kind, retry, _ = row
    if kind is not _FRAUD:
        retry = _ADVICE.get(advice_code or "", retry)
        if network_advice_code in _NETWORK_NEVER:
            retry = _NEVER
        if retry is _NEVER and kind is _SOFT:
            kind = _HARD
    return Decline(
        reason=reason.value,
        decline_class=kind,
        retry=retry,
        processor_code="" if kind is _FRAUD else named,
    )
