"""What Stripe's codes mean: the table in docs/processors/stripe.md, and who wins."""

import re
from pathlib import Path

import pytest

from gateway.payments.decline_reasons import DeclineReason
from gateway.payments.processor import DeclineClass, RetryAdvice
from gateway.processors.stripe.declines import MEANINGS, CardRefusal, decline_of
from gateway.processors.stripe.errors import REFUSALS
from gateway.processors.stripe.outcomes import REFUND_FAILURES

PAGE = Path("docs/processors/stripe.md")
_ROW = re.compile(r"\| `([A-Z_]+)` \| (\w+) \| (\w+) \| (.+) \|")
_REFUSAL_ROW = re.compile(r"\| ((?:`[a-z_]+` ?)+) \| `([A-Z_]+)` \|")


def documented_declines():
    rows = _ROW.findall(PAGE.read_text("utf-8"))
    return {
        code: (reason, decline_class, retry)
        for reason, decline_class, retry, codes in rows
        for code in re.findall(r"`([a-z_]+)`", codes)
    }


def documented_refusals():
    return {
        code: reason
        for codes, reason in _REFUSAL_ROW.findall(PAGE.read_text("utf-8"))
        for code in re.findall(r"`([a-z_]+)`", codes)
    }


DOCUMENTED = documented_declines()


class TestTable:
    def test_holds_every_documented_code_and_no_other(self):
        assert set(MEANINGS) == set(DOCUMENTED)
        assert len(DOCUMENTED) == 72

    @pytest.mark.parametrize("code", DOCUMENTED)
    def test_maps_a_code_as_documented(self, code):
        told = decline_of(CardRefusal(code=code))

        assert (told.reason, told.decline_class, told.retry) == DOCUMENTED[code]

    @pytest.mark.parametrize("code", DOCUMENTED)
    def test_shows_the_code_unless_it_is_fraud(self, code):
        told = decline_of(CardRefusal(code="card_declined", decline_code=code))

        fraud = told.decline_class is DeclineClass.FRAUD
        assert told.processor_code == ("" if fraud else code)

    def test_covers_every_neutral_reason(self):
        reasons = {reason for reason, _, _ in DOCUMENTED.values()}
        assert reasons == set(DeclineReason) - {DeclineReason.OTHER}

    def test_maps_refusals_as_documented(self):
        assert dict(REFUSALS) == documented_refusals()

    def test_documents_why_refunds_fail(self):
        page = PAGE.read_text("utf-8")
        assert all(f"`{reason}`" in page for reason in REFUND_FAILURES.values())


class TestPrecedence:
    @pytest.mark.parametrize("code", ["card_declined", "insufficient_funds", ""])
    def test_never_falls_back_from_an_unknown_decline_code(self, code):
        told = decline_of(CardRefusal(code=code, decline_code="of_next_year"))

        assert told.reason == DeclineReason.OTHER
        assert told.decline_class is DeclineClass.HARD
        assert told.retry is RetryAdvice.NEVER
        assert told.processor_code == "of_next_year"

    def test_takes_silence_for_an_unknown_code(self):
        told = decline_of(CardRefusal())
        assert (told.reason, told.processor_code) == (DeclineReason.OTHER, "")

    def test_lets_the_decline_code_win_over_the_code(self):
        told = decline_of(
            CardRefusal(code="card_declined", decline_code="insufficient_funds")
        )
        assert told.reason == DeclineReason.INSUFFICIENT_FUNDS

    @pytest.mark.parametrize(
        ("advice", "retry", "decline_class"),
        [
            ("try_again_later", RetryAdvice.LATER, DeclineClass.SOFT),
            ("confirm_card_data", RetryAdvice.AFTER_NEW_DATA, DeclineClass.SOFT),
            ("do_not_try_again", RetryAdvice.NEVER, DeclineClass.HARD),
            ("of_next_year", RetryAdvice.LATER, DeclineClass.SOFT),
        ],
    )
    def test_follows_the_issuers_advice(self, advice, retry, decline_class):
        told = decline_of(CardRefusal(code="card_declined", advice_code=advice))
        assert (told.retry, told.decline_class) == (retry, decline_class)

    @pytest.mark.parametrize("network", ["03", "21"])
    @pytest.mark.parametrize("advice", ["", "try_again_later"])
    def test_never_retries_what_the_network_forbids(self, network, advice):
        told = decline_of(
            CardRefusal(
                code="card_declined", advice_code=advice, network_advice_code=network
            )
        )
        assert told.retry is RetryAdvice.NEVER
        assert told.decline_class is DeclineClass.HARD

    @pytest.mark.parametrize("network", [str(code) for code in range(24, 31)])
    def test_retries_later_when_the_network_says_so(self, network):
        told = decline_of(
            CardRefusal(code="processing_error", network_advice_code=network)
        )
        assert told.retry is RetryAdvice.LATER

    @pytest.mark.parametrize("code", ["stolen_card", "fraudulent", "testmode_decline"])
    @pytest.mark.parametrize("advice", ["try_again_later", "confirm_card_data"])
    def test_never_softens_fraud_or_configuration(self, code, advice):
        told = decline_of(
            CardRefusal(decline_code=code, advice_code=advice, network_advice_code="24")
        )
        assert told.retry is RetryAdvice.NEVER
        assert told.decline_class is not DeclineClass.SOFT

    def test_calls_what_radar_blocked_fraud(self):
        told = decline_of(CardRefusal(code="card_declined", blocked=True))
        assert told.reason == DeclineReason.SUSPECTED_FRAUD
        assert told.processor_code == ""

    @pytest.mark.parametrize("code", ["4242424242424242", "123", "X", "a" * 65, "é"])
    def test_shows_no_code_that_is_not_one(self, code):
        assert decline_of(CardRefusal(decline_code=code)).processor_code == ""
