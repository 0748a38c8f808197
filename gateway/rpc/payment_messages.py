"""Between PaymentService's messages and the payments' own types.

What cannot be read raises RequestInvalid with the field's path, never its value: not
even a metadata key is named, because the caller chose it.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Protocol
from urllib.parse import unquote, urlsplit

from bailee.v1 import (
    money_pb2,
    payment_pb2,
    payment_service_pb2,
)
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.cards.free_text import read_text, refuse_card_numbers
from gateway.errors import PaymentNotFound, RequestInvalid
from gateway.payments.create_payment import CreatePaymentCommand, PaymentResult
from gateway.payments.moves import MoveCommand, MoveResult
from gateway.payments.payment import (
    Move,
    MoveKind,
    MoveOrigin,
    MoveStatus,
    Payment,
    PaymentState,
)
from gateway.payments.processor import Decline, DeclineClass, RetryAdvice
from gateway.payments.read_payments import PaymentView
from gateway.rpc.vault_messages import (
    read_card,
    read_card_token,
    read_customer_reference,
    read_envelope,
    read_mandate,
    read_purpose,
    show_card,
    show_purpose,
    show_receipt,
)
from gateway.vault.sealed_input import PlainForm, SealedForm
from gateway.words.identifiers import (
    CardTokenName,
    PaymentName,
    is_name,
    read_merchant_id,
    read_request_id,
)
from gateway.words.money import Money

KEY_LENGTH_MAX: Final = 255
REFERENCE_LENGTH_MAX: Final = 255
DESCRIPTION_LENGTH_MAX: Final = 500
REASON_LENGTH_MAX: Final = 255
METADATA_ENTRIES_MAX: Final = 20
METADATA_KEY_LENGTH_MAX: Final = 40
METADATA_VALUE_LENGTH_MAX: Final = 200
STATEMENT_SUFFIX_LENGTH_MAX: Final = 22
_URL_LENGTH_MAX: Final = 2048
_ACCOUNT_LENGTH_MAX: Final = 64

_CAPTURES_AUTOMATICALLY: Final[Mapping[int, bool]] = {
    payment_service_pb2.CAPTURE_METHOD_UNSPECIFIED: True,
    payment_service_pb2.CAPTURE_METHOD_AUTOMATIC: True,
    payment_service_pb2.CAPTURE_METHOD_MANUAL: False,
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
_ORIGINS: Final = {
    origin: payment_pb2.Origin.Value(f"ORIGIN_{origin.name}") for origin in MoveOrigin
}
_DECLINE_CLASSES: Final = {
    kind: payment_pb2.Decline.Class.Value(f"CLASS_{kind.name}") for kind in DeclineClass
}
_RETRIES: Final = {
    advice: payment_pb2.Decline.Retry.Value(f"RETRY_{advice.name}")
    for advice in RetryAdvice
}


# Reading


def read_create_payment(
    request: payment_service_pb2.CreatePaymentRequest, *, caller: str, digest: bytes
) -> CreatePaymentCommand:
    """Returns the charge that the request describes."""
    card = _read_instrument(request)
    code = None
    if request.HasField("security_code"):
        code = read_envelope("security_code", request.security_code)
    captures = _CAPTURES_AUTOMATICALLY.get(request.capture_method)
    if captures is None:
        raise RequestInvalid("capture_method", "is not a method of the list")
    if not request.HasField("amount"):
        raise RequestInvalid("amount", "is missing")
    return CreatePaymentCommand(
        merchant=read_merchant_id(request.merchant),
        caller=caller,
        request_id=read_request_id(request.request_id),
        digest=digest,
        card=card,
        amount=read_amount(request.amount),
        purpose=read_purpose("purpose", request.purpose),
        charge_once_key=read_text(
            "charge_once_key", request.charge_once_key, KEY_LENGTH_MAX
        ),
        capture_automatically=captures,
        security_code=code,
        account_id=read_text(
            "processor_account", request.processor_account, _ACCOUNT_LENGTH_MAX
        ),
        merchant_reference=read_text(
            "merchant_reference", request.merchant_reference, REFERENCE_LENGTH_MAX
        ),
        description=read_text(
            "description", request.description, DESCRIPTION_LENGTH_MAX
        ),
        metadata=_read_metadata(request.metadata),
        statement_descriptor_suffix=read_text(
            "statement_descriptor_suffix",
            request.statement_descriptor_suffix,
            STATEMENT_SUFFIX_LENGTH_MAX,
        ),
        return_url=read_url("return_url", request.return_url),
        customer_reference=read_customer_reference(request.customer_reference),
        mandate=read_mandate(request.mandate),
    )


class _MoveRequest(Protocol):
    """What CapturePayment, CancelPayment and RefundPayment have in common."""

    @property
    def merchant(self) -> str: ...
    @property
    def request_id(self) -> str: ...
    @property
    def payment(self) -> str: ...


def read_capture(
    request: payment_service_pb2.CapturePaymentRequest, *, caller: str, digest: bytes
) -> MoveCommand:
    """Returns the capture that the request describes."""
    amount = read_amount(request.amount) if request.HasField("amount") else None
    return _read_move(request, caller, digest, amount)


def read_cancel(
    request: payment_service_pb2.CancelPaymentRequest, *, caller: str, digest: bytes
) -> MoveCommand:
    """Returns the cancel that the request describes."""
    return _read_move(request, caller, digest)


def read_refund(
    request: payment_service_pb2.RefundPaymentRequest, *, caller: str, digest: bytes
) -> MoveCommand:
    """Returns the refund that the request describes."""
    amount = read_amount(request.amount) if request.HasField("amount") else None
    reason = read_text("reason", request.reason, REASON_LENGTH_MAX)
    return _read_move(request, caller, digest, amount, reason)


def read_amount(message: money_pb2.Money) -> Money:
    """Returns an amount of more than nothing."""
    amount = Money(message.minor_units, message.currency)
    if amount.minor_units == 0:
        raise RequestInvalid("amount.minor_units", "is not more than zero")
    return amount


def read_payment_name(text: str) -> PaymentName:
    """Returns a payment's name; what cannot be one does not exist."""
    if not is_name("pay", text):
        raise PaymentNotFound
    return PaymentName(text)


