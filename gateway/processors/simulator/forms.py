"""The bodies of requests, read strictly: a field nobody knows is refused, as at Stripe.

Invariant: no error quotes a value; it names the parameter.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from gateway.processors.simulator.refusals import refused
from gateway.processors.simulator.wire import AMOUNT_MAX, THREE_DECIMALS

_T = TypeVar("_T")
_METADATA_MAX: Final = 50
_TEXT_MAX: Final = 2048
_STORE: Final = ("", "on_session", "off_session")


@dataclass(frozen=True, slots=True, kw_only=True)
class CardForm:
    """A card as it is handed over. The security code is read and dropped at once."""

    number: str = field(repr=False)
    expiry_month: int
    expiry_year: int
    metadata: dict[str, str]

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "CardForm":
        """Reads the body. Raises Refusal."""
        _check_names(body, ("card", "billing", "customer", "metadata"))
        card = _take(body, "card", dict)
        _check_names(
            card, ("number", "expiry_month", "expiry_year", "security_code"), "card."
        )
        _take(body, "billing", dict, {})
        _take(body, "customer", str, "")
        code = _take(card, "security_code", str, "")
        if code and not (code.isascii() and code.isdigit() and len(code) in (3, 4)):
            raise refused(400, "parameter_invalid", "card.security_code")
        return cls(
            number=_take(card, "number", str),
            expiry_month=_take(card, "expiry_month", int),
            expiry_year=_take(card, "expiry_year", int),
            metadata=read_metadata(body),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentForm:
    """A charge or authorization by payment method."""

    amount: int
    currency: str
    payment_method: str
    customer: str
    capture: bool
    off_session: bool
    store: str
    return_url: str
    statement_descriptor_suffix: str
    metadata: dict[str, str]

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "PaymentForm":
        """Reads the body. Raises Refusal."""
        _check_names(body, cls.__slots__)
        amount = _take(body, "amount", int)
        currency = _take(body, "currency", str)
        if not 1 <= amount <= AMOUNT_MAX:
            raise refused(400, "amount_invalid", "amount")
        if currency in THREE_DECIMALS and amount % 10:
            raise refused(400, "amount_invalid", "amount")
        store = _take(body, "store", str, "")
        off_session = _take(body, "off_session", bool, False)  # noqa: FBT003 - a default
        if store not in _STORE:
            raise refused(400, "parameter_invalid", "store")
        return cls(
            amount=amount,
            currency=currency,
            payment_method=_take(body, "payment_method", str),
            customer=_take(body, "customer", str, ""),
            capture=_take(body, "capture", bool, True),  # noqa: FBT003 - a default
            off_session=off_session,
            store=store,
            return_url=_take(body, "return_url", str, ""),
            statement_descriptor_suffix=_take(
                body, "statement_descriptor_suffix", str, ""
            ),
            metadata=read_metadata(body),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmForm:
    """Where the cardholder comes back to."""

    return_url: str

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "ConfirmForm":
        """Reads the body. Raises Refusal."""
        _check_names(body, ("return_url", "metadata"))
        read_metadata(body)
        return cls(return_url=_take(body, "return_url", str))


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureForm:
    """How much to collect; 0 means all that is held."""

    amount: int

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "CaptureForm":
        """Reads the body. Raises Refusal."""
        _check_names(body, ("amount", "metadata"))
        read_metadata(body)
        return cls(amount=_read_part(body))


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundForm:
    """Which payment and how much; 0 means all that is left."""

    payment: str
    amount: int
    metadata: dict[str, str]

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "RefundForm":
        """Reads the body. Raises Refusal."""
        _check_names(body, cls.__slots__)
        return cls(
            payment=_take(body, "payment", str),
            amount=_read_part(body),
            metadata=read_metadata(body),
        )


def read_metadata_alone(body: Mapping[str, Any]) -> dict[str, str]:
    """Reads a body that may hold metadata and nothing else. Raises Refusal."""
    _check_names(body, ("metadata",))
    return read_metadata(body)


def read_metadata(body: Mapping[str, Any]) -> dict[str, str]:
    """Returns the metadata. Raises Refusal unless it maps text to text."""
    metadata = _take(body, "metadata", dict, {})
    if len(metadata) > _METADATA_MAX:
        raise refused(400, "parameter_invalid", "metadata")
    for name, value in metadata.items():
        if not isinstance(value, str) or len(name) + len(value) > _TEXT_MAX:
            raise refused(400, "parameter_invalid", "metadata")
    return metadata


def _read_part(body: Mapping[str, Any]) -> int:
    amount = _take(body, "amount", int, 0)
    if amount < 0 or ("amount" in body and not amount):
        raise refused(400, "amount_invalid", "amount")
    return amount


def _check_names(
    body: Mapping[str, Any], names: tuple[str, ...], prefix: str = ""
) -> None:
    for name in body:
        if name not in names:
            # The name is not echoed: somebody may have sent a card number as one.
            raise refused(400, "parameter_unknown", f"{prefix}*")


def _take(
    body: Mapping[str, Any], name: str, kind: type[_T], default: _T | None = None
) -> _T:
    value = body.get(name, default)
    if value is None:
        raise refused(400, "parameter_missing", name)
    # bool is an int: True must not be an amount of 1.
    if type(value) is not kind:
        raise refused(400, "parameter_invalid", name)
    if isinstance(value, str) and len(value) > _TEXT_MAX:
        raise refused(400, "parameter_invalid", name)
    return value
