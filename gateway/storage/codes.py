"""How words and times look in the database: small integers.

Invariants:
  * A code, once released, never changes its meaning and is never used again.
  * Times are whole microseconds since 1970 in UTC; what is read equals what was stored.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import wraps
from typing import Final, Generic, TypeVar
from uuid import UUID

from gateway.errors import FieldError, IntegrityViolation
from gateway.keys.ports import EpochState
from gateway.merchants.ports import Environment
from gateway.payments.payment import (
    MoveKind,
    MoveOrigin,
    MoveStatus,
    PaymentState,
    Step,
)
from gateway.payments.payment_event import EventKind
from gateway.vault.ports import KeyKind
from gateway.words.identifiers import RequestId
from gateway.words.lifecycles import CardState, MerchantState
from gateway.words.purposes import Purpose

Word = TypeVar("Word", bound=StrEnum)
Row = TypeVar("Row")
Made = TypeVar("Made")

_DAMAGE: Final = (
    ArithmeticError,
    AttributeError,
    FieldError,
    LookupError,
    TypeError,
    ValueError,
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def damage_is_integrity(read: Callable[[Row], Made]) -> Callable[[Row], Made]:
    """Makes whatever reading a damaged row raises an IntegrityViolation.

    Otherwise a card's or an amount's own check would blame the caller for it.
    """

    @wraps(read)
    def checked(row: Row) -> Made:
        try:
            return read(row)
        except _DAMAGE:
            # "from None": the error's text quotes what it could not read.
            raise IntegrityViolation from None

    return checked


class Codes(Generic[Word]):
    """The codes of one closed list of words."""

    def __init__(self, codes: Mapping[Word, int]) -> None:
        self._codes = dict(codes)
        self._words = {code: word for word, code in codes.items()}

    def code(self, word: Word) -> int:
        """Returns the word's code."""
        return self._codes[word]

    def word(self, code: int) -> Word:
        """Returns the word of a stored code.

        Raises:
            IntegrityViolation: No word has this code.
        """
        try:
            return self._words[code]
        except KeyError as error:
            raise IntegrityViolation from error

    def mask(self, words: Iterable[Word]) -> int:
        """Returns a set of words as bits: bit ``code`` stands for the word."""
        return sum(1 << self._codes[word] for word in words)

    def words(self, mask: int) -> frozenset[Word]:
        """Returns the words of a mask."""
        return frozenset(
            self.word(code) for code in range(mask.bit_length()) if mask >> code & 1
        )


PURPOSES: Final = Codes(
    {
        Purpose.CUSTOMER_INITIATED: 1,
        Purpose.RECURRING: 2,
        Purpose.INSTALLMENT: 3,
        Purpose.UNSCHEDULED: 4,
        Purpose.VERIFICATION: 5,
        Purpose.TRANSFER: 6,
        Purpose.ERASURE: 7,
        Purpose.MARKETING: 8,
        Purpose.ANALYTICS: 9,
        Purpose.PROFILING: 10,
        Purpose.RESEARCH: 11,
        Purpose.RESALE: 12,
    }
)
MERCHANT_STATES: Final = Codes({MerchantState.ACTIVE: 1, MerchantState.DEACTIVATED: 2})
CARD_STATES: Final = Codes({CardState.ACTIVE: 1, CardState.ERASED: 2})
KEY_KINDS: Final = Codes({KeyKind.CARD: 1, KeyKind.REFERENCE: 2})
EPOCH_STATES: Final = Codes(
    {
        EpochState.PLANNED: 1,
        EpochState.CURRENT: 2,
        EpochState.RETIRING: 3,
        EpochState.DESTROYED: 4,
    }
)
ENVIRONMENTS: Final = Codes({Environment.TEST: 1, Environment.LIVE: 2})
PAYMENT_STATES: Final = Codes(
    {
        PaymentState.SUBMITTED: 1,
        PaymentState.REQUIRES_ACTION: 2,
        PaymentState.PENDING: 3,
        PaymentState.AUTHORIZED: 4,
        PaymentState.PARTIALLY_CAPTURED: 5,
        PaymentState.CAPTURED: 6,
        PaymentState.DECLINED: 7,
        PaymentState.FAILED: 8,
        PaymentState.CANCELED: 9,
        PaymentState.EXPIRED: 10,
        PaymentState.UNKNOWN: 11,
        PaymentState.NEEDS_ATTENTION: 12,
    }
)
STEPS: Final = Codes(
    {Step.CUSTOMER: 1, Step.PAYMENT_METHOD: 2, Step.CHARGE: 3, Step.DONE: 4}
)
MOVE_KINDS: Final = Codes({MoveKind.CAPTURE: 1, MoveKind.CANCEL: 2, MoveKind.REFUND: 3})
MOVE_STATUSES: Final = Codes(
    {
        MoveStatus.SUBMITTED: 1,
        MoveStatus.PENDING: 2,
        MoveStatus.SUCCEEDED: 3,
        MoveStatus.FAILED: 4,
        MoveStatus.UNKNOWN: 5,
    }
)
MOVE_ORIGINS: Final = Codes({MoveOrigin.PLATFORM: 1, MoveOrigin.EXTERNAL: 2})
EVENT_KINDS: Final = Codes(
    {
        EventKind.CREATED: 1,
        EventKind.STATE_CHANGED: 2,
        EventKind.LATE_SUCCESS: 3,
        EventKind.CAPTURE_CHANGED: 4,
        EventKind.CANCEL_CHANGED: 5,
        EventKind.REFUND_CHANGED: 6,
    }
)


def store_time(moment: datetime) -> int:
    """Returns the microseconds since 1970; a time without a zone is a TypeError."""
    return (moment - _EPOCH) // _MICROSECOND


def read_time(microseconds: int) -> datetime:
    """Returns the stored time, aware and in UTC."""
    return _EPOCH + timedelta(microseconds=microseconds)


def store_optional_time(moment: datetime | None) -> int | None:
    """Returns ``store_time`` of a time that may be absent."""
    return None if moment is None else store_time(moment)


def read_optional_time(microseconds: int | None) -> datetime | None:
    """Returns ``read_time`` of a time that may be absent."""
    return None if microseconds is None else read_time(microseconds)


def store_request_id(request_id: RequestId) -> bytes:
    """Returns the UUID's 16 bytes."""
    return bytes.fromhex(request_id.replace("-", ""))


def read_request_id(stored: bytes) -> RequestId:
    """Returns the UUID in its usual form."""
    return RequestId(str(UUID(bytes=stored)))
