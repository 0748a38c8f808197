"""A till: every part of payments over a real vault, database and simulated bank."""

from contextlib import asynccontextmanager
from datetime import timedelta

from gateway.payments.accounts import Accounts
from gateway.payments.asking import Asking
from gateway.payments.cancel_payment import cancel_rules
from gateway.payments.capture_payment import capture_rules
from gateway.payments.confirm_payment import ConfirmPayment, ConfirmPaymentCommand
from gateway.payments.create_payment import CreatePayment, CreatePaymentCommand
from gateway.payments.looking import Looking
from gateway.payments.moves import MoveCommand, Mover
from gateway.payments.poll_open_payments import PollOpenPayments
from gateway.payments.processor_steps import ProcessorSteps
from gateway.payments.read_payments import ReadPayments
from gateway.payments.record_outcome import RecordOutcome
from gateway.payments.refresh_payment import RefreshPayment
from gateway.payments.refund_payment import refund_rules
from gateway.payments.settle_unknown_payments import SettleUnknownPayments
from gateway.processors.simulator.ledger import Ledger
from gateway.processors.simulator.processor import (
    EmbeddedTransport,
    SimulatorProcessor,
)
from gateway.words.money import Money
from gateway.words.purposes import Purpose
from tests.builders.storage import SHOP
from tests.builders.vault import CALLER, a_form, a_request_id, a_vault
from tests.fakes.processor import ScriptedProcessor

DECLINED = "4000000000000002"
WRONG_NUMBER = "4242424242424241"
NEEDS_ACTION = "4000002500003155"
PRICE = Money(1999, "USD")
ZERO = Money(0, "USD")
DIGEST = b"d" * 32
DEADLINE = timedelta(seconds=5)
LEASE = timedelta(seconds=20)
ACTION_WINDOW = timedelta(hours=24)


def a_charge(card, **changes):
    """Returns a command for 19.99 that the cardholder starts."""
    values = {
        "merchant": SHOP,
        "caller": CALLER,
        "request_id": a_request_id(),
        "digest": DIGEST,
        "card": card,
        "amount": PRICE,
        "purpose": Purpose.CUSTOMER_INITIATED,
    }
    return CreatePaymentCommand(**values | changes)


def a_move(payment, minor_units=None, **changes):
    """Returns a command for a capture, cancel or refund."""
    amount = None if minor_units is None else Money(minor_units, "USD")
    values = {
        "merchant": SHOP,
        "caller": CALLER,
        "request_id": a_request_id(),
        "digest": DIGEST,
        "payment": getattr(payment, "name", payment),
        "amount": amount,
    }
    return MoveCommand(**values | changes)


