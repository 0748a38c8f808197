"""TokenizeCard: a card goes in, a token comes out. Steps as in docs/architecture.md."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.audit.ports import Appended, Receipt
from gateway.errors import InvariantBroken, RequestIdReused
from gateway.idempotency.claims import Repeated, Reused, claim, look_up
from gateway.idempotency.ports import RequestRecord
from gateway.policy.mandate import Mandate
from gateway.unit_of_work import Storage
from gateway.vault.ports import StoredCard, VaultUnit
from gateway.vault.seal_card import NewCard, PreparedCard, Refusal, SealCard
from gateway.vault.sealed_input import (
    EnvelopeContext,
    PlainForm,
    SealedForm,
    SealedInput,
)
from gateway.words.clock import Clock
from gateway.words.identifiers import (
    CardTokenName,
    MerchantId,
    ProcessorAccountId,
    RequestId,
)

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
    """The token, new or repeated. ``accounts`` hold a reference to the card."""

    card: StoredCard
    receipt: Receipt
    replayed: bool
    warnings: tuple[str, ...] = ()
    accounts: Sequence[ProcessorAccountId] = ()


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
            PolicyDenied: The merchant may not keep the card for a purpose of its
                mandate; the denial is in the log.
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
            return await self._repeat(command, earlier)
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
        done = await self._storage.commit(
            merchant, lambda unit: _store(unit, command, prepared)
        )
        if isinstance(done, Refusal):
            raise done.error()
        if isinstance(done, Reused):
            raise RequestIdReused
        if isinstance(done, Repeated):
            return await self._repeat(command, done)
        return Tokenized(
            card=prepared.stored,
            receipt=done.receipt(),
            replayed=False,
            warnings=received.warnings,
        )

    async def _repeat(
        self, command: TokenizeCardCommand, earlier: Repeated | Reused
    ) -> Tokenized:
        """Returns what the first call made, as it is now."""
        if isinstance(earlier, Reused):
            # The mismatch is counted, and commits, before the error leaves.
            await self._storage.commit(
                command.merchant, lambda unit: _claim(unit, command)
            )
            raise RequestIdReused
        token = CardTokenName(earlier.record.resource)

        def read(unit: VaultUnit) -> Tokenized:
            card = unit.cards.find(token)
            if card is None:
                raise InvariantBroken
            references = unit.cards.references(token)
            return Tokenized(
                card=card,
                receipt=unit.log.receipt(earlier.record.entry_index),
                replayed=True,
                accounts=[reference.account_id for reference in references],
            )

        return await self._storage.read(command.merchant, read)


def _store(
    unit: VaultUnit, command: TokenizeCardCommand, prepared: PreparedCard
) -> Appended | Refusal | Repeated | Reused:
    """Step 7: everything about the card in one unit, unless somebody was faster."""
    earlier = _claim(unit, command)
    if earlier is not None:
        return earlier
    refusal = prepared.refuse(unit)
    if refusal is not None:
        return refusal
    appended = prepared.add(unit)
    unit.requests.add(
        RequestRecord(
            rpc=RPC,
            request_id=command.request_id,
            digest=command.digest,
            resource=prepared.stored.token,
            entry_index=appended.index,
            created_at=prepared.stored.created_at,
        )
    )
    return appended


def _claim(unit: VaultUnit, command: TokenizeCardCommand) -> Repeated | Reused | None:
    return claim(unit.requests, RPC, command.request_id, command.digest)
