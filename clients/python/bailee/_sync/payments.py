"""Calls of PaymentService."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

import grpc

from bailee._sync.connection import Calls
from bailee.card import Card
from bailee.errors import from_rpc_error
from bailee.requests import (
    money,
    new_request_id,
    optional_money,
    read_purpose,
    read_purposes,
    require_one_card,
)
from bailee.v1 import payment_pb2, payment_service_pb2


class PaymentCalls(Calls):
    """Money, by token."""

    def create_payment(  # noqa: PLR0913 - the fields of one request, all by keyword
        self,
        *,
        amount: int,
        currency: str,
        card_token: str = "",
        card: Card | None = None,
        purpose: str = "payment.customer_initiated",
        charge_once_key: str = "",
        capture: bool = True,
        security_code: str = "",
        processor_account: str = "",
        merchant_reference: str = "",
        description: str = "",
        metadata: Mapping[str, str] | None = None,
        statement_descriptor_suffix: str = "",
        return_url: str = "",
        customer_reference: str = "",
        purposes: Iterable[str] = (),
        agreement_reference: str = "",
        request_id: str = "",
    ) -> payment_service_pb2.CreatePaymentResponse:
        """Charges a stored card, or stores and charges a new one.

        Args:
            amount: Minor units: 1099 with ``"USD"`` is 10.99 dollars.
            currency: ISO 4217 code.
            card_token: A stored card; or give ``card``.
            card: A new card; ``customer_reference``, ``purposes`` and
                ``agreement_reference`` then say whose it is and what was agreed.
            purpose: What the card is used for; must be in its mandate.
            charge_once_key: Your name for what is paid, such as ``"invoice-7"``: at
                most one payment that is alive or succeeded exists for it. Required when
                you start the payment (recurring, installment, unscheduled).
            capture: False reserves the money only; ``capture_payment`` collects it.
            security_code: The CVC of a stored card, collected again.
            processor_account: Which account to ask, if the merchant has several.
            merchant_reference: Your name for the payment, such as an invoice number.
            description: Free text for people.
            metadata: Your own keys and values.
            statement_descriptor_suffix: Appended to your name on the statement.
            return_url: Where the cardholder comes back to after authenticating.
            customer_reference: With a new card: your name for the cardholder.
            purposes: With a new card: what the cardholder agreed to.
            agreement_reference: With a new card: your name for that agreement.
            request_id: A UUID4; made here if absent.

        Raises:
            ValueError: Both ``card_token`` and ``card``, neither, a stored card with a
                new card's arguments, or a purpose that does not exist.
            TypeError: An amount that is not an int, or purposes that are one text.
        """
        require_one_card(
            card=card,
            card_token=card_token,
            of_a_new_card={
                "customer_reference": customer_reference,
                "purposes": purposes,
                "agreement_reference": agreement_reference,
            },
        )
        request_id = request_id or new_request_id()
        method = (
            payment_service_pb2.CAPTURE_METHOD_AUTOMATIC
            if capture
            else payment_service_pb2.CAPTURE_METHOD_MANUAL
        )
        request = payment_service_pb2.CreatePaymentRequest(
            merchant=self.merchant,
            request_id=request_id,
            amount=money(amount, currency),
            purpose=read_purpose(purpose),
            charge_once_key=charge_once_key,
            capture_method=method,
            processor_account=processor_account,
            merchant_reference=merchant_reference,
            description=description,
            metadata=metadata or {},
            statement_descriptor_suffix=statement_descriptor_suffix,
            return_url=return_url,
        )
        if card is not None:
            sealed = self._seal_card(card, "CreatePayment", request_id)
            request.card.sealed.CopyFrom(sealed)
            request.customer_reference = customer_reference
            request.mandate.agreement_reference = agreement_reference
            request.mandate.purposes.extend(read_purposes(purposes))
        else:
            request.card_token = card_token
        if security_code:
            sealed_code = self._seal_security_code(
                security_code, "CreatePayment", request_id
            )
            request.security_code.CopyFrom(sealed_code)
        return self._call(
            self._connection.payments.CreatePayment, request, request_id=request_id
        )

    def confirm_payment(
        self, payment: str, *, return_url: str = "", request_id: str = ""
    ) -> payment_service_pb2.ConfirmPaymentResponse:
        """Goes on with a payment in REQUIRES_ACTION once the cardholder came back.

        Args:
            payment: Its name.
            return_url: Where the cardholder comes back to; asks for a new next_action
                if the payment still waits.
            request_id: A UUID4; made here if absent.
        """
        request = payment_service_pb2.ConfirmPaymentRequest(
            merchant=self.merchant,
            request_id=request_id or new_request_id(),
            payment=payment,
            return_url=return_url,
        )
        return self._call(
            self._connection.payments.ConfirmPayment,
            request,
            request_id=request.request_id,
        )

    def capture_payment(
        self,
        payment: str,
        *,
        amount: int | None = None,
        currency: str = "",
        request_id: str = "",
    ) -> payment_service_pb2.CapturePaymentResponse:
        """Collects reserved money; without an amount, all of it."""
        request = payment_service_pb2.CapturePaymentRequest(
            merchant=self.merchant,
            request_id=request_id or new_request_id(),
            payment=payment,
            amount=optional_money(amount, currency),
        )
        return self._call(
            self._connection.payments.CapturePayment,
            request,
            request_id=request.request_id,
        )

    def cancel_payment(
        self, payment: str, *, request_id: str = ""
    ) -> payment_service_pb2.CancelPaymentResponse:
        """Releases reserved money."""
        request = payment_service_pb2.CancelPaymentRequest(
            merchant=self.merchant,
            request_id=request_id or new_request_id(),
            payment=payment,
        )
        return self._call(
            self._connection.payments.CancelPayment,
            request,
            request_id=request.request_id,
        )

    def refund_payment(
        self,
        payment: str,
        *,
        amount: int | None = None,
        currency: str = "",
        reason: str = "",
        request_id: str = "",
    ) -> payment_service_pb2.RefundPaymentResponse:
        """Gives collected money back; without an amount, all that is left."""
        request = payment_service_pb2.RefundPaymentRequest(
            merchant=self.merchant,
            request_id=request_id or new_request_id(),
            payment=payment,
            amount=optional_money(amount, currency),
            reason=reason,
        )
        return self._call(
            self._connection.payments.RefundPayment,
            request,
            request_id=request.request_id,
        )

    def get_payment(
        self,
        payment: str = "",
        *,
        request_id: str = "",
        charge_once_key: str = "",
        processor_object: str = "",
        refresh: bool = False,
    ) -> payment_service_pb2.GetPaymentResponse:
        """Finds a payment by any one of its names.

        Args:
            payment: The gateway's name for it.
            request_id: The id that ``create_payment`` was called with.
            charge_once_key: The key that it was created with.
            processor_object: The processor's id of it.
            refresh: Ask the processor first, and write down what it says.
        """
        names = {
            "payment": payment,
            "request_id": request_id,
            "charge_once_key": charge_once_key,
            "processor_object": processor_object,
        }
        given = {field: text for field, text in names.items() if text}
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(names)}")
        request = payment_service_pb2.GetPaymentRequest(
            merchant=self.merchant, refresh=refresh
        )
        for field, text in given.items():
            setattr(request, field, text)
        return self._call(self._connection.payments.GetPayment, request)

    def list_payments(  # noqa: PLR0913 - the fields of one request, by keyword
        self,
        *,
        merchant_reference: str = "",
        customer_reference: str = "",
        card_token: str = "",
        state: str = "",
        created_from: datetime | None = None,
        created_before: datetime | None = None,
        amount: int | None = None,
        currency: str = "",
        last_four: str = "",
        page_size: int = 0,
    ) -> Iterator[payment_pb2.Payment]:
        """Yields payments, newest first; what is not given restricts nothing.

        Args:
            merchant_reference: Your name for what is paid, whole.
            customer_reference: Your name for the cardholder, whole.
            card_token: Payments of one card.
            state: Such as ``"DECLINED"``.
            created_from: Recorded at this aware time or later.
            created_before: Recorded before this aware time.
            amount: What was asked for, in minor units; with ``currency``.
            currency: ISO 4217 code.
            last_four: The card's last four digits; with ``amount``.
            page_size: How many each call fetches.
        """
        request = payment_service_pb2.ListPaymentsRequest(
            merchant=self.merchant,
            merchant_reference=merchant_reference,
            customer_reference=customer_reference,
            card_token=card_token,
            amount=optional_money(amount, currency),
            last_four=last_four,
            page_size=page_size,
        )
        if state:
            request.state = payment_pb2.Payment.State.Value(f"STATE_{state.upper()}")
        if created_from is not None:
            request.created_from.FromDatetime(created_from)
        if created_before is not None:
            request.created_before.FromDatetime(created_before)
        rpc = self._connection.payments.ListPayments
        for payment in self._each(rpc, request, lambda page: page.payments):
            yield payment

    def get_refund(self, refund: str) -> payment_service_pb2.GetRefundResponse:
        """Returns one refund as it is now."""
        request = payment_service_pb2.GetRefundRequest(
            merchant=self.merchant, refund=refund
        )
        return self._call(self._connection.payments.GetRefund, request)

    def list_refunds(
        self, *, payment: str = "", state: str = "", page_size: int = 0
    ) -> Iterator[payment_pb2.Refund]:
        """Yields refunds, newest first: of one payment, in one state, or all."""
        request = payment_service_pb2.ListRefundsRequest(
            merchant=self.merchant, payment=payment, page_size=page_size
        )
        if state:
            request.state = payment_pb2.Refund.State.Value(f"STATE_{state.upper()}")
        rpc = self._connection.payments.ListRefunds
        for refund in self._each(rpc, request, lambda page: page.refunds):
            yield refund

    def list_payment_events(
        self, *, cursor: str = "", payment: str = "", page_size: int = 0
    ) -> payment_service_pb2.ListPaymentEventsResponse:
        """Returns what happened after a cursor, oldest first.

        Keep ``next_cursor`` together with what you did about the events; while
        ``has_more`` is set there is more to fetch at once.

        Args:
            cursor: Where an earlier answer ended; empty for the first event there is.
            payment: The events of one payment only.
            page_size: How many to fetch.
        """
        request = payment_service_pb2.ListPaymentEventsRequest(
            merchant=self.merchant, cursor=cursor, payment=payment, page_size=page_size
        )
        return self._call(self._connection.payments.ListPaymentEvents, request)

    def watch_payment_events(
        self, *, cursor: str = ""
    ) -> Iterator[payment_service_pb2.WatchPaymentEventsResponse]:
        """Yields what happened after a cursor, then what happens.

        Each event comes at least once. The stream ends when the gateway stops; start
        again with the last cursor that you dealt with.

        Args:
            cursor: Where to begin; empty for the first event there is.
        """
        request = payment_service_pb2.WatchPaymentEventsRequest(
            merchant=self.merchant, cursor=cursor
        )
        try:
            for event in self._connection.payments.WatchPaymentEvents(request):
                yield event
        except grpc.RpcError as rpc_error:
            raise from_rpc_error(rpc_error, "") from None
