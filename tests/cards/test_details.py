"""Billing details: each field bounded, none shown."""

from dataclasses import asdict, fields

import pytest

from gateway.cards.details import BILLING_LENGTHS, BillingDetails, CardDetails
from gateway.cards.expiry import Expiry
from gateway.cards.pan import Pan
from gateway.errors import CardInvalid

FREE = sorted(set(BILLING_LENGTHS) - {"country", "email"})
COMPLETE = {
    "name": "Zoë Ångström-Nguyễn",
    "line1": "Main Street 1",
    "line2": "محمد",
    "city": "東京",
    "region": "BE",
    "postal_code": "10115",
    "country": "DE",
    "email": "zoe@example.com",
    "phone": "+49 30 1234567",
}


class TestBillingDetails:
    def test_bounds_every_field(self):
        assert set(BILLING_LENGTHS) == {field.name for field in fields(BillingDetails)}

    def test_takes_names_of_any_script(self):
        assert asdict(BillingDetails(**COMPLETE)) == COMPLETE

    def test_may_be_empty(self):
        assert not any(asdict(BillingDetails()).values())

    @pytest.mark.parametrize("name", FREE)
    def test_takes_the_longest_text_and_no_longer(self, name):
        longest = "x" * BILLING_LENGTHS[name]
        BillingDetails(**{name: longest})

        with pytest.raises(CardInvalid) as caught:
            BillingDetails(**{name: longest + "x"})

        assert caught.value.field == f"card.billing.{name}"

    @pytest.mark.parametrize("name", sorted(BILLING_LENGTHS))
    @pytest.mark.parametrize("bad", ["\n", "\x00", "\x1b", "\x7f", "\ud800", "\u2028"])
    def test_refuses_control_characters_and_what_cannot_be_encoded(self, name, bad):
        with pytest.raises(CardInvalid) as caught:
            BillingDetails(**{name: bad})

        assert caught.value.field == f"card.billing.{name}"

    @pytest.mark.parametrize(
        "country", ["de", "XX", "D", "DEU", "\uff24\uff25", "EU", "  "]
    )
    def test_refuses_what_is_no_country(self, country):
        with pytest.raises(CardInvalid) as caught:
            BillingDetails(country=country)

        assert caught.value.field == "card.billing.country"

    @pytest.mark.parametrize(
        "email", ["a", "@", "a@", "@b", "a@b@c", "a b@c", "x" * 250 + "@b.de"]
    )
    def test_refuses_what_is_no_address(self, email):
        with pytest.raises(CardInvalid) as caught:
            BillingDetails(email=email)

        assert caught.value.field == "card.billing.email"

    def test_shows_nothing(self):
        billing = BillingDetails(**COMPLETE)
        card = CardDetails(
            number=Pan("4242424242424242"), expiry=Expiry(12, 2030), billing=billing
        )

        shown = f"{billing}{card!r}"

        assert not any(text in shown for text in COMPLETE.values())
        assert "4242" not in shown
