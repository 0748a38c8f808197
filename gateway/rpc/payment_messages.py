"""Between PaymentService's messages and the payments' own types."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from bailee.v1 import money_pb2, payment_pb2, payment_service_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.cards.free_text import read_text
from gateway.errors import PaymentNotFound, RequestInvalid
from gateway.payments.payment import Move, MoveStatus, Payment, PaymentState
from gateway.payments.processor import Decline, DeclineClass, RetryAdvice
from gateway.rpc.vault_messages import show_purpose
from gateway.words.identifiers import PaymentName, is_name
from gateway.words.money import Money

KEY_LENGTH_MAX: Final = 255
REFERENCE_LENGTH_MAX: Final = 255
DESCRIPTION_LENGTH_MAX: Final = 500
URL_LENGTH_MAX: Final = 2048
METADATA_ENTRIES_MAX: Final = 20
METADATA_KEY_MAX: Final = 40
METADATA_VALUE_MAX: Final = 200
_SUFFIX_LENGTH_MAX: Final = 22

_P = payment_pb2.Payment
_STATES: Final = {
    PaymentState.SUBMITTED: _P.STATE_SUBMITTED,
    PaymentState.REQUIRES_ACTION: _P.STATE_REQUIRES_ACTION,
    PaymentState.PENDING: _P.STATE_PENDING,
    PaymentState.AUTHORIZED: _P.STATE_AUTHORIZED,
    PaymentState.PARTIALLY_CAPTURED: _P.STATE_PARTIALLY_CAPTURED,
    PaymentState.CAPTURED: _P.STATE_CAPTURED,
    PaymentState.DECLINED: _P.STATE_DECLINED,
    PaymentState.FAILED: _P.STATE_FAILED,
    PaymentState.CANCELED: _P.STATE_CANCELED,
    PaymentState.EXPIRED: _P.STATE_EXPIRED,
    PaymentState.UNKNOWN: _P.STATE_UNKNOWN,
    PaymentState.NEEDS_ATTENTION: _P.STATE_NEEDS_ATTENTION,
}
_D = payment_pb2.Decline
_CLASSES: Final = {
    DeclineClass.SOFT: _D.CLASS_SOFT,
    DeclineClass.HARD: _D.CLASS_HARD,
    DeclineClass.FRAUD: _D.CLASS_FRAUD,
    DeclineClass.CONFIGURATION: _D.CLASS_CONFIGURATION,
}
_RETRIES: Final = {
    RetryAdvice.NEVER: _D.RETRY_NEVER,
    RetryAdvice.LATER: _D.RETRY_LATER,
    RetryAdvice.ONCE_NOW: _D.RETRY_ONCE_NOW,
    RetryAdvice.AFTER_NEW_DATA: _D.RETRY_AFTER_NEW_DATA,
    RetryAdvice.AFTER_AUTHENTICATION: _D.RETRY_AFTER_AUTHENTICATION,
}
_C = payment_pb2.Capture
_CAPTURE_STATES: Final = {
    MoveStatus.SUBMITTED: _C.STATE_SUBMITTED,
    MoveStatus.PENDING: _C.STATE_PENDING,
    MoveStatus.SUCCEEDED: _C.STATE_SUCCEEDED,
    MoveStatus.FAILED: _C.STATE_FAILED,
    MoveStatus.UNKNOWN: _C.STATE_UNKNOWN,
}
_R = payment_pb2.Refund
_REFUND_STATES: Final = {
    MoveStatus.SUBMITTED: _R.STATE_SUBMITTED,
    MoveStatus.PENDING: _R.STATE_PENDING,
    MoveStatus.SUCCEEDED: _R.STATE_SUCCEEDED,
    MoveStatus.FAILED: _R.STATE_FAILED,
    MoveStatus.UNKNOWN: _R.STATE_UNKNOWN,
}


def read_amount(message: money_pb2.Money) -> Money:
    """Returns an amount of more than zero."""
    money = Money(message.minor_units, message.currency)
    if money.minor_units == 0:
        raise RequestInvalid("amount.minor_units", "must be more than zero")
    return money


def read_payment_name(text: str) -> PaymentName:
    """Returns a payment's name; what cannot be one does not exist."""
    if not is_name("pay", text):
        raise PaymentNotFound
    return PaymentName(text)


def read_charge_once_key(text: str) -> str:
    """Returns the key that pays once; empty for none."""
    return read_text("charge_once_key", text, KEY_LENGTH_MAX)


