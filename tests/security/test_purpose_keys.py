"""A wrong policy decision opens nothing. covers: I3.

Policy is patched to allow everything. What then still keeps a card shut for a purpose
that was not granted is that no wrapped copy of its keys exists for that purpose, and
that no other copy opens for it.
"""

import itertools
from dataclasses import replace

import pytest

from gateway.errors import IntegrityViolation
from gateway.keys.hierarchy import WrappingKey
from gateway.policy.decide import Decision
from gateway.vault import card_access, envelope
from gateway.vault.card_access import Denial, Intent
from gateway.vault.ports import KeyKind
from gateway.words.purposes import GRANTABLE, NEVER_ALLOWED, Purpose, Verb
from tests.builders.storage import OTHER, SHOP
from tests.builders.vault import CALLER, NUMBER, Recipient, a_use, a_vault

EVERYONE = Recipient(purposes=frozenset(Purpose))
VERBS = {Purpose.VERIFICATION: Verb.VERIFY, Purpose.TRANSFER: Verb.TRANSFER}
UNGRANTED = pytest.mark.parametrize("ungranted", sorted(GRANTABLE))
GRANTED = pytest.mark.parametrize("granted", sorted(GRANTABLE))


@pytest.fixture
async def vault(tmp_path, monkeypatch):
    """A vault whose policy allows everything to everybody."""

    def allow(**_):
        return Decision(allowed=True, rule="patched")

    monkeypatch.setattr(card_access, "decide", allow)
    async with a_vault(tmp_path) as opened:
        yield opened


async def every_wrapping_key(vault, merchant=SHOP):
    """Returns each wrapping key of each purpose, made if need be, with its bytes."""
    keys = []
    for purpose in Purpose:
        key = await vault.hierarchy.wrapping_key(merchant, purpose)
        row = await vault.storage.read(
            merchant, lambda unit, key_id=key.key_id: unit.keys.find(key_id)
        )
        context = vault.hierarchy._context(merchant, row.key_id, purpose, row.epoch)
        raw = await vault.provider.unwrap(row.epoch, row.wrapped, context)
        keys.append((key.key_id, purpose, raw))
    return keys


def opens(raw, copy, *, labels, context):
    """Whether the bytes of a wrapping key unwrap a copy under these labels."""
    key_id, purpose = labels
    try:
        WrappingKey(key_id, purpose, raw).unwrap(copy.wrapped, context)
    except IntegrityViolation:
        return False
    return True


class TestUngrantedPurpose:
    @UNGRANTED
    async def test_has_no_wrapped_copy(self, vault, ungranted):
        """One copy for each granted purpose and kind, one more for erasure."""
        granted = GRANTABLE - {ungranted}

        card = await vault.tokenize(purposes=granted)

        copies = await vault.keys_of(card.token)
        expected = {(kind, purpose) for kind in KeyKind for purpose in granted}
        expected.add((KeyKind.REFERENCE, Purpose.ERASURE))
        assert {(copy.kind, copy.purpose) for copy in copies} == expected
        assert len(copies) == len(expected)

    @UNGRANTED
    async def test_the_door_stays_shut_whatever_policy_says(self, vault, ungranted):
        card = await vault.tokenize(purposes=GRANTABLE - {ungranted})

        done = await vault.intend(a_use(card.token, purpose=Purpose(ungranted)))

        assert isinstance(done, Denial)
        assert done.rule == "no-key-for-purpose"
        assert (await vault.log())[done.appended.index]["type"] == "use.denied"

    @pytest.mark.parametrize("purpose", sorted(NEVER_ALLOWED | {Purpose.ERASURE}))
    async def test_what_nobody_can_grant_has_no_copy_of_the_card_key(
        self, vault, purpose
    ):
        card = await vault.tokenize(purposes=GRANTABLE)

        done = await vault.intend(a_use(card.token, purpose=Purpose(purpose)))

        assert isinstance(done, Denial)
        kinds = [
            copy.kind
            for copy in await vault.keys_of(card.token)
            if copy.purpose == purpose
        ]
        assert KeyKind.CARD not in kinds

    @UNGRANTED
    async def test_no_stored_copy_opens_with_any_other_key(self, vault, ungranted):
        """Every copy under every wrapping key, and every label a writer could forge."""
        card = await vault.tokenize(purposes=GRANTABLE - {ungranted})
        keys = await every_wrapping_key(vault)
        copies = await vault.keys_of(card.token)
        contexts = {
            kind: envelope.data_key_context(vault.provider.vault_id, SHOP, card, kind)
            for kind in KeyKind
        }
        labels = list(itertools.product([key_id for key_id, _, _ in keys], Purpose))
        ids = {key_id: purpose for key_id, purpose, _ in keys}
        opened = set()

        for copy, (_, purpose, raw) in itertools.product(copies, keys):
            for label, kind in itertools.product(labels, KeyKind):
                if opens(raw, copy, labels=label, context=contexts[kind]):
                    how = {copy.purpose, purpose, ids[label[0]], label[1]}
                    opened.add((copy.kind, copy.purpose, kind, frozenset(how)))

        # Each copy opens with its own purpose's key, id, label and kind, and no other
        # way: all four name one purpose, and it is a granted one.
        assert opened == {
            (copy.kind, copy.purpose, copy.kind, frozenset({copy.purpose}))
            for copy in copies
        }
        assert Purpose(ungranted) not in set().union(*(how for *_, how in opened))


