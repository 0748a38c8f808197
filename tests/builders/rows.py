"""Rows of every store, with every field set to something that shows when it is lost."""

from datetime import timedelta

from gateway.audit.entry import EntryType
from gateway.cards.expiry import Expiry
from gateway.idempotency.ports import RequestRecord
from gateway.keys.ports import StoredWrappingKey
from gateway.payments.payment import (
    Lease,
    Move,
    MoveKind,
    MoveStatus,
    Payment,
    PaymentState,
    Step,
)
from gateway.policy.mandate import Mandate
from gateway.vault.ports import KeyKind, SealedReference, StoredCard, WrappedDataKey
from gateway.words.identifiers import (
    CardTokenName,
    PaymentName,
    ProcessorAccountId,
    RequestId,
)
from gateway.words.lifecycles import CardState
from gateway.words.money import Money
from gateway.words.purposes import Purpose
from tests.builders.storage import NOW, SHOP, an_entry

TOKEN = CardTokenName("card_bcdfghjklmnpqrstvwxzbcdfghjklmn")
OTHER_TOKEN = CardTokenName("card_xcdfghjklmnpqrstvwxzbcdfghjklmn")
PAYMENT = PaymentName("pay_bcdfghjklmnpqrstvwxzbcdfghjklmn")
OTHER_PAYMENT = PaymentName("pay_xcdfghjklmnpqrstvwxzbcdfghjklmn")
MOVE = "rfnd_bcdfghjklmnpqrstvwxzbcdfghjklmn"
ACCOUNT = ProcessorAccountId("simulator")
REQUEST = RequestId("6f2c1d4e-8a3b-4c5d-9e7f-0a1b2c3d4e5f")
OTHER_REQUEST = RequestId("7f2c1d4e-8a3b-4c5d-9e7f-0a1b2c3d4e5f")
RPC = "TokenizeCard"
# A time that shows when anything below a microsecond's worth is rounded.
MOMENT = NOW + timedelta(microseconds=123_457)


def a_record(**changes):
    values = {
        "rpc": RPC,
        "request_id": REQUEST,
        "digest": b"d" * 32,
        "resource": TOKEN,
        "entry_index": 0,
        "created_at": MOMENT,
    }
    return RequestRecord(**values | changes)


def a_wrapping_key(purpose=Purpose.RECURRING, **changes):
    values = {
        "key_id": f"wk-{purpose}",
        "purpose": purpose,
        "epoch": "e1",
        "wrapped": b"wrapped-" + purpose.encode(),
        "created_at": MOMENT,
    }
    return StoredWrappingKey(**values | changes)


def a_card(token=TOKEN, **changes):
    values = {
        "token": token,
        "customer_reference": "customer-1",
        "state": CardState.ACTIVE,
        "brand": "visa",
        "last_four": "4242",
        "expiry": Expiry(12, 2030),
        "mandate": Mandate(
            purposes=frozenset({Purpose.RECURRING, Purpose.VERIFICATION}),
            agreement_reference="agreement-1",
            expires_at=MOMENT + timedelta(days=400),
        ),
        "policy_version": 3,
        "generation": 1,
        "created_at": MOMENT,
        "sealed": b"sealed-" + token.encode(),
        "number_fingerprint": b"number-fingerprint-" + token[5:18].encode(),
        "expiry_fingerprint": b"expiry-fingerprint-" + token[5:18].encode(),
    }
    return StoredCard(**values | changes)


def keys_of(token=TOKEN, purposes=(Purpose.RECURRING, Purpose.VERIFICATION)):
    """Returns wrapped copies of both data keys, in the order a store returns them."""
    return [
        WrappedDataKey(
            kind=kind,
            purpose=purpose,
            wrapping_key_id=f"wk-{purpose}",
            wrapped=f"copy-{kind}-{purpose}-{token}".encode(),
        )
        for purpose in purposes
        for kind in (KeyKind.CARD, KeyKind.REFERENCE)
    ]


def a_reference(account=ACCOUNT, **changes):
    values = {"account_id": account, "generation": 1, "sealed": b"sealed-reference"}
    return SealedReference(**values | changes)


def a_payment(name=PAYMENT, **changes):
    values = {
        "name": name,
        "request_id": REQUEST,
        "state": PaymentState.SUBMITTED,
        "step": Step.CUSTOMER,
        "amount": Money(1999, "EUR"),
        "card": TOKEN,
        "purpose": Purpose.RECURRING,
        "capture_automatically": True,
        "account_id": ACCOUNT,
        "created_at": MOMENT,
        "updated_at": MOMENT,
        "caller": "spiffe://vault.example/caller/billing",
    }
    return Payment(**values | changes)


def a_move(name=MOVE, **changes):
    values = {
        "name": name,
        "kind": MoveKind.REFUND,
        "payment": PAYMENT,
        "request_id": OTHER_REQUEST,
        "status": MoveStatus.SUBMITTED,
        "amount": Money(500, "EUR"),
        "created_at": MOMENT,
        "updated_at": MOMENT,
        "caller": "spiffe://vault.example/caller/billing",
    }
    return Move(**values | changes)


def a_lease(until):
    return Lease(instance="instance-1", until=until)


def a_card_entry(token=TOKEN, salt=b"s" * 16, merchant=SHOP, **changes):
    values = {"type": EntryType.CARD_TOKENIZED, "card": token, "card_salt": salt}
    return an_entry(merchant, **values | changes)


def add_card(unit, card=None, keys=None):
    """Stores the card, with the wrapping keys that its copies need."""
    card = card or a_card()
    for purpose in (Purpose.RECURRING, Purpose.VERIFICATION):
        if unit.keys.find(f"wk-{purpose}") is None:
            unit.keys.add(a_wrapping_key(purpose))
    unit.cards.add(card, keys_of(card.token) if keys is None else keys)


def add_payment(unit, payment=None):
    """Stores the payment, and its card if the merchant has none yet."""
    payment = payment or a_payment()
    if unit.cards.find(payment.card) is None:
        add_card(unit, a_card(payment.card))
    unit.payments.add(payment)
