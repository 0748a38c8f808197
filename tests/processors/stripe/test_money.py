"""Stripe's amounts against ISO 4217's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import AmountNotRepresentable
from gateway.processors.stripe.money import from_stripe, to_stripe
from gateway.words import money
from gateway.words.money import Money

# docs.stripe.com/currencies, in the words of that page. UGX stands in its list too, and
# again among the special cases, which win.
STRIPES_ZERO_DECIMALS = set(
    "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split()
)
# ISO 4217 list one: currencies with 0 and with 3 decimals that we take.
ISO_ZERO = set(
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF".split()
)
ISO_THREE = set("BHD IQD JOD KWD LYD OMR TND".split())


def decimals_at_stripe(currency):
    if currency in STRIPES_ZERO_DECIMALS:
        return 0
    return 3 if currency in ISO_THREE else 2


def decimals_in_iso(currency):
    if currency in ISO_ZERO:
        return 0
    return 3 if currency in ISO_THREE else 2


class TestAmounts:
    @pytest.mark.parametrize(
        ("amount", "counted"),
        [
            (Money(1999, "USD"), 1999),
            (Money(500, "JPY"), 500),
            (Money(5, "ISK"), 500),
            (Money(5, "UGX"), 500),
            (Money(500, "MGA"), 5),
            (Money(5120, "KWD"), 5120),
            (Money(1045, "HUF"), 1045),
            (Money(1000, "TWD"), 1000),
        ],
    )
    def test_are_sent_as_stripe_counts(self, amount, counted):
        assert to_stripe(amount) == counted
        assert from_stripe(counted, amount.currency.lower()) == amount

    @pytest.mark.parametrize(
        "amount",
        [
            Money(0, "USD"),
            Money(1, "MGA"),
            Money(5121, "BHD"),
            Money(5124, "KWD"),
            Money(1000, "IQD"),
            Money(1000, "LYD"),
            Money(10**12, "USD"),
            Money(10**11, "ISK"),
        ],
    )
    def test_are_refused_when_stripe_cannot_express_them(self, amount):
        with pytest.raises(AmountNotRepresentable):
            to_stripe(amount)

    def test_are_not_rounded_on_the_way_back(self):
        with pytest.raises(AmountNotRepresentable):
            from_stripe(550, "isk")

    @given(
        units=st.integers(1, 10**8), currency=st.sampled_from(sorted(money._CURRENCIES))
    )
    def test_mean_the_same_money_in_every_currency(self, units, currency):
        amount = Money(units, currency)
        try:
            counted = to_stripe(amount)
        except AmountNotRepresentable:
            return
        ours, theirs = decimals_in_iso(currency), decimals_at_stripe(currency)
        assert counted * 10**ours == units * 10**theirs
        assert from_stripe(counted, currency.lower()) == amount