def read_key(field: str, text: str) -> str:
    """Returns a name to find a payment by: a charge_once_key, a processor's id."""
    if not text:
        raise RequestInvalid(field, "is empty")
    return read_text(field, text, KEY_LENGTH_MAX)


def _read_instrument(
    request: payment_service_pb2.CreatePaymentRequest,
) -> CardTokenName | SealedForm | PlainForm:
    instrument = request.WhichOneof("instrument")
    if instrument == "card":
        return read_card(request.card)
    if instrument is None:
        raise RequestInvalid("card_token", "is missing; name a token or bring a card")
    # Said here, not ignored: the caller believes that the token's mandate changes.
    if request.customer_reference:
        raise RequestInvalid("customer_reference", "is for a new card only")
    if request.HasField("mandate"):
        raise RequestInvalid("mandate", "is for a new card only")
    return read_card_token(request.card_token)


def _read_move(
    request: _MoveRequest,
    caller: str,
    digest: bytes,
    amount: Money | None = None,
    reason: str = "",
) -> MoveCommand:
    return MoveCommand(
        merchant=read_merchant_id(request.merchant),
        caller=caller,
        request_id=read_request_id(request.request_id),
        digest=digest,
        payment=read_payment_name(request.payment),
        amount=amount,
        reason=reason,
    )


def _read_metadata(metadata: Mapping[str, str]) -> Mapping[str, str]:
    if len(metadata) > METADATA_ENTRIES_MAX:
        raise RequestInvalid("metadata", f"has over {METADATA_ENTRIES_MAX} entries")
    read = {}
    for key, value in metadata.items():
        if not key:
            raise RequestInvalid("metadata.key", "is empty")
        name = read_text("metadata.key", key, METADATA_KEY_LENGTH_MAX)
        read[name] = read_text("metadata.value", value, METADATA_VALUE_LENGTH_MAX)
    return read


def read_url(field: str, text: str) -> str:
    """Returns a web address, or nothing; a browser will be sent there."""
    if not text:
        return ""
    read_text(field, text, _URL_LENGTH_MAX)
    refuse_card_numbers(field, unquote(text))
    try:
        parts = urlsplit(text)
        is_web = parts.scheme in ("https", "http") and bool(parts.hostname)
    except ValueError:
        is_web = False
    if not is_web or not text.isascii() or " " in text:
        raise RequestInvalid(field, "is not an http or https address")
    return text


# Showing


def show_created(result: PaymentResult) -> payment_service_pb2.CreatePaymentResponse:
    """Returns the answer of CreatePayment."""
    return payment_service_pb2.CreatePaymentResponse(
        payment=show_payment(result.payment),
        receipt=show_receipt(result.receipt),
        replayed=result.replayed,
        card_token=show_card(result.card) if result.card is not None else None,
        warnings=result.warnings,
    )


