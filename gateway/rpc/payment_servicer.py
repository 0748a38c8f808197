"""The wire side of PaymentService: reads, does, shows. Holds no rule."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from bailee.v1 import payment_service_pb2 as pb
from bailee.v1 import payment_service_pb2_grpc

from gateway.errors import RequestInvalid
from gateway.payments.confirm_payment import ConfirmPayment
from gateway.payments.create_payment import CreatePayment
from gateway.payments.list_payments import ListPayments
from gateway.payments.moves import Mover
from gateway.payments.payment_lists import Page
from gateway.payments.read_payment_events import ReadPaymentEvents
from gateway.payments.read_payments import PaymentView, ReadPayments
from gateway.payments.refresh_payment import RefreshPayment
from gateway.rpc import payment_confirmation_messages as confirmations
from gateway.rpc import payment_event_messages as events
from gateway.rpc import payment_list_messages as lists
from gateway.rpc import payment_messages as messages
from gateway.rpc.callers import caller_of_call
from gateway.rpc.paging import PageTokens, read_page_size
from gateway.rpc.request_digests import RequestDigests
from gateway.words.identifiers import read_merchant_id, read_request_id


class PaymentServicer(payment_service_pb2_grpc.PaymentServiceServicer):
    """See proto/bailee/v1/payment_service.proto."""

    def __init__(  # noqa: PLR0913 - what it uses, by keyword
        self,
        *,
        create_payment: CreatePayment,
        confirm_payment: ConfirmPayment,
        capture_payment: Mover,
        cancel_payment: Mover,
        refund_payment: Mover,
        read_payments: ReadPayments,
        refresh_payment: RefreshPayment,
        list_payments: ListPayments,
        read_events: ReadPaymentEvents,
        digests: RequestDigests,
        page_tokens: PageTokens,
    ) -> None:
        self._create_payment = create_payment
        self._confirm_payment = confirm_payment
        self._capture_payment = capture_payment
        self._cancel_payment = cancel_payment
        self._refund_payment = refund_payment
        self._read_payments = read_payments
        self._refresh_payment = refresh_payment
        self._list_payments = list_payments
        self._read_events = read_events
        self._digests = digests
        self._page_tokens = page_tokens
        self._cursors = events.Cursors(page_tokens)

    async def CreatePayment(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.CreatePaymentRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> pb.CreatePaymentResponse:
        """Charges or authorizes a card."""
        command = messages.read_create_payment(
            request,
            caller=caller_of_call().spiffe_id,
            digest=self._digests.of("CreatePayment", request),
        )
        return messages.show_created(await self._create_payment.execute(command))

    async def ConfirmPayment(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.ConfirmPaymentRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> pb.ConfirmPaymentResponse:
        """Goes on with a payment that waited for the cardholder."""
        command = confirmations.read_confirm(
            request,
            caller=caller_of_call().spiffe_id,
            digest=self._digests.of("ConfirmPayment", request),
        )
        return confirmations.show_confirmed(
            await self._confirm_payment.execute(command)
        )

    async def CapturePayment(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.CapturePaymentRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> pb.CapturePaymentResponse:
        """Collects reserved money."""
        command = messages.read_capture(
            request,
            caller=caller_of_call().spiffe_id,
            digest=self._digests.of("CapturePayment", request),
        )
        return messages.show_captured(await self._capture_payment.execute(command))

    async def CancelPayment(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.CancelPaymentRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> pb.CancelPaymentResponse:
        """Releases reserved money."""
        command = messages.read_cancel(
            request,
            caller=caller_of_call().spiffe_id,
            digest=self._digests.of("CancelPayment", request),
        )
        return messages.show_canceled(await self._cancel_payment.execute(command))

    async def RefundPayment(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.RefundPaymentRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> pb.RefundPaymentResponse:
        """Gives collected money back."""
        command = messages.read_refund(
            request,
            caller=caller_of_call().spiffe_id,
            digest=self._digests.of("RefundPayment", request),
        )
        return messages.show_refunded(await self._refund_payment.execute(command))

    async def GetPayment(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.GetPaymentRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> pb.GetPaymentResponse:
        """Finds a payment by any name it has."""
        view = await self._find(request)
        if not request.refresh:
            return messages.show_view(view)
        merchant, name = read_merchant_id(request.merchant), view.payment.name
        refreshed = await self._refresh_payment.execute(merchant, name)
        return messages.show_view(
            await self._read_payments.by_name(merchant, name), refreshed=refreshed
        )

    async def ListPayments(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.ListPaymentsRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> pb.ListPaymentsResponse:
        """Returns a page of payments."""
        found = await self._list_payments.payments(
            read_merchant_id(request.merchant),
            lists.read_payment_filter(request),
            self._page("ListPayments", request),
        )
        return pb.ListPaymentsResponse(
            payments=[messages.show_payment(payment) for payment in found.payments],
            next_page_token=self._page_tokens.show(
                "ListPayments", request, found.position
            ),
        )

    async def GetRefund(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.GetRefundRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> pb.GetRefundResponse:
        """Returns one refund."""
        merchant = read_merchant_id(request.merchant)
        name = lists.read_refund_name(request.refund)
        return lists.show_found_refund(await self._read_payments.refund(merchant, name))

    async def ListRefunds(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.ListRefundsRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> pb.ListRefundsResponse:
        """Returns a page of refunds."""
        found = await self._list_payments.refunds(
            read_merchant_id(request.merchant),
            lists.read_refund_filter(request),
            self._page("ListRefunds", request),
        )
        return pb.ListRefundsResponse(
            refunds=[messages.show_refund(refund) for refund in found.refunds],
            next_page_token=self._page_tokens.show(
                "ListRefunds", request, found.position
            ),
        )

    async def ListPaymentEvents(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.ListPaymentEventsRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> pb.ListPaymentEventsResponse:
        """Returns what happened after a cursor."""
        merchant = read_merchant_id(request.merchant)
        after = self._cursors.read(merchant, request.cursor)
        limit = read_page_size(request.page_size)
        payment = None
        if request.payment:
            payment = messages.read_payment_name(request.payment)
        found = await self._read_events.list_events(merchant, after, limit + 1, payment)
        page = found[:limit]
        end = page[-1].position if page else after
        return pb.ListPaymentEventsResponse(
            events=[events.show_event(event) for event in page],
            next_cursor=self._cursors.show(merchant, end),
            has_more=len(found) > limit,
        )

    async def WatchPaymentEvents(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.WatchPaymentEventsRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> AsyncIterator[pb.WatchPaymentEventsResponse]:
        """Sends what happened after a cursor, then what happens."""
        merchant = read_merchant_id(request.merchant)
        after = self._cursors.read(merchant, request.cursor)
        async with aclosing(self._read_events.watch(merchant, after)) as watched:
            async for event in watched:
                yield pb.WatchPaymentEventsResponse(
                    event=events.show_event(event),
                    cursor=self._cursors.show(merchant, event.position),
                )

    def _page(
        self, rpc: str, request: pb.ListPaymentsRequest | pb.ListRefundsRequest
    ) -> Page:
        return Page(
            size=read_page_size(request.page_size),
            after=self._page_tokens.read(rpc, request),
        )

    async def _find(self, request: pb.GetPaymentRequest) -> PaymentView:
        merchant = read_merchant_id(request.merchant)
        find = self._read_payments
        match request.WhichOneof("by"):
            case "payment":
                name = messages.read_payment_name(request.payment)
                return await find.by_name(merchant, name)
            case "request_id":
                request_id = read_request_id(request.request_id)
                return await find.by_request_id(merchant, request_id)
            case "charge_once_key":
                key = messages.read_key("charge_once_key", request.charge_once_key)
                return await find.by_charge_once_key(merchant, key)
            case "processor_object":
                named = messages.read_key("processor_object", request.processor_object)
                return await find.by_processor_object(merchant, named)
            case _:
                raise RequestInvalid("payment", "is missing; name the payment")
