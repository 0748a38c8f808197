"""What Stripe's codes for a declined card mean, in neutral words.

In order of authority: advice of the network and the issuer, then ``decline_code``, then
``code``. Source: docs.stripe.com/declines/codes and docs.stripe.com/error-codes; the
whole table stands in docs/processors/stripe.md.

Invariants:
  * A ``decline_code`` that is not in the table is OTHER. It never falls back to its
    ``code``, which is the soft ``card_declined`` for all of them.
  * Whoever may try again is told by the bank: advice never softens fraud or
    configuration, and "do not try again" makes a soft decline hard.
  * For fraud ``processor_code`` stays empty: a payer must not learn from a shop that
    the card is reported as stolen.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from gateway.payments.decline_reasons import DeclineReason as Reason
from gateway.payments.processor import Decline, DeclineClass, RetryAdvice

_SOFT, _HARD = DeclineClass.SOFT, DeclineClass.HARD
_FRAUD, _CONFIGURATION = DeclineClass.FRAUD, DeclineClass.CONFIGURATION
_NEVER, _LATER = RetryAdvice.NEVER, RetryAdvice.LATER
_NEW_DATA, _ONCE_NOW = RetryAdvice.AFTER_NEW_DATA, RetryAdvice.ONCE_NOW
_AUTHENTICATED = RetryAdvice.AFTER_AUTHENTICATION


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code means unless the bank advises otherwise."""

    reason: Reason
    decline_class: DeclineClass
    retry: RetryAdvice


_ROWS: Final = (
    (Reason.INSUFFICIENT_FUNDS, _SOFT, _LATER, "insufficient_funds"),
    (
        Reason.LIMIT_EXCEEDED,
        _SOFT,
        _LATER,
        "card_velocity_exceeded withdrawal_count_limit_exceeded",
    ),
    (
        Reason.ISSUER_UNAVAILABLE,
        _SOFT,
        _LATER,
        "issuer_not_available try_again_later reenter_transaction approve_with_id",
    ),
    (Reason.PROCESSING_ERROR, _SOFT, _ONCE_NOW, "processing_error"),
    (
        Reason.DO_NOT_HONOR,
        _SOFT,
        _LATER,
        "do_not_honor generic_decline no_action_taken card_declined "
        "partner_generic_decline",
    ),
    (Reason.CALL_ISSUER, _SOFT, _NEW_DATA, "call_issuer"),
    (
        Reason.AUTHENTICATION_REQUIRED,
        _SOFT,
        _AUTHENTICATED,
        "authentication_required mobile_device_authentication_required "
        "payment_intent_authentication_failure setup_intent_authentication_failure "
        "authentication_failure authentication_not_handled",
    ),
    (
        Reason.RATE_LIMITED,
        _SOFT,
        _LATER,
        "card_decline_rate_limit_exceeded rate_limit "
        "payment_intent_rate_limit_exceeded",
    ),
    (
        Reason.CARD_EXPIRED,
        _HARD,
        _NEW_DATA,
        "expired_card invalid_expiry_month invalid_expiry_year expired_payment_method",
    ),
    (Reason.NUMBER_INCORRECT, _HARD, _NEW_DATA, "incorrect_number invalid_number"),
    (Reason.SECURITY_CODE_INCORRECT, _HARD, _NEW_DATA, "incorrect_cvc invalid_cvc"),
    (
        Reason.ADDRESS_INCORRECT,
        _HARD,
        _NEW_DATA,
        "incorrect_zip incorrect_address incorrect_postal_code",
    ),
    (
        Reason.PIN_INCORRECT,
        _HARD,
        _NEW_DATA,
        "incorrect_pin invalid_pin pin_try_exceeded offline_pin_required "
        "online_or_offline_pin_required",
    ),
    (Reason.CARD_UPDATED, _HARD, _NEW_DATA, "new_account_information_available"),
    (Reason.ACCOUNT_CLOSED, _HARD, _NEVER, "invalid_account"),
    (Reason.NOT_SUPPORTED, _HARD, _NEVER, "card_not_supported currency_not_supported"),
    (
        Reason.NOT_PERMITTED,
        _HARD,
        _NEVER,
        "transaction_not_allowed not_permitted service_not_allowed security_violation "
        "restricted_card do_not_try_again previously_declined_do_not_retry",
    ),
    (
        Reason.AUTHORIZATION_REVOKED,
        _HARD,
        _NEVER,
        "revocation_of_authorization revocation_of_all_authorizations "
        "stop_payment_order",
    ),
    (Reason.LOST_OR_STOLEN, _FRAUD, _NEVER, "lost_card stolen_card pickup_card"),
    (
        Reason.SUSPECTED_FRAUD,
        _FRAUD,
        _NEVER,
        "fraudulent merchant_blacklist highest_risk_level blocklist rule "
        "partner_high_risk_customer",
    ),
    (
        Reason.AMOUNT_INVALID,
        _CONFIGURATION,
        _NEVER,
        "invalid_amount amount_too_small amount_too_large invalid_charge_amount",
    ),
    (
        Reason.TEST_LIVE_MISMATCH,
        _CONFIGURATION,
        _NEVER,
        "testmode_decline test_mode_live_card live_mode_test_card "
        "testmode_charges_only livemode_mismatch",
    ),
    (Reason.DUPLICATE, _CONFIGURATION, _NEVER, "duplicate_transaction"),
)


