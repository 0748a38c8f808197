"""The suite for lists of payments and refunds that the stores of every engine pass."""

from dataclasses import replace
from datetime import timedelta
from itertools import chain, combinations, product

import pytest

from gateway.cards.expiry import Expiry
from gateway.payments.payment import MoveKind, MoveStatus, PaymentState
from gateway.payments.payment_lists import Page, PaymentFilter, RefundFilter
from gateway.words.identifiers import PaymentName
from gateway.words.money import Money
from tests.builders.rows import (
    MOMENT,
    OTHER_TOKEN,
    TOKEN,
    a_card,
    a_move,
    a_payment,
    add_card,
)
from tests.builders.storage import OTHER, SHOP

SOON = timedelta(minutes=1)
# One value of each that some payments have and some have not.
WANTED = {
    "merchant_reference": "invoice-1",
    "customer_reference": "customer-1",
    "card": TOKEN,
    "state": PaymentState.CAPTURED,
    "amount": Money(500, "EUR"),
    "last_four": "4242",
    "created_from": MOMENT + 4 * SOON,
    "created_before": MOMENT + 90 * SOON,
}
FILTERS = list(
    chain.from_iterable(combinations(WANTED, size) for size in range(len(WANTED) + 1))
)


def a_history():
    """Returns payments of every kind, several at the same time, oldest first."""
    kinds = product(
        ("invoice-1", ""),
        (TOKEN, OTHER_TOKEN),
        (PaymentState.CAPTURED, PaymentState.DECLINED),
        (Money(500, "EUR"), Money(500, "USD"), Money(501, "EUR")),
        range(4),
    )
    return [
        a_payment(
            PaymentName(f"pay_{number}"),
            merchant_reference=reference,
            card=card,
            state=state,
            amount=amount,
            created_at=MOMENT + SOON * (number * 7 % 64),
        )
        for number, (reference, card, state, amount, _) in enumerate(kinds)
    ]


def fits(payment, names):
    checks = {
        "merchant_reference": payment.merchant_reference == "invoice-1",
        "customer_reference": payment.card == TOKEN,
        "card": payment.card == TOKEN,
        "state": payment.state is PaymentState.CAPTURED,
        "amount": payment.amount == Money(500, "EUR"),
        "last_four": payment.card == TOKEN,
        "created_from": payment.created_at >= WANTED["created_from"],
        "created_before": payment.created_at < WANTED["created_before"],
    }
    return all(checks[name] for name in names)


def pages(list_page, size):
    """Returns every row, page by page; no page is larger than it may be."""
    rows, after = [], ""
    while True:
        page = list_page(Page(size=size, after=after))
        found = getattr(page, "payments", None) or getattr(page, "refunds", [])
        assert len(found) <= size
        rows += found
        if not page.position:
            return rows
        assert len(found) == size
        after = page.position


def add_history(unit):
    add_card(unit, a_card(TOKEN))
    other = a_card(
        OTHER_TOKEN,
        customer_reference="customer-2",
        last_four="0000",
        expiry=Expiry(1, 2031),
    )
    add_card(unit, other)
    for payment in a_history():
        unit.payments.add(payment)


class PaymentListsContract:
    """What every PaymentStore does when it lists."""

    async def test_lists_what_fits_every_filter_newest_first(self, storage):
        await storage.commit(SHOP, add_history)
        history = list(enumerate(a_history()))
        newest = sorted(
            history, key=lambda item: (item[1].created_at, item[0]), reverse=True
        )

        def read(unit):
            for names in FILTERS:
                wanted = PaymentFilter(**{name: WANTED[name] for name in names})
                listed = pages(
                    lambda page, w=wanted: unit.payments.list_payments(w, page), 200
                )
                expected = [item for _, item in newest if fits(item, names)]
                assert listed == expected, names

        await storage.read(SHOP, read)

    @pytest.mark.parametrize("size", [1, 7, 96, 200])
    async def test_pages_neither_repeat_nor_hide(self, storage, size):
        await storage.commit(SHOP, add_history)

        def read(unit):
            return pages(
                lambda page: unit.payments.list_payments(PaymentFilter(), page), size
            )

        listed = await storage.read(SHOP, read)

        assert len(listed) == len({payment.name for payment in listed}) == 96

    async def test_a_payment_that_comes_between_two_pages_hides_none(self, storage):
        await storage.commit(SHOP, add_history)
        wanted = PaymentFilter(card=TOKEN)

        def first(unit):
            page = unit.payments.list_payments(wanted, Page(size=3))
            newer = a_payment(PaymentName("pay_new"), created_at=MOMENT + 99 * SOON)
            unit.payments.add(newer)
            rest = Page(size=200, after=page.position)
            return page.payments, unit.payments.list_payments(wanted, rest).payments

        before, after = await storage.commit(SHOP, first)

        assert (len(before), len(before) + len(after)) == (3, 48)
        assert not {item.name for item in before} & {item.name for item in after}

    async def test_lists_nothing_of_another_merchant(self, storage):
        """covers: I9."""
        await storage.commit(SHOP, add_history)
        names = [("card",), ("customer_reference",), ("merchant_reference",), ()]

        def read(unit):
            return [
                unit.payments.list_payments(
                    PaymentFilter(**{each: WANTED[each] for each in wanted}),
                    Page(size=10),
                ).payments
                for wanted in names
            ]

        assert await storage.read(OTHER, read) == [[], [], [], []]

    async def test_lists_refunds_and_no_captures(self, storage):
        kinds = [MoveKind.REFUND, MoveKind.CAPTURE, MoveKind.REFUND, MoveKind.REFUND]
        statuses = [MoveStatus.UNKNOWN, MoveStatus.UNKNOWN, *2 * [MoveStatus.FAILED]]
        moved = [
            replace(
                a_move(f"ref_{number}"),
                kind=kind,
                status=status,
                payment=PaymentName(f"pay_{number // 3}"),
            )
            for number, (kind, status) in enumerate(zip(kinds, statuses, strict=True))
        ]

        def work(unit):
            add_history(unit)
            for move in moved:
                unit.payments.add_move(move)
            return [
                pages(lambda page, w=w: unit.payments.list_refunds(w, page), 1)
                for w in (
                    RefundFilter(),
                    RefundFilter(payment=PaymentName("pay_0")),
                    RefundFilter(status=MoveStatus.UNKNOWN),
                    RefundFilter(
                        payment=PaymentName("pay_1"), status=MoveStatus.FAILED
                    ),
                )
            ]

        listed = await storage.commit(SHOP, work)

        assert listed == [
            [moved[3], moved[2], moved[0]],
            [moved[2], moved[0]],
            [moved[0]],
            [moved[3]],
        ]
        none = await storage.read(
            OTHER, lambda unit: unit.payments.list_refunds(RefundFilter(), Page(size=9))
        )
        assert none.refunds == []
