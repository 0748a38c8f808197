"""The part of the composition root that makes everything of payments."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from gateway.config import Settings
from gateway.key_providers.file import FileKeyProvider
from gateway.payments.accounts import Accounts
from gateway.payments.asking import Asking
from gateway.payments.cancel_payment import cancel_rules
from gateway.payments.capture_payment import capture_rules
from gateway.payments.confirm_payment import ConfirmPayment
from gateway.payments.create_payment import CreatePayment
from gateway.payments.list_payments import ListPayments
from gateway.payments.looking import Looking
from gateway.payments.moves import Mover, MoveRules
from gateway.payments.poll_open_payments import PollOpenPayments
from gateway.payments.processor import Processor
from gateway.payments.processor_steps import ProcessorSteps
from gateway.payments.read_payment_events import ReadPaymentEvents
from gateway.payments.read_payments import ReadPayments
from gateway.payments.record_outcome import RecordOutcome
from gateway.payments.refresh_payment import RefreshPayment
from gateway.payments.refund_payment import refund_rules
from gateway.payments.settle_unknown_payments import SettleUnknownPayments
from gateway.rpc.paging import PageTokens
from gateway.rpc.payment_servicer import PaymentServicer
from gateway.rpc.request_digests import RequestDigests
from gateway.storage.engine import SqliteStorage
from gateway.vault.card_access import CardAccess
from gateway.vault.seal_card import SealCard
from gateway.vault.sealed_input import SealedInput
from gateway.words.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What payments share with the rest of the gateway.

    ``lease`` is how long a worker may hold a payment; ``draining`` is set when the
    server stops.
    """

    settings: Settings
    keys: FileKeyProvider
    storage: SqliteStorage
    processors: Mapping[str, Processor]
    access: CardAccess
    sealed_input: SealedInput
    seal_card: SealCard
    digests: RequestDigests
    clock: Clock
    reached: Callable[[StrEnum], None]
    instance: str
    lease: timedelta
    draining: asyncio.Event


class PaymentParts:
    """Every part of payments, put together."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._accounts = Accounts(storage=shared.storage, processors=shared.processors)
        self._asking = Asking(
            timedelta(seconds=shared.settings.processor_deadline_seconds)
        )
        self._outcomes = RecordOutcome(storage=shared.storage)
        self._steps = ProcessorSteps(
            storage=shared.storage,
            access=shared.access,
            outcomes=self._outcomes,
            asking=self._asking,
            clock=shared.clock,
            reached=shared.reached,
        )
        self._moves = [
            self._mover(rules(self._asking))
            for rules in (capture_rules, cancel_rules, refund_rules)
        ]
        self._looking = Looking(steps=self._steps, asking=self._asking)
        self._create = self._create_payment()
        self._confirm = self._confirm_payment()
        self.resolver = self._resolver()

    def servicer(self) -> PaymentServicer:
        """Returns what answers PaymentService."""
        shared = self._shared
        capture, cancel, refund = self._moves
        return PaymentServicer(
            create_payment=self._create,
            confirm_payment=self._confirm,
            capture_payment=capture,
            cancel_payment=cancel,
            refund_payment=refund,
            read_payments=ReadPayments(storage=shared.storage),
            refresh_payment=RefreshPayment(
                storage=shared.storage,
                accounts=self._accounts,
                looking=self._looking,
                outcomes=self._outcomes,
                clock=shared.clock,
            ),
            list_payments=ListPayments(storage=shared.storage),
            read_events=ReadPaymentEvents(
                storage=shared.storage,
                poll=timedelta(seconds=shared.settings.events_poll_seconds),
                draining=shared.draining,
            ),
            digests=shared.digests,
            page_tokens=PageTokens(shared.keys),
        )

    async def drain(self) -> None:
        """Finishes what is between two steps."""
        await self._create.drain()
        await self._confirm.drain()
        for mover in self._moves:
            await mover.drain()

    def _create_payment(self) -> CreatePayment:
        shared = self._shared
        return CreatePayment(
            storage=shared.storage,
            access=shared.access,
            sealed_input=shared.sealed_input,
            seal_card=shared.seal_card,
            accounts=self._accounts,
            steps=self._steps,
            clock=shared.clock,
            reached=shared.reached,
            instance=shared.instance,
            lease=shared.lease,
        )

    def _confirm_payment(self) -> ConfirmPayment:
        shared = self._shared
        return ConfirmPayment(
            storage=shared.storage,
            accounts=self._accounts,
            looking=self._looking,
            outcomes=self._outcomes,
            asking=self._asking,
            clock=shared.clock,
            reached=shared.reached,
            instance=shared.instance,
            lease=shared.lease,
        )

    def _mover(self, rules: MoveRules) -> Mover:
        shared = self._shared
        return Mover(
            rules=rules,
            storage=shared.storage,
            accounts=self._accounts,
            clock=shared.clock,
            reached=shared.reached,
            instance=shared.instance,
            lease=shared.lease,
        )

    def _resolver(self) -> SettleUnknownPayments:
        shared = self._shared
        return SettleUnknownPayments(
            storage=shared.storage,
            unsettled=shared.storage,
            access=shared.access,
            accounts=self._accounts,
            steps=self._steps,
            outcomes=self._outcomes,
            polling=PollOpenPayments(
                looking=self._looking,
                outcomes=self._outcomes,
                asking=self._asking,
                clock=shared.clock,
                action_window=timedelta(hours=shared.settings.action_window_hours),
            ),
            looking=self._looking,
            movers={item.kind: item for item in self._moves},
            asking=self._asking,
            clock=shared.clock,
            instance=shared.instance,
            lease=shared.lease,
        )
