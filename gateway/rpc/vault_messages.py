"""Between VaultService's messages and the vault's own types.

What cannot be read raises RequestInvalid with the field's path, never its value.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from bailee.v1 import card_pb2, purpose_pb2, receipt_pb2, vault_service_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.audit.ports import Receipt
from gateway.cards.details import BILLING_LENGTHS, BillingDetails
from gateway.cards.free_text import read_text
from gateway.errors import CardTokenNotFound, RequestInvalid
from gateway.keys.ports import SealingKey
from gateway.policy.mandate import DEFAULT_PURPOSES, Mandate
from gateway.vault.delete_card_token import DeleteCardTokenCommand, Deleted
from gateway.vault.ports import StoredCard
from gateway.vault.read_card_tokens import CardView
from gateway.vault.sealed_input import PlainForm, SealedForm
from gateway.vault.tokenize_card import TokenizeCardCommand, Tokenized
from gateway.words.identifiers import (
    CardTokenName,
    ProcessorAccountId,
    is_name,
    read_merchant_id,
    read_request_id,
)
from gateway.words.lifecycles import CardState
from gateway.words.purposes import GRANTABLE, Purpose

REFERENCE_LENGTH_MAX: Final = 255
_CIPHERTEXT_BYTES_MAX: Final = 4096 + 64
_BATCH_BYTES_MAX: Final = 1024 * 1024 + 64
_KEY_ID_LENGTH_MAX: Final = 64
# One month beyond the end of the year 9999 is where Python's calendar ends.
_SECONDS_MAX: Final = 253_402_300_799

PURPOSES: Final[dict[int, Purpose]] = {
    purpose_pb2.PURPOSE_PAYMENT_CUSTOMER_INITIATED: Purpose.CUSTOMER_INITIATED,
    purpose_pb2.PURPOSE_PAYMENT_RECURRING: Purpose.RECURRING,
    purpose_pb2.PURPOSE_PAYMENT_INSTALLMENT: Purpose.INSTALLMENT,
    purpose_pb2.PURPOSE_PAYMENT_UNSCHEDULED: Purpose.UNSCHEDULED,
    purpose_pb2.PURPOSE_VERIFICATION: Purpose.VERIFICATION,
    purpose_pb2.PURPOSE_TRANSFER: Purpose.TRANSFER,
    purpose_pb2.PURPOSE_ERASURE: Purpose.ERASURE,
    purpose_pb2.PURPOSE_MARKETING: Purpose.MARKETING,
    purpose_pb2.PURPOSE_ANALYTICS: Purpose.ANALYTICS,
    purpose_pb2.PURPOSE_PROFILING: Purpose.PROFILING,
    purpose_pb2.PURPOSE_RESEARCH: Purpose.RESEARCH,
    purpose_pb2.PURPOSE_RESALE: Purpose.RESALE,
}
_SHOWN: Final = {purpose: number for number, purpose in PURPOSES.items()}
STATES: Final = {
    CardState.ACTIVE: card_pb2.CardToken.STATE_ACTIVE,
    CardState.ERASED: card_pb2.CardToken.STATE_ERASED,
}


# Reading


def read_tokenize_card(
    request: vault_service_pb2.TokenizeCardRequest, *, caller: str, digest: bytes
) -> TokenizeCardCommand:
    """Returns what TokenizeCard is asked to do."""
    return TokenizeCardCommand(
        merchant=read_merchant_id(request.merchant),
        caller=caller,
        request_id=read_request_id(request.request_id),
        digest=digest,
        form=read_card(request.card),
        customer_reference=read_customer_reference(request.customer_reference),
        mandate=read_mandate(request.mandate),
    )


def read_delete_card_token(
    request: vault_service_pb2.DeleteCardTokenRequest, *, caller: str, digest: bytes
) -> DeleteCardTokenCommand:
    """Returns what DeleteCardToken is asked to do."""
    return DeleteCardTokenCommand(
        merchant=read_merchant_id(request.merchant),
        caller=caller,
        request_id=read_request_id(request.request_id),
        digest=digest,
        token=read_card_token(request.card_token),
    )


def read_card(message: card_pb2.CardInput) -> SealedForm | PlainForm:
    """Returns the card as it came, unopened."""
    form = message.WhichOneof("form")
    if form == "sealed":
        return read_envelope("card.sealed", message.sealed)
    if form == "plain":
        plain = message.plain
        billing = {name: getattr(plain.billing, name) for name in BILLING_LENGTHS}
        return PlainForm(
            number=plain.number,
            expiry_month=plain.expiry_month,
            expiry_year=plain.expiry_year,
            security_code=plain.security_code,
            billing=BillingDetails(**billing),
        )
    raise RequestInvalid("card", "is missing; seal a card")


def read_envelope(
    field: str, message: card_pb2.SealedCard | card_pb2.SealedSecurityCode
) -> SealedForm:
    """Returns an envelope of a bounded size."""
    return _read_envelope(field, message, _CIPHERTEXT_BYTES_MAX)


def read_batch_envelope(field: str, message: card_pb2.SealedBatch) -> SealedForm:
    """Returns an envelope that holds many cards."""
    return _read_envelope(field, message, _BATCH_BYTES_MAX)


def _read_envelope(
    field: str,
    message: card_pb2.SealedCard | card_pb2.SealedSecurityCode | card_pb2.SealedBatch,
    bytes_max: int,
) -> SealedForm:
    if not 0 < len(message.ciphertext) <= bytes_max:
        raise RequestInvalid(f"{field}.ciphertext", "is empty or too long")
    if not 0 < len(message.key_id) <= _KEY_ID_LENGTH_MAX:
        raise RequestInvalid(f"{field}.key_id", "is empty or too long")
    return SealedForm(message.key_id, message.ciphertext)


def read_customer_reference(text: str) -> str:
    """Returns the platform's name for the cardholder."""
    return read_text("customer_reference", text, REFERENCE_LENGTH_MAX)


