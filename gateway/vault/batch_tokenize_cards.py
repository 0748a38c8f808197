"""BatchTokenizeCards: many cards of one merchant in one commit.

Each item goes through the steps of TokenizeCard and succeeds or fails by itself: what
is wrong with one is an answer in its place, not the end of the call. A request id holds
a record for each item that was stored, so a retry stores only what is missing.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from gateway.audit.ports import Appended
from gateway.errors import (
    CardExpired,
    CardInvalid,
    GatewayError,
    InvariantBroken,
    PlainCardRefused,
    RequestIdReused,
    RequestInvalid,
    SealedCardRejected,
)
from gateway.idempotency.claims import Repeated, Reused, judge
from gateway.idempotency.ports import RequestRecord
from gateway.policy.in_force import policy_in_force
from gateway.policy.mandate import Mandate
from gateway.unit_of_work import Storage
from gateway.vault.ports import VaultUnit
from gateway.vault.seal_card import (
    NewCard,
    PreparedCard,
    Refusal,
    SealCard,
    find_refusal,
)
from gateway.vault.sealed_input import (
    EnvelopeContext,
    PlainForm,
    ReceivedCard,
    SealedForm,
    SealedInput,
    check_card,
)
from gateway.vault.tokenize_card import Tokenized
from gateway.words.clock import Clock
from gateway.words.identifiers import CardTokenName, MerchantId, RequestId

RPC: Final = "BatchTokenizeCards"
# Opening an envelope takes some 80 microseconds; other calls have their turn.
_ENVELOPES_IN_A_ROW: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchItem:
    """One card of a batch. ``form`` is None if it is in the batch's envelope."""

    digest: bytes
    form: SealedForm | PlainForm | None = field(repr=False)
    customer_reference: str
    mandate: Mandate


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchTokenizeCommand:
    """A request to keep cards. In the place of an item that cannot be read stands what
    is wrong with it.
    """

    merchant: MerchantId
    caller: str
    request_id: RequestId
    items: Sequence[BatchItem | GatewayError]
    sealed_batch: SealedForm | None = None


@dataclass(frozen=True, slots=True)
class _Ready:
    """A new card and what its digest and warnings are."""

    prepared: PreparedCard
    digest: bytes
    warnings: tuple[str, ...]


_Stored = Appended | Refusal | Repeated | Reused


class BatchTokenizeCards:
    """Stores cards, each once for each request id and place."""

    def __init__(
        self,
        *,
        storage: Storage[VaultUnit],
        sealed_input: SealedInput,
        seal_card: SealCard,
        clock: Clock,
    ) -> None:
        self._storage = storage
        self._sealed_input = sealed_input
        self._seal_card = seal_card
        self._clock = clock

    async def execute(
        self, command: BatchTokenizeCommand
    ) -> Sequence[Tokenized | GatewayError]:
        """Returns the token of each card, or why it was not stored, in its place.

        Raises:
            MerchantNotFound: No such merchant.
            KeyUnavailable, StorageUnavailable, AuditUnavailable: Nothing was done.
        """
        results: dict[int, Tokenized | GatewayError] = {
            place: item
            for place, item in enumerate(command.items)
            if isinstance(item, GatewayError)
        }
        # Step 1, before anything is opened.
        records = await self._storage.read(
            command.merchant,
            lambda unit: unit.requests.find_items(RPC, command.request_id),
        )
        found = _judge_all(command, records)
        new = {
            place: item
            for place, item in enumerate(command.items)
            if isinstance(item, BatchItem) and place not in found
        }
        now = self._clock.now()
        opened = await self._open(command, new, now)
        results |= {p: c for p, c in opened.items() if isinstance(c, GatewayError)}
        received = {p: c for p, c in opened.items() if isinstance(c, ReceivedCard)}
        ready = await self._prepare(command, new, received, now)
        stored = await self._commit(command, ready, found)
        repeated = {p: s for p, s in stored.items() if isinstance(s, Repeated)}
        results |= await self._read_again(command.merchant, repeated)
        for place, outcome in stored.items():
            if isinstance(outcome, Refusal):
                results[place] = outcome.error()
            elif isinstance(outcome, Reused):
                results[place] = RequestIdReused()
            elif not isinstance(outcome, Repeated):
                results[place] = Tokenized(
                    card=ready[place].prepared.stored,
                    receipt=outcome.receipt(),
                    replayed=False,
                    warnings=ready[place].warnings,
                )
        return [results[place] for place in range(len(command.items))]

    async def _open(
        self,
        command: BatchTokenizeCommand,
        items: Mapping[int, BatchItem],
        now: datetime,
    ) -> Mapping[int, ReceivedCard | GatewayError]:
        """Opens cards; in the place of one that cannot be taken stands its fault."""
        opened: dict[int, ReceivedCard | GatewayError] = {}
        together = self._open_together(command, now) if items else None
        for count, (place, item) in enumerate(items.items(), 1):
            try:
                opened[place] = self._open_one(command, place, item, together, now)
            except (
                CardExpired,
                CardInvalid,
                PlainCardRefused,
                SealedCardRejected,
                RequestInvalid,
            ) as error:
                opened[place] = error
            if count % _ENVELOPES_IN_A_ROW == 0:
                await asyncio.sleep(0)
        return opened

    def _open_together(
        self, command: BatchTokenizeCommand, now: datetime
    ) -> Sequence[PlainForm | GatewayError] | None:
        """Returns the cards of the batch's envelope, if there is one.

        An envelope that does not open is the fault of each item.
        """
        if command.sealed_batch is None:
            return None
        context = EnvelopeContext(
            merchant=command.merchant, rpc=RPC, request_id=command.request_id
        )
        size = len(command.items)
        try:
            cards = self._sealed_input.open_batch(command.sealed_batch, context, now)
        except SealedCardRejected as error:
            return [error] * size
        if len(cards) != size:
            fault = RequestInvalid(
                "sealed_batch", "does not hold as many cards as there are items"
            )
            return [fault] * size
        return cards

    def _open_one(
        self,
        command: BatchTokenizeCommand,
        place: int,
        item: BatchItem,
        together: Sequence[PlainForm | GatewayError] | None,
        now: datetime,
    ) -> ReceivedCard:
        if together is not None:
            form = together[place]
            if isinstance(form, GatewayError):
                raise form
            return check_card(form, now)
        if item.form is None:
            raise InvariantBroken
        context = EnvelopeContext(
            merchant=command.merchant,
            rpc=RPC,
            request_id=command.request_id,
            item=place,
        )
        return self._sealed_input.open_card(item.form, context, now)

    async def _prepare(
        self,
        command: BatchTokenizeCommand,
        items: Mapping[int, BatchItem],
        received: Mapping[int, ReceivedCard],
        now: datetime,
    ) -> Mapping[int, _Ready]:
        """Seals the cards that were received."""
        if not received:
            return {}
        prepared = await self._seal_card.prepare_all(
            command.merchant,
            [
                NewCard(
                    merchant=command.merchant,
                    received=card,
                    customer_reference=items[place].customer_reference,
                    mandate=items[place].mandate,
                    caller=command.caller,
                    request_id=command.request_id,
                    now=now,
                )
                for place, card in received.items()
            ],
        )
        return {
            place: _Ready(sealed, items[place].digest, card.warnings)
            for sealed, (place, card) in zip(prepared, received.items(), strict=True)
        }

    async def _commit(
        self,
        command: BatchTokenizeCommand,
        ready: Mapping[int, _Ready],
        found: Mapping[int, Repeated | Reused],
    ) -> Mapping[int, _Stored]:
        """Stores everything in one unit; a retry that stores nothing writes nothing."""
        if not ready and not any(isinstance(item, Reused) for item in found.values()):
            return found
        return await self._storage.commit(
            command.merchant, lambda unit: _store(unit, command, ready)
        )

    async def _read_again(
        self, merchant: MerchantId, repeated: Mapping[int, Repeated]
    ) -> Mapping[int, Tokenized]:
        """Returns what an earlier call stored, as it is now."""
        if not repeated:
            return {}
        tokens = {
            place: CardTokenName(item.record.resource)
            for place, item in repeated.items()
        }

        def read(unit: VaultUnit) -> Mapping[int, Tokenized]:
            named = set(tokens.values())
            cards, holders = unit.cards.find_many(named), unit.cards.holders(named)
            if len(cards) != len(named):
                raise InvariantBroken
            return {
                place: Tokenized(
                    card=cards[token],
                    receipt=unit.log.receipt(repeated[place].record.entry_index),
                    replayed=True,
                    accounts=holders.get(token, ()),
                )
                for place, token in tokens.items()
            }

        return await self._storage.read(merchant, read)


