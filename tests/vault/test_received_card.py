"""What an opened envelope holds is checked; errors name fields, never values."""

import json
import pickle
import traceback
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.cards.details import BillingDetails
from gateway.errors import (
    CardExpired,
    CardInvalid,
    FieldError,
    GatewayError,
    PlainCardRefused,
    SealedCardRejected,
)
from gateway.vault.sealed_input import (
    LUHN_NOT_CHECKED,
    SECURITY_CODE_LABEL,
    PlainForm,
)
from tests.builders.sealed_card import (
    BILLING,
    CARD,
    CONTEXT,
    NOW,
    NUMBER,
    WITH_PLAIN,
    open_card,
    open_code,
    seal,
)

PLAIN = PlainForm(number=NUMBER, expiry_month=12, expiry_year=2030)
CODE = {"security_code": "1234", "sealed_at": CARD["sealed_at"]}


class TestCard:
    """An invalid card in a valid envelope: the field is named, the value is not."""

    @pytest.mark.parametrize(
        ("change", "error", "field"),
        [
            ({"number": ""}, CardInvalid, "card.number"),
            ({"number": "4242424242424241"}, CardInvalid, "card.number"),
            ({"number": "4242 4242 4242 4242"}, CardInvalid, "card.number"),
            ({"number": "\ud800" * 16}, CardInvalid, "card.number"),
            ({"expiry_month": 13}, CardInvalid, "card.expiry_month"),
            ({"expiry_month": 10**400}, CardInvalid, "card.expiry_month"),
            ({"expiry_year": 30}, CardInvalid, "card.expiry_year"),
            ({"expiry_year": 2090}, CardInvalid, "card.expiry_year"),
            ({"expiry_year": 2025}, CardExpired, "card.expiry_year"),
            ({"security_code": "12"}, CardInvalid, "card.security_code"),
            ({"security_code": "1234"}, CardInvalid, "card.security_code"),
            ({"security_code": "12a"}, CardInvalid, "card.security_code"),
            ({"billing": {"country": "XX"}}, CardInvalid, "card.billing.country"),
            ({"billing": {"name": "\ud800"}}, CardInvalid, "card.billing.name"),
            ({"billing": {"line1": "x" * 201}}, CardInvalid, "card.billing.line1"),
        ],
    )
    def test_names_the_field_that_is_wrong(self, change, error, field):
        with pytest.raises(error) as caught:
            open_card(seal(CARD | change))

        assert caught.value.field == field

    def test_gives_what_was_sealed(self):
        content = CARD | {"security_code": "123", "billing": BILLING}

        received = open_card(seal(content))

        assert received.details.number.reveal() == NUMBER
        assert (received.details.expiry.month, received.details.expiry.year) == (
            12,
            2030,
        )
        assert received.details.billing == BillingDetails(**BILLING)
        assert received.security_code is not None
        assert received.security_code.reveal() == "123"
        assert received.warnings == ()

    @pytest.mark.parametrize("more", [{}, {"security_code": ""}, {"billing": {}}])
    def test_security_code_and_billing_may_be_missing(self, more):
        received = open_card(seal(CARD | more))

        assert received.security_code is None
        assert received.details.billing == BillingDetails()

    @pytest.mark.parametrize(
        ("number", "warnings"),
        [
            ("6200000000000001", (LUHN_NOT_CHECKED,)),
            ("6200000000000005", ()),
            (NUMBER, ()),
        ],
    )
    def test_warns_of_a_number_whose_check_digit_did_not_count(self, number, warnings):
        assert open_card(seal(CARD | {"number": number})).warnings == warnings

    @pytest.mark.parametrize("code", ["1234", "123"])
    def test_the_brand_decides_how_long_a_security_code_is(self, code):
        content = CARD | {"number": "378282246310005", "security_code": code}
        if code == "1234":
            assert open_card(seal(content)).security_code is not None
        else:
            with pytest.raises(CardInvalid):
                open_card(seal(content))


