"""Turning a received card into rows: sealed details and wrapped data keys.

Invariant (I3): the card key is wrapped for each granted purpose, the reference key for
those and for erasure, and neither for anything else. For a purpose that was not granted
no wrapped copy exists.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from gateway.audit.denials import append_denial
from gateway.audit.entry import Decision as AuditDecision
from gateway.audit.entry import Entry, EntryType
from gateway.audit.ports import Appended
from gateway.errors import PolicyDenied
from gateway.keys.hierarchy import KeyHierarchy, WrappingKey
from gateway.keys.merchant_keys import MerchantKeys
from gateway.keys.ports import KeyProvider
from gateway.merchants.ports import Merchant
from gateway.policy.decide import decide
from gateway.policy.in_force import Asked, InForce, policy_in_force
from gateway.policy.mandate import Mandate
from gateway.policy.permissions import INDISPENSABLE
from gateway.policy.policy_time import PolicyTime
from gateway.policy.versions import PolicyVersion
from gateway.unit_of_work import Storage
from gateway.vault import envelope
from gateway.vault.card_record import encode_details
from gateway.vault.fingerprint import expiry_fingerprint, number_fingerprint
from gateway.vault.ports import KeyKind, StoredCard, VaultUnit, WrappedDataKey
from gateway.vault.sealed_input import ReceivedCard
from gateway.words.identifiers import CardTokenName, MerchantId, RequestId, new_name
from gateway.words.lifecycles import CardState
from gateway.words.purposes import Purpose, Verb

_SALT_BYTES: Final = 16
_FIRST_GENERATION: Final = 1
# About a millisecond of work.
_CARDS_IN_A_ROW: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCard:
    """A card to keep, whose it is, and who brought it."""

    merchant: MerchantId
    received: ReceivedCard = field(repr=False)
    customer_reference: str
    mandate: Mandate
    caller: str
    request_id: RequestId
    now: datetime


@dataclass(frozen=True, slots=True)
class Refusal:
    """A purpose that the card may not be kept for, and the rule that says so."""

    purpose: Purpose
    rule: str
    policy: PolicyVersion

    def entry(self, tokenized: Entry, *, count: int | None = None) -> Entry:
        """Returns the denial to append instead of a card's entry. It names no card:
        there is none. ``count`` is of how many cards of a batch, if of more than one.
        """
        return replace(
            tokenized,
            type=EntryType.USE_DENIED,
            action=Verb.TOKENIZE.value,
            purpose=self.purpose,
            policy_version=self.policy.number,
            policy_sha256=self.policy.sha256,
            decision=AuditDecision.DENIED,
            rule=self.rule,
            card=None,
            card_salt=None,
            count=count,
        )

    def error(self) -> PolicyDenied:
        """Returns what the caller is told."""
        return PolicyDenied(metadata={"rule": self.rule, "purpose": self.purpose.value})


def find_refusal(
    merchant: Merchant, policy: InForce, mandate: Mandate
) -> Refusal | None:
    """Returns why the merchant may not keep a card under this mandate, or None."""
    for purpose in sorted(mandate.purposes):
        elements = policy.permissions.elements(purpose, Verb.TOKENIZE)
        decision = decide(
            verb=Verb.TOKENIZE,
            purpose=purpose,
            granted=True,
            in_policy=elements >= INDISPENSABLE,
            merchant=merchant.state,
            card=CardState.ACTIVE,
        )
        if not decision.allowed:
            return Refusal(purpose, decision.rule, policy.version)
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedCard:
    """Everything that one unit needs to store a card."""

    stored: StoredCard
    keys: tuple[WrappedDataKey, ...] = field(repr=False)
    entry: Entry = field(repr=False)
    asked: Asked = field(repr=False)

    def refuse(self, unit: VaultUnit) -> Refusal | None:
        """Decides whether the merchant may keep the card for every purpose of its
        mandate; if not, appends the denial.
        """
        policy = policy_in_force(unit, self.asked)
        refusal = find_refusal(unit.merchants.get(), policy, self.stored.mandate)
        if refusal is not None:
            append_denial(unit, refusal.entry(self.entry))
        return refusal

    def add(self, unit: VaultUnit) -> Appended:
        """Stores the card and appends its entry, in the caller's unit."""
        unit.cards.add(self.stored, self.keys)
        return unit.log.append(self.entry)


