"""Finding out what became of a capture, cancel or refund whose answer never arrived.

1. Within the processor's idempotency window the same request is sent again with the
same key: the processor answers with what it did the first time.
2. What is still not known is read from the processor's sums.
3. Not in the sums after the window: FAILED (NOT_EXECUTED). Sums that fit neither:
the move stays UNKNOWN and the payment waits for a person.
"""

from collections.abc import Mapping, Sequence

from gateway.errors import InvariantBroken, ProcessorUnavailable
from gateway.payments.accounts import Accounts
from gateway.payments.asking import Asking
from gateway.payments.move_rules import NOT_EXECUTED, Answer, Sums
from gateway.payments.moves import Mover
from gateway.payments.payment import Move, MoveKind, MoveStatus, Payment
from gateway.payments.ports import PaymentUnit
from gateway.payments.processor import (
    Processor,
    ProcessorCall,
    ProcessorOutcomeUnknown,
    ProcessorRefused,
)
from gateway.unit_of_work import Storage
from gateway.words.clock import Clock
from gateway.words.identifiers import MerchantId


class SettleMoves:
    """Settles one move that its caller has leased."""

    def __init__(
        self,
        *,
        storage: Storage[PaymentUnit],
        accounts: Accounts,
        movers: Mapping[MoveKind, Mover],
        asking: Asking,
        clock: Clock,
    ) -> None:
        self._storage = storage
        self._accounts = accounts
        self._movers = movers
        self._asking = asking
        self._clock = clock

    async def settle(self, merchant: MerchantId, move: Move) -> None:
        """Asks the processor, and commits what it says."""
        payment, _ = await self._look(merchant, move)
        account, processor = await self._accounts.of(merchant, payment)
        mover = self._movers[move.kind]
        age = self._clock.now() - move.created_at
        in_window = age < processor.capabilities.idempotency_window
        answer = Answer(status=MoveStatus.UNKNOWN)
        if in_window:
            answer = await mover.ask(processor, account, payment, move)
        if not answer.is_fact:
            # "Refused" and "unavailable" speak of this try, not of the first one.
            call = self._asking.call(account, payment, f"{move.name}-inquiry")
            sums = await self._sums(merchant, move, processor, call)
            answer = _judge(sums, answer, in_window=in_window)
        await mover.records.record(merchant, account, move, answer)

    async def _look(
        self, merchant: MerchantId, move: Move
    ) -> tuple[Payment, Sequence[Move]]:
        """Returns the move's payment with all its moves, from one snapshot."""
        payment, moves = await self._storage.read(
            merchant,
            lambda unit: (
                unit.payments.find(move.payment),
                unit.payments.moves(move.payment),
            ),
        )
        if payment is None:
            raise InvariantBroken
        return payment, moves

    async def _sums(
        self,
        merchant: MerchantId,
        move: Move,
        processor: Processor,
        call: ProcessorCall,
    ) -> Sums | None:
        """Returns what the processor's sums say; None if they say nothing now.

        They are compared with ours only if ours stood still while it was asked: a
        refund that came in between would be taken for the lost one.
        """
        payment, moves = before = await self._look(merchant, move)
        try:
            found = await self._asking.ask(
                lambda: processor.inquire(call, payment.processor_object)
            )
        except (ProcessorOutcomeUnknown, ProcessorUnavailable, ProcessorRefused):
            return None
        if await self._look(merchant, move) != before:
            return None
        if found is None:
            return Sums.UNCLEAR
        return self._movers[move.kind].rules.compare(payment, moves, move, found)


def _judge(sums: Sums | None, answer: Answer, *, in_window: bool) -> Answer:
    """Returns what the processor's sums, and its answer to this try, stand for."""
    if sums is Sums.EXECUTED:
        return Answer(status=MoveStatus.SUCCEEDED, is_fact=True)
    if sums is Sums.IMPOSSIBLE:
        return Answer(
            status=MoveStatus.FAILED, failure_reason=NOT_EXECUTED, is_fact=True
        )
    if sums is Sums.NOT_EXECUTED and answer.is_refused:
        return answer
    if in_window or sums is None:
        return Answer(status=MoveStatus.UNKNOWN)
    if sums is Sums.NOT_EXECUTED:
        return Answer(status=MoveStatus.FAILED, failure_reason=NOT_EXECUTED)
    return Answer(status=MoveStatus.UNKNOWN, needs_attention=True)
