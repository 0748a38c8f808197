"""Comparing the log with the processor's own list, in both directions.

The log shows every use that was logged. The processor's list shows every payment of the
merchant's account, whoever made it. What is in one and not in the other is what a log
alone can never show.

Invariants:
  * Nothing is matched by guessing: a payment of ours carries our name in its metadata.
  * Every use of the period and every object of the period is in exactly one line.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Protocol

from gateway.merchants.ports import ProcessorAccount
from gateway.words.identifiers import PaymentName, ProcessorAccountId
from gateway.words.money import Money

_MOVED: Final = frozenset({"CAPTURED", "AUTHORIZED", "PARTIALLY_CAPTURED"})
_DONE: Final = frozenset({"SUCCEEDED", "PENDING"})


class Match(StrEnum):
    """What a line says. docs/evidence.md explains each."""

    MATCHED = "matched"
    NOT_EXECUTED = "not executed"
    USE_WITHOUT_OBJECT = "use without object"
    OBJECT_WITHOUT_USE = "object without use"
    FOREIGN = "foreign"
    DIFFERS = "amount or currency differs"


# What a person has to look at.
ALARMS: Final = frozenset(
    {Match.USE_WITHOUT_OBJECT, Match.OBJECT_WITHOUT_USE, Match.DIFFERS}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPayment:
    """One payment as the processor lists it.

    ``payment`` is our name in its metadata, empty for the merchant's other traffic.
    ``captured`` and ``refunded`` are minor units of the amount's currency.
    """

    processor_object: str
    payment: str
    amount: Money
    captured: int
    refunded: int
    created_at: datetime


class PaymentLister(Protocol):
    """Lists what happened on a merchant's account, whoever did it."""

    async def list_payments(
        self, account: ProcessorAccount, start: datetime, end: datetime
    ) -> Sequence[ListedPayment]:
        """Returns every payment created from ``start`` to before ``end``.

        Raises:
            ProcessorUnavailable, ProcessorOutcomeUnknown, ProcessorRefused: It could
                not be asked, or did not answer.
        """

    async def close(self) -> None:
        """Lets connections go."""


@dataclass(slots=True)
class LoggedUse:
    """What the log says of one payment."""

    payment: PaymentName
    account: ProcessorAccountId
    amount: Money
    at: datetime
    outcome: str = ""
    captured: int = 0
    refunded: int = 0
    requests: set[str] = field(default_factory=set)

    @property
    def moved(self) -> bool:
        """Whether the log says that money was reserved or collected."""
        return self.outcome in _MOVED or self.captured > 0


@dataclass(frozen=True, slots=True)
class Line:
    """One use, one object, or both."""

    match: Match
    account: str
    payment: str
    processor_object: str
    amount: Money
    text: str

    @property
    def is_alarm(self) -> bool:
        """Whether a person has to look at it."""
        return self.match in ALARMS


def read_uses(leaves: Iterable[bytes]) -> dict[PaymentName, LoggedUse]:
    """Returns, by payment, what the entries of a log say was done."""
    uses: dict[PaymentName, LoggedUse] = {}
    for leaf in leaves:
        facts = json.loads(leaf)
        name = facts.get("payment")
        if name is None or facts.get("amount") is None:
            continue
        if facts["type"] == "use.intent":
            uses.setdefault(PaymentName(name), _new_use(name, facts))
        elif PaymentName(name) in uses:
            _apply(uses[PaymentName(name)], facts)
    return uses


def reconcile(
    uses: Mapping[PaymentName, LoggedUse],
    listed: Sequence[ListedPayment],
    *,
    account: ProcessorAccount,
    start: datetime,
    end: datetime,
) -> list[Line]:
    """Compares the uses of one account with the processor's list of it.

    ``listed`` may reach beyond the period, so that an object made a moment later than
    its use is found; of what is outside, only what matches counts.
    """
    by_name: dict[str, list[ListedPayment]] = defaultdict(list)
    for item in listed:
        by_name[item.payment].append(item)
    lines = []
    for use in uses.values():
        if use.account == account.account_id and start <= use.at < end:
            lines += _compare(use, by_name.get(use.payment, []))
    for name, items in by_name.items():
        use_known = PaymentName(name) in uses
        lines += [
            _unmatched(item, account)
            for item in items
            if not use_known and start <= item.created_at < end
        ]
    return lines


def _compare(use: LoggedUse, objects: Sequence[ListedPayment]) -> list[Line]:
    def line(match: Match, found: ListedPayment | None, text: str) -> Line:
        named = "" if found is None else found.processor_object
        return Line(match, use.account, use.payment, named, use.amount, text)

    if not objects:
        if use.moved:
            text = (
                f"the log says {use.outcome}, and the processor has no such payment: "
                "ask which account was charged"
            )
            return [line(Match.USE_WITHOUT_OBJECT, None, text)]
        return [line(Match.NOT_EXECUTED, None, f"nothing moved ({use.outcome or '-'})")]
    first, *more = objects
    lines = [
        line(
            Match.OBJECT_WITHOUT_USE,
            extra,
            "a second payment at the processor carries this payment's name",
        )
        for extra in more
    ]
    difference = _difference(use, first)
    match = Match.DIFFERS if difference else Match.MATCHED
    return [line(match, first, difference or use.outcome), *lines]


def _difference(use: LoggedUse, found: ListedPayment) -> str:
    """Returns, in words, how the two differ; empty when they agree."""
    if found.amount != use.amount:
        return f"the log says {_show(use.amount)}, the processor {_show(found.amount)}"
    if found.captured != use.captured:
        return (
            f"{use.captured} collected by the log, {found.captured} by the processor "
            "(minor units)"
        )
    if found.refunded != use.refunded:
        return (
            f"{use.refunded} given back by the log, {found.refunded} by the processor "
            "(minor units)"
        )
    return ""


def _unmatched(item: ListedPayment, account: ProcessorAccount) -> Line:
    if not item.payment:
        match, text = Match.FOREIGN, "not made through the gateway"
    else:
        match = Match.OBJECT_WITHOUT_USE
        text = "made in the gateway's name, and the log has no use of it"
    return Line(
        match,
        account.account_id,
        item.payment,
        item.processor_object,
        item.amount,
        text,
    )


def _new_use(name: str, facts: Mapping[str, Any]) -> LoggedUse:
    return LoggedUse(
        payment=PaymentName(name),
        account=ProcessorAccountId(str(facts.get("processor_account", ""))),
        amount=Money(int(facts["amount"]), str(facts["currency"])),
        at=_read_time(str(facts["time"])),
    )


def _apply(use: LoggedUse, facts: Mapping[str, Any]) -> None:
    outcome = str(facts.get("outcome", ""))
    if facts["type"] == "use.outcome":
        use.outcome = outcome
        if outcome == "CAPTURED":
            use.captured = use.amount.minor_units
        return
    request_id = str(facts.get("request_id", ""))
    if facts["type"] != "payment.outcome" or outcome not in _DONE:
        return
    if request_id in use.requests:  # PENDING before, and now it succeeded
        return
    use.requests.add(request_id)
    if facts.get("action") == "capture":
        use.captured += int(facts["amount"])
    elif facts.get("action") == "refund":
        use.refunded += int(facts["amount"])
    elif facts.get("action") == "cancel":
        use.outcome = "CANCELED"


def _read_time(text: str) -> datetime:
    return datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)


def _show(amount: Money) -> str:
    return f"{amount.minor_units} {amount.currency}"
