"""TokenizeCard: a card goes in, a token comes out. Steps as in docs/architecture.md."""

from dataclasses import dataclass, field

from gateway.audit.ports import Appended, Receipt
from gateway.errors import InvariantBroken, RequestIdReused
from gateway.idempotency.claims import Repeated, Reused, claim, look_up
from gateway.idempotency.ports import RequestRecord
from gateway.policy.mandate import Mandate
from gateway.unit_of_work import Storage
from gateway.vault.ports import StoredCard, VaultUnit
from gateway.vault.seal_card import NewCard, SealCard
from gateway.vault.sealed_input import (
    EnvelopeContext,
    PlainForm,
    SealedForm,
    SealedInput,
)
from gateway.words.clock import Clock
from gateway.words.identifiers import CardTokenName, MerchantId, RequestId

RPC = "TokenizeCard"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizeCardCommand:
    """A request to keep a card. ``digest`` tells it from another with the same id."""

    merchant: MerchantId
    caller: str
    request_id: RequestId
    digest: bytes
    form: SealedForm | PlainForm = field(repr=False)
    customer_reference: str
    mandate: Mandate


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokenized:
    """The token, new or repeated."""

    card: StoredCard
    receipt: Receipt
    replayed: bool
    warnings: tuple[str, ...] = ()


class TokenizeCard:
    """Stores a card once for each request id."""

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

    async def execute(self, command: TokenizeCardCommand) -> Tokenized:
        """Returns the token of the card.

        Raises:
            RequestIdReused: The request id came before with another request.
            SealedCardRejected, PlainCardRefused, CardInvalid, CardExpired: The card
                cannot be taken; nothing is recorded.
            KeyUnavailable, StorageUnavailable, AuditUnavailable: Nothing was done.
        """
        merchant = command.merchant
        # Step 1, before anything is opened.
        earlier = await self._storage.read(
            merchant,
            lambda unit: look_up(
                unit.requests, RPC, command.request_id, command.digest
            ),
        )
        if earlier is not None:
            return await self._repeat(command, await self._count(command))
        now = self._clock.now()
        context = EnvelopeContext(
            merchant=merchant, rpc=RPC, request_id=command.request_id
        )
        received = self._sealed_input.open_card(command.form, context, now)
        prepared = await self._seal_card.prepare(
            NewCard(
                merchant=merchant,
                received=received,
                customer_reference=command.customer_reference,
                mandate=command.mandate,
                caller=command.caller,
                request_id=command.request_id,
                now=now,
            )
        )

        def store(unit: VaultUnit) -> Appended | Repeated | Reused:
            earlier = claim(unit.requests, RPC, command.request_id, command.digest)
            if earlier is not None:
                return earlier
            appended = prepared.add(unit)
            unit.requests.add(
                RequestRecord(
                    rpc=RPC,
                    request_id=command.request_id,
                    digest=command.digest,
                    resource=prepared.stored.token,
                    entry_index=appended.index,
                    created_at=now,
                )
            )
            return appended

        stored = await self._storage.commit(merchant, store)
        if isinstance(stored, Repeated | Reused):
            return await self._repeat(command, stored)
        return Tokenized(
            card=prepared.stored,
            receipt=stored.receipt(),
            replayed=False,
            warnings=received.warnings,
        )

    async def _count(self, command: TokenizeCardCommand) -> Repeated | Reused | None:
        """Looks the id up again in a unit of its own, where a mismatch is counted."""
        return await self._storage.commit(
            command.merchant,
            lambda unit: claim(unit.requests, RPC, command.request_id, command.digest),
        )

    async def _repeat(
        self, command: TokenizeCardCommand, earlier: Repeated | Reused | None
    ) -> Tokenized:
        """Returns what the first call made, as it is now."""
        if not isinstance(earlier, Repeated):
            raise RequestIdReused
        record = earlier.record

        def read(unit: VaultUnit) -> tuple[StoredCard | None, Receipt]:
            token = CardTokenName(record.resource)
            return unit.cards.find(token), unit.log.receipt(record.entry_index)

        card, receipt = await self._storage.read(command.merchant, read)
        if card is None:
            raise InvariantBroken
        return Tokenized(card=card, receipt=receipt, replayed=True)
