"""What the client refuses before it asks: arguments that would mislead."""

import pytest
from bailee import Bundle, Card
from bailee.errors import GatewayUnreachable, from_rpc_error
from bailee.requests import money, read_purposes, require_one_card
from bailee.v1 import purpose_pb2
from grpc import StatusCode

NOTHING = {"purposes": ()}


class Failure(Exception):
    """A failed call without a google.rpc.Status: nobody of ours answered."""

    def __init__(self, code):
        super().__init__()
        self.code = lambda: code
        self.details = lambda: "socket closed"
        self.trailing_metadata = lambda: ()


class TestCard:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"number": 4242424242424242},
            {"expiry_month": "12"},
            {"expiry_year": "2030"},
            {"security_code": 123},
        ],
        ids=lambda wrong: next(iter(wrong)),
    )
    def test_refuses_a_wrong_type_and_does_not_repeat_the_value(self, wrong):
        right = {"number": "4242424242424242", "expiry_month": 12, "expiry_year": 2030}

        with pytest.raises(TypeError) as refused:
            Card(**(right | wrong))

        assert next(iter(wrong)) in str(refused.value)
        assert str(next(iter(wrong.values()))) not in str(refused.value)


class TestPurposes:
    def test_are_read(self):
        recurring = purpose_pb2.PURPOSE_PAYMENT_RECURRING

        assert read_purposes(["payment.recurring"]) == [recurring]

    def test_refuse_one_text(self):
        with pytest.raises(TypeError, match=r"list, such as \[\"payment.recurring\"\]"):
            read_purposes("payment.recurring")

    def test_refuse_an_unknown_one_and_list_the_known(self):
        with pytest.raises(ValueError, match=r"'subscription'.*payment\.recurring"):
            read_purposes(["subscription"])


class TestOneCard:
    @pytest.mark.parametrize(("card", "card_token"), [(None, ""), (object(), "card_b")])
    def test_refuses_both_and_neither(self, card, card_token):
        with pytest.raises(ValueError, match="either card_token or card"):
            require_one_card(card=card, card_token=card_token, of_a_new_card=NOTHING)

    def test_refuses_a_mandate_for_a_stored_card(self):
        """It would be ignored, and the platform would believe in a mandate."""
        mandate = {"purposes": ["payment.recurring"], "agreement_reference": "a-1"}

        with pytest.raises(
            ValueError, match="purposes, agreement_reference: for a new"
        ):
            require_one_card(card=None, card_token="card_b", of_a_new_card=mandate)

    def test_accepts_a_new_card_with_its_mandate(self):
        mandate = {"purposes": ["payment.recurring"]}

        require_one_card(card=object(), card_token="", of_a_new_card=mandate)


class TestMoney:
    @pytest.mark.parametrize("amount", [19.99, "1999", True])
    def test_is_a_whole_number_of_minor_units(self, amount):
        with pytest.raises(TypeError, match=r"1999 is 19\.99 dollars"):
            money(amount, "USD")


class TestUnreachable:
    @pytest.mark.parametrize(
        ("code", "advice"),
        [
            (StatusCode.UNAVAILABLE, "bailee doctor"),
            (StatusCode.DEADLINE_EXCEEDED, "same request_id"),
        ],
    )
    def test_says_what_to_do_and_what_was_seen(self, code, advice):
        error = from_rpc_error(Failure(code), "")

        assert isinstance(error, GatewayUnreachable)
        assert advice in str(error)
        assert "socket closed" in str(error)


class TestBundle:
    def test_says_where_bundles_are_when_there_is_none(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="bundles/"):
            Bundle.read(tmp_path)

    def test_names_the_file_that_is_not_json(self, tmp_path):
        (tmp_path / "bundle.json").write_text("not JSON")

        with pytest.raises(ValueError, match=r"bundle\.json is not JSON"):
            Bundle.read(tmp_path)
