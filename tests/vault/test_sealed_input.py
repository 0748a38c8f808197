"""Opening envelopes: whatever is wrong with one, the answer is the same."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import CardExpired, CardInvalid, SealedCardRejected
from gateway.vault.sealed_input import SECURITY_CODE_LABEL, SealedForm, SealedInput
from gateway.words.identifiers import MerchantId, RequestId
from tests.builders.sealed_card import (
    CARD,
    CONTEXT,
    NOW,
    NUMBER,
    PROVIDER,
    open_card,
    open_code,
    seal,
)
from tests.fakes.key_provider import MemoryKeyProvider

SCALARS = st.none() | st.booleans() | st.integers() | st.text()
ANY_JSON = st.recursive(SCALARS, st.lists)


def without(name):
    return {key: value for key, value in CARD.items() if key != name}


class TestEnvelope:
    """Every failure of an envelope is one and the same."""

    @pytest.mark.parametrize(
        "changed",
        [
            {"merchant": MerchantId("other")},
            {"rpc": "CreatePayment"},
            {"request_id": RequestId("6f2c1d4e-8a3b-4c5d-9e7f-0a1b2c3d4e60")},
            {"item": 1},
        ],
        ids=lambda changed: next(iter(changed)),
    )
    def test_opens_in_no_other_call(self, changed):
        with pytest.raises(SealedCardRejected):
            open_card(seal(CARD), context=replace(CONTEXT, **changed))

    def test_opens_in_no_other_vault(self):
        foreign = MemoryKeyProvider(vault_id="elsewhere.example/vault-1")

        with pytest.raises(SealedCardRejected):
            open_card(seal(CARD, provider=foreign))

    @given(st.integers(0, 8 * (32 + 256 + 16) - 1))
    def test_notices_any_flipped_bit(self, place):
        form = seal(CARD)
        damaged = bytearray(form.ciphertext)
        damaged[place // 8] ^= 1 << place % 8
        # X25519 ignores the highest bit of a public key (RFC 7748), but HPKE hashes it.
        with pytest.raises(SealedCardRejected):
            open_card(replace(form, ciphertext=bytes(damaged)))

    @pytest.mark.parametrize("kept", [0, 1, 31, 32, 47, 48, 49, -1])
    def test_refuses_what_is_cut_short(self, kept):
        form = seal(CARD)

        with pytest.raises(SealedCardRejected):
            open_card(replace(form, ciphertext=form.ciphertext[:kept]))

    @pytest.mark.parametrize(
        "ciphertext", [bytes(304), b"\xff" * 304, bytes(100_000)], ids=len
    )
    def test_refuses_noise(self, ciphertext):
        key_id = PROVIDER.sealing_keys(NOW)[0].key_id

        with pytest.raises(SealedCardRejected):
            open_card(SealedForm(key_id, ciphertext))

    @pytest.mark.parametrize("key_id", ["", "0123456789abcdef", "\U0001f600", "\x00"])
    def test_refuses_a_key_that_it_does_not_have(self, key_id):
        with pytest.raises(SealedCardRejected):
            open_card(replace(seal(CARD), key_id=key_id))

    def test_refuses_a_key_that_has_ended(self):
        provider = MemoryKeyProvider(expires_at=NOW + timedelta(seconds=1))
        sealed_input = SealedInput(provider=provider, accept_plain_cards=False)
        form = seal(CARD, provider=provider)

        open_card(form, sealed_input=sealed_input)
        with pytest.raises(SealedCardRejected):
            open_card(form, sealed_input=sealed_input, now=NOW + timedelta(seconds=1))

    def test_opens_with_an_older_key_that_is_still_current(self):
        provider = MemoryKeyProvider(expires_at=NOW + timedelta(days=1))
        older = provider.sealing_keys(NOW)[0]
        provider.add_sealing_key()
        sealed_input = SealedInput(provider=provider, accept_plain_cards=False)

        received = open_card(
            seal(CARD, provider=provider, key=older), sealed_input=sealed_input
        )

        assert provider.sealing_keys(NOW)[0] != older
        assert received.details.number.last_four == "4242"

    def test_a_security_code_does_not_pass_for_a_card_nor_a_card_for_a_code(self):
        code = {"security_code": "123", "sealed_at": CARD["sealed_at"]}

        with pytest.raises(SealedCardRejected):
            open_card(seal(code, label=SECURITY_CODE_LABEL))
        with pytest.raises(SealedCardRejected):
            open_card(seal(CARD, label=SECURITY_CODE_LABEL))
        with pytest.raises(SealedCardRejected):
            open_code(seal(code))
        with pytest.raises(SealedCardRejected):
            open_code(seal(CARD, label=SECURITY_CODE_LABEL))

    @pytest.mark.parametrize(
        ("age", "is_fresh"),
        [
            (timedelta(minutes=10), True),
            (timedelta(minutes=10, milliseconds=1), False),
            (timedelta(days=1), False),
            (timedelta(0), True),
            (timedelta(minutes=-1), True),
            (timedelta(minutes=-1, milliseconds=-1), False),
            (timedelta(days=-1), False),
        ],
    )
    def test_is_good_for_ten_minutes_and_a_minute_of_clock_difference(
        self, age, is_fresh
    ):
        sealed_at = (NOW - age).isoformat(timespec="milliseconds")
        form = seal(CARD | {"sealed_at": sealed_at})

        if is_fresh:
            open_card(form)
        else:
            with pytest.raises(SealedCardRejected):
                open_card(form)

    @pytest.mark.parametrize(
        "sealed_at",
        [
            "",
            "now",
            "2026-11-25",
            "2026-11-25T12:00:00",  # whose time?
            "2026-11-25T13:00:00+01:00",  # not UTC
            "2026-11-25 12:00:00Z",
            "20261125T120000Z",
            "2026-W48-3T12:00:00Z",
            "2026-11-25T12:00:60Z",
            "2026-02-30T12:00:00Z",
            "2026-11-25T12:00:00.Z",
            "2026-11-25T12:00:00Z\n",
            "\u0662026-11-25T12:00:00Z",
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
        ],
    )
    def test_refuses_a_time_that_is_not_rfc_3339_in_utc(self, sealed_at):
        with pytest.raises(SealedCardRejected):
            open_card(seal(CARD | {"sealed_at": sealed_at}))

    @pytest.mark.parametrize(
        "sealed_at",
        [
            "2026-11-25T12:00:00Z",
            "2026-11-25T12:00:00+00:00",
            "2026-11-25T12:00:00.123456789Z",
        ],
    )
    def test_takes_every_usual_way_to_write_utc(self, sealed_at):
        open_card(seal(CARD | {"sealed_at": sealed_at}))


class TestContent:
    """JSON, and strictly the documented JSON."""

    @pytest.mark.parametrize(
        "plain",
        [
            "",
            "null",
            "[]",
            '"card"',
            "4242424242424242",
            "NaN",
            "{",
            json.dumps(CARD) + "{}",
            json.dumps(CARD)[:-1],
            "\ufeff" + json.dumps(CARD),
            json.dumps(CARD).replace('"', "'"),
            "[" * 4000,
            '{"a":' * 800,
            "9" * 4000,
        ],
    )
    def test_refuses_what_is_no_object(self, plain):
        with pytest.raises(SealedCardRejected):
            open_card(seal(plain))

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-le"])
    def test_refuses_another_encoding(self, encoding):
        with pytest.raises(SealedCardRejected):
            open_card(seal(json.dumps(CARD).encode(encoding)))

    def test_refuses_bytes_that_are_no_text(self):
        with pytest.raises(SealedCardRejected):
            open_card(seal(b"\xff" + json.dumps(CARD).encode()))

    def test_refuses_more_than_4096_bytes(self):
        text = json.dumps(CARD)
        open_card(seal(text.ljust(4096).encode()))

        with pytest.raises(SealedCardRejected):
            open_card(seal(text.ljust(4097).encode()))

    @pytest.mark.parametrize("name", CARD)
    def test_refuses_a_missing_key(self, name):
        with pytest.raises(SealedCardRejected):
            open_card(seal(without(name)))

    @pytest.mark.parametrize(
        "more", [{"cvc": "123"}, {"Number": NUMBER}, {"": ""}, {"__class__": ""}]
    )
    def test_refuses_an_unknown_key(self, more):
        with pytest.raises(SealedCardRejected):
            open_card(seal(CARD | more))
        with pytest.raises(SealedCardRejected):
            open_card(seal(CARD | {"billing": more}))

    @pytest.mark.parametrize("name", [*CARD, "security_code", "billing"])
    def test_refuses_a_key_that_stands_twice(self, name):
        twice = {**CARD, "security_code": "123", "billing": {}}
        text = json.dumps(twice)[:-1] + f',"{name}":{json.dumps(twice[name])}}}'

        with pytest.raises(SealedCardRejected):
            open_card(seal(text))

    def test_refuses_a_billing_key_that_stands_twice(self):
        text = json.dumps(CARD)[:-1] + ',"billing":{"name":"A","name":"B"}}'

        with pytest.raises(SealedCardRejected):
            open_card(seal(text))

    @pytest.mark.parametrize("name", ["number", "sealed_at", "security_code"])
    @pytest.mark.parametrize("value", [None, 4242424242424242, 123, True, [], {}, 1.5])
    def test_refuses_what_should_be_text(self, name, value):
        with pytest.raises(SealedCardRejected):
            open_card(seal(CARD | {name: value}))

    @pytest.mark.parametrize("name", ["expiry_month", "expiry_year"])
    @pytest.mark.parametrize("value", [None, "12", True, 12.0, [], {}, float("nan")])
    def test_refuses_what_should_be_a_whole_number(self, name, value):
        with pytest.raises(SealedCardRejected):
            open_card(seal(CARD | {name: value}))

    @pytest.mark.parametrize(
        "billing", [None, "x", [], 1, {"name": None}, {"name": 1}, {"name": {}}]
    )
    def test_refuses_billing_of_another_form(self, billing):
        with pytest.raises(SealedCardRejected):
            open_card(seal(CARD | {"billing": billing}))

    @given(
        st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists)
    )
    def test_whatever_json_stands_there_only_the_gateways_errors_come_out(self, value):
        for name in (*CARD, "security_code", "billing"):
            with pytest.raises((SealedCardRejected, CardInvalid, CardExpired)):
                open_card(seal(CARD | {"number": "1", name: value}))

    @given(st.binary(max_size=600))
    def test_whatever_bytes_stand_there_only_one_error_comes_out(self, plain):
        with pytest.raises(SealedCardRejected):
            open_card(seal(plain))