class TestPlainCard:
    def test_is_refused_unless_the_operator_accepts_it(self):
        with pytest.raises(PlainCardRefused):
            open_card(PLAIN)

    def test_is_refused_before_anything_is_said_about_it(self):
        with pytest.raises(PlainCardRefused):
            open_card(replace(PLAIN, number="1"))

    def test_is_taken_where_the_operator_accepts_it(self):
        received = open_card(PLAIN, sealed_input=WITH_PLAIN)

        assert received.details.number.reveal() == NUMBER

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"number": "4242424242424241"}, "card.number"),
            ({"expiry_month": 0}, "card.expiry_month"),
            ({"expiry_year": 2020}, "card.expiry_year"),
            ({"security_code": "1"}, "card.security_code"),
        ],
    )
    def test_passes_the_same_checks(self, change, field):
        with pytest.raises((CardInvalid, CardExpired)) as caught:
            open_card(replace(PLAIN, **change), sealed_input=WITH_PLAIN)

        assert caught.value.field == field

    def test_accepting_plain_cards_loosens_nothing_for_sealed_ones(self):
        with pytest.raises(SealedCardRejected):
            open_card(
                seal(CARD),
                context=replace(CONTEXT, item=1),
                sealed_input=WITH_PLAIN,
            )


class TestSecurityCode:
    def test_gives_what_was_sealed(self):
        form = seal(CODE, label=SECURITY_CODE_LABEL)

        assert open_code(form).reveal() == "1234"

    @pytest.mark.parametrize("code", ["", "12", "12345", "abc"])
    def test_names_its_field(self, code):
        form = seal(CODE | {"security_code": code}, label=SECURITY_CODE_LABEL)

        with pytest.raises(CardInvalid) as caught:
            open_code(form)

        assert caught.value.field == "security_code"

    @pytest.mark.parametrize("more", [{"number": NUMBER}, {"billing": {}}, {"x": ""}])
    def test_holds_nothing_else(self, more):
        with pytest.raises(SealedCardRejected):
            open_code(seal(CODE | more, label=SECURITY_CODE_LABEL))

    def test_opens_in_no_other_call_and_not_when_stale(self):
        form = seal(CODE, label=SECURITY_CODE_LABEL)

        with pytest.raises(SealedCardRejected):
            open_code(form, context=replace(CONTEXT, rpc="CreatePayment"))
        with pytest.raises(SealedCardRejected):
            open_code(form, now=NOW + timedelta(minutes=11))


class TestNothingLeaks:
    @pytest.mark.parametrize(
        "plain",
        [
            CARD | {"number": NUMBER + "9"},
            CARD | {"security_code": "98765"},
            CARD | {"sealed_at": NUMBER},
            CARD | {"surplus": NUMBER},
            CARD | {"billing": {"name": NUMBER + "\n"}},
            json.dumps(CARD)[:-1],
            json.dumps(CARD)[:-1] + f',"number":"{NUMBER}"}}',
            json.dumps(CARD).encode() + b"\xff",
        ],
    )
    def test_no_error_nor_what_it_is_chained_to_holds_a_value(self, plain):
        with pytest.raises(GatewayError) as caught:
            open_card(seal(plain))

        error = caught.value
        lines = traceback.TracebackException.from_exception(error).format()
        described = error.description if isinstance(error, FieldError) else ""
        shown = f"{error!r}{error.args}{error.metadata}{described}{''.join(lines)}"
        assert NUMBER not in shown
        assert "98765" not in shown
        # A decoding error in the chain would hold the whole plaintext.
        chained = error.__context__ or error.__cause__
        assert not hasattr(chained, "doc")
        assert not hasattr(chained, "object")

    def test_forms_and_received_cards_show_no_digit_of_the_card(self):
        plain = PlainForm(
            number=NUMBER,
            expiry_month=12,
            expiry_year=2030,
            security_code="987",
            billing=BillingDetails(**BILLING),
        )
        received = open_card(plain, sealed_input=WITH_PLAIN)

        shown = f"{plain}{received}{seal(CARD)}"

        assert "4242" not in shown
        assert "987" not in shown
        assert "Zo" not in shown

    def test_a_received_card_is_never_serialised(self):
        with pytest.raises(TypeError):
            pickle.dumps(open_card(seal(CARD)))
