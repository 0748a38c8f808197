"""The simulated bank's decline codes in neutral words.

Invariant: a code that is not in the table is ``OTHER``: hard, never retried, counted in
the log. It never falls back to a soft reason.
"""

import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.payments.decline_reasons import DeclineReason
from gateway.payments.processor import Decline, DeclineClass, RetryAdvice

_log: Final = logging.getLogger(__name__)

_CODES: Final[Mapping[DeclineReason, str]] = MappingProxyType(
    {
        DeclineReason.INSUFFICIENT_FUNDS: "insufficient_funds",
        DeclineReason.LIMIT_EXCEEDED: (
            "card_velocity_exceeded withdrawal_count_limit_exceeded"
        ),
        DeclineReason.ISSUER_UNAVAILABLE: "issuer_not_available try_again_later",
        DeclineReason.PROCESSING_ERROR: "processing_error",
        DeclineReason.DO_NOT_HONOR: "do_not_honor generic_decline no_action_taken",
        DeclineReason.CALL_ISSUER: "call_issuer",
        DeclineReason.AUTHENTICATION_REQUIRED: "authentication_required",
        DeclineReason.RATE_LIMITED: "card_decline_rate_limit_exceeded",
        DeclineReason.CARD_EXPIRED: (
            "expired_card invalid_expiry_month invalid_expiry_year"
        ),
        DeclineReason.NUMBER_INCORRECT: "incorrect_number invalid_number",
        DeclineReason.SECURITY_CODE_INCORRECT: "incorrect_cvc invalid_cvc",
        DeclineReason.ADDRESS_INCORRECT: "incorrect_address incorrect_zip",
        DeclineReason.PIN_INCORRECT: "incorrect_pin pin_try_exceeded",
        DeclineReason.CARD_UPDATED: "new_account_information_available",
        DeclineReason.ACCOUNT_CLOSED: "invalid_account",
        DeclineReason.NOT_SUPPORTED: "card_not_supported currency_not_supported",
        DeclineReason.NOT_PERMITTED: (
            "transaction_not_allowed not_permitted service_not_allowed "
            "security_violation restricted_card do_not_try_again"
        ),
        DeclineReason.AUTHORIZATION_REVOKED: (
            "revocation_of_authorization revocation_of_all_authorizations "
            "stop_payment_order"
        ),
        DeclineReason.LOST_OR_STOLEN: "lost_card stolen_card pickup_card",
        DeclineReason.SUSPECTED_FRAUD: "fraudulent merchant_blacklist",
        DeclineReason.AMOUNT_INVALID: "invalid_amount",
        DeclineReason.TEST_LIVE_MISMATCH: "test_mode_live_card testmode_decline",
        DeclineReason.DUPLICATE: "duplicate_transaction",
    }
)

REASONS_BY_CODE: Final[Mapping[str, DeclineReason]] = MappingProxyType(
    {code: reason for reason, codes in _CODES.items() for code in codes.split()}
)

_SOFT_LATER: Final = (DeclineClass.SOFT, RetryAdvice.LATER)
_HARD_NEW_DATA: Final = (DeclineClass.HARD, RetryAdvice.AFTER_NEW_DATA)
_HARD_NEVER: Final = (DeclineClass.HARD, RetryAdvice.NEVER)
_FRAUD_NEVER: Final = (DeclineClass.FRAUD, RetryAdvice.NEVER)
_CONFIGURATION_NEVER: Final = (DeclineClass.CONFIGURATION, RetryAdvice.NEVER)

_MEANINGS: Final[Mapping[DeclineReason, tuple[DeclineClass, RetryAdvice]]] = (
    MappingProxyType(
        {
            DeclineReason.INSUFFICIENT_FUNDS: _SOFT_LATER,
            DeclineReason.LIMIT_EXCEEDED: _SOFT_LATER,
            DeclineReason.ISSUER_UNAVAILABLE: _SOFT_LATER,
            DeclineReason.PROCESSING_ERROR: (DeclineClass.SOFT, RetryAdvice.ONCE_NOW),
            DeclineReason.DO_NOT_HONOR: _SOFT_LATER,
            DeclineReason.CALL_ISSUER: (DeclineClass.SOFT, RetryAdvice.AFTER_NEW_DATA),
            DeclineReason.AUTHENTICATION_REQUIRED: (
                DeclineClass.SOFT,
                RetryAdvice.AFTER_AUTHENTICATION,
            ),
            DeclineReason.RATE_LIMITED: _SOFT_LATER,
            DeclineReason.CARD_EXPIRED: _HARD_NEW_DATA,
            DeclineReason.NUMBER_INCORRECT: _HARD_NEW_DATA,
            DeclineReason.SECURITY_CODE_INCORRECT: _HARD_NEW_DATA,
            DeclineReason.ADDRESS_INCORRECT: _HARD_NEW_DATA,
            DeclineReason.PIN_INCORRECT: _HARD_NEW_DATA,
            DeclineReason.CARD_UPDATED: _HARD_NEW_DATA,
            DeclineReason.ACCOUNT_CLOSED: _HARD_NEVER,
            DeclineReason.NOT_SUPPORTED: _HARD_NEVER,
            DeclineReason.NOT_PERMITTED: _HARD_NEVER,
            DeclineReason.AUTHORIZATION_REVOKED: _HARD_NEVER,
            DeclineReason.LOST_OR_STOLEN: _FRAUD_NEVER,
            DeclineReason.SUSPECTED_FRAUD: _FRAUD_NEVER,
            DeclineReason.AMOUNT_INVALID: _CONFIGURATION_NEVER,
            DeclineReason.TEST_LIVE_MISMATCH: _CONFIGURATION_NEVER,
            DeclineReason.DUPLICATE: _CONFIGURATION_NEVER,
            DeclineReason.OTHER: _HARD_NEVER,
        }
    )
)


def decline_for(code: str) -> Decline:
    """Returns what a code of the simulated bank means."""
    reason = REASONS_BY_CODE.get(code, DeclineReason.OTHER)
    if reason is DeclineReason.OTHER:
        # The code is the bank's, not the caller's: it cannot quote a card.
        _log.warning("unmapped decline code", extra={"code": code[:64]})
    decline_class, retry = _MEANINGS[reason]
    return Decline(
        reason=reason, decline_class=decline_class, retry=retry, processor_code=code
    )
