"""Storing payments together with the events that tell of their changes.

Invariant: payments and moves are stored here and nowhere else, leases aside (a test
reads the code), so that no change is without its event.
"""

from dataclasses import replace
from datetime import datetime

from gateway.payments.payment import Lease, Move, Payment
from gateway.payments.payment_event import changed_event, created_event, moved_event
from gateway.payments.ports import PaymentUnit
from gateway.payments.transitions import Event


def add_payment(unit: PaymentUnit, payment: Payment) -> None:
    """Stores a new payment."""
    unit.payments.add(payment)
    unit.payments.append_event(created_event(payment))


def keep_payment(
    unit: PaymentUnit, before: Payment, after: Payment, cause: Event | None = None
) -> None:
    """Stores a payment that changed; ``before`` is as it is stored."""
    if after is before:
        return
    unit.payments.save(after)
    event = changed_event(before, after, cause)
    if event is not None:
        unit.payments.append_event(event)


def add_move(unit: PaymentUnit, before: Payment, after: Payment, move: Move) -> None:
    """Stores a new move, and the payment that it changed."""
    unit.payments.save(after)
    unit.payments.add_move(move)
    unit.payments.append_event(moved_event(before, after, move))


def keep_move(unit: PaymentUnit, before: Payment, after: Payment, move: Move) -> None:
    """Stores a move that got a status, and the payment that it changed."""
    unit.payments.save(after)
    unit.payments.save_move(move)
    unit.payments.append_event(moved_event(before, after, move))


def take_payment(unit: PaymentUnit, stored: Payment, lease: Lease) -> Payment:
    """Gives the payment to the worker who holds the lease; nobody sees a change."""
    taken = replace(stored, lease=lease)
    unit.payments.save(taken)
    return taken


def put_off(
    unit: PaymentUnit, stored: Payment, check_at: datetime, absent: int
) -> None:
    """Lets a payment go until its next check; nobody sees a change."""
    unit.payments.save(
        replace(stored, lease=None, next_check_at=check_at, absent_inquiries=absent)
    )
