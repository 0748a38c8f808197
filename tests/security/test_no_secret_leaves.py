"""Every RPC driven with marked cards, then every file searched. covers: I1, I4.

Success, decline, lost answers, a crash, plain and malformed input, at DEBUG. The
control is a gateway that writes what it opens: the same search must find it.
"""

import json
import os
import subprocess
import sys
import time
import urllib.request

import grpc
import pytest
from bailee import BaileeError, Billing, Card, Client, new_request_id
from bailee.v1 import audit_service_pb2 as audit_pb2
from bailee.v1 import audit_service_pb2_grpc, card_pb2, vault_service_pb2
from bailee.v1 import payment_service_pb2 as pb

from gateway.cli.audit import export_gateway_at
from gateway.cli.init import InitOptions, create_gateway, free_port
from gateway.config import Settings
from gateway.words.clock import SystemClock
from tests.crash.test_kill_payments import simulator
from tests.security.drive_vault import drive_vault
from tests.security.leak_search import search_bytes, search_files

pytestmark = pytest.mark.process

# Published test numbers; each goes another way.
OK, DECLINED, LOST, STORED_ONLY = (
    "5555555555554444",
    "4000000000009995",
    "6011111111111117",
    "3566002020360505",
)
PLAIN, CRASHED, MALFORMED, REFUSED = (
    "378282246310005",
    "5105105105105100",
    "30569309025904",
    "4242424242424241",
)
AUTHENTICATES = "4000002760003184"
NUMBERS = [
    AUTHENTICATES,
    OK,
    DECLINED,
    LOST,
    STORED_ONLY,
    PLAIN,
    CRASHED,
    MALFORMED,
    REFUSED,
]
SECURITY_CODE = "739284650173928465"
BILLING = Billing(
    name="Zebedee Marker",
    line1="Marker Street 4711",
    city="Markerville",
    postal_code="MRK-90210",
    country="DE",
    email="marked@leak.example",
    phone="+49-marked-1234567",
)
MARKS = [
    *NUMBERS,
    SECURITY_CODE,
    BILLING.name,
    BILLING.line1,
    BILLING.city,
    BILLING.postal_code,
    BILLING.email,
    BILLING.phone,
]


class Seen:
    """What the caller saw: answers, errors, receipts."""

    def __init__(self):
        self.texts = []

    def call(self, function, *arguments, **keywords):
        try:
            answer = function(*arguments, **keywords)
        except BaileeError as error:
            facts = (error, repr(error), error.args, error.metadata, error.violations)
            self.texts.append(repr(facts))
            return None
        self.texts.append(str(answer) + repr(answer))
        self.texts.append(repr(answer.SerializeToString()))
        return answer

    def call_all(self, function, *arguments):
        """Calls what returns the items of an answer."""
        answers = function(*arguments)
        self.texts += [repr(answer.SerializeToString()) for answer in answers]
        return answers


def a_card(number):
    return Card(
        number=number,
        expiry_month=12,
        expiry_year=2031,
        security_code=SECURITY_CODE,
        billing=BILLING,
    )


METRICS = f"127.0.0.1:{free_port()}"


def start(folder, bank, mode, boundary="none"):
    settings = {
        "BAILEE_METRICS_LISTEN": METRICS,
        "BAILEE_SIMULATOR_URL": bank,
        "BAILEE_LOG_LEVEL": "DEBUG",
        "BAILEE_ACCEPT_PLAIN_CARDS": "true",
        "BAILEE_PROCESSOR_DEADLINE_SECONDS": "2",
    }
    command = [sys.executable, "-m", "tests.security.marked_gateway"]
    with (folder / "serve.log").open("ab") as log:
        return subprocess.Popen(
            [*command, str(folder), mode, boundary],
            env=os.environ | settings,
            stdout=log,
            stderr=log,
        )


def wait(client):
    ends = time.monotonic() + 20
    while True:
        try:
            client.get_card_token("card_none")
        except BaileeError as error:
            if error.reason:
                return
            assert time.monotonic() < ends
            time.sleep(0.05)


def drive(client, seen, bank):
    """Every RPC, through every kind of outcome."""
    token = seen.call(client.tokenize_card, a_card(STORED_ONLY)).card_token.name
    seen.call(client.get_card_token, token)
    seen.call(client.tokenize_card, a_card(REFUSED))
    pay = {"amount": 1000, "currency": "USD"}
    paid = seen.call(client.create_payment, card=a_card(OK), **pay)
    again = paid.payment.card_token
    seen.call(
        client.create_payment, card_token=again, security_code=SECURITY_CODE, **pay
    )
    seen.call(client.create_payment, card=a_card(DECLINED), **pay)
    held = seen.call(client.create_payment, card_token=again, capture=False, **pay)
    seen.call(client.capture_payment, held.payment.name)
    held = seen.call(client.create_payment, card_token=again, capture=False, **pay)
    seen.call(client.cancel_payment, held.payment.name)
    waits = seen.call(
        client.create_payment,
        card=a_card(AUTHENTICATES),
        return_url="https://shop.example/back",
        **pay,
    )
    seen.call(client.confirm_payment, waits.payment.name)
    seen.call(client.confirm_payment, waits.payment.name, return_url=f"https://a/{OK}")
    seen.call(client.refund_payment, paid.payment.name, amount=10, currency="USD")
    seen.call(client.create_payment, card_token=again, purpose="marketing", **pay)
    seen.call(client.create_payment, card_token=again, description=PLAIN, **pay)
    seen.call(client.create_payment, card_token=again, merchant_reference=OK, **pay)
    seen.call(client.get_payment, paid.payment.name)
    seen.call(client.get_payment, paid.payment.name, refresh=True)
    drive_lists(client, seen)
    arm(bank, "payment", "drop_after")
    arm(bank, "payment", "drop_before")
    seen.call(client.create_payment, card=a_card(LOST), **pay)
    arm(bank, "payment_method", "malformed_body")
    seen.call(client.create_payment, card=a_card(LOST), **pay)
    plain = card_pb2.PlainCard(
        number=PLAIN,
        expiry_month=12,
        expiry_year=2031,
        security_code=SECURITY_CODE,
    )
    plain.billing.name, plain.billing.email = BILLING.name, BILLING.email
    for number in (PLAIN, PLAIN + "0", PLAIN[:-1]):
        plain.number = number
        request = vault_service_pb2.TokenizeCardRequest(
            merchant=client.merchant,
            request_id=new_request_id(),
            card=card_pb2.CardInput(plain=plain),
        )
        seen.call(client._call, client._connection.vault.TokenizeCard, request)
    read_log(client, seen)
    send_garbage(client, seen)
    drive_vault(client, seen, token, a_card(PLAIN))
    seen.call(client.delete_card_token, token)


