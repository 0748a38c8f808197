"""Parts of requests that programs write as text and the API as enums and messages."""

import uuid

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


def optional_money(amount: int | None, currency: str) -> money_pb2.Money | None:
    """Returns the amount in minor units as a message; None means "all of it"."""
    if amount is None:
        return None
    return money_pb2.Money(minor_units=amount, currency=currency)
