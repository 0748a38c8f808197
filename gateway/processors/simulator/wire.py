"""What goes between an adapter and the simulated processor: requests and answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Protocol

AMOUNT_MAX: Final = 99_999_999  # eight digits, as Stripe takes in most currencies
# ISO 4217 with three decimals; the last digit must be 0, as at Stripe.
THREE_DECIMALS: Final = frozenset(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"))
# A request whose metadata has this key misbehaves the first time it is sent.
FAULT_KEY: Final = "simulator_fault"


class Operation(StrEnum):
    """What a request asks for."""

    CUSTOMER = "customer"
    PAYMENT_METHOD = "payment_method"
    PAYMENT = "payment"
    CONFIRM = "confirm"
    CAPTURE = "capture"
    CANCEL = "cancel"
    REFUND = "refund"
    READ = "read"
    SEARCH = "search"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request. ``target`` is the payment that the path names, if any.

    The body of a payment method holds a card: it stays out of the ``repr``.
    """

    operation: Operation
    target: str = ""
    key: str = ""
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a JSON object. ``replayed``: it is the stored first answer."""

    status: int
    body: Mapping[str, Any]
    replayed: bool = False


_COLLECTIONS: Final[Mapping[str, Operation]] = MappingProxyType(
    {
        "customers": Operation.CUSTOMER,
        "payment_methods": Operation.PAYMENT_METHOD,
        "payments": Operation.PAYMENT,
        "refunds": Operation.REFUND,
    }
)


def path_of(request: Request) -> tuple[str, str]:
    """Returns the HTTP method and path of a request."""
    match request.operation:
        case Operation.READ:
            return "GET", f"/v1/payments/{request.target}"
        case Operation.SEARCH:
            return "GET", "/v1/payments"
        case Operation.CONFIRM | Operation.CAPTURE | Operation.CANCEL:
            return "POST", f"/v1/payments/{request.target}/{request.operation}"
        case Operation.REFUND:
            return "POST", "/v1/refunds"
        case _:
            return "POST", f"/v1/{request.operation}s"


def collection_named(name: str) -> Operation | None:
    """Returns what a POST to this collection asks for."""
    return _COLLECTIONS.get(name)


class NotSent(Exception):
    """The request did not leave: no connection could be made."""


class NoAnswer(Exception):
    """The request may have left, and no whole answer came in time."""


class Transport(Protocol):
    """How an adapter reaches the simulated processor."""

    async def send(self, request: Request, deadline: timedelta) -> Answer:
        """Sends once; retries nothing.

        Raises:
            NotSent: Nothing left.
            NoAnswer: It may have arrived.
        """

    async def close(self) -> None:
        """Lets connections go. May be called twice."""
