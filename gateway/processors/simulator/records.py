"""What the simulated bank keeps: its records, as they stand in its ledger.

Invariants:
  * No record holds a card number or a security code; of a card there are the last four
    digits, the expiry, and what the test card does.
  * A record's JSON is what requests show of it and what the file keeps.
  * Times are whole seconds since 1970, as at Stripe.
"""

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

Json = dict[str, Any]


class Record:
    """A row of the ledger."""

    __slots__ = ()

    kind: ClassVar[str]
    id: str

    def show(self) -> Json:
        """Returns the record as JSON."""
        shown: Json = {"kind": self.kind}
        for name in self.names():
            shown[name] = getattr(self, name)
        return shown

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Returns the names of the record's fields."""
        return _NAMES[cls]

    @classmethod
    def restore(cls, shown: Json) -> Self:
        """Returns the record that ``show`` gave."""
        return cls(**{name: shown[name] for name in cls.names()})


@dataclass(slots=True, kw_only=True)
class Customer(Record):
    """A cardholder as the bank's customer: a name, nothing of a person."""

    kind: ClassVar[str] = "customer"

    id: str
    created: int
    metadata: dict[str, str]


@dataclass(slots=True, kw_only=True)
class PaymentMethod(Record):
    """A card that was handed over.

    ``customer`` is set once it is attached; ``used`` once a payment without attachment
    has consumed it; ``set_up`` once its holder authenticated for later uses.
    """

    kind: ClassVar[str] = "payment_method"

    id: str
    created: int
    last_four: str
    expiry_month: int
    expiry_year: int
    behaviour: str
    metadata: dict[str, str]
    customer: str = ""
    used: bool = False
    set_up: bool = False


@dataclass(slots=True, kw_only=True)
class PaymentRecord(Record):
    """One payment. Status words are Stripe's.

    Invariant: captured + capturable <= amount, refunded <= captured.
    """

    kind: ClassVar[str] = "payment"

    id: str
    created: int
    status: str
    amount: int
    currency: str
    customer: str
    payment_method: str
    capture: bool
    off_session: bool
    store: str
    metadata: dict[str, str]
    statement_descriptor_suffix: str = ""
    return_url: str = ""
    capturable: int = 0
    captured: int = 0
    refunded: int = 0
    decline_code: str = ""
    redirect_url: str = ""
    capture_before: int = 0
    network_transaction_id: str = ""
    attempts: int = 1


@dataclass(slots=True, kw_only=True)
class Refund(Record):
    """Money given back."""

    kind: ClassVar[str] = "refund"

    id: str
    created: int
    payment: str
    amount: int
    currency: str
    metadata: dict[str, str]
    status: str = "succeeded"


KINDS: dict[str, type[Record]] = {
    record.kind: record for record in (Customer, PaymentMethod, PaymentRecord, Refund)
}
_NAMES: dict[type[Record], tuple[str, ...]] = {
    record: tuple(each.name for each in fields(record))  # type: ignore[arg-type]
    for record in KINDS.values()
}
