"""The named places between two steps of a payment, where a crash must be safe.

Production passes ``ignore``; crash tests pass something that kills the process.
"""

from collections.abc import Callable
from enum import StrEnum


class Boundary(StrEnum):
    """A place that a process may never leave."""

    SUBMITTED = "after the intent committed"
    OPENED = "after the card or reference was opened"
    CUSTOMER_MADE = "after the processor made the customer"
    CUSTOMER_COMMITTED = "after the customer committed"
    CARD_STORED = "after the processor stored the card"
    REFERENCE_COMMITTED = "after the reference committed"
    CHARGING = "before the charge is sent"
    DECLINED = "after a decline that could still be confirmed"
    RELEASED = "after the processor gave up what it had declined"
    CHARGED = "after the charge was answered"
    OUTCOME_COMMITTED = "after the outcome committed"
    CONFIRM_SUBMITTED = "after a confirmation's intent committed"
    CONFIRMED = "after a confirmation was answered"
    MOVE_SUBMITTED = "after a capture, cancel or refund committed"
    MOVED = "after a capture, cancel or refund was answered"
    MOVE_COMMITTED = "after a capture, cancel or refund outcome committed"


Reached = Callable[[Boundary], None]


def ignore(_boundary: StrEnum) -> None:
    """Does nothing: what production does at a boundary."""
