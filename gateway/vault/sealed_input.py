"""Opening what a caller sealed, and checking what was inside.

Invariants:
  * Every failure of an envelope is the same ``SealedCardRejected``: tampered, foreign,
    stale, unknown key and wrong content are not told apart.
  * What the envelope holds is checked only after it opened; then errors name the field.
  * No error holds a value from the envelope.

The format is documented in proto/bailee/v1/card.proto.
"""

import json
import re
from collections.abc import Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from gateway.cards.details import BILLING_LENGTHS, BillingDetails, CardDetails
from gateway.cards.expiry import Expiry
from gateway.cards.pan import Pan
from gateway.cards.security_code import SecurityCode
from gateway.errors import (
    CardInvalid,
    GatewayError,
    PlainCardRefused,
    SealedCardRejected,
)
from gateway.keys.ports import KeyProvider
from gateway.words.identifiers import MerchantId, RequestId
from gateway.words.length_prefix import join_parts

CARD_LABEL: Final = "bailee-card/v1"
BATCH_LABEL: Final = "bailee-card-batch/v1"
SECURITY_CODE_LABEL: Final = "bailee-security-code/v1"
SUITE_NAME: Final = "X25519-HKDF_SHA256-AES256GCM"
LUHN_NOT_CHECKED: Final = "LUHN_NOT_CHECKED"

_PLAINTEXT_BYTES_MAX: Final = 4096
_BATCH_BYTES_MAX: Final = 1024 * 1024
_OVERHEAD_BYTES: Final = 32 + 16  # the encapsulated key and the tag
_AGE_MAX: Final = timedelta(minutes=10)
# Clocks differ; a caller's may be a little ahead.
_AHEAD_MAX: Final = timedelta(minutes=1)
_CARD_KEYS: Final = {"number", "expiry_month", "expiry_year", "sealed_at"}
_CARD_OPTIONAL: Final = {"security_code", "billing"}
# RFC 3339 in UTC. datetime.fromisoformat() takes much more, week dates for instance.
_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|\+00:00)"
)


