"""For a purpose that was not granted no key exists. covers: I3.

So a wrong policy decision opens nothing: here decide() is replaced by one that allows
everything, and then every wrapped copy is tried under every wrapping key.
"""

import os

import pytest
from bailee.v1 import purpose_pb2

from gateway.errors import GatewayError, IntegrityViolation
from gateway.keys.hierarchy import KeyHierarchy
from gateway.policy.decide import Decision
from gateway.vault import card_access, envelope
from gateway.vault.card_access import CardAccess, Denial, Intent, Use
from gateway.vault.ports import KeyKind
from gateway.words.clock import SystemClock
from gateway.words.purposes import GRANTABLE, Purpose, Verb
from tests.builders.gateway import running
from tests.builders.storage import OTHER, SHOP, VAULT
from tests.rpc.test_bad_input import plain, tokenize

VERBS = {Purpose.VERIFICATION: Verb.VERIFY, Purpose.TRANSFER: Verb.TRANSFER}
NUMBERS = {
    Purpose.CUSTOMER_INITIATED: purpose_pb2.PURPOSE_PAYMENT_CUSTOMER_INITIATED,
    Purpose.RECURRING: purpose_pb2.PURPOSE_PAYMENT_RECURRING,
    Purpose.INSTALLMENT: purpose_pb2.PURPOSE_PAYMENT_INSTALLMENT,
    Purpose.UNSCHEDULED: purpose_pb2.PURPOSE_PAYMENT_UNSCHEDULED,
    Purpose.VERIFICATION: purpose_pb2.PURPOSE_VERIFICATION,
    Purpose.TRANSFER: purpose_pb2.PURPOSE_TRANSFER,
}


@pytest.fixture
async def site(tmp_path):
    async with running(tmp_path, accept_plain_cards=True) as made:
        hierarchy = KeyHierarchy(
            provider=made.keys, storage=made.storage, clock=SystemClock()
        )
        made.extra["hierarchy"] = hierarchy
        made.extra["access"] = CardAccess(hierarchy=hierarchy, vault_id=VAULT)
        yield made


async def a_token(site, granted, merchant=SHOP):
    mandate = purpose_pb2.Mandate(purposes=[NUMBERS[purpose] for purpose in granted])
    request = tokenize(plain(), mandate=mandate, merchant=merchant)
    return (await site.vault.TokenizeCard(request)).card_token.name


async def a_use(site, token, purpose, merchant=SHOP):
    accounts = await site.storage.read(merchant, lambda unit: unit.merchants.accounts())
    return Use(
        merchant=merchant,
        token=token,
        verb=VERBS.get(purpose, Verb.CHARGE),
        purpose=purpose,
        caller="test",
        request_id="6f2c1d4e-8a3b-4c5d-9e7f-0a1b2c3d4e5f",
        at=SystemClock().now(),
        card_salt=os.urandom(16),
        account=accounts[0],
    )


async def wrapping_keys(site, merchant=SHOP):
    """Every wrapping key of the merchant, one for each purpose, made if needed."""
    return [
        await site.extra["hierarchy"].wrapping_key(merchant, purpose)
        for purpose in [*GRANTABLE, Purpose.ERASURE]
    ]


def tried(key, copy, context):
    try:
        key.unwrap(copy.wrapped, context)
    except IntegrityViolation:
        return False
    return True


class TestPurposeKeys:
    @pytest.mark.parametrize("ungranted", sorted(GRANTABLE))
    async def test_no_copy_opens_for_the_ungranted_purpose(
        self, site, monkeypatch, ungranted
    ):
        allow = lambda **facts: Decision(allowed=True, rule="patched")  # noqa: E731
        monkeypatch.setattr(card_access, "decide", allow)
        token = await a_token(site, GRANTABLE - {ungranted})
        use = await a_use(site, token, ungranted)

        done = await site.storage.commit(
            SHOP, lambda unit: site.extra["access"].intend(unit, use)
        )

        assert isinstance(done, Denial)
        assert done.rule == "no-key-for-purpose"
        card, copies = await site.storage.read(
            SHOP, lambda unit: (unit.cards.find(token), unit.cards.keys(token))
        )
        for key in await wrapping_keys(site):
            for copy in copies:
                context = envelope.data_key_context(VAULT, SHOP, card, copy.kind)
                opens = tried(key, copy, context)
                assert opens is (key.key_id == copy.wrapping_key_id)
                assert not (opens and key.purpose is ungranted)

    @pytest.mark.parametrize(
        "granted",
        [
            {Purpose.CUSTOMER_INITIATED},
            {Purpose.CUSTOMER_INITIATED, Purpose.VERIFICATION},
            {Purpose.RECURRING, Purpose.TRANSFER},
            GRANTABLE,
        ],
    )
    async def test_wrapped_rows_equal_granted_purposes(self, site, granted):
        token = await a_token(site, granted)

        copies = await site.storage.read(SHOP, lambda unit: unit.cards.keys(token))

        by_kind = {kind: set() for kind in KeyKind}
        for copy in copies:
            by_kind[copy.kind].add(copy.purpose)
        assert by_kind[KeyKind.CARD] == set(granted)
        assert by_kind[KeyKind.REFERENCE] == set(granted) | {Purpose.ERASURE}
        assert len(copies) == 2 * len(granted) + 1


class TestSwappedRows:
    """A database writer moves rows: whatever he swaps, nothing opens."""

    async def opened(self, site, token, merchant=SHOP):
        use = await a_use(site, token, Purpose.CUSTOMER_INITIATED, merchant)
        access = site.extra["access"]
        intent = await site.storage.commit(
            merchant, lambda unit: access.intend(unit, use)
        )
        assert isinstance(intent, Intent)
        recipient = site.gateway.processors["simulator"]
        return await access.open_card(intent, recipient)

    async def run_sql(self, site, statement):
        def work(unit):
            unit._connection.execute(statement)

        await site.storage.commit(SHOP, work)

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE cards SET sealed = (SELECT sealed FROM cards WHERE id = 2)",
            "UPDATE card_keys SET wrapped = (SELECT wrapped FROM card_keys AS other "
            "WHERE other.card_id = 2 AND other.kind = card_keys.kind AND "
            "other.purpose = card_keys.purpose) WHERE card_id = 1",
            "UPDATE card_keys SET wrapped = (SELECT wrapped FROM card_keys AS other "
            "WHERE other.card_id = 1 AND other.kind = 'reference' AND other.purpose = "
            "card_keys.purpose) WHERE card_id = 1 AND kind = 'card'",
            "UPDATE cards SET generation = 2 WHERE id = 1",
            "UPDATE cards SET sealed = substr(sealed, 1, 40) WHERE id = 1",
            "UPDATE cards SET sealed = x'' WHERE id = 1",
            "UPDATE card_keys SET wrapped = x'01' WHERE card_id = 1",
        ],
    )
    async def test_opens_nothing(self, site, statement):
        first = await a_token(site, {Purpose.CUSTOMER_INITIATED, Purpose.VERIFICATION})
        await a_token(site, {Purpose.CUSTOMER_INITIATED, Purpose.VERIFICATION})
        assert (await self.opened(site, first)).number is not None

        await self.run_sql(site, statement)

        with pytest.raises(IntegrityViolation):
            await self.opened(site, first)

    async def test_opens_nothing_of_another_merchant(self, site):
        """covers: I9."""
        theirs = await a_token(site, {Purpose.CUSTOMER_INITIATED}, OTHER)
        await self.run_sql(site, "UPDATE cards SET merchant_id = 2 WHERE id = 1")

        with pytest.raises(GatewayError):
            await self.opened(site, theirs, SHOP)