def _judge_all(
    command: BatchTokenizeCommand, records: Mapping[int, RequestRecord]
) -> dict[int, Repeated | Reused]:
    """Returns what the records say about the items in their places."""
    found: dict[int, Repeated | Reused] = {}
    for place, item in enumerate(command.items):
        if isinstance(item, BatchItem):
            judged = judge(records.get(place), item.digest)
            if judged is not None:
                found[place] = judged
    return found


def _store(
    unit: VaultUnit, command: BatchTokenizeCommand, ready: Mapping[int, _Ready]
) -> Mapping[int, _Stored]:
    """Step 7 for every card, unless somebody was faster."""
    records = unit.requests.find_items(RPC, command.request_id)
    stored = _judge_all(command, records)
    for place, judged in stored.items():
        if isinstance(judged, Reused):
            unit.requests.count_mismatch(RPC, command.request_id, place)
    left = {place: card for place, card in ready.items() if place not in stored}
    if not left:
        return stored
    refused = _refuse(unit, left)
    kept = {place: card for place, card in left.items() if place not in refused}
    unit.cards.add_all(
        [(card.prepared.stored, card.prepared.keys) for card in kept.values()]
    )
    appended = {
        place: unit.log.append(card.prepared.entry) for place, card in kept.items()
    }
    unit.requests.add_all(
        [
            RequestRecord(
                rpc=RPC,
                request_id=command.request_id,
                digest=card.digest,
                resource=card.prepared.stored.token,
                entry_index=appended[place].index,
                created_at=card.prepared.stored.created_at,
                item=place,
            )
            for place, card in kept.items()
        ]
    )
    return {**stored, **refused, **appended}


def _refuse(unit: VaultUnit, cards: Mapping[int, _Ready]) -> Mapping[int, Refusal]:
    """Decides for each mandate; appends one denial for all that one rule refuses."""
    example = next(iter(cards.values())).prepared
    policy = policy_in_force(unit, example.asked)
    merchant = unit.merchants.get()
    decided: dict[Mandate, Refusal | None] = {}
    refused: dict[int, Refusal] = {}
    for place, card in cards.items():
        mandate = card.prepared.stored.mandate
        if mandate not in decided:
            decided[mandate] = find_refusal(merchant, policy, mandate)
        refusal = decided[mandate]
        if refusal is not None:
            refused[place] = refusal
    for refusal, count in Counter(refused.values()).items():
        unit.log.append(refusal.entry(example.entry, count=count))
    return refused
