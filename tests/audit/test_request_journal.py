"""The platform's journal: what is written, what is never written, what is read."""

import os

import pytest
from bailee.audit.journal import (
    Answered,
    Asked,
    JournalBroken,
    RequestJournal,
    read_journal,
)
from bailee.v1 import (
    audit_service_pb2,
    card_pb2,
    money_pb2,
    payment_service_pb2,
    purpose_pb2,
    receipt_pb2,
    vault_service_pb2,
)

REQUEST_ID = "6f2c1d4e-8a3b-4c5d-9e7f-0a1b2c3d4e5f"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "journal.jsonl"


@pytest.fixture
def journal(file):
    opened = RequestJournal(file)
    yield opened
    opened.close()


def a_charge():
    return payment_service_pb2.CreatePaymentRequest(
        merchant="shop",
        request_id=REQUEST_ID,
        card_token="card_x",
        amount=money_pb2.Money(minor_units=1999, currency="EUR"),
        purpose=purpose_pb2.PURPOSE_PAYMENT_RECURRING,
        description="something that people wrote",
        metadata={"their": "own"},
    )


def lines(file):
    return [line for line, _ in read_journal(file)]


class TestRequestJournal:
    def test_keeps_what_was_asked(self, journal, file):
        journal.ask(a_charge())

        [asked] = lines(file)
        assert isinstance(asked, Asked)
        assert (asked.rpc, asked.purpose) == ("CreatePayment", "payment.recurring")
        assert (asked.amount, asked.currency) == (1999, "EUR")
        assert (asked.card_token, asked.merchant) == ("card_x", "shop")

    def test_keeps_the_receipt_of_the_answer(self, journal, file):
        receipt = receipt_pb2.Receipt(entry=b"{}", proof="proof", card_salt=b"\x01")
        journal.answer(a_charge(), payment_service_pb2.CreatePaymentResponse())
        journal.answer(
            a_charge(), payment_service_pb2.CreatePaymentResponse(receipt=receipt)
        )
        journal.answer(a_charge(), None, reason="POLICY_DENIED")

        answers = lines(file)
        assert all(isinstance(line, Answered) for line in answers)
        assert [line.receipt for line in answers] == [None, receipt, None]
        assert [line.result for line in answers] == ["OK", "OK", "POLICY_DENIED"]

    def test_never_holds_a_card_or_free_text(self, journal, file):
        plain = card_pb2.PlainCard(number="4242424242424242", security_code="123")
        request = vault_service_pb2.TokenizeCardRequest(
            request_id=REQUEST_ID, card=card_pb2.CardInput(plain=plain)
        )
        journal.ask(request)
        journal.ask(a_charge())

        content = file.read_bytes()
        assert b"4242" not in content
        assert b"people wrote" not in content

    def test_leaves_out_what_changes_nothing(self, journal, file):
        journal.ask(audit_service_pb2.GetCheckpointRequest(merchant="shop"))
        journal.ask(payment_service_pb2.GetPaymentRequest(request_id=REQUEST_ID))
        journal.answer(
            payment_service_pb2.GetPaymentRequest(request_id=REQUEST_ID), None
        )

        assert lines(file) == []

    def test_belongs_to_its_owner_alone(self, journal, file):
        assert os.stat(file).st_mode & 0o077 == 0

    def test_is_read_on_from_where_it_was_read(self, journal, file):
        journal.ask(a_charge())
        [(_, offset)] = read_journal(file)
        journal.ask(a_charge())
        with file.open("a") as stream:
            stream.write('{"asked":')  # a line that is being written

        assert len(list(read_journal(file, offset))) == 1

    @pytest.mark.parametrize(
        "line",
        [
            "not json",
            "[]",
            '{"other":{}}',
            '{"asked":{"unknown":1}}',
            '{"answered":{"request_id":"x","result":"OK","at":"t","receipt":"!"}}',
        ],
    )
    def test_refuses_a_line_that_is_none(self, file, line):
        file.write_text(line + "\n")

        with pytest.raises(JournalBroken, match="line 1"):
            list(read_journal(file))
