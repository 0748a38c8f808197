"""Brands: published test numbers, the traps of overlapping ranges, the table's form."""

import pytest

from gateway.cards.brands import UNKNOWN, brand_named, brands, detect_brand
from gateway.cards.pan import Pan
from gateway.cards.security_code import SecurityCode
from gateway.errors import CardInvalid

# Published at docs.stripe.com/testing.
PUBLISHED = [
    ("4242424242424242", "visa"),
    ("4000056655665556", "visa"),
    ("4000000000000002", "visa"),
    ("4000000000009995", "visa"),
    ("4000000000009987", "visa"),
    ("4000000000009979", "visa"),
    ("4000000000000069", "visa"),
    ("4000000000000127", "visa"),
    ("4000000000000119", "visa"),
    ("4000000000000341", "visa"),
    ("4000000000000101", "visa"),
    ("4000000000000010", "visa"),
    ("4000000000000028", "visa"),
    ("4000000000000036", "visa"),
    ("4000000000000259", "visa"),
    ("4100000000000019", "visa"),
    ("4000002500003155", "visa"),
    ("4000002760003184", "visa"),
    ("5555555555554444", "mastercard"),
    ("2223003122003222", "mastercard"),
    ("5200828282828210", "mastercard"),
    ("5105105105105100", "mastercard"),
    ("378282246310005", "amex"),
    ("371449635398431", "amex"),
    ("6011111111111117", "discover"),
    ("6011000990139424", "discover"),
    ("6011981111111113", "discover"),
    ("3056930009020004", "diners"),
    ("36227206271667", "diners"),
    ("6555900000604105", "discover"),
    ("3566002020360505", "jcb"),
    ("6200000000000005", "unionpay"),
    ("6200000000000047", "unionpay"),
    ("6205500000000000004", "unionpay"),
]


class TestDetectBrand:
    @pytest.mark.parametrize(("number", "brand"), PUBLISHED)
    def test_knows_the_published_test_numbers(self, number, brand):
        assert Pan(number).brand.id == brand

    @pytest.mark.parametrize(
        ("prefix", "brand"),
        [
            ("622126", "unionpay"),  # co-branded with Discover
            ("622925", "unionpay"),
            ("652150", "rupay"),  # inside Discover's 65
            ("653149", "rupay"),
            ("653150", "discover"),
            ("650031", "elo"),  # inside Discover's 65
            ("650034", "discover"),
            ("655020", "discover"),
            ("817200", "rupay"),  # inside UnionPay's 81
            ("817199", "unionpay"),
            ("401178", "elo"),  # inside Visa's 4
            ("457100", "dankort"),  # Visa/Dankort
            ("506699", "elo"),
            ("506191", "verve"),
            ("637423", "unknown"),
            ("63737423", "hiper"),
            ("222099", "unknown"),
            ("222100", "mastercard"),
            ("272099", "mastercard"),
            ("272100", "unknown"),
            ("220400", "mir"),
            ("675900", "maestro"),
            ("000000", "unknown"),
        ],
    )
    def test_prefers_the_longest_prefix(self, prefix, brand):
        assert detect_brand(prefix.ljust(16, "0")).id == brand


class TestTable:
    def test_holds_at_least_fourteen_brands(self):
        assert len(brands()) >= 14

    @pytest.mark.parametrize("brand", brands().values(), ids=lambda brand: brand.id)
    def test_every_row_is_complete(self, brand):
        assert brand.name
        assert brand.source
        assert brand.lengths <= set(range(12, 20))
        assert brand.lengths
        assert brand.security_code_lengths <= {3, 4}

    def test_only_unionpay_does_without_a_check_digit(self):
        assert [brand.id for brand in brands().values() if not brand.luhn] == [
            "unionpay"
        ]

    def test_an_id_that_is_not_in_the_table_is_unknown(self):
        assert brand_named("no-such-brand") is UNKNOWN
        assert brand_named("amex").name == "American Express"


class TestCheckSecurityCode:
    @pytest.mark.parametrize(("brand", "code"), [("amex", "123"), ("visa", "1234")])
    def test_refuses_another_length(self, brand, code):
        with pytest.raises(CardInvalid) as caught:
            brand_named(brand).check_security_code(SecurityCode(code))

        assert caught.value.field == "card.security_code"

    @pytest.mark.parametrize(
        ("brand", "code"),
        [("amex", "1234"), ("visa", "123"), ("uatp", "123"), ("unknown", "1234")],
    )
    def test_accepts_its_own_length(self, brand, code):
        brand_named(brand).check_security_code(SecurityCode(code))
