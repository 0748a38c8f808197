"""The wire side of PaymentService: reads, does, shows. Holds no rule."""

from bailee.v1 import payment_service_pb2 as pb
from bailee.v1 import payment_service_pb2_grpc
from grpc.aio import ServicerContext

from gateway.cards.free_text import read_text
from gateway.errors import RequestInvalid
from gateway.payments.create_payment import CreatePayment, CreatePaymentCommand
from gateway.payments.moves import MoveCommand, Mover
from gateway.payments.payment import Move, MoveKind
from gateway.payments.read_payments import PaymentView, ReadPayments
from gateway.rpc import payment_messages as messages
from gateway.rpc import vault_messages
from gateway.rpc.callers import caller_of_call
from gateway.rpc.request_digests import RequestDigests
from gateway.vault.sealed_input import PlainForm, SealedForm
from gateway.words.identifiers import (
    CardTokenName,
    read_merchant_id,
    read_request_id,
)

_MoveRequest = (
    pb.CapturePaymentRequest | pb.CancelPaymentRequest | pb.RefundPaymentRequest
)


class PaymentServicer(payment_service_pb2_grpc.PaymentServiceServicer):
    """See proto/bailee/v1/payment_service.proto."""

    def __init__(
        self,
        *,
        create_payment: CreatePayment,
        capture_payment: Mover,
        cancel_payment: Mover,
        refund_payment: Mover,
        read_payments: ReadPayments,
        digests: RequestDigests,
    ) -> None:
        self._create_payment = create_payment
        self._capture_payment = capture_payment
        self._cancel_payment = cancel_payment
        self._refund_payment = refund_payment
        self._read_payments = read_payments
        self._digests = digests

    async def CreatePayment(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.CreatePaymentRequest,
        context: ServicerContext[pb.CreatePaymentRequest, pb.CreatePaymentResponse],  # noqa: ARG002
    ) -> pb.CreatePaymentResponse:
        """Charges or authorizes."""
        done = await self._create_payment.execute(self._read_create(request))
        response = pb.CreatePaymentResponse(
            payment=messages.show_payment(done.payment),
            receipt=vault_messages.show_receipt(done.receipt),
            replayed=done.replayed,
            warnings=done.warnings,
        )
        if done.card is not None:
            response.card_token.CopyFrom(vault_messages.show_card(done.card))
        return response

    async def CapturePayment(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.CapturePaymentRequest,
        context: ServicerContext[pb.CapturePaymentRequest, pb.CapturePaymentResponse],  # noqa: ARG002
    ) -> pb.CapturePaymentResponse:
        """Collects reserved money."""
        command = self._read_move("CapturePayment", request)
        done = await self._capture_payment.execute(command)
        return pb.CapturePaymentResponse(
            payment=messages.show_payment(done.payment),
            capture=messages.show_capture(done.move),
            receipt=vault_messages.show_receipt(done.receipt),
            replayed=done.replayed,
        )

    async def CancelPayment(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.CancelPaymentRequest,
        context: ServicerContext[pb.CancelPaymentRequest, pb.CancelPaymentResponse],  # noqa: ARG002
    ) -> pb.CancelPaymentResponse:
        """Releases reserved money."""
        command = self._read_move("CancelPayment", request)
        done = await self._cancel_payment.execute(command)
        return pb.CancelPaymentResponse(
            payment=messages.show_payment(done.payment),
            receipt=vault_messages.show_receipt(done.receipt),
            replayed=done.replayed,
        )

    async def RefundPayment(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.RefundPaymentRequest,
        context: ServicerContext[pb.RefundPaymentRequest, pb.RefundPaymentResponse],  # noqa: ARG002
    ) -> pb.RefundPaymentResponse:
        """Gives collected money back."""
        command = self._read_move("RefundPayment", request)
        done = await self._refund_payment.execute(command)
        return pb.RefundPaymentResponse(
            payment=messages.show_payment(done.payment),
            refund=messages.show_refund(done.move),
            receipt=vault_messages.show_receipt(done.receipt),
            replayed=done.replayed,
        )

    async def GetPayment(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.GetPaymentRequest,
        context: ServicerContext[pb.GetPaymentRequest, pb.GetPaymentResponse],  # noqa: ARG002
    ) -> pb.GetPaymentResponse:
        """Finds a payment."""
        view = await self._find(request)
        of_kind: dict[MoveKind, list[Move]] = {kind: [] for kind in MoveKind}
        for move in view.moves:
            of_kind[move.kind].append(move)
        return pb.GetPaymentResponse(
            payment=messages.show_payment(view.payment),
            captures=[messages.show_capture(m) for m in of_kind[MoveKind.CAPTURE]],
            refunds=[messages.show_refund(m) for m in of_kind[MoveKind.REFUND]],
        )

    async def _find(self, request: pb.GetPaymentRequest) -> PaymentView:
        merchant = read_merchant_id(request.merchant)
        match request.WhichOneof("by"):
            case "payment":
                name = messages.read_payment_name(request.payment)
                return await self._read_payments.by_name(merchant, name)
            case "request_id":
                request_id = read_request_id(request.request_id)
                return await self._read_payments.by_request_id(merchant, request_id)
            case "charge_once_key":
                key = messages.read_charge_once_key(request.charge_once_key)
                return await self._read_payments.by_charge_once_key(merchant, key)
            case "processor_object":
                named = read_text("processor_object", request.processor_object, 255)
                return await self._read_payments.by_processor_object(merchant, named)
            case _:
                raise RequestInvalid("by", "is missing; name the payment in one way")

    def _read_create(self, request: pb.CreatePaymentRequest) -> CreatePaymentCommand:
        merchant = read_merchant_id(request.merchant)
        card: CardTokenName | SealedForm | PlainForm
        match request.WhichOneof("instrument"):
            case "card_token":
                card = vault_messages.read_card_token(request.card_token)
            case "card":
                card = vault_messages.read_card(request.card)
            case _:
                raise RequestInvalid("instrument", "is missing; give a card token")
        code = None
        if request.HasField("security_code"):
            code = vault_messages.read_envelope("security_code", request.security_code)
        manual = request.capture_method == pb.CAPTURE_METHOD_MANUAL
        if not manual and request.capture_method not in (
            pb.CAPTURE_METHOD_UNSPECIFIED,
            pb.CAPTURE_METHOD_AUTOMATIC,
        ):
            raise RequestInvalid("capture_method", "is not one of the list")
        return CreatePaymentCommand(
            merchant=merchant,
            caller=caller_of_call().spiffe_id,
            request_id=read_request_id(request.request_id),
            digest=self._digests.of("CreatePayment", merchant, request),
            card=card,
            amount=messages.read_amount(request.amount),
            purpose=vault_messages.read_purpose("purpose", request.purpose),
            charge_once_key=messages.read_charge_once_key(request.charge_once_key),
            capture_automatically=not manual,
            security_code=code,
            account_id=read_text("processor_account", request.processor_account, 64),
            metadata=messages.read_metadata(request.metadata),
            customer_reference=vault_messages.read_customer_reference(
                request.customer_reference
            ),
            mandate=vault_messages.read_mandate(request.mandate),
            **messages.read_texts(request),
        )

    def _read_move(self, rpc: str, request: _MoveRequest) -> MoveCommand:
        merchant = read_merchant_id(request.merchant)
        amount = None
        reason = ""
        if not isinstance(request, pb.CancelPaymentRequest) and request.HasField(
            "amount"
        ):
            amount = messages.read_amount(request.amount)
        if isinstance(request, pb.RefundPaymentRequest):
            reason = read_text("reason", request.reason, 255)
        return MoveCommand(
            merchant=merchant,
            caller=caller_of_call().spiffe_id,
            request_id=read_request_id(request.request_id),
            digest=self._digests.of(rpc, merchant, request),
            payment=messages.read_payment_name(request.payment),
            amount=amount,
            reason=reason,
        )
