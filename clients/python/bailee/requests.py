"""Parts of requests that programs write as text and the API as enums and messages."""

import uuid
from collections.abc import Iterable

from bailee.v1 import money_pb2, purpose_pb2


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


def read_purposes(texts: Iterable[str]) -> "list[purpose_pb2.Purpose.ValueType]":
    """Turns what the cardholder agreed to into enum values.

    Raises:
        TypeError: One text instead of several; its letters would be taken for purposes.
        ValueError: One of them is not a purpose.
    """
    if isinstance(texts, str):
        raise TypeError('purposes is a list, such as ["payment.recurring"]')
    return [read_purpose(text) for text in texts]


def require_one_card(
    *, card: object, card_token: str, of_a_new_card: dict[str, object]
) -> None:
    """Refuses arguments of which one would be ignored without a word.

    Args:
        card: The new card, or None.
        card_token: The stored card, or empty text.
        of_a_new_card: Arguments that say something about a new card.

    Raises:
        ValueError: Both cards, neither, or a stored card with a new card's arguments.
    """
    if (card is None) == (not card_token):
        raise ValueError("give either card_token or card")
    ignored = [name for name, value in of_a_new_card.items() if value]
    if card is None and ignored:
        raise ValueError(
            f"{', '.join(ignored)}: for a new card only; a stored card keeps its own"
        )


def money(amount: int, currency: str) -> money_pb2.Money:
    """Returns the amount in minor units as a message.

    Raises:
        TypeError: Not a whole number: an amount is never a float.
    """
    if isinstance(amount, bool) or not isinstance(amount, int):
        raise TypeError("amount is an int in minor units: 1999 is 19.99 dollars")
    return money_pb2.Money(minor_units=amount, currency=currency)


def optional_money(amount: int | None, currency: str) -> money_pb2.Money | None:
    """Returns the amount in minor units as a message; None means "all of it"."""
    if amount is None:
        return None
    return money(amount, currency)