def show_captured(result: MoveResult) -> payment_service_pb2.CapturePaymentResponse:
    """Returns the answer of CapturePayment."""
    return payment_service_pb2.CapturePaymentResponse(
        payment=show_payment(result.payment),
        capture=show_capture(result.move),
        receipt=show_receipt(result.receipt),
        replayed=result.replayed,
    )


def show_canceled(result: MoveResult) -> payment_service_pb2.CancelPaymentResponse:
    """Returns the answer of CancelPayment."""
    return payment_service_pb2.CancelPaymentResponse(
        payment=show_payment(result.payment),
        receipt=show_receipt(result.receipt),
        replayed=result.replayed,
    )


def show_refunded(result: MoveResult) -> payment_service_pb2.RefundPaymentResponse:
    """Returns the answer of RefundPayment."""
    return payment_service_pb2.RefundPaymentResponse(
        payment=show_payment(result.payment),
        refund=show_refund(result.move),
        receipt=show_receipt(result.receipt),
        replayed=result.replayed,
    )


def show_view(
    view: PaymentView, *, refreshed: bool = False
) -> payment_service_pb2.GetPaymentResponse:
    """Returns the answer of GetPayment."""
    return payment_service_pb2.GetPaymentResponse(
        payment=show_payment(view.payment),
        captures=[show_capture(move) for move in _of_kind(view, MoveKind.CAPTURE)],
        refunds=[show_refund(move) for move in _of_kind(view, MoveKind.REFUND)],
        refreshed=refreshed,
    )


def show_payment(payment: Payment) -> payment_pb2.Payment:
    """Returns the payment as it is now."""
    currency = payment.amount.currency
    shown = payment_pb2.Payment(
        name=payment.name,
        state=_STATES[payment.state],
        amount=show_money(payment.amount.minor_units, currency),
        authorized=show_money(payment.authorized, currency),
        capturable=show_money(payment.capturable, currency),
        captured=show_money(payment.captured, currency),
        refunded=show_money(payment.refunded, currency),
        refund_pending=show_money(payment.refund_pending, currency),
        disputed=show_money(0, currency),
        card_token=payment.card,
        purpose=show_purpose(payment.purpose),
        processor_account=payment.account_id,
        processor_object=payment.processor_object,
        merchant_reference=payment.merchant_reference,
        description=payment.description,
        metadata=payment.metadata,
        charge_once_key=payment.charge_once_key,
        create_time=_stamp(payment),
        failure_reason=payment.failure_reason,
        statement_descriptor_suffix=payment.statement_descriptor_suffix,
    )
    shown.update_time.FromDatetime(payment.updated_at)
    if payment.decline is not None:
        shown.decline.CopyFrom(show_decline(payment.decline))
    if payment.redirect_url and payment.state is PaymentState.REQUIRES_ACTION:
        shown.next_action.redirect_url = payment.redirect_url
    if payment.capture_before is not None:
        shown.capture_before.FromDatetime(payment.capture_before)
    return shown


def show_decline(decline: Decline) -> payment_pb2.Decline:
    """Returns why the bank refused."""
    shown = payment_pb2.Decline(
        reason=decline.reason,
        retry=_RETRIES[decline.retry],
        processor_code=decline.processor_code,
    )
    # The field's name is a keyword of Python.
    setattr(shown, "class", _DECLINE_CLASSES[decline.decline_class])
    return shown


def show_capture(move: Move) -> payment_pb2.Capture:
    """Returns one collection of reserved money."""
    return payment_pb2.Capture(
        name=move.name,
        payment=move.payment,
        state=_CAPTURE_STATES[move.status],
        amount=show_money(move.amount.minor_units, move.amount.currency),
        create_time=_stamp(move),
        failure_reason=move.failure_reason,
        origin=_ORIGINS[move.origin],
    )


def show_refund(move: Move) -> payment_pb2.Refund:
    """Returns one sum given back."""
    return payment_pb2.Refund(
        name=move.name,
        payment=move.payment,
        state=_REFUND_STATES[move.status],
        amount=show_money(move.amount.minor_units, move.amount.currency),
        create_time=_stamp(move),
        failure_reason=move.failure_reason,
        processor_object=move.processor_object,
        reason=move.reason,
        origin=_ORIGINS[move.origin],
    )


def show_money(minor_units: int, currency: str) -> money_pb2.Money:
    """Returns an amount."""
    return money_pb2.Money(minor_units=minor_units, currency=currency)


def _of_kind(view: PaymentView, kind: MoveKind) -> Iterable[Move]:
    return (move for move in view.moves if move.kind is kind)


def _stamp(made: Payment | Move) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(made.created_at)
    return stamp
