"""ConfirmPayment over gRPC."""

import pytest
from bailee.client import new_request_id
from bailee.v1 import payment_pb2
from bailee.v1 import payment_service_pb2 as pb

from gateway.words.identifiers import new_name
from tests.builders.gateway import running
from tests.builders.storage import OTHER, SHOP
from tests.rpc.test_bad_input import NUMBER, refused
from tests.rpc.test_payment_lists import pay

Payment = payment_pb2.Payment
AUTHENTICATES = "4000002760003184"
BACK = "https://shop.example/back"


@pytest.fixture
async def site(tmp_path):
    async with running(tmp_path, accept_plain_cards=True) as made:
        yield made


@pytest.fixture
async def waiting(site):
    payment = await pay(site, number=AUTHENTICATES, return_url=BACK)
    assert payment.state == Payment.STATE_REQUIRES_ACTION
    assert payment.next_action.redirect_url
    return payment


def confirm(payment, **changes):
    facts = {"merchant": SHOP, "request_id": new_request_id(), "payment": payment}
    return pb.ConfirmPaymentRequest(**facts | changes)


class TestConfirmPayment:
    async def test_finishes_what_the_cardholder_authenticated(self, site, waiting):
        site.ledger.authenticate(waiting.processor_object, succeeded=True)

        answer = await site.payments.ConfirmPayment(confirm(waiting.name))

        assert answer.payment.state == Payment.STATE_CAPTURED
        assert not answer.payment.HasField("next_action")
        assert answer.receipt.proof

    async def test_gives_a_new_next_action(self, site, waiting):
        request = confirm(waiting.name, return_url="https://shop.example/again")

        answer = await site.payments.ConfirmPayment(request)
        again = await site.payments.ConfirmPayment(request)

        assert answer.payment.state == Payment.STATE_REQUIRES_ACTION
        assert answer.payment.next_action != waiting.next_action
        assert again.replayed
        assert again.payment == answer.payment

    async def test_knows_no_payment_of_another_merchant(self, site, waiting):
        """covers: I9."""
        errors = [
            await refused(site.payments.ConfirmPayment, confirm(name, merchant=OTHER))
            for name in (waiting.name, new_name("pay"), "pay_x", NUMBER)
        ]

        assert {error.reason for error in errors} == {"PAYMENT_NOT_FOUND"}
        assert {str(error) for error in errors} == {str(errors[0])}

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"request_id": "1"}, "request_id"),
            ({"return_url": "javascript:alert(1)"}, "return_url"),
            ({"return_url": f"https://shop.example/{NUMBER}"}, "return_url"),
        ],
    )
    async def test_refuses_wrong_fields(self, site, waiting, changes, field):
        error = await refused(
            site.payments.ConfirmPayment, confirm(waiting.name, **changes)
        )

        assert (error.reason, error.violations[0].field) == ("REQUEST_INVALID", field)
        assert NUMBER not in str(error)