class SealCard:
    """Prepares cards outside any unit: it draws entropy and uses keys."""

    def __init__(
        self,
        *,
        provider: KeyProvider,
        hierarchy: KeyHierarchy,
        storage: Storage[VaultUnit],
        policy_time: PolicyTime,
    ) -> None:
        self._provider = provider
        self._policy_time = policy_time
        self._hierarchy = hierarchy
        self._storage = storage
        self._fingerprint_keys = MerchantKeys(provider, "fingerprint")

    async def prepare(self, new: NewCard) -> PreparedCard:
        """Returns the rows and the entry of a new card. Raises as ``prepare_all``."""
        [prepared] = await self.prepare_all(new.merchant, [new])
        return prepared

    async def prepare_all(
        self, merchant: MerchantId, cards: Sequence[NewCard]
    ) -> list[PreparedCard]:
        """Returns the rows and the entries of new cards of one merchant.

        Raises:
            MerchantNotFound: No such merchant.
            KeyUnavailable: The key provider did not answer.
        """
        in_force = await self._storage.read(merchant, policy_in_force)
        policy = in_force.version
        granted = {purpose for new in cards for purpose in new.mandate.purposes}
        wrapping = {
            purpose: await self._hierarchy.wrapping_key(merchant, purpose)
            for purpose in granted | {Purpose.ERASURE}
        }
        prepared = []
        for place, new in enumerate(cards, 1):
            prepared.append(self._prepare(new, policy, wrapping))
            if place % _CARDS_IN_A_ROW == 0:
                # Other calls have their turn.
                await asyncio.sleep(0)
        return prepared

    def _prepare(
        self,
        new: NewCard,
        policy: PolicyVersion,
        wrapping: Mapping[Purpose, WrappingKey],
    ) -> PreparedCard:
        card = self._describe(new, policy)
        entropy = os.urandom(2 * envelope.DATA_KEY_BYTES + _SALT_BYTES)
        card_key = entropy[: envelope.DATA_KEY_BYTES]
        reference_key = entropy[envelope.DATA_KEY_BYTES : 2 * envelope.DATA_KEY_BYTES]
        aad = envelope.card_aad(self._provider.vault_id, new.merchant, card)
        sealed = envelope.seal(card_key, encode_details(new.received.details), aad)
        granted = new.mandate.purposes
        card_keys = {purpose: wrapping[purpose] for purpose in granted}
        keys = (
            *self._wrap(new.merchant, card, KeyKind.CARD, card_key, card_keys),
            *self._wrap(
                new.merchant,
                card,
                KeyKind.REFERENCE,
                reference_key,
                {**card_keys, Purpose.ERASURE: wrapping[Purpose.ERASURE]},
            ),
        )
        entry = Entry(
            type=EntryType.CARD_TOKENIZED,
            merchant=new.merchant,
            at=new.now,
            caller=new.caller,
            request_id=new.request_id,
            policy_version=policy.number,
            policy_sha256=policy.sha256,
            card=card.token,
            card_salt=entropy[-_SALT_BYTES:],
        )
        return PreparedCard(
            stored=replace(card, sealed=sealed),
            keys=keys,
            entry=entry,
            asked=Asked(
                merchant=new.merchant,
                caller=new.caller,
                request_id=new.request_id,
                at=new.now,
                policy_at=self._policy_time.at(new.now),
            ),
        )

    def _describe(self, new: NewCard, policy: PolicyVersion) -> StoredCard:
        """Returns the card's row, but for what is sealed."""
        details = new.received.details
        key = self._fingerprint_keys.of(new.merchant)
        number = number_fingerprint(key, details.number)
        return StoredCard(
            token=CardTokenName(new_name("card")),
            customer_reference=new.customer_reference,
            state=CardState.ACTIVE,
            brand=details.number.brand.id,
            last_four=details.number.last_four,
            expiry=details.expiry,
            mandate=new.mandate,
            policy_version=policy.number,
            generation=_FIRST_GENERATION,
            # To the millisecond, as it is stored: a repeated answer is the same.
            created_at=new.now.replace(microsecond=new.now.microsecond // 1000 * 1000),
            number_fingerprint=number,
            expiry_fingerprint=expiry_fingerprint(key, number, details.expiry),
        )

    def _wrap(
        self,
        merchant: MerchantId,
        card: StoredCard,
        kind: KeyKind,
        data_key: bytes,
        wrapping: Mapping[Purpose, WrappingKey],
    ) -> list[WrappedDataKey]:
        context = envelope.data_key_context(
            self._provider.vault_id, merchant, card, kind
        )
        return [
            WrappedDataKey(
                kind=kind,
                purpose=purpose,
                wrapping_key_id=key.key_id,
                wrapped=key.wrap(data_key, context),
            )
            for purpose, key in wrapping.items()
        ]
