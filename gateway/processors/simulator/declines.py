"""What the simulator's codes mean, in neutral words."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.payments.decline_reasons import DeclineReason
from gateway.payments.processor import Decline, DeclineClass, RetryAdvice

_ROWS: Final = (
    ("generic_decline", DeclineReason.DO_NOT_HONOR, "soft", "later"),
    ("insufficient_funds", DeclineReason.INSUFFICIENT_FUNDS, "soft", "later"),
    ("lost_card", DeclineReason.LOST_OR_STOLEN, "fraud", "never"),
    ("stolen_card", DeclineReason.LOST_OR_STOLEN, "fraud", "never"),
    ("fraudulent", DeclineReason.SUSPECTED_FRAUD, "fraud", "never"),
    ("expired_card", DeclineReason.CARD_EXPIRED, "hard", "after_new_data"),
    ("incorrect_number", DeclineReason.NUMBER_INCORRECT, "hard", "after_new_data"),
    ("incorrect_cvc", DeclineReason.SECURITY_CODE_INCORRECT, "hard", "after_new_data"),
    ("processing_error", DeclineReason.PROCESSING_ERROR, "soft", "once_now"),
    (
        "authentication_required",
        DeclineReason.AUTHENTICATION_REQUIRED,
        "soft",
        "after_authentication",
    ),
)

DECLINES: Final[Mapping[str, Decline]] = MappingProxyType(
    {
        code: Decline(
            reason=reason.value,
            decline_class=DeclineClass(kind),
            retry=RetryAdvice(retry),
            # A payer must not learn that a card is reported as stolen.
            processor_code="" if kind == "fraud" else code,
        )
        for code, reason, kind, retry in _ROWS
    }
)


def decline_of(code: str) -> Decline:
    """Returns the decline of a code; an unknown one is OTHER and never soft."""
    known = DECLINES.get(code)
    if known is not None:
        return known
    return Decline(
        reason=DeclineReason.OTHER.value,
        decline_class=DeclineClass.HARD,
        retry=RetryAdvice.NEVER,
        processor_code=code,
    )