class Till:
    """One process that takes payments; ``another`` is a second on the same books."""

    def __init__(self, vault, ledger, *, instance="one", deadline=DEADLINE):
        self.vault = vault
        self.ledger = ledger
        self.clock = vault.clock
        self.storage = vault.storage
        self.processor = ScriptedProcessor(
            SimulatorProcessor(EmbeddedTransport(ledger))
        )
        self.reached = []
        self._build(instance, Asking(deadline))

    def _build(self, instance, asking):
        shared = {"storage": self.storage, "clock": self.clock}
        worker = {"instance": instance, "lease": LEASE}
        accounts = Accounts(
            storage=self.storage, processors={"simulator": self.processor}
        )
        outcomes = RecordOutcome(storage=self.storage)
        steps = ProcessorSteps(
            **shared,
            access=self.vault.access,
            outcomes=outcomes,
            asking=asking,
            reached=self.reached.append,
        )
        looking = Looking(steps=steps, asking=asking)
        self.confirming = ConfirmPayment(
            **shared,
            **worker,
            accounts=accounts,
            looking=looking,
            outcomes=outcomes,
            asking=asking,
            reached=self.reached.append,
        )
        self.create = CreatePayment(
            **shared,
            **worker,
            access=self.vault.access,
            sealed_input=self.vault.sealed_input,
            seal_card=self.vault.seal_card,
            accounts=accounts,
            steps=steps,
            reached=self.reached.append,
        )
        movers = [
            Mover(
                **shared,
                **worker,
                rules=rules(asking),
                accounts=accounts,
                reached=self.reached.append,
            )
            for rules in (capture_rules, cancel_rules, refund_rules)
        ]
        self.capturing, self.canceling, self.refunding = movers
        self.resolver = SettleUnknownPayments(
            **shared,
            **worker,
            unsettled=self.storage,
            access=self.vault.access,
            accounts=accounts,
            steps=steps,
            outcomes=outcomes,
            polling=PollOpenPayments(
                looking=looking,
                outcomes=outcomes,
                asking=asking,
                clock=self.clock,
                action_window=ACTION_WINDOW,
            ),
            looking=looking,
            movers={mover.kind: mover for mover in movers},
            asking=asking,
        )
        self.reading = ReadPayments(storage=self.storage)
        self.refreshing = RefreshPayment(
            **shared, accounts=accounts, looking=looking, outcomes=outcomes
        )

    def another(self, **arguments):
        """Returns a second process on the same database and bank."""
        return Till(self.vault, self.ledger, instance="two", **arguments)

    async def charge(self, card=None, **changes):
        """Charges a token, or a new card."""
        command = a_charge(card or a_form(), **changes)
        return await self.create.execute(command)

    async def authorize(self, card=None, **changes):
        result = await self.charge(card, capture_automatically=False, **changes)
        return result.payment

    async def capture(self, payment, minor_units=None, **changes):
        return await self.capturing.execute(a_move(payment, minor_units, **changes))

    async def cancel(self, payment, **changes):
        return await self.canceling.execute(a_move(payment, **changes))

    async def refund(self, payment, minor_units=None, **changes):
        return await self.refunding.execute(a_move(payment, minor_units, **changes))

    async def confirm(self, payment, **changes):
        """Goes on with a payment in REQUIRES_ACTION."""
        values = {
            "merchant": SHOP,
            "caller": CALLER,
            "request_id": a_request_id(),
            "digest": DIGEST,
            "payment": getattr(payment, "name", payment),
        }
        command = ConfirmPaymentCommand(**values | changes)
        return await self.confirming.execute(command)

    async def refresh(self, payment):
        """Asks the processor now; returns whether it answered."""
        return await self.refreshing.execute(SHOP, payment.name)

    def authenticate(self, payment, *, succeeded=True):
        """Does what the cardholder does at the redirect_url."""
        self.ledger.authenticate(payment.processor_object, succeeded=succeeded)

    async def find(self, payment):
        """Returns the payment as it is now."""
        return (await self.view(payment)).payment

    async def view(self, payment):
        return await self.reading.by_name(SHOP, getattr(payment, "name", payment))

    async def settle(self, after=LEASE + timedelta(seconds=1)):
        """Lets time pass and runs the resolver once."""
        self.clock.move(after)
        return await self.resolver.run_once()

    async def stored_with_reference(self, **changes):
        """Returns a token that the processor already has a reference for."""
        card = await self.vault.tokenize(**changes)
        await self.charge(card.token, amount=Money(1, "USD"))
        self.processor.calls.clear()
        self.reached.clear()
        return card.token

    async def outcomes(self, payment):
        """Returns the log's entries about the payment."""
        name = getattr(payment, "name", payment)
        return [e for e in await self.vault.log() if e.get("payment") == name]

    # The bank's own books

    def booked(self, payment=None):
        """Returns the bank's payments that carry the payment's name."""
        name = getattr(payment, "name", payment)
        return [
            item
            for item in self.ledger.payments()
            if name is None or item["metadata"]["bailee_payment"] == name
        ]

    def collected(self, payment=None):
        return sum(item["captured"] for item in self.booked(payment))

    def refunded(self, payment=None):
        return sum(item["refunded"] for item in self.booked(payment))


@asynccontextmanager
async def a_till(folder, **arguments):
    """Opens a till over a new database and an empty bank."""
    async with a_vault(folder) as vault:
        till = Till(vault, Ledger(clock=vault.clock), **arguments)
        yield till
        for part in (
            till.create,
            till.confirming,
            till.capturing,
            till.canceling,
            till.refunding,
        ):
            await part.drain()