def read_mandate(message: purpose_pb2.Mandate) -> Mandate:
    """Returns the mandate; no purposes mean the default ones."""
    purposes = {
        read_purpose(f"mandate.purposes[{place}]", number)
        for place, number in enumerate(message.purposes)
    }
    for purpose in purposes:
        if purpose not in GRANTABLE:
            raise RequestInvalid("mandate.purposes", "has one that nobody can grant")
    agreement = read_text(
        "mandate.agreement_reference", message.agreement_reference, REFERENCE_LENGTH_MAX
    )
    expires_at = None
    if message.HasField("expire_time"):
        expires_at = read_time("mandate.expire_time", message.expire_time)
    return Mandate(
        purposes=frozenset(purposes) or DEFAULT_PURPOSES,
        agreement_reference=agreement,
        expires_at=expires_at,
    )


def read_purpose(field: str, number: int) -> Purpose:
    """Returns a purpose of the closed list."""
    purpose = PURPOSES.get(number)
    if purpose is None:
        raise RequestInvalid(field, "is not a purpose of the list")
    return purpose


def read_time(field: str, message: Timestamp) -> datetime:
    """Returns a moment, to the millisecond."""
    if not 0 <= message.seconds <= _SECONDS_MAX or not 0 <= message.nanos < 10**9:
        raise RequestInvalid(field, "is not a time after 1970")
    moment = datetime.fromtimestamp(message.seconds, UTC)
    return moment.replace(microsecond=message.nanos // 1_000_000 * 1000)


def read_card_token(text: str) -> CardTokenName:
    """Returns a token's name; what cannot be one does not exist."""
    if not is_name("card", text):
        raise CardTokenNotFound
    return CardTokenName(text)


# Showing


def show_tokenized(done: Tokenized) -> vault_service_pb2.TokenizeCardResponse:
    """Returns the answer of TokenizeCard."""
    return vault_service_pb2.TokenizeCardResponse(
        card_token=show_card(done.card, done.accounts),
        receipt=show_receipt(done.receipt),
        replayed=done.replayed,
        warnings=done.warnings,
    )


def show_view(view: CardView) -> vault_service_pb2.GetCardTokenResponse:
    """Returns the answer of GetCardToken."""
    return vault_service_pb2.GetCardTokenResponse(
        card_token=show_card(view.card, view.accounts)
    )


def show_deleted(done: Deleted) -> vault_service_pb2.DeleteCardTokenResponse:
    """Returns the answer of DeleteCardToken."""
    shown = vault_service_pb2.DeleteCardTokenResponse(
        card_token=show_card(done.card),
        receipt=show_receipt(done.receipt),
        replayed=done.replayed,
    )
    if done.unrecoverable_at is not None:
        shown.unrecoverable_time.FromDatetime(done.unrecoverable_at)
    return shown


def show_card(
    card: StoredCard, accounts: Sequence[ProcessorAccountId] = ()
) -> card_pb2.CardToken:
    """Returns what a token shows."""
    shown = card_pb2.CardToken(
        name=card.token,
        customer_reference=card.customer_reference,
        state=STATES[card.state],
        brand=card.brand,
        last_four=card.last_four,
        mandate=show_mandate(card.mandate),
        pan_held=card.sealed is not None,
        processor_accounts=accounts,
    )
    shown.create_time.FromDatetime(card.created_at)
    if card.expiry is not None:
        shown.expiry_month, shown.expiry_year = card.expiry.month, card.expiry.year
    if card.last_used_at is not None:
        shown.last_use_time.FromDatetime(card.last_used_at)
    return shown


def show_mandate(mandate: Mandate) -> purpose_pb2.Mandate:
    """Returns the mandate, purposes in the list's order."""
    numbers = sorted(_SHOWN[purpose] for purpose in mandate.purposes)
    shown = purpose_pb2.Mandate(agreement_reference=mandate.agreement_reference)
    shown.purposes.extend(numbers)  # type: ignore[arg-type]
    if mandate.expires_at is not None:
        shown.expire_time.FromDatetime(mandate.expires_at)
    return shown


def show_purpose(purpose: Purpose) -> "purpose_pb2.Purpose.ValueType":
    """Returns the purpose's number."""
    return _SHOWN[purpose]  # type: ignore[return-value]


def show_receipt(receipt: Receipt) -> receipt_pb2.Receipt:
    """Returns the receipt."""
    return receipt_pb2.Receipt(
        entry=receipt.entry,
        proof=receipt.proof,
        card_salt=receipt.card_salt or b"",
        object_salt=receipt.object_salt or b"",
    )


def show_sealing_keys(
    keys: Iterable[SealingKey],
) -> vault_service_pb2.ListSealingKeysResponse:
    """Returns the keys, the preferred one first."""
    response = vault_service_pb2.ListSealingKeysResponse()
    for key in keys:
        shown = response.sealing_keys.add(
            key_id=key.key_id, public_key=key.public_key, signature=key.signature
        )
        shown.expire_time.FromDatetime(key.expires_at)
    return response
