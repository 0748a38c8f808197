"""The contract's harness over the simulator: embedded, and over HTTP."""

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from gateway.processors.simulator.declines import REASONS_BY_CODE
from gateway.processors.simulator.embedded_transport import EmbeddedTransport
from gateway.processors.simulator.faults import Fault as SimulatorFault
from gateway.processors.simulator.faults import Front
from gateway.processors.simulator.http_transport import HttpTransport
from gateway.processors.simulator.ledger import Ledger
from gateway.processors.simulator.processor import SimulatorProcessor
from gateway.processors.simulator.server import SimulatorServer
from gateway.processors.simulator.wire import NotSent
from gateway.processors.simulator.wire import Operation as SimulatorOperation
from gateway.words.money import Money
from tests.contract.processor_harness import (
    SLOW_SECONDS,
    Behaviour,
    Fault,
    LedgerTotals,
    Operation,
    a_card,
    an_account,
)

SLOW_MILLISECONDS = int(SLOW_SECONDS * 1000)
CODE_BY_REASON = {reason: code for code, reason in REASONS_BY_CODE.items()}

OPERATIONS = {
    Operation.CUSTOMER: SimulatorOperation.CUSTOMER,
    Operation.STORE: SimulatorOperation.PAYMENT_METHOD,
    Operation.CHARGE: SimulatorOperation.PAYMENT,
    Operation.CONFIRM: SimulatorOperation.CONFIRM,
    Operation.CAPTURE: SimulatorOperation.CAPTURE,
    Operation.CANCEL: SimulatorOperation.CANCEL,
    Operation.REFUND: SimulatorOperation.REFUND,
    Operation.INQUIRE: SimulatorOperation.READ,
    Operation.FIND: SimulatorOperation.SEARCH,
}
FAULTS = {
    Fault.LOST_BEFORE: "drop_before",
    Fault.LOST_AFTER: "drop_after",
    Fault.SLOW: f"slow:{SLOW_MILLISECONDS}",
    Fault.SLOW_BODY: f"slow_body:{SLOW_MILLISECONDS}",
    Fault.MALFORMED_BODY: "malformed_body",
    Fault.TRUNCATED_BODY: "truncated_body",
    Fault.STORED_ERROR_BEFORE: "500_stored_before",
    Fault.STORED_ERROR_AFTER: "500_stored",
    Fault.ERROR: "500_not_stored",
    Fault.RATE_LIMITED: "429",
}
CARDS = {
    Behaviour.OK: "4242424242424242",
    Behaviour.OTHER_OK: "5555555555554444",
    Behaviour.DECLINED: "4000000000000002",
    Behaviour.INSUFFICIENT_FUNDS: "4000000000009995",
    Behaviour.LOST: "4000000000009987",
    Behaviour.STOLEN: "4000000000009979",
    Behaviour.EXPIRED: "4000000000000069",
    Behaviour.SECURITY_CODE_INCORRECT: "4000000000000127",
    Behaviour.PROCESSING_ERROR: "4000000000000119",
    Behaviour.FAILS_WHEN_CHARGED: "4000000000000341",
    Behaviour.NUMBER_INCORRECT: "4242424242424241",
    Behaviour.NEEDS_AUTHENTICATION: "4000002500003155",
}


class MovingClock:
    """A clock that stands still until it is told to move."""

    def __init__(self):
        self.time = datetime(2026, 11, 25, 12, tzinfo=UTC)

    def now(self):
        return self.time

    def advance(self, **by):
        self.time += timedelta(**by)


class CutTransport:
    """A transport whose next request of one operation finds no connection."""

    def __init__(self, transport, nowhere):
        self._transport = transport
        self._nowhere = nowhere
        self.cut = set()

    async def send(self, request, deadline):
        if request.operation in self.cut:
            self.cut.discard(request.operation)
            return await self._nowhere.send(request, deadline)
        return await self._transport.send(request, deadline)

    async def close(self):
        await self._transport.close()
        await self._nowhere.close()


class Nowhere:
    """Where nothing can be sent to, in this process."""

    async def send(self, request, deadline):
        raise NotSent

    async def close(self):
        pass


class SimulatorHarness:
    """See ProcessorHarness. ``connect`` makes a transport and one to nowhere."""

    representable = (
        Money(1, "USD"),
        Money(99_999_999, "EUR"),
        Money(5, "JPY"),
        Money(1230, "KWD"),
    )
    not_representable = (Money(0, "USD"), Money(100_000_000, "USD"), Money(1234, "KWD"))

    def __init__(self, front, connect):
        self.front = front
        self.ledger = front.ledger
        self.account = an_account("simulator")
        self._connect = connect
        self._transports = []

    def make_processor(self):
        self._transports.append(CutTransport(*self._connect()))
        return SimulatorProcessor(self._transports[-1])

    def card(self, behaviour):
        return a_card(CARDS[behaviour])

    def now(self):
        return self.ledger.now()

    async def set_fault(self, fault, operation):
        place = OPERATIONS[operation]
        if fault is Fault.UNREACHABLE:
            for transport in self._transports:
                transport.cut.add(place)
        else:
            self.front.plan(SimulatorFault.read(FAULTS[fault]), place)

    async def decline_next_charge(self, reason):
        code = CODE_BY_REASON[reason] if reason else "a_code_from_the_future"
        fault = SimulatorFault.read(f"decline:{code}")
        self.front.plan(fault, SimulatorOperation.PAYMENT)

    async def authenticate(self, processor_object, *, succeeded):
        self.ledger.authenticate(processor_object, succeeded=succeeded)

    async def forget_keys(self):
        self.ledger.prune_keys()

    async def totals(self):
        return totals_of(self.ledger.dump())


def totals_of(records):
    """Returns the sums over a dump of the ledger, as GET /ledger gives it."""
    kinds = [record["kind"] for record in records]
    payments = [record for record in records if record["kind"] == "payment"]
    return LedgerTotals(
        customers=kinds.count("customer"),
        payment_methods=kinds.count("payment_method"),
        payments=len(payments),
        reserved=sum(payment["capturable"] for payment in payments),
        captured=sum(payment["captured"] for payment in payments),
        refunded=sum(payment["refunded"] for payment in payments),
    )


def embedded_harness(clock=None):
    """Returns a harness over a ledger in memory."""
    front = Front(Ledger(clock=clock or MovingClock()))
    return SimulatorHarness(
        front, lambda: (EmbeddedTransport(front.ledger, front), Nowhere())
    )


@asynccontextmanager
async def http_harness(file):
    """Yields a harness over a server with a ledger file."""
    server = await SimulatorServer.start(Ledger(file, MovingClock()))
    closed = "http://127.0.0.1:1"  # tcpmux: nobody listens there
    try:
        yield SimulatorHarness(
            server.front, lambda: (HttpTransport(server.url), HttpTransport(closed))
        )
    finally:
        await server.close()
