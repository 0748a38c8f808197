"""Nothing that the adapter or Stripe's SDK does shows a card, a code or a key."""

import asyncio
import logging
import re
import traceback
from datetime import timedelta

import pytest
import stripe
from aiohttp import web
from stripe import _util

from gateway.cards.expiry import Expiry
from gateway.cards.pan import Pan
from gateway.cards.security_code import SecurityCode
from gateway.config import ConfigInvalid
from gateway.payments.processor import CredentialReference, ProcessorRefused
from gateway.processors.stripe import hardening
from gateway.processors.stripe.processor import StripeProcessor
from gateway.processors.stripe.transport import begin_attempt
from gateway.vault.card_access import OpenedCard
from gateway.words.money import Money
from tests.contract.processor_contract import (
    NOT_SENT,
    UNKNOWN_TO_THE_ADAPTER,
    Desk,
    deadline_for,
    everything_in,
)
from tests.contract.processor_harness import Fault, Operation, an_order
from tests.processors.stripe import cards
from tests.processors.stripe.shapes import error_body
from tests.processors.stripe.stand_in import KEY, always, stripe_stand_in
from tests.security.leak_search import search_bytes

SECURITY_CODE = "9731"
SECRETS = (cards.VISA, cards.INSUFFICIENT_FUNDS, KEY)
# Four digits turn up by chance in addresses and times, but not alone.
_CODE_ALONE = re.compile(rf"(?<![0-9A-Za-z.]){SECURITY_CODE}(?![0-9A-Za-z.])")
_TIMES = ("created", "msecs", "relativeCreated", "thread", "process")


class _EverythingHandler(logging.Handler):
    """Formats every record as a careless handler would."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.texts = []

    def emit(self, record):
        values = {
            key: value for key, value in vars(record).items() if key not in _TIMES
        }
        self.texts += [record.getMessage(), repr(values)]


@pytest.fixture
def log():
    """The root logger at DEBUG, as somebody who looks for a fault sets it."""
    root, handler = logging.getLogger(), _EverythingHandler()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler.texts
    root.removeHandler(handler)
    root.setLevel(before)


@pytest.fixture
async def desk(harness):
    desk = Desk(harness, harness.make_processor())
    yield desk
    await desk.processor.close()


def a_marked_card(number=cards.VISA):
    return OpenedCard(number=Pan(number), expiry=Expiry(12, 2034)), SecurityCode(
        SECURITY_CODE
    )


async def do_everything(desk, number=cards.VISA, deadline=timedelta(seconds=10)):
    """Makes every call once; returns what came out, errors with all behind them."""
    processor, told = desk.processor, []

    async def note(making):
        try:
            answer = await making
        except Exception as error:  # noqa: BLE001 - whatever comes out is searched
            told.extend(everything_in(error))
            told.extend(variables_behind(error))
            return None
        told.append(repr(answer))
        return answer

    def call(name):
        return desk.call(f"{number}-{name}"[-20:], deadline)

    customer = await note(processor.create_customer(call("customer"))) or "cus_1"
    stored = await note(
        processor.store_card(call("store"), customer, *a_marked_card(number))
    ) or CredentialReference(payment_method="pm_1", customer=customer)
    order = an_order(stored, desk.payment, capture=False)
    charge = await note(processor.charge(call("charge"), order))
    name = getattr(charge, "processor_object", None) or "pi_1"
    await note(processor.capture(call("capture"), name, Money(1000, "USD")))
    await note(processor.refund(call("refund"), name, Money(300, "USD")))
    await note(processor.cancel(call("cancel"), name))
    await note(processor.inquire(call("inquire"), name))
    await note(processor.find(call("find"), desk.payment, customer, desk.harness.now()))
    return told


def variables_behind(error):
    """Yields the variables of every frame of the gateway, as Sentry or rich show them.

    Frames of this file hold the card because a test must make one.
    """
    for each in (error, error.__cause__, error.__context__):
        if each is None:
            continue
        for frame, _ in traceback.walk_tb(each.__traceback__):
            if "/tests/" not in frame.f_code.co_filename:
                yield repr(frame.f_locals)


def found_in(texts):
    text = "\n".join(texts)
    found = {each.secret for each in search_bytes("seen", text.encode(), SECRETS)}
    return found | set(_CODE_ALONE.findall(text))


class TestLeaks:
    async def test_shows_nothing_when_all_goes_well(self, desk, log, capfd):
        told = await do_everything(desk)

        captured = capfd.readouterr()
        assert found_in([*told, *log, captured.out, captured.err]) == set()
        assert any("Approved" in text for text in told)

    async def test_shows_nothing_of_a_declined_card(self, desk, log, capfd):
        told = await do_everything(desk, cards.INSUFFICIENT_FUNDS)

        captured = capfd.readouterr()
        assert found_in([*told, *log, captured.out, captured.err]) == set()
        assert any("INSUFFICIENT_FUNDS" in text for text in told)
        assert any("Stripe did not say yes" in text for text in log)

    @pytest.mark.parametrize("fault", [*UNKNOWN_TO_THE_ADAPTER, *NOT_SENT])
    async def test_shows_nothing_whatever_goes_wrong(self, desk, log, capfd, fault):
        for operation in Operation:
            await desk.harness.set_fault(fault, operation)

        told = await do_everything(desk, deadline=deadline_for(fault))

        captured = capfd.readouterr()
        assert found_in([*told, *log, captured.out, captured.err]) == set()
        assert any("Processor" in text for text in told)

    @pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 429, 500])
    async def test_shows_nothing_when_stripe_quotes_the_request(
        self, desk, log, capfd, stand_in, status
    ):
        quoting = error_body(
            "invalid_request_error",
            f"Invalid: {cards.VISA} {SECURITY_CODE}, key {KEY}",
            code=cards.VISA,
            param=f"card[number]={cards.VISA}",
            decline_code=SECURITY_CODE,
        )
        for operation in Operation:
            stand_in.canned[operation] = web.json_response(
                quoting, status=status, headers={"Request-Id": cards.VISA}
            )

        told = await do_everything(desk)

        captured = capfd.readouterr()
        assert found_in([*told, *log, captured.out, captured.err]) == set()

    async def test_shows_nothing_of_a_cancelled_call(self, desk, stand_in):
        stand_in.faults[Operation.STORE] = Fault.SLOW
        storing = asyncio.ensure_future(
            desk.processor.store_card(desk.call("m"), "cus_1", *a_marked_card())
        )
        await asyncio.sleep(0.1)
        storing.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await storing

        told = [*everything_in(caught.value), *variables_behind(caught.value)]
        assert found_in(told) == set()

    async def test_shows_nothing_when_somebody_sets_up_logging_again(self, desk, log):
        stripe_logger = logging.getLogger("stripe")
        stripe_logger.filters.clear()
        stripe_logger.setLevel(logging.DEBUG)
        try:
            told = await do_everything(desk)
        finally:
            stripe_logger.setLevel(logging.NOTSET)

        assert found_in([*told, *log]) == set()

    async def test_would_be_seen_without_the_filter(self, desk, log, monkeypatch):
        """The control: this is what the SDK does when it is left alone."""
        monkeypatch.setattr(
            hardening._DropRequests, "filter", lambda _self, _record: True
        )

        await do_everything(desk)

        assert {cards.VISA, SECURITY_CODE} <= found_in(log)

    async def test_would_be_seen_behind_a_careless_error(self, desk, stand_in):
        """The control: the SDK's own error holds the request in its frames."""
        client = desk.processor._connection.client()
        begin_attempt()
        stand_in.canned[Operation.STORE] = web.json_response(
            error_body("api_error", "x"), status=500
        )
        params = {"type": "card", "card": {"number": cards.VISA}}
        with pytest.raises(stripe.APIError) as caught:
            await client.v1.payment_methods.create_async(params, {"api_key": KEY})

        assert found_in(variables_behind(caught.value)) != set()


