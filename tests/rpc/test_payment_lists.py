"""ListPayments, GetRefund and ListRefunds over gRPC: finding, paging, refusing."""

import pytest
from bailee.client import new_request_id
from bailee.v1 import money_pb2, payment_pb2
from bailee.v1 import payment_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.words.identifiers import new_name
from tests.builders.gateway import running
from tests.builders.storage import OTHER, SHOP
from tests.rpc.test_bad_input import NUMBER, charge, plain, refused

Payment, Refund = payment_pb2.Payment, payment_pb2.Refund
DECLINED = "4000000000000002"


def money(minor_units, currency="USD"):
    return money_pb2.Money(minor_units=minor_units, currency=currency)


def list_payments(**changes):
    return pb.ListPaymentsRequest(**{"merchant": SHOP} | changes)


def list_refunds(**changes):
    return pb.ListRefundsRequest(**{"merchant": SHOP} | changes)


def get_refund(name, merchant=SHOP):
    return pb.GetRefundRequest(merchant=merchant, refund=name)


@pytest.fixture
async def site(tmp_path):
    async with running(tmp_path, accept_plain_cards=True) as made:
        yield made


async def pay(site, *, number=NUMBER, minor_units=100, **changes):
    """Charges a new card and returns the payment."""
    request = charge(
        None,
        card=plain(number=number),
        amount=money(minor_units),
        **{"customer_reference": "c-1"} | changes,
    )
    return (await site.payments.CreatePayment(request)).payment


async def give_back(site, payment, minor_units):
    request = pb.RefundPaymentRequest(
        merchant=SHOP,
        request_id=new_request_id(),
        payment=payment.name,
        amount=money(minor_units),
        reason="returned goods",
    )
    return (await site.payments.RefundPayment(request)).refund


class TestListPayments:
    async def test_finds_what_support_is_asked_about(self, site):
        paid = await pay(site, merchant_reference="invoice-1")
        declined = await pay(site, number=DECLINED, customer_reference="c-2")
        dear = await pay(site, number="5555555555554444", minor_units=2000)

        async def found(**wanted):
            answer = await site.payments.ListPayments(list_payments(**wanted))
            return [payment.name for payment in answer.payments]

        assert await found() == [dear.name, declined.name, paid.name]
        assert await found(merchant_reference="invoice-1") == [paid.name]
        assert await found(customer_reference="c-2") == [declined.name]
        assert await found(card_token=dear.card_token) == [dear.name]
        assert await found(state=Payment.STATE_DECLINED) == [declined.name]
        assert await found(amount=money(2000)) == [dear.name]
        assert await found(amount=money(100), last_four="4242") == [paid.name]
        assert await found(created_before=paid.create_time) == []
        assert await found(created_from=dear.create_time) == [dear.name]

    async def test_shows_the_payment_as_get_payment_does(self, site):
        paid = await pay(site, merchant_reference="invoice-1")

        answer = await site.payments.ListPayments(list_payments())
        got = await site.payments.GetPayment(
            pb.GetPaymentRequest(merchant=SHOP, payment=paid.name)
        )

        assert list(answer.payments) == [got.payment]

    async def test_goes_through_every_page_once(self, site):
        made = [(await pay(site)).name for _ in range(5)]
        seen, token = [], ""

        while True:
            request = list_payments(page_size=2, page_token=token)
            answer = await site.payments.ListPayments(request)
            seen += [payment.name for payment in answer.payments]
            token = answer.next_page_token
            if not token:
                break

        assert seen == made[::-1]

    async def test_knows_nothing_of_another_merchant(self, site):
        """covers: I9. Its card, its references and its page tokens find nothing."""
        paid = await pay(site, merchant_reference="invoice-1")
        await pay(site)
        first = await site.payments.ListPayments(list_payments(page_size=1))

        for wanted in (
            {},
            {"merchant_reference": "invoice-1"},
            {"customer_reference": "c-1"},
            {"card_token": paid.card_token},
            {"card_token": new_name("card")},
        ):
            request = list_payments(merchant=OTHER, **wanted)
            answer = await site.payments.ListPayments(request)
            assert answer == pb.ListPaymentsResponse()
        foreign = list_payments(merchant=OTHER, page_token=first.next_page_token)
        error = await refused(site.payments.ListPayments, foreign)
        assert (error.reason, error.violations[0].field) == (
            "REQUEST_INVALID",
            "page_token",
        )

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"page_size": -1}, "page_size"),
            ({"page_token": "made-up"}, "page_token"),
            ({"page_token": NUMBER}, "page_token"),
            ({"state": 99}, "state"),
            ({"merchant_reference": NUMBER}, "merchant_reference"),
            ({"customer_reference": "x" * 256}, "customer_reference"),
            ({"amount": money(0)}, "amount.minor_units"),
            ({"amount": money(1, "XXX")}, "amount.currency"),
            ({"last_four": "4242"}, "last_four"),
            ({"last_four": NUMBER, "amount": money(1)}, "last_four"),
            ({"last_four": "٤٢٤٢", "amount": money(1)}, "last_four"),
            ({"created_from": Timestamp(seconds=-1)}, "created_from"),
            ({"created_before": Timestamp(nanos=-1)}, "created_before"),
        ],
    )
    async def test_refuses_wrong_fields(self, site, changes, field):
        error = await refused(site.payments.ListPayments, list_payments(**changes))

        assert (error.reason, error.violations[0].field) == ("REQUEST_INVALID", field)
        assert NUMBER not in str(error)

    async def test_does_not_know_a_token_that_is_none(self, site):
        request = list_payments(card_token="card_x")

        error = await refused(site.payments.ListPayments, request)

        assert error.reason == "CARD_TOKEN_NOT_FOUND"


