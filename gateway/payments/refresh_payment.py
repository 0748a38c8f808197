"""GetPayment.refresh: asking the processor now, and writing down what it says.

What it says goes through the same transitions as any other answer. Captures and refunds
that were made elsewhere become resources with the origin EXTERNAL.

Invariant: sums are compared with ours only if ours stood still while it was asked.
"""

import uuid
from collections.abc import Sequence
from typing import Final

from gateway.audit.entry import Entry, EntryType
from gateway.merchants.ports import ProcessorAccount
from gateway.payments.accounts import Accounts
from gateway.payments.charge_results import check_against, event_of, is_fact
from gateway.payments.external_moves import (
    ELSEWHERE,
    Elsewhere,
    apply_elsewhere,
    done_elsewhere,
    move_of,
)
from gateway.payments.keep_changes import add_move
from gateway.payments.looking import Looking, Silent
from gateway.payments.payment import Move, MoveKind, Payment, PaymentState
from gateway.payments.ports import PaymentUnit
from gateway.payments.processor import (
    ActionRequired,
    Approved,
    FoundPayment,
    Pending,
)
from gateway.payments.record_outcome import CREATE_RPC, ChargeFacts, RecordOutcome
from gateway.unit_of_work import Storage
from gateway.words.clock import Clock
from gateway.words.identifiers import MerchantId, PaymentName, RequestId, new_name

_PREFIXES: Final = {MoveKind.CAPTURE: "cap", MoveKind.REFUND: "ref"}


class RefreshPayment:
    """Asks the processor about one payment."""

    def __init__(
        self,
        *,
        storage: Storage[PaymentUnit],
        accounts: Accounts,
        looking: Looking,
        outcomes: RecordOutcome,
        clock: Clock,
    ) -> None:
        self._storage = storage
        self._accounts = accounts
        self._looking = looking
        self._outcomes = outcomes
        self._clock = clock

    async def execute(self, merchant: MerchantId, name: PaymentName) -> bool:
        """Returns whether the processor answered; then what it said is written down.

        A payment whose object is not known yet is left to the resolver.

        Raises:
            ProcessorAccountNotFound: The account that took it is gone.
            StorageUnavailable, AuditUnavailable: Nothing was written down.
        """
        payment, moves = await self._read(merchant, name)
        if payment is None or not payment.processor_object:
            return False
        account, processor = await self._accounts.of(merchant, payment)
        try:
            found = await self._looking.inquire(account, processor, payment)
        except Silent:
            return False
        if found is None:
            return False
        if payment.authorized and isinstance(found.outcome, Approved):
            differences = done_elsewhere(payment, moves, found)
            if differences:
                await self._write_down(account, (merchant, payment, moves), differences)
            return True
        if _waits_still(payment, found):
            return True
        result, refunded = await self._looking.result_of(
            account, processor, payment, found
        )
        event = event_of(payment, check_against(payment, result, refunded))
        if event is not None and is_fact(result):
            facts = ChargeFacts(
                merchant=merchant, payment=payment, account=account, refunded=refunded
            )
            await self._outcomes.record(facts, result, self._clock.now())
        return True

    async def _write_down(
        self,
        account: ProcessorAccount,
        before: tuple[MerchantId, Payment, Sequence[Move]],
        differences: Sequence[Elsewhere],
    ) -> None:
        """Commits what was done elsewhere, unless ours has changed meanwhile."""
        merchant, payment, moves = before
        now = self._clock.now()
        made = [
            move_of(
                payment,
                difference,
                new_name(_PREFIXES[difference.kind]),
                RequestId(str(uuid.uuid4())),
                now,
            )
            for difference in differences
        ]

        def commit(unit: PaymentUnit) -> None:
            stored = unit.payments.lock(payment.name)
            if stored != payment or unit.payments.moves(payment.name) != moves:
                return
            for move in made:
                after = apply_elsewhere(stored, move)
                add_move(unit, stored, after, move)
                stored = after
                appended = unit.log.append(_entry(merchant, account, move))
                unit.requests.set_entry_index(
                    CREATE_RPC, payment.request_id, appended.index
                )

        await self._storage.commit(merchant, commit)

    async def _read(
        self, merchant: MerchantId, name: PaymentName
    ) -> tuple[Payment | None, Sequence[Move]]:
        return await self._storage.read(
            merchant,
            lambda unit: (unit.payments.find(name), unit.payments.moves(name)),
        )


def _waits_still(payment: Payment, found: FoundPayment) -> bool:
    """Whether it waits as we know it does."""
    outcome = found.outcome
    if isinstance(outcome, ActionRequired):
        same_place = outcome.redirect_url == payment.redirect_url
        return payment.state is PaymentState.REQUIRES_ACTION and same_place
    return payment.state is PaymentState.PENDING and isinstance(outcome, Pending)


def _entry(merchant: MerchantId, account: ProcessorAccount, move: Move) -> Entry:
    return Entry(
        type=EntryType.PAYMENT_OUTCOME,
        merchant=merchant,
        at=move.created_at,
        caller=ELSEWHERE,
        action=move.kind.value,
        rule="external",
        payment=move.payment,
        processor_account=account.account_id,
        environment=account.environment.value,
        amount=move.amount,
        card_opened=False,
        outcome=move.status.name,
    )
