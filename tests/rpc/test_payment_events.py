"""ListPaymentEvents and WatchPaymentEvents over gRPC."""

import asyncio

import grpc
import pytest
from bailee.errors import from_rpc_error
from bailee.v1 import payment_pb2
from bailee.v1 import payment_service_pb2 as pb

from gateway.words.identifiers import new_name
from tests.builders.gateway import running
from tests.builders.storage import OTHER, SHOP
from tests.rpc.test_bad_input import NUMBER, refused
from tests.rpc.test_payment_lists import give_back, pay

Event, Payment, Refund = (
    payment_pb2.PaymentEvent,
    payment_pb2.Payment,
    payment_pb2.Refund,
)


@pytest.fixture
async def site(tmp_path):
    async with running(
        tmp_path, accept_plain_cards=True, events_poll_seconds=0.02
    ) as made:
        yield made


def list_events(**changes):
    return pb.ListPaymentEventsRequest(**{"merchant": SHOP} | changes)


def watch(site, **changes):
    request = pb.WatchPaymentEventsRequest(**{"merchant": SHOP} | changes)
    return site.payments.WatchPaymentEvents(request, timeout=10)


class TestListPaymentEvents:
    async def test_goes_on_from_every_cursor(self, site):
        paid = await pay(site)
        await give_back(site, paid, 10)
        seen, cursor = [], ""
        while True:
            request = list_events(cursor=cursor, page_size=1)
            answer = await site.payments.ListPaymentEvents(request)
            seen += answer.events
            cursor = answer.next_cursor
            if not answer.has_more:
                break

        assert [(event.type, event.state) for event in seen] == [
            (Event.TYPE_CREATED, Payment.STATE_SUBMITTED),
            (Event.TYPE_STATE_CHANGED, Payment.STATE_CAPTURED),
            (Event.TYPE_REFUND_CHANGED, Payment.STATE_CAPTURED),
            (Event.TYPE_REFUND_CHANGED, Payment.STATE_CAPTURED),
        ]
        assert seen[-1].refund.state == Refund.STATE_SUCCEEDED
        assert seen[-1].refunded.minor_units == 10
        assert seen[0].previous_state == Payment.STATE_UNSPECIFIED

    async def test_keeps_a_cursor_while_nothing_happens(self, site):
        nothing = await site.payments.ListPaymentEvents(list_events())
        assert (list(nothing.events), nothing.has_more) == ([], False)
        paid = await pay(site)

        request = list_events(cursor=nothing.next_cursor)
        answer = await site.payments.ListPaymentEvents(request)
        again = await site.payments.ListPaymentEvents(
            list_events(cursor=answer.next_cursor)
        )

        assert [event.payment for event in answer.events] == [paid.name] * 2
        assert again == pb.ListPaymentEventsResponse(next_cursor=answer.next_cursor)

    async def test_tells_of_one_payment(self, site):
        first = await pay(site)
        await pay(site)

        answer = await site.payments.ListPaymentEvents(list_events(payment=first.name))

        assert {event.payment for event in answer.events} == {first.name}

    async def test_tells_another_merchant_nothing(self, site):
        """covers: I9."""
        paid = await pay(site)
        mine = await site.payments.ListPaymentEvents(list_events())

        theirs = await site.payments.ListPaymentEvents(list_events(merchant=OTHER))
        errors = [
            await refused(
                site.payments.ListPaymentEvents,
                list_events(merchant=OTHER, payment=name),
            )
            for name in (paid.name, new_name("pay"), "pay_x")
        ]
        cursor = list_events(merchant=OTHER, cursor=mine.next_cursor)
        foreign = await refused(site.payments.ListPaymentEvents, cursor)

        assert not theirs.events
        assert {str(error) for error in errors} == {str(errors[0])}
        assert errors[0].reason == "PAYMENT_NOT_FOUND"
        assert (foreign.reason, foreign.violations[0].field) == (
            "REQUEST_INVALID",
            "cursor",
        )

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"cursor": "made-up"}, "cursor"),
            ({"cursor": NUMBER}, "cursor"),
            ({"page_size": -1}, "page_size"),
        ],
    )
    async def test_refuses_wrong_fields(self, site, changes, field):
        error = await refused(site.payments.ListPaymentEvents, list_events(**changes))

        assert (error.reason, error.violations[0].field) == ("REQUEST_INVALID", field)
        assert NUMBER not in str(error)


class TestWatchPaymentEvents:
    async def test_resumes_at_any_cursor_and_goes_on(self, site):
        await pay(site)
        listed = await site.payments.ListPaymentEvents(list_events(page_size=1))
        stream = watch(site, cursor=listed.next_cursor)
        first = await stream.read()
        later = await pay(site)
        rest = [await stream.read(), await stream.read()]
        stream.cancel()
        resumed = watch(site, cursor=rest[0].cursor)
        again = await resumed.read()
        resumed.cancel()

        assert first.event.state == Payment.STATE_CAPTURED
        assert [each.event.payment for each in rest] == [later.name] * 2
        assert again == rest[1]

    async def test_ends_when_the_gateway_drains(self, site):
        await pay(site)
        stream = watch(site)
        await stream.read()
        await stream.read()

        site.gateway.health.drain()

        async with asyncio.timeout(5):
            assert await stream.read() is grpc.aio.EOF
        assert await stream.code() is grpc.StatusCode.OK

    async def test_sends_another_merchant_nothing(self, site):
        """covers: I9."""
        await pay(site)
        stream = watch(site, merchant=OTHER)

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await stream.read()
        stream.cancel()

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"merchant": "nobody"}, "MERCHANT_NOT_FOUND"),
            ({"merchant": ""}, "REQUEST_INVALID"),
            ({"cursor": NUMBER}, "REQUEST_INVALID"),
        ],
    )
    async def test_refuses_wrong_fields(self, site, changes, reason):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await watch(site, **changes).read()

        assert from_rpc_error(caught.value, "").reason == reason
        assert NUMBER not in str(caught.value.details())