class TestGrantedPurpose:
    @GRANTED
    async def test_opens_with_its_own_key_alone(self, vault, granted):
        """The one key that the door asks for is the declared purpose's."""
        card = await vault.tokenize(purposes={granted})
        await every_wrapping_key(vault)
        vault.start_again()
        purpose = Purpose(granted)
        verb = VERBS.get(purpose, Verb.CHARGE)
        intent = await vault.intend(a_use(card.token, purpose=purpose, verb=verb))
        vault.provider.unwraps = 0

        opened = await vault.access.open_card(intent, EVERYONE)

        assert opened.number.reveal() == NUMBER
        assert vault.provider.unwraps == 1
        own = await vault.hierarchy.wrapping_key(SHOP, Purpose(granted))
        assert intent.card_key.wrapping_key_id == own.key_id


class TestForgedRows:
    """What a writer of the database could try, with policy on its side."""

    @pytest.fixture
    async def card(self, vault):
        card = await vault.tokenize(purposes={Purpose.RECURRING})
        await every_wrapping_key(vault)
        return card

    async def stored_with(self, vault, card, keys, merchant=SHOP):
        """Stores a second row of a card with other wrapped copies; as if it had been
        changed in place.
        """
        forged = replace(card, token=f"{card.token[:-4]}xxxx")
        await vault.storage.commit(merchant, lambda unit: unit.cards.add(forged, keys))
        vault.start_again()
        return forged

    async def refused(self, vault, intent):
        assert isinstance(intent, Intent)
        with pytest.raises(IntegrityViolation):
            await vault.access.open_card(intent, EVERYONE)
        with pytest.raises(IntegrityViolation):
            await vault.access.seal_reference(
                intent, intent.use.account.account_id, b"r"
            )

    async def test_a_relabelled_copy_is_refused(self, vault, card):
        """Another purpose's label on a copy, its own wrapping key still named."""
        intent = await vault.intend(a_use(card.token, purpose=Purpose.RECURRING))
        use = replace(intent.use, purpose=Purpose.UNSCHEDULED)
        forged = replace(
            intent,
            use=use,
            card_key=replace(intent.card_key, purpose=Purpose.UNSCHEDULED),
            reference_key=replace(intent.reference_key, purpose=Purpose.UNSCHEDULED),
        )

        await self.refused(vault, forged)

    async def test_a_copy_that_names_another_wrapping_key_is_refused(self, vault, card):
        wanted = await vault.hierarchy.wrapping_key(SHOP, Purpose.UNSCHEDULED)
        keys = [
            replace(key, purpose=Purpose.UNSCHEDULED, wrapping_key_id=wanted.key_id)
            for key in await vault.keys_of(card.token)
            if key.purpose is Purpose.RECURRING
        ]
        mandate = replace(card.mandate, purposes=frozenset({Purpose.UNSCHEDULED}))
        forged = await self.stored_with(vault, replace(card, mandate=mandate), keys)

        await self.refused(
            vault,
            await vault.intend(a_use(forged.token, purpose=Purpose.UNSCHEDULED)),
        )

    async def test_another_cards_copies_are_refused(self, vault, card):
        other = await vault.tokenize(purposes={Purpose.RECURRING})
        forged = await self.stored_with(vault, other, await vault.keys_of(card.token))

        await self.refused(
            vault, await vault.intend(a_use(forged.token, purpose=Purpose.RECURRING))
        )

    async def test_a_copied_row_is_refused(self, vault, card):
        """Card and copies together under a new token."""
        forged = await self.stored_with(vault, card, await vault.keys_of(card.token))

        await self.refused(
            vault, await vault.intend(a_use(forged.token, purpose=Purpose.RECURRING))
        )

    async def test_the_reference_key_does_not_pass_for_the_card_key(self, vault, card):
        intent = await vault.intend(a_use(card.token, purpose=Purpose.RECURRING))
        swapped = replace(
            intent,
            card_key=replace(intent.reference_key, kind=KeyKind.CARD),
            reference_key=replace(intent.card_key, kind=KeyKind.REFERENCE),
        )
        mixed = replace(
            intent, card_key=intent.reference_key, reference_key=intent.card_key
        )

        await self.refused(vault, swapped)
        with pytest.raises(IntegrityViolation):
            await vault.access.open_card(mixed, EVERYONE)

    async def test_another_merchants_rows_are_refused(self, vault, card):
        """covers: I9. Card, copies and wrapping keys, all under another merchant."""
        keys = await vault.keys_of(card.token)
        rows = [
            await vault.storage.read(
                SHOP, lambda unit, key=key: unit.keys.find(key.wrapping_key_id)
            )
            for key in keys
        ]

        def copy(unit):
            for row in dict.fromkeys(rows):
                unit.keys.add(row)
            unit.cards.add(card, keys)

        await vault.storage.commit(OTHER, copy)
        vault.start_again()

        await self.refused(
            vault,
            await vault.intend(
                a_use(card.token, purpose=Purpose.RECURRING, merchant=OTHER)
            ),
        )

    async def test_the_true_rows_still_open(self, vault, card):
        """The control: the same steps with nothing forged."""
        intent = await vault.intend(a_use(card.token, purpose=Purpose.RECURRING))

        opened = await vault.access.open_card(intent, EVERYONE)

        assert opened.number.reveal() == NUMBER
        assert intent.use.caller == CALLER
