"""Calling a Bailee gateway.

The client seals cards itself, makes request ids and keeps them across retries, sets a
deadline on every call, verifies every receipt and notices a log that goes backwards.
"""

import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import grpc
from google.protobuf.message import Message

from bailee.bundle import Bundle
from bailee.card import Card
from bailee.errors import BaileeError, GatewayUnreachable, from_rpc_error
from bailee.receipts import LogMemory, VerifiedReceipt, verify_receipt
from bailee.sealing import Sealer
from bailee.v1 import (
    card_pb2,
    money_pb2,
    payment_service_pb2,
    payment_service_pb2_grpc,
    purpose_pb2,
    receipt_pb2,
    vault_service_pb2,
    vault_service_pb2_grpc,
)

_Request = TypeVar("_Request", bound=Message)
_Response = TypeVar("_Response", bound=Message)

_TRIES: Final = 4
_BACKOFF_SECONDS: Final = 0.2
_RETRY_AFTER_MAX_SECONDS: Final = 5.0
# A second connection attempt comes soon: a gateway restarts in about a second.
_CHANNEL_OPTIONS: Final = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.enable_http_proxy", 0),
)


class Client:
    """Calls one gateway for one merchant. Safe to share between threads.

    Every method that changes something takes ``request_id`` (a UUID4); without one the
    client makes it. Repeating a call with the same request id and the same arguments
    never does the work twice. Errors are subclasses of ``BaileeError``, one for each
    reason; a decline is not an error but a payment in state DECLINED.
    """

    def __init__(self, bundle: Bundle, *, timeout_seconds: float = 60.0) -> None:
        """Opens a channel; the first call connects.

        Args:
            bundle: Address, certificates and pinned keys.
            timeout_seconds: Deadline of each call, tries included.
        """
        credentials = grpc.ssl_channel_credentials(
            root_certificates=bundle.ca_certificate,
            private_key=bundle.client_key,
            certificate_chain=bundle.client_certificate,
        )
        self._bundle = bundle
        self._timeout_seconds = timeout_seconds
        self._channel = grpc.secure_channel(
            bundle.address, credentials, options=_CHANNEL_OPTIONS
        )
        self._vault = vault_service_pb2_grpc.VaultServiceStub(self._channel)
        self._payments = payment_service_pb2_grpc.PaymentServiceStub(self._channel)
        self._sealer = Sealer(bundle)
        self._log = LogMemory()

    @classmethod
    def from_bundle(cls, path: str | Path, *, timeout_seconds: float = 60.0) -> Self:
        """Opens a client with a bundle folder made by ``bailee init``."""
        return cls(Bundle.read(path), timeout_seconds=timeout_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()

    @property
    def merchant(self) -> str:
        """The merchant that calls act for."""
        return self._bundle.merchant

    # Cards

    def tokenize_card(
        self,
        card: Card,
        *,
        customer_reference: str = "",
        purposes: Iterable[str] = (),
        agreement_reference: str = "",
        request_id: str = "",
    ) -> vault_service_pb2.TokenizeCardResponse:
        """Stores a card and returns its token.

        Args:
            card: The card; sealed here, before it enters any message.
            customer_reference: Your opaque name for the cardholder.
            purposes: What the cardholder agreed to, such as ``"payment.recurring"``.
                Nothing means customer-initiated payments and verification.
            agreement_reference: Your name for that agreement.
            request_id: A UUID4; made here if absent.
        """
        request_id = request_id or new_request_id()
        request = vault_service_pb2.TokenizeCardRequest(
            merchant=self.merchant,
            request_id=request_id,
            card=card_pb2.CardInput(
                sealed=self._seal_card(card, "TokenizeCard", request_id)
            ),
            customer_reference=customer_reference,
            mandate=purpose_pb2.Mandate(
                purposes=[read_purpose(text) for text in purposes],
                agreement_reference=agreement_reference,
            ),
        )
        return self._call(self._vault.TokenizeCard, request, request_id)

    def get_card_token(self, card_token: str) -> card_pb2.CardToken:
        """Describes a token."""
        request = vault_service_pb2.GetCardTokenRequest(
            merchant=self.merchant, card_token=card_token
        )
        return self._call(self._vault.GetCardToken, request, "").card_token

    def delete_card_token(
        self, card_token: str, *, request_id: str = ""
    ) -> vault_service_pb2.DeleteCardTokenResponse:
        """Destroys every copy of the card's keys."""
        request = vault_service_pb2.DeleteCardTokenRequest(
            merchant=self.merchant,
            request_id=request_id or new_request_id(),
            card_token=card_token,
        )
        return self._call(self._vault.DeleteCardToken, request, request.request_id)

    # Payments

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
        """
        request_id = request_id or new_request_id()
        method = (
            payment_service_pb2.CAPTURE_METHOD_AUTOMATIC
            if capture
            else payment_service_pb2.CAPTURE_METHOD_MANUAL
        )
        request = payment_service_pb2.CreatePaymentRequest(
            merchant=self.merchant,
            request_id=request_id,
            amount=money_pb2.Money(minor_units=amount, currency=currency),
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
            request.mandate.purposes.extend(read_purpose(text) for text in purposes)
        else:
            request.card_token = card_token
        if security_code:
            self._fetch_sealing_keys()
            request.security_code.CopyFrom(
                self._sealer.seal_security_code(
                    security_code,
                    merchant=self.merchant,
                    rpc="CreatePayment",
                    request_id=request_id,
                )
            )
        return self._call(self._payments.CreatePayment, request, request_id)

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
            amount=_optional_money(amount, currency),
        )
        return self._call(self._payments.CapturePayment, request, request.request_id)

    def cancel_payment(
        self, payment: str, *, request_id: str = ""
    ) -> payment_service_pb2.CancelPaymentResponse:
        """Releases reserved money."""
        request = payment_service_pb2.CancelPaymentRequest(
            merchant=self.merchant,
            request_id=request_id or new_request_id(),
            payment=payment,
        )
        return self._call(self._payments.CancelPayment, request, request.request_id)

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
            amount=_optional_money(amount, currency),
            reason=reason,
        )
        return self._call(self._payments.RefundPayment, request, request.request_id)

    def get_payment(
        self,
        payment: str = "",
        *,
        request_id: str = "",
        charge_once_key: str = "",
        processor_object: str = "",
    ) -> payment_service_pb2.GetPaymentResponse:
        """Finds a payment by any one of its names."""
        names = {
            "payment": payment,
            "request_id": request_id,
            "charge_once_key": charge_once_key,
            "processor_object": processor_object,
        }
        given = {field: text for field, text in names.items() if text}
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(names)}")
        request = payment_service_pb2.GetPaymentRequest(merchant=self.merchant)
        for field, text in given.items():
            setattr(request, field, text)
        return self._call(self._payments.GetPayment, request, "")

    # Receipts

    def verify_receipt(self, receipt: receipt_pb2.Receipt) -> VerifiedReceipt:
        """Checks a receipt under the pinned log key; every answer's was checked."""
        return verify_receipt(
            receipt,
            log_origin=self._bundle.log_origin,
            log_key=self._bundle.log_key,
        )

    # How a call is made

    def _seal_card(self, card: Card, rpc: str, request_id: str) -> card_pb2.SealedCard:
        self._fetch_sealing_keys()
        return self._sealer.seal_card(
            card, merchant=self.merchant, rpc=rpc, request_id=request_id
        )

    def _fetch_sealing_keys(self) -> None:
        now = datetime.now(UTC)
        if not self._sealer.needs_keys(now):
            return
        request = vault_service_pb2.ListSealingKeysRequest(merchant=self.merchant)
        answer = self._call(self._vault.ListSealingKeys, request, "")
        self._sealer.use_keys(answer.sealing_keys, now)

    def _call(
        self,
        rpc: Callable[..., _Response],
        request: _Request,
        request_id: str,
    ) -> _Response:
        """Sends the same message until it is answered, then checks the receipt.

        Only UNAVAILABLE and ABORTED are tried again: with the same request id neither
        can do the work twice.
        """
        ends_at = time.monotonic() + self._timeout_seconds
        for attempt in range(1, _TRIES + 1):
            size_before = self._log.highest.size
            try:
                response = rpc(request, timeout=max(ends_at - time.monotonic(), 0.001))
            except grpc.RpcError as rpc_error:
                error = from_rpc_error(rpc_error, request_id)
                wait = _wait_seconds(error, attempt)
                if wait is None or time.monotonic() + wait >= ends_at:
                    raise error from None
                time.sleep(wait)
            else:
                self._check_receipt(response, size_before)
                return response
        raise GatewayUnreachable("no answer")  # not reached: the last try raises

    def _check_receipt(self, response: Message, size_before: int) -> None:
        if "receipt" not in response.DESCRIPTOR.fields_by_name:
            return
        if not response.HasField("receipt"):
            return
        verified = self.verify_receipt(getattr(response, "receipt"))  # noqa: B009
        self._log.accept(verified.checkpoint, size_before_call=size_before)


def new_request_id() -> str:
    """Returns a new UUID4 for a call that changes something."""
    return str(uuid.uuid4())


def read_purpose(text: str) -> "purpose_pb2.Purpose.ValueType":
    """Turns ``"payment.recurring"`` into its enum value.

    Raises:
        ValueError: Not a purpose; the text lists them.
    """
    name = "PURPOSE_" + text.upper().replace(".", "_")
    try:
        return purpose_pb2.Purpose.Value(name)
    except ValueError:
        known = ", ".join(
            name.removeprefix("PURPOSE_").lower().replace("payment_", "payment.")
            for name in purpose_pb2.Purpose.keys()  # noqa: SIM118 - not a dict
            if not name.endswith("UNSPECIFIED")
        )
        raise ValueError(f"{text!r} is not a purpose; known: {known}") from None


def _optional_money(amount: int | None, currency: str) -> money_pb2.Money | None:
    if amount is None:
        return None
    return money_pb2.Money(minor_units=amount, currency=currency)


def _wait_seconds(error: BaileeError, attempt: int) -> float | None:
    """Returns how long to wait before the same call again, or None to give up."""
    transient = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED)
    if error.code not in transient or attempt == _TRIES:
        return None
    backoff: float = _BACKOFF_SECONDS * 2 ** (attempt - 1)
    return min(max(error.retry_after or 0.0, backoff), _RETRY_AFTER_MAX_SECONDS)