class TestRefunds:
    async def test_are_found_by_name_and_in_lists(self, site):
        paid, other = await pay(site), await pay(site)
        first, second = [await give_back(site, paid, units) for units in (10, 20)]
        third = await give_back(site, other, 30)

        got = await site.payments.GetRefund(get_refund(first.name))
        of_paid = await site.payments.ListRefunds(list_refunds(payment=paid.name))
        done = await site.payments.ListRefunds(
            list_refunds(state=Refund.STATE_SUCCEEDED, page_size=2)
        )
        failed = await site.payments.ListRefunds(
            list_refunds(state=Refund.STATE_FAILED)
        )

        assert got.refund == first
        assert first.reason == "returned goods"
        assert [item.name for item in of_paid.refunds] == [second.name, first.name]
        assert [item.name for item in done.refunds] == [third.name, second.name]
        assert done.next_page_token
        assert failed == pb.ListRefundsResponse()

    async def test_of_another_merchant_do_not_exist(self, site):
        """covers: I9."""
        paid = await pay(site)
        refund = await give_back(site, paid, 10)

        errors = [
            await refused(site.payments.GetRefund, get_refund(name, OTHER))
            for name in (refund.name, new_name("ref"), "ref_x", paid.name, "", NUMBER)
        ]
        listed = await site.payments.ListRefunds(
            list_refunds(merchant=OTHER, payment=paid.name)
        )

        assert {error.reason for error in errors} == {"REFUND_NOT_FOUND"}
        assert {str(error) for error in errors} == {str(errors[0])}
        assert listed == pb.ListRefundsResponse()

    async def test_are_no_captures(self, site):
        held = await pay(site, capture_method=pb.CAPTURE_METHOD_MANUAL)
        request = pb.CapturePaymentRequest(
            merchant=SHOP, request_id=new_request_id(), payment=held.name
        )
        captured = await site.payments.CapturePayment(request)

        error = await refused(
            site.payments.GetRefund, get_refund(captured.capture.name)
        )

        assert error.reason == "REFUND_NOT_FOUND"
        assert not (await site.payments.ListRefunds(list_refunds())).refunds

    @pytest.mark.parametrize(
        ("changes", "field"),
        [({"page_size": -1}, "page_size"), ({"state": 99}, "state")],
    )
    async def test_refuse_wrong_fields(self, site, changes, field):
        error = await refused(site.payments.ListRefunds, list_refunds(**changes))

        assert (error.reason, error.violations[0].field) == ("REQUEST_INVALID", field)

    async def test_do_not_know_a_payment_that_is_none(self, site):
        error = await refused(
            site.payments.ListRefunds, list_refunds(payment="payment-1")
        )

        assert error.reason == "PAYMENT_NOT_FOUND"
