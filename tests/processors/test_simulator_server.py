"""The HTTP side: paths, the cardholder's page, the control interface."""

import aiohttp
import pytest

from gateway.processors.simulator.ledger import Ledger
from gateway.processors.simulator.server import SimulatorServer
from tests.processors.simulator_harness import MovingClock

OK = "4242424242424242"


class Browser:
    """An HTTP client that speaks JSON to one server."""

    def __init__(self, session, url):
        self._session = session
        self.url = url
        self._keys = 0

    async def post(self, path, body=None, key=None, **options):
        self._keys += 1
        name = f"key-{self._keys}" if key is None else key
        headers = {"Idempotency-Key": name} if name else {}
        arguments = {"json": body or {}, "headers": headers} | options
        async with self._session.post(self.url + path, **arguments) as answer:
            return answer, await answer.json(content_type=None)

    async def get(self, path):
        async with self._session.get(self.url + path) as answer:
            return answer, await answer.json(content_type=None)

    async def pay(self, number=OK, key=None, **changes):
        card = {"number": number, "expiry_month": 12, "expiry_year": 2031}
        _, method = await self.post("/v1/payment_methods", {"card": card})
        body = {"amount": 1000, "currency": "USD", "payment_method": method["id"]}
        return await self.post("/v1/payments", body | changes, key)


@pytest.fixture
async def server():
    made = await SimulatorServer.start(Ledger(clock=MovingClock()))
    yield made
    await made.close()


@pytest.fixture
async def browser(server):
    async with aiohttp.ClientSession() as session:
        yield Browser(session, server.url)


class TestProcessorPaths:
    async def test_charge_capture_and_refund(self, browser):
        answer, payment = await browser.pay(capture=False)
        path = f"/v1/payments/{payment['id']}"

        await browser.post(f"{path}/capture", {"amount": 600})
        await browser.post("/v1/refunds", {"payment": payment["id"], "amount": 100})

        _, read = await browser.get(path)
        assert answer.status == 200
        assert (read["status"], read["captured"], read["refunded"]) == (
            "succeeded",
            600,
            100,
        )
        _, search = await browser.get("/v1/payments?created_from=0")
        assert search["data"] == [read]

    async def test_say_that_an_answer_is_a_replay(self, browser):
        first, made = await browser.post("/v1/customers", key="k")
        again, same = await browser.post("/v1/customers", key="k")

        assert made == same
        assert "Idempotent-Replayed" not in first.headers
        assert again.headers["Idempotent-Replayed"] == "true"

    async def test_answer_a_decline_with_its_payment(self, browser):
        answer, body = await browser.pay("4000000000009995")

        assert answer.status == 402
        assert body["error"]["code"] == "insufficient_funds"
        assert body["error"]["payment"]["status"] == "requires_payment_method"

    @pytest.mark.parametrize(
        ("path", "status"),
        [
            ("/v1/payments/pay_none", 404),
            ("/v1/payments?created_from=yesterday", 400),
            ("/v1/charges/ch_none", 404),
            ("/", 404),
        ],
    )
    async def test_refuse_to_read_what_is_not_there(self, browser, path, status):
        async with browser._session.get(browser.url + path) as answer:
            assert answer.status == status

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"text"', b"\xff"])
    async def test_refuse_a_body_that_is_no_json_object(self, browser, content):
        answer, body = await browser.post("/v1/customers", data=content, json=None)

        assert (answer.status, body["error"]["code"]) == (400, "body_invalid")

    async def test_refuse_a_body_that_is_too_long(self, browser):
        async with browser._session.post(
            browser.url + "/v1/customers", data=b"x" * 70_000
        ) as answer:
            assert answer.status == 413

    async def test_require_a_key(self, browser):
        answer, body = await browser.post("/v1/customers", key="")

        assert (answer.status, body["error"]["code"]) == (
            400,
            "idempotency_key_missing",
        )


class TestCardholderPage:
    @pytest.mark.parametrize(
        ("result", "status"),
        [("succeed", "succeeded"), ("fail", "requires_payment_method")],
    )
    async def test_settles_the_payment_and_sends_back(self, browser, result, status):
        back = "https://shop.example/back"
        _, payment = await browser.pay("4000002760003184", return_url=back)
        url = payment["redirect_url"]
        assert url.startswith(browser.url)

        async with browser._session.get(url) as page:
            text = await page.text()
        async with browser._session.post(
            url, data={"result": result}, allow_redirects=False
        ) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, back)

        assert "Authenticate" in text
        _, read = await browser.get(f"/v1/payments/{payment['id']}")
        assert read["status"] == status

    async def test_writes_nothing_of_the_address_unescaped(self, browser):
        async with browser._session.get(
            browser.url + "/authenticate/%3Cscript%3E"
        ) as page:
            assert "<script>" not in await page.text()

    async def test_refuses_a_payment_that_does_not_wait(self, browser):
        _, payment = await browser.pay()

        answer, _ = await browser.post(
            "/control/authenticate", {"payment": payment["id"], "succeeded": True}
        )

        assert answer.status == 400


class TestControl:
    async def test_plans_a_fault_and_forgets_it(self, browser):
        plan = {"fault": "429", "operation": "payment", "times": 2}
        await browser.post("/control/faults", plan)
        spoiled, _ = await browser.pay()
        async with browser._session.delete(browser.url + "/control/faults"):
            pass

        fine, _ = await browser.pay()

        assert (spoiled.status, fine.status) == (429, 200)

    @pytest.mark.parametrize(
        "plan",
        [
            {},
            {"fault": "explode"},
            {"fault": "429", "operation": "explode"},
            {"fault": "429", "times": 0},
            {"fault": "429", "times": "many"},
        ],
    )
    async def test_refuses_a_plan_that_it_does_not_understand(self, browser, plan):
        answer, _ = await browser.post("/control/faults", plan)

        assert answer.status == 400

    async def test_moves_the_clock(self, browser, server):
        before = server.ledger.now()

        answer, _ = await browser.post("/control/clock", {"advance_seconds": 60})
        wrong, _ = await browser.post("/control/clock", {"advance_seconds": -60})

        assert (answer.status, wrong.status) == (200, 400)
        assert (server.ledger.now() - before).total_seconds() == 60

    async def test_prunes_the_keys(self, browser):
        _, first = await browser.post("/v1/customers", key="k")
        await browser.post("/control/prune")

        _, second = await browser.post("/v1/customers", key="k")

        assert first["id"] != second["id"]

    async def test_shows_the_whole_ledger(self, browser, server):
        await browser.pay()

        _, dump = await browser.get("/ledger")

        assert dump == server.ledger.dump()
        assert [record["kind"] for record in dump] == ["payment_method", "payment"]


class TestFailingDisk:
    async def test_is_a_500_and_nothing_is_promised(self, tmp_path):
        server = await SimulatorServer.start(Ledger(tmp_path / "ledger.jsonl"))
        async with aiohttp.ClientSession() as session:
            browser = Browser(session, server.url)
            server.ledger.journal.close()

            answer, body = await browser.post("/v1/customers")

            assert answer.status == 500
            assert body["error"]["code"] == "ledger_unavailable"
        await server.close()
