"""A processor that misbehaves on request: the simulator, with faults at the port.

What is not spoiled is the simulator's own work on its own ledger: money is counted
there, and the Processor contract that the simulator passes holds here too.
"""

import asyncio
from collections import defaultdict
from enum import Enum, auto

from gateway.errors import ProcessorUnavailable
from gateway.payments.processor import ProcessorOutcomeUnknown


class Fault(Enum):
    """What goes wrong with one call."""

    UNAVAILABLE = auto()  # nothing was executed, and it is known
    LOST_BEFORE = auto()  # nothing was executed, and nobody knows
    LOST_AFTER = auto()  # executed; the answer is lost


class Look:
    """Runs a look at the world while the processor works."""

    after = False

    def __init__(self, look):
        self.pass_through = look


class Gate:
    """Holds a call back until the test opens it: before the work, or after it."""

    def __init__(self, *, after=False):
        self.after = after
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()
        self.fault = None

    def open_with(self, fault):
        """Lets the call go on, into a fault."""
        self.fault = fault
        self.opened.set()

    async def pass_through(self):
        self.reached.set()
        await self.opened.wait()
        _raise(self.fault)


class ScriptedProcessor:
    """See Processor. ``calls`` lists what was asked: (operation, idempotency key)."""

    def __init__(self, inner):
        self.inner = inner
        self.name = inner.name
        self.purposes = inner.purposes
        self.fields = inner.fields
        self.capabilities = inner.capabilities
        self.calls = []
        self.orders = []
        self.codes = []
        self.searched = []
        self._faults = defaultdict(list)
        self._answers = defaultdict(list)

    def spoil(self, operation, *faults):
        """Spoils the next calls of the operation: faults, gates or exceptions."""
        self._faults[operation] += faults

    def answer(self, operation, *answers):
        """Makes the next calls of the operation answer this, and do nothing."""
        self._answers[operation] += answers

    def keys(self, operation):
        """Returns the idempotency keys that the operation was called with."""
        return [key for name, key in self.calls if name == operation]

    def check_representable(self, amount):
        self.inner.check_representable(amount)

    async def create_customer(self, call):
        return await self._do(
            "customer", call, lambda: self.inner.create_customer(call)
        )

    async def store_card(self, call, customer, card, security_code):
        self.codes.append(security_code)
        return await self._do(
            "store",
            call,
            lambda: self.inner.store_card(call, customer, card, security_code),
        )

    async def charge(self, call, order):
        self.orders.append(order)
        return await self._do("charge", call, lambda: self.inner.charge(call, order))

    async def confirm(self, call, processor_object, return_url):
        return await self._do(
            "confirm",
            call,
            lambda: self.inner.confirm(call, processor_object, return_url),
        )

    async def capture(self, call, processor_object, amount):
        return await self._do(
            "capture", call, lambda: self.inner.capture(call, processor_object, amount)
        )

    async def cancel(self, call, processor_object):
        return await self._do(
            "cancel", call, lambda: self.inner.cancel(call, processor_object)
        )

    async def refund(self, call, processor_object, amount):
        return await self._do(
            "refund", call, lambda: self.inner.refund(call, processor_object, amount)
        )

    async def inquire(self, call, processor_object):
        return await self._do(
            "inquire", call, lambda: self.inner.inquire(call, processor_object)
        )

    async def find(self, call, payment, customer, created_from):
        self.searched.append(customer)
        return await self._do(
            "find",
            call,
            lambda: self.inner.find(call, payment, customer, created_from),
        )

    async def close(self):
        await self.inner.close()

    async def _do(self, operation, call, work):
        self.calls.append((operation, call.idempotency_key))
        waiting = self._faults[operation]
        fault = waiting.pop(0) if waiting else None
        _raise(fault)
        if isinstance(fault, Gate | Look) and not fault.after:
            await fault.pass_through()
        answers = self._answers[operation]
        answer = answers.pop(0) if answers else await work()
        if fault is Fault.LOST_AFTER:
            raise ProcessorOutcomeUnknown
        if isinstance(fault, Gate | Look) and fault.after:
            await fault.pass_through()
        return answer


def _raise(fault):
    """Raises for what goes wrong before the work."""
    if fault is Fault.UNAVAILABLE:
        raise ProcessorUnavailable
    if fault is Fault.LOST_BEFORE:
        raise ProcessorOutcomeUnknown
    if isinstance(fault, BaseException):
        raise fault
