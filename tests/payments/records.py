"""Payments and moves as records, for tests of pure code."""

from gateway.payments.payment import (
    Move,
    MoveKind,
    MoveStatus,
    Payment,
    PaymentState,
    Step,
)
from gateway.payments.processor import (
    ActionRequired,
    Approved,
    Canceled,
    Decline,
    DeclineClass,
    Declined,
    Pending,
    RetryAdvice,
)
from gateway.words.identifiers import (
    CardTokenName,
    PaymentName,
    ProcessorAccountId,
    RequestId,
)
from gateway.words.money import Money
from gateway.words.purposes import Purpose
from tests.builders.storage import NOW

OBJECT = "pi_1"
DECLINE = Decline(
    reason="INSUFFICIENT_FUNDS",
    decline_class=DeclineClass.SOFT,
    retry=RetryAdvice.LATER,
)


def a_payment(**changes):
    values = {
        "name": PaymentName("pay_x"),
        "request_id": RequestId("6f2c1d4e-8a3b-4c5d-9e7f-0a1b2c3d4e5f"),
        "state": PaymentState.SUBMITTED,
        "step": Step.CHARGE,
        "amount": Money(1000, "USD"),
        "card": CardTokenName("card_x"),
        "purpose": Purpose.CUSTOMER_INITIATED,
        "capture_automatically": True,
        "account_id": ProcessorAccountId("simulator"),
        "created_at": NOW,
        "updated_at": NOW,
        "caller": "test",
        "charge_once_key": "invoice-1",
    }
    return Payment(**values | changes)


def a_refund(minor_units=100, status=MoveStatus.SUBMITTED, **changes):
    values = {
        "name": "ref_x",
        "kind": MoveKind.REFUND,
        "payment": PaymentName("pay_x"),
        "request_id": RequestId("6f2c1d4e-8a3b-4c5d-9e7f-0a1b2c3d4e5f"),
        "status": status,
        "amount": Money(minor_units, "USD"),
        "created_at": NOW,
        "updated_at": NOW,
        "caller": "test",
    }
    return Move(**values | changes)


def approved(captured=1000, authorized=1000, currency="USD", named=OBJECT):
    return Approved(
        processor_object=named,
        authorized=Money(authorized, currency),
        captured=Money(captured, currency),
    )


def declined(*, named=OBJECT, still_confirmable=False):
    return Declined(
        decline=DECLINE, processor_object=named, still_confirmable=still_confirmable
    )


def action_required(named=OBJECT):
    return ActionRequired(
        processor_object=named, redirect_url="https://bank.example/act"
    )


def pending(named=OBJECT):
    return Pending(processor_object=named)


def canceled(named=OBJECT):
    return Canceled(processor_object=named)