def _by_code() -> Iterator[tuple[str, Meaning]]:
    for reason, decline_class, retry, codes in _ROWS:
        for code in codes.split():
            yield code, Meaning(reason, decline_class, retry)


MEANINGS: Final[Mapping[str, Meaning]] = MappingProxyType(dict(_by_code()))
UNKNOWN_CODE: Final = Meaning(Reason.OTHER, _HARD, _NEVER)
_BLOCKED: Final = Meaning(Reason.SUSPECTED_FRAUD, _FRAUD, _NEVER)

# docs.stripe.com/declines/card#retrying-issuer-declines
_ADVICE: Final = MappingProxyType(
    {
        "do_not_try_again": _NEVER,
        "try_again_later": _LATER,
        "confirm_card_data": _NEW_DATA,
    }
)
# Mastercard's merchant advice codes: 03 and 21 forbid another try, 24 to 30 allow one
# after an hour up to ten days.
_NETWORK_ADVICE: Final = MappingProxyType(
    {"03": _NEVER, "21": _NEVER} | {str(code): _LATER for code in range(24, 31)}
)
# What callers may see of a code that we do not know. Stripe's codes have no digits; a
# card number has nothing else.
_CODE: Final = re.compile(r"[a-z_]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CardRefusal:
    """What Stripe says about a refused card, as far as it decides anything.

    ``blocked`` means that Stripe's own rules refused it; no bank was asked.
    """

    code: str = ""
    decline_code: str = ""
    advice_code: str = ""
    network_advice_code: str = ""
    blocked: bool = False


def decline_of(refusal: CardRefusal) -> Decline:
    """Returns the decline in neutral words."""
    code = refusal.decline_code or refusal.code
    meaning = _BLOCKED if refusal.blocked else MEANINGS.get(code, UNKNOWN_CODE)
    retry = _retry(meaning, refusal)
    decline_class = meaning.decline_class
    if retry is _NEVER and decline_class is _SOFT:
        decline_class = _HARD
    shown = decline_class is not _FRAUD and _CODE.fullmatch(code)
    return Decline(
        reason=meaning.reason.value,
        decline_class=decline_class,
        retry=retry,
        processor_code=code if shown else "",
    )


def _retry(meaning: Meaning, refusal: CardRefusal) -> RetryAdvice:
    if meaning.decline_class in (_FRAUD, _CONFIGURATION):
        return meaning.retry
    advice = _ADVICE.get(refusal.advice_code)
    network = _NETWORK_ADVICE.get(refusal.network_advice_code)
    if _NEVER in (advice, network):
        return _NEVER
    return advice or network or meaning.retry