class TestPrinting:
    @pytest.mark.parametrize(
        ("module", "name"), [(stripe, "log"), (_util, "STRIPE_LOG")]
    )
    @pytest.mark.parametrize("level", ["debug", "info"])
    def test_keeps_the_gateway_from_starting(self, monkeypatch, module, name, level):
        monkeypatch.setattr(module, name, level)
        with pytest.raises(ConfigInvalid, match="print card numbers"):
            StripeProcessor(credentials=always(KEY))

    async def test_keeps_a_call_from_being_made(
        self, desk, stand_in, monkeypatch, capfd
    ):
        """Somebody may switch it on later, while the gateway runs."""
        monkeypatch.setattr(stripe, "log", "debug")

        with pytest.raises(ProcessorRefused, match="STRIPE_PRINTS_REQUESTS"):
            await desk.processor.store_card(desk.call("m"), "c", *a_marked_card())

        assert stand_in.received == []
        assert capfd.readouterr().err == ""


class TestSurroundings:
    async def test_are_not_asked_for_a_key(self, desk, stand_in, tmp_path, monkeypatch):
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1\nlogin evil\npassword pw\n")
        monkeypatch.setenv("NETRC", str(netrc))

        await desk.store()

        assert stand_in.received[0].headers["Authorization"] == f"Bearer {KEY}"

    async def test_are_not_asked_for_a_way(self, desk, stand_in, monkeypatch):
        async with stripe_stand_in() as proxy:
            for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
                monkeypatch.setenv(name, proxy.address)
            await desk.store()

            assert proxy.received == []
        assert len(stand_in.received) == 2

    async def test_get_no_telemetry_file(self, desk, tmp_path, monkeypatch):
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        monkeypatch.setenv("HOME", str(tmp_path))

        await do_everything(desk)

        assert not stripe.enable_telemetry
        assert list(tmp_path.rglob("*")) == []

    async def test_see_one_connection_for_calls_in_a_row(self, desk):
        await do_everything(desk)
        session = desk.processor._connection._session
        pooled = list(session.connector._conns.values())
        assert [len(connections) for connections in pooled] == [1]


class TestAddress:
    @pytest.mark.parametrize(
        "address",
        [
            "http://api.stripe.example",
            "http://10.0.0.1:12111",
            "ftp://127.0.0.1",
            "127.0.0.1:12111",
            "https://",
            "",
            "https://api.stripe.com/?a=b",
            "http://127.0.0.1.example",
        ],
    )
    def test_is_refused_when_cards_would_travel_in_clear(self, address):
        with pytest.raises(ConfigInvalid):
            StripeProcessor(credentials=always(KEY), address=address)

    @pytest.mark.parametrize(
        "address",
        [
            "https://api.stripe.com",
            "https://stand-in.example:8443/",
            "http://127.0.0.1:12111",
            "http://localhost:1",
            "http://[::1]:12111",
        ],
    )
    def test_is_taken(self, address):
        StripeProcessor(credentials=always(KEY), address=address)

    async def test_is_the_only_one_of_the_client(self, desk):
        client = desk.processor._connection.client()
        bases = client._requestor.base_addresses
        assert set(bases) == {"api", "connect", "files", "meter_events"}
        assert set(bases.values()) == {desk.harness.stand_in.address}
