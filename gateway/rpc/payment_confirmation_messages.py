"""Between the messages of ConfirmPayment and the payments' own types."""

from bailee.v1 import payment_service_pb2 as pb

from gateway.payments.confirm_payment import Confirmed, ConfirmPaymentCommand
from gateway.rpc.payment_messages import read_payment_name, read_url, show_payment
from gateway.rpc.vault_messages import show_receipt
from gateway.words.identifiers import read_merchant_id, read_request_id


def read_confirm(
    request: pb.ConfirmPaymentRequest, *, caller: str, digest: bytes
) -> ConfirmPaymentCommand:
    """Returns which payment goes on."""
    return ConfirmPaymentCommand(
        merchant=read_merchant_id(request.merchant),
        caller=caller,
        request_id=read_request_id(request.request_id),
        digest=digest,
        payment=read_payment_name(request.payment),
        return_url=read_url("return_url", request.return_url),
    )


def show_confirmed(result: Confirmed) -> pb.ConfirmPaymentResponse:
    """Returns the answer of ConfirmPayment."""
    return pb.ConfirmPaymentResponse(
        payment=show_payment(result.payment),
        receipt=show_receipt(result.receipt),
        replayed=result.replayed,
    )