def read_metadata(entries: Mapping[str, str]) -> dict[str, str]:
    """Returns the platform's own keys and values, bounded."""
    if len(entries) > METADATA_ENTRIES_MAX:
        raise RequestInvalid("metadata", f"has more than {METADATA_ENTRIES_MAX}")
    for key, value in entries.items():
        if not key:
            raise RequestInvalid("metadata", "has an empty key")
        read_text("metadata", key, METADATA_KEY_MAX)
        read_text("metadata", value, METADATA_VALUE_MAX)
    return dict(entries)


def read_texts(request: payment_service_pb2.CreatePaymentRequest) -> dict[str, str]:
    """Returns the free-text fields of a charge, checked."""
    return {
        "merchant_reference": read_text(
            "merchant_reference", request.merchant_reference, REFERENCE_LENGTH_MAX
        ),
        "description": read_text(
            "description", request.description, DESCRIPTION_LENGTH_MAX
        ),
        "statement_descriptor_suffix": read_text(
            "statement_descriptor_suffix",
            request.statement_descriptor_suffix,
            _SUFFIX_LENGTH_MAX,
        ),
        "return_url": _read_url(request.return_url),
    }


def _read_url(text: str) -> str:
    url = read_text("return_url", text, URL_LENGTH_MAX)
    if url and not url.startswith("https://"):
        raise RequestInvalid("return_url", "must begin with https://")
    return url


def show_payment(payment: Payment) -> payment_pb2.Payment:
    """Returns the payment as callers see it."""
    currency = payment.amount.currency
    shown = payment_pb2.Payment(
        name=payment.name,
        state=_STATES[payment.state],
        amount=show_money(payment.amount),
        authorized=_money(payment.authorized, currency),
        capturable=_money(payment.capturable, currency),
        captured=_money(payment.captured, currency),
        refunded=_money(payment.refunded, currency),
        refund_pending=_money(payment.refund_pending, currency),
        disputed=_money(0, currency),
        card_token=payment.card,
        purpose=show_purpose(payment.purpose),
        processor_account=payment.account_id,
        processor_object=payment.processor_object,
        merchant_reference=payment.merchant_reference,
        description=payment.description,
        metadata=payment.metadata,
        charge_once_key=payment.charge_once_key,
        failure_reason=payment.failure_reason,
        statement_descriptor_suffix=payment.statement_descriptor_suffix,
    )
    shown.create_time.FromDatetime(payment.created_at)
    shown.update_time.FromDatetime(payment.updated_at)
    _set_time(shown.capture_before, payment.capture_before)
    if payment.decline is not None:
        shown.decline.CopyFrom(show_decline(payment.decline))
    if payment.redirect_url and payment.state is PaymentState.REQUIRES_ACTION:
        shown.next_action.redirect_url = payment.redirect_url
    return shown


def show_decline(decline: Decline) -> payment_pb2.Decline:
    """Returns the bank's refusal in neutral words."""
    return payment_pb2.Decline(
        reason=decline.reason,
        retry=_RETRIES[decline.retry],
        processor_code=decline.processor_code,
        **{"class": _CLASSES[decline.decline_class]},
    )


def show_capture(move: Move) -> payment_pb2.Capture:
    """Returns a capture."""
    shown = payment_pb2.Capture(
        name=move.name,
        payment=move.payment,
        state=_CAPTURE_STATES[move.status],
        amount=show_money(move.amount),
        failure_reason=move.failure_reason,
    )
    shown.create_time.FromDatetime(move.created_at)
    return shown


def show_refund(move: Move) -> payment_pb2.Refund:
    """Returns a refund."""
    shown = payment_pb2.Refund(
        name=move.name,
        payment=move.payment,
        state=_REFUND_STATES[move.status],
        amount=show_money(move.amount),
        failure_reason=move.failure_reason,
        processor_object=move.processor_object,
        reason=move.reason,
    )
    shown.create_time.FromDatetime(move.created_at)
    return shown


def show_money(money: Money) -> money_pb2.Money:
    """Returns an amount."""
    return money_pb2.Money(minor_units=money.minor_units, currency=money.currency)


def _money(minor_units: int, currency: str) -> money_pb2.Money:
    return money_pb2.Money(minor_units=minor_units, currency=currency)


def _set_time(field: Timestamp, moment: datetime | None) -> None:
    if moment is not None:
        field.FromDatetime(moment)