def drive_lists(client, seen):
    """Lists, found by a card number and by an honest name."""
    stub, merchant = client._connection.payments, client.merchant
    for request in (
        pb.ListPaymentsRequest(merchant=merchant),
        pb.ListPaymentsRequest(merchant=merchant, merchant_reference=OK),
        pb.ListPaymentsRequest(merchant=merchant, last_four=OK, page_token=OK),
        pb.GetRefundRequest(merchant=merchant, refund=OK),
        pb.ListRefundsRequest(merchant=merchant),
        pb.ListRefundsRequest(merchant=merchant, payment=OK),
        pb.ListPaymentEventsRequest(merchant=merchant),
        pb.ListPaymentEventsRequest(merchant=merchant, cursor=OK, payment=OK),
    ):
        rpc = request.DESCRIPTOR.name.removesuffix("Request")
        seen.call(client._call, getattr(stub, rpc), request)
    watched = client.watch_payment_events()
    assert seen.call(next, watched)
    watched.close()
    seen.call(next, client.watch_payment_events(cursor=OK))


def read_log(client, seen):
    """Every RPC of AuditService."""
    log = audit_service_pb2_grpc.AuditServiceStub(client._connection.channel)
    merchant = client.merchant
    for rpc, request in (
        (log.GetCheckpoint, audit_pb2.GetCheckpointRequest(merchant=merchant)),
        (log.ListEntries, audit_pb2.ListEntriesRequest(merchant=merchant)),
        (log.GetInclusionProof, audit_pb2.GetInclusionProofRequest(merchant=merchant)),
        (
            log.GetConsistencyProof,
            audit_pb2.GetConsistencyProofRequest(merchant=merchant, old_size=1),
        ),
    ):
        assert seen.call(client._call, rpc, request) is not None


def send_garbage(client, seen):
    """Bytes that are no message and hold a card number."""
    for rpc in ("VaultService/TokenizeCard", "PaymentService/CreatePayment"):
        call = client._connection.channel.unary_unary(f"/bailee.v1.{rpc}")
        with pytest.raises(grpc.RpcError) as caught:
            call(b"\xff\xff" + MALFORMED.encode() + SECURITY_CODE.encode(), timeout=5)
        seen.texts.append(str(caught.value))
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def read_metrics():
    with urllib.request.urlopen(f"http://{METRICS}/metrics") as answer:
        text = answer.read().decode()
    assert "bailee_declines_total" in text
    return text


def arm(bank, operation, fault):
    body = json.dumps({"operation": operation, "fault": fault}).encode()
    request = urllib.request.Request(
        f"{bank}/control/faults",
        data=body,
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request):
        pass


def run(tmp_path, mode):
    """Drives a gateway and returns its folder and what the caller saw."""
    folder, seen = tmp_path / "gateway", Seen()
    with simulator(tmp_path) as bank:
        options = InitOptions(listen=f"127.0.0.1:{free_port()}")
        bundle = create_gateway(folder, options, SystemClock().now()).bundle
        crashing = start(folder, bank, mode, "CARD_STORED")
        with Client.from_bundle(bundle, timeout_seconds=3) as client:
            wait(client)
            seen.call(
                client.create_payment, card=a_card(CRASHED), amount=5, currency="USD"
            )
        crashing.kill()
        crashing.wait()
        process = start(folder, bank, mode)
        try:
            with Client.from_bundle(bundle, timeout_seconds=10) as client:
                wait(client)
                drive(client, seen, bank)
                time.sleep(3)  # the resolver asks about the lost ones
                seen.texts.append(read_metrics())
        finally:
            process.kill()
            process.wait()
        export_gateway_at(Settings.read(folder), "shop", tmp_path / "export")
    return seen


class TestNoSecretLeaves:
    def test_finds_no_mark_in_any_file_answer_or_error(self, tmp_path):
        seen = run(tmp_path, "clean")

        found = search_files([tmp_path], MARKS)
        for text in seen.texts:
            found += search_bytes("an answer", text.encode(), MARKS)
        assert len(seen.texts) > 25
        assert found == []

    def test_the_search_finds_a_gateway_that_writes_a_card(self, tmp_path):
        seen = run(tmp_path, "leaky")

        found = search_files([tmp_path], MARKS)
        assert seen.texts
        assert {item.secret for item in found} >= {OK, STORED_ONLY}
        assert all("serve.log" in item.file for item in found)
