"""Between the messages of payment events and the payments' own types.

A cursor is a page token over nothing but the merchant and a position, so that the one
of a list serves a stream too, with whatever page size.
"""

from typing import Final

from bailee.v1 import payment_pb2
from bailee.v1 import payment_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.errors import RequestInvalid
from gateway.payments.payment import MoveStatus, PaymentState
from gateway.payments.payment_event import EventKind, PaymentEvent
from gateway.rpc.paging import PageTokens
from gateway.rpc.payment_messages import show_money

_LIST: Final = "PaymentEvents"
_TYPES: Final = {
    kind: payment_pb2.PaymentEvent.Type.Value(f"TYPE_{kind.name}") for kind in EventKind
}
_STATES: Final = {
    state: payment_pb2.Payment.State.Value(f"STATE_{state.name}")
    for state in PaymentState
}
_CAPTURE_STATES: Final = {
    status: payment_pb2.Capture.State.Value(f"STATE_{status.name}")
    for status in MoveStatus
}
_REFUND_STATES: Final = {
    status: payment_pb2.Refund.State.Value(f"STATE_{status.name}")
    for status in MoveStatus
}


class Cursors:
    """Makes and reads cursors."""

    def __init__(self, tokens: PageTokens) -> None:
        self._tokens = tokens

    def read(self, merchant: str, cursor: str) -> int:
        """Returns the position that the cursor stands for; 0 without one.

        Raises:
            RequestInvalid: Made up, damaged or another merchant's.
        """
        asked = pb.ListPaymentsRequest(merchant=merchant, page_token=cursor)
        try:
            return int(self._tokens.read(_LIST, asked) or 0)
        except RequestInvalid as error:
            raise RequestInvalid("cursor", error.description) from None

    def show(self, merchant: str, position: int) -> str:
        """Returns the cursor of a position."""
        asked = pb.ListPaymentsRequest(merchant=merchant)
        return self._tokens.show(_LIST, asked, str(position))


def show_event(event: PaymentEvent) -> payment_pb2.PaymentEvent:
    """Returns what happened."""
    at = Timestamp()
    at.FromDatetime(event.at)
    currency, sums = event.currency, event.sums
    shown = payment_pb2.PaymentEvent(
        payment=event.payment,
        type=_TYPES[event.kind],
        event_time=at,
        state=_STATES[event.state],
        authorized=show_money(sums.authorized, currency),
        capturable=show_money(sums.capturable, currency),
        captured=show_money(sums.captured, currency),
        refunded=show_money(sums.refunded, currency),
        refund_pending=show_money(sums.refund_pending, currency),
    )
    if event.previous_state is not None:
        shown.previous_state = _STATES[event.previous_state]
    moved = event.moved
    if moved is None or event.kind is EventKind.CANCEL_CHANGED:
        return shown
    amount = show_money(moved.amount.minor_units, moved.amount.currency)
    if event.kind is EventKind.CAPTURE_CHANGED:
        shown.capture.CopyFrom(
            payment_pb2.Capture(
                name=moved.name,
                payment=event.payment,
                state=_CAPTURE_STATES[moved.status],
                amount=amount,
            )
        )
    else:
        shown.refund.CopyFrom(
            payment_pb2.Refund(
                name=moved.name,
                payment=event.payment,
                state=_REFUND_STATES[moved.status],
                amount=amount,
            )
        )
    return shown