@dataclass(frozen=True, slots=True)
class SealedForm:
    """An envelope as it came."""

    key_id: str
    ciphertext: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainForm:
    """A card in clear as it came; taken only where the operator allows it."""

    number: str = field(repr=False)
    expiry_month: int = field(repr=False)
    expiry_year: int = field(repr=False)
    security_code: str = field(default="", repr=False)
    billing: BillingDetails = field(default_factory=BillingDetails, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedCard:
    """A card that passed every check. The security code stays inside this call."""

    details: CardDetails
    security_code: SecurityCode | None
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvelopeContext:
    """The one call that an envelope was made for."""

    merchant: MerchantId
    rpc: str
    request_id: RequestId
    item: int = 0


def seal_info(
    label: str, vault_id: str, key_id: str, context: EnvelopeContext
) -> bytes:
    """Returns the HPKE ``info`` that binds an envelope to its call."""
    return join_parts(
        label,
        SUITE_NAME,
        vault_id,
        context.merchant,
        key_id,
        context.rpc,
        context.request_id,
        str(context.item),
    )


class SealedInput:
    """Opens cards and security codes."""

    def __init__(self, *, provider: KeyProvider, accept_plain_cards: bool) -> None:
        self._provider = provider
        self._accept_plain_cards = accept_plain_cards

    def open_card(
        self,
        form: SealedForm | PlainForm,
        context: EnvelopeContext,
        now: datetime,
    ) -> ReceivedCard:
        """Returns the card, checked.

        Raises:
            SealedCardRejected: The envelope does not open for this call, or is stale.
            PlainCardRefused: A card in clear, and the gateway takes sealed ones only.
            CardInvalid: Number, expiry, security code or billing cannot be right.
            CardExpired: The card's last month has ended.
        """
        if isinstance(form, SealedForm):
            content = self._open(CARD_LABEL, form, context, now)
            form = _read_card(content, _CARD_KEYS)
        elif not self._accept_plain_cards:
            raise PlainCardRefused
        return check_card(form, now)

    def open_batch(
        self, form: SealedForm, context: EnvelopeContext, now: datetime
    ) -> Sequence[PlainForm | GatewayError]:
        """Returns the cards of one envelope, each in its place and not yet checked.

        In the place of a card that cannot be read stands what is wrong with it.

        Raises:
            SealedCardRejected: The envelope does not open for this call, or is stale.
        """
        content = self._open(BATCH_LABEL, form, context, now, _BATCH_BYTES_MAX)
        cards = content.get("cards")
        if set(content) != {"cards", "sealed_at"} or not isinstance(cards, list):
            raise SealedCardRejected
        return [_read_item(card) for card in cards]

    def open_security_code(
        self, form: SealedForm, context: EnvelopeContext, now: datetime
    ) -> SecurityCode:
        """Returns a security code that was collected again.

        Raises:
            SealedCardRejected: The envelope does not open for this call, or is stale.
            CardInvalid: Not three or four digits. Which of both the card's brand
                uses is for the caller to check.
        """
        content = self._open(SECURITY_CODE_LABEL, form, context, now)
        if set(content) != {"security_code", "sealed_at"}:
            raise SealedCardRejected
        code = _text(content, "security_code")
        return SecurityCode(code, field="security_code")

    def _open(
        self,
        label: str,
        form: SealedForm,
        context: EnvelopeContext,
        now: datetime,
        bytes_max: int = _PLAINTEXT_BYTES_MAX,
    ) -> Mapping[str, Any]:
        body_bytes = len(form.ciphertext) - _OVERHEAD_BYTES
        if not 0 < body_bytes <= bytes_max:
            raise SealedCardRejected
        info = seal_info(label, self._provider.vault_id, form.key_id, context)
        plain = self._provider.open_sealed(form.key_id, form.ciphertext, info, now)
        content = _read_json(plain)
        sealed_at = _read_time(_text(content, "sealed_at"))
        if not now - _AGE_MAX <= sealed_at <= now + _AHEAD_MAX:
            raise SealedCardRejected
        return content


def check_card(form: PlainForm, now: datetime) -> ReceivedCard:
    """Returns the card, if it can be one and is valid now.

    Raises:
        CardInvalid: Number, expiry or security code cannot be right.
        CardExpired: The card's last month has ended.
    """
    number = Pan(form.number)
    expiry = Expiry(form.expiry_month, form.expiry_year)
    expiry.check(now)
    code = None
    if form.security_code:
        code = SecurityCode(form.security_code)
        number.brand.check_security_code(code)
    return ReceivedCard(
        details=CardDetails(number=number, expiry=expiry, billing=form.billing),
        security_code=code,
        warnings=() if number.passes_luhn else (LUHN_NOT_CHECKED,),
    )


def _read_json(plain: bytes) -> Mapping[str, Any]:
    """Returns the object; the sender's wrong JSON is a rejected envelope."""
    content = None
    # Suppressed rather than chained: these errors carry the text they could not read.
    with suppress(ValueError, RecursionError):
        # Decoded here, because json.loads() would take UTF-16 and UTF-32 as well.
        content = json.loads(plain.decode("utf-8"), object_pairs_hook=_unique)
    if not isinstance(content, dict):
        raise SealedCardRejected
    return content


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _read_item(content: object) -> PlainForm | GatewayError:
    """Returns a card of a batch; the batch has the time, so the card has none."""
    try:
        if not isinstance(content, dict):
            raise SealedCardRejected
        return _read_card(content, _CARD_KEYS - {"sealed_at"})
    except (SealedCardRejected, CardInvalid) as error:
        return error


def _read_card(content: Mapping[str, Any], required: Set[str]) -> PlainForm:
    keys = content.keys()
    if not required <= keys <= required | _CARD_OPTIONAL:
        raise SealedCardRejected
    billing = content.get("billing", {})
    if not isinstance(billing, dict) or not billing.keys() <= BILLING_LENGTHS.keys():
        raise SealedCardRejected
    return PlainForm(
        number=_text(content, "number"),
        expiry_month=_integer(content, "expiry_month"),
        expiry_year=_integer(content, "expiry_year"),
        security_code=_text(content, "security_code", default=""),
        billing=BillingDetails(**{name: _text(billing, name) for name in billing}),
    )


def _text(content: Mapping[str, Any], name: str, *, default: str | None = None) -> str:
    value = content.get(name, default)
    if not isinstance(value, str):
        raise SealedCardRejected
    return value


def _integer(content: Mapping[str, Any], name: str) -> int:
    value = content.get(name)
    # True and False are integers to Python, not to JSON.
    if not isinstance(value, int) or isinstance(value, bool):
        raise SealedCardRejected
    return value


def _read_time(text: str) -> datetime:
    if not _TIME.fullmatch(text):
        raise SealedCardRejected
    try:
        return datetime.fromisoformat(text)
    except ValueError:  # the thirtieth of February
        raise SealedCardRejected from None
