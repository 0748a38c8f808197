"""Between the messages of payment lists and the payments' own types."""

import re
from typing import Final

from bailee.v1 import payment_pb2, payment_service_pb2

from gateway.cards.free_text import read_text
from gateway.errors import RefundNotFound, RequestInvalid
from gateway.payments.payment import Move, MoveStatus, PaymentState
from gateway.payments.payment_lists import PaymentFilter, RefundFilter
from gateway.rpc.payment_messages import (
    REFERENCE_LENGTH_MAX,
    read_amount,
    read_payment_name,
    show_refund,
)
from gateway.rpc.vault_messages import (
    read_card_token,
    read_customer_reference,
    read_time,
)
from gateway.words.identifiers import RefundName, is_name

_LAST_FOUR: Final = re.compile("[0-9]{4}")
_STATES: Final = {
    payment_pb2.Payment.State.Value(f"STATE_{state.name}"): state
    for state in PaymentState
}
_REFUND_STATES: Final = {
    payment_pb2.Refund.State.Value(f"STATE_{status.name}"): status
    for status in MoveStatus
}


def read_payment_filter(
    request: payment_service_pb2.ListPaymentsRequest,
) -> PaymentFilter:
    """Returns which payments the request asks for."""
    state = _STATES.get(request.state)
    if request.state and state is None:
        raise RequestInvalid("state", "is not a state of the list")
    amount = read_amount(request.amount) if request.HasField("amount") else None
    if request.last_four and not _LAST_FOUR.fullmatch(request.last_four):
        raise RequestInvalid("last_four", "is not four digits")
    if request.last_four and amount is None:
        raise RequestInvalid("last_four", "needs an amount beside it")
    return PaymentFilter(
        merchant_reference=read_text(
            "merchant_reference", request.merchant_reference, REFERENCE_LENGTH_MAX
        ),
        customer_reference=read_customer_reference(request.customer_reference),
        card=read_card_token(request.card_token) if request.card_token else None,
        state=state,
        created_from=(
            read_time("created_from", request.created_from)
            if request.HasField("created_from")
            else None
        ),
        created_before=(
            read_time("created_before", request.created_before)
            if request.HasField("created_before")
            else None
        ),
        amount=amount,
        last_four=request.last_four,
    )


def read_refund_filter(
    request: payment_service_pb2.ListRefundsRequest,
) -> RefundFilter:
    """Returns which refunds the request asks for."""
    status = _REFUND_STATES.get(request.state)
    if request.state and status is None:
        raise RequestInvalid("state", "is not a state of the list")
    payment = read_payment_name(request.payment) if request.payment else None
    return RefundFilter(payment=payment, status=status)


def read_refund_name(text: str) -> RefundName:
    """Returns a refund's name; what cannot be one does not exist."""
    if not is_name("ref", text):
        raise RefundNotFound
    return RefundName(text)


def show_found_refund(refund: Move) -> payment_service_pb2.GetRefundResponse:
    """Returns the answer of GetRefund."""
    return payment_service_pb2.GetRefundResponse(refund=show_refund(refund))
