"""A small stateful Stripe: judges bodies strictly, replays keys, declines by card."""

import itertools
from contextlib import asynccontextmanager

from aiohttp import web

from tests.processors.stripe.strict_bodies import judge, read_form

DECLINES = {
    "4000000000009995": {"decline_code": "insufficient_funds"},
    "4000000000009979": {"decline_code": "stolen_card"},
    "4000000000000069": {"code": "expired_card"},
}
RAW_CARDS = (
    "Sending credit card numbers directly to the Stripe API is generally unsafe. "
    "We suggest you use test tokens that map to the test card you are using."
)


class FakeStripe:
    """What it was sent, and what it answers."""

    def __init__(self):
        self.requests = []
        self.keys = {}
        self.objects = {}
        self.fault = None
        self.numbers = itertools.count(1)
        self.application = web.Application()
        self.application.add_routes([web.route("*", "/{path:.*}", self.handle)])

    async def handle(self, request):
        body = (await request.read()).decode()
        self.requests.append(
            (request.method, request.path, dict(request.headers), body)
        )
        fault, self.fault = self.fault, None
        if fault == "drop":
            request.transport.abort()
        if isinstance(fault, tuple):
            status, error = fault
            return web.json_response({"error": error}, status=status)
        if fault == "not json":
            return web.Response(text="<html>", status=200)
        if fault == "redirect":
            raise web.HTTPTemporaryRedirect("http://127.0.0.1:1/elsewhere")
        if request.method == "GET":
            return self.read(request)
        judge(request.path, body)
        key = request.headers["Idempotency-Key"]
        if key in self.keys:
            known, status, answer = self.keys[key]
            if known != body:
                error = {"type": "idempotency_error", "message": "other parameters"}
                return web.json_response({"error": error}, status=400)
        else:
            status, answer = self.execute(request.path, read_form(body))
            self.keys[key] = (body, status, answer)
        if fault == "lose the answer":
            request.transport.abort()
        return web.json_response(answer, status=status)

    def read(self, request):
        name = request.path.rsplit("/", 1)[-1]
        if name in self.objects:
            return web.json_response(self.objects[name])
        found = [
            item
            for item in self.objects.values()
            if item["object"] == "payment_intent"
            and item["customer"] == request.query.get("customer", item["customer"])
        ]
        return web.json_response(
            {"object": "list", "data": found, "has_more": False, "url": request.path}
        )

    def add(self, prefix, kind, **facts):
        name = f"{prefix}_{next(self.numbers)}"
        self.objects[name] = {"id": name, "object": kind} | facts
        return self.objects[name]

    def execute(self, path, body):
        match path.strip("/").split("/"):
            case ["v1", "customers"]:
                return 200, self.add("cus", "customer")
            case ["v1", "payment_methods"]:
                card = body["card"]
                made = self.add("pm", "payment_method", number=card["number"])
                return 200, {"id": made["id"], "object": "payment_method"}
            case ["v1", "payment_intents"]:
                return self.pay(body)
            case ["v1", "payment_intents", name, "capture"]:
                amount = int(body["amount_to_capture"])
                self.objects[name] |= {"status": "succeeded", "amount_received": amount}
                return 200, self.objects[name]
            case ["v1", "payment_intents", name, "cancel"]:
                self.objects[name]["status"] = "canceled"
                return 200, self.objects[name]
            case ["v1", "refunds"]:
                made = self.add("re", "refund", status="succeeded")
                return 200, made
        raise AssertionError(path)

    def pay(self, body):
        number = self.objects[body["payment_method"]]["number"]
        manual = body["capture_method"] == "manual"
        amount = int(body["amount"])
        intent = self.add(
            "pi",
            "payment_intent",
            status="requires_capture" if manual else "succeeded",
            amount=amount,
            amount_received=0 if manual else amount,
            amount_capturable=amount if manual else 0,
            currency=body["currency"],
            customer=body["customer"],
            metadata=body["metadata"],
            latest_charge=None,
        )
        decline = DECLINES.get(number)
        if decline is None:
            return 200, intent
        intent |= {"status": "requires_payment_method", "amount_received": 0}
        error = {"type": "card_error", "code": "card_declined", "message": "no"}
        error |= decline | {"payment_intent": dict(intent)}
        return 402, {"error": error}


@asynccontextmanager
async def running_fake():
    """Serves a fake on loopback and yields it with its address."""
    fake = FakeStripe()
    runner = web.AppRunner(fake.application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield fake, f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()
