"""The one door: the order of its steps cannot be changed. covers: I2."""

from dataclasses import replace

import pytest
from bailee.v1 import payment_pb2

from gateway.errors import InvariantBroken
from gateway.vault.ports import CardField
from gateway.words.purposes import Purpose
from tests.builders.storage import SHOP
from tests.rpc.test_bad_input import charge
from tests.security.test_purpose_keys import a_token, a_use, site

pytestmark = pytest.mark.usefixtures("site")
GRANTED = {Purpose.CUSTOMER_INITIATED}


class Recipient:
    """Declares what a test wants it to declare."""

    name = "simulator"

    def __init__(self, *, purposes=frozenset(GRANTED), fields=frozenset(CardField)):
        self.purposes = purposes
        self.fields = fields


async def an_intent(site):
    token = await a_token(site, GRANTED)
    use = await a_use(site, token, Purpose.CUSTOMER_INITIATED)
    access = site.extra["access"]
    return await site.storage.commit(SHOP, lambda unit: access.intend(unit, use))


class TestCardAccess:
    async def test_opens_nothing_before_the_intent_is_durable(self, site):
        token = await a_token(site, GRANTED)
        use = await a_use(site, token, Purpose.CUSTOMER_INITIATED)
        access = site.extra["access"]
        kept = []

        def fails(unit):
            kept.append(access.intend(unit, use))
            raise KeyError

        with pytest.raises(KeyError):
            await site.storage.commit(SHOP, fails)

        for opening in (
            access.open_card(kept[0], Recipient()),
            access.open_reference(kept[0], Recipient()),
            access.seal_reference(kept[0], "simulator", b"x"),
        ):
            with pytest.raises(InvariantBroken):
                await opening

    async def test_opens_nothing_for_a_purpose_that_was_not_declared(self, site):
        intent = await an_intent(site)

        with pytest.raises(InvariantBroken):
            await site.extra["access"].open_card(
                intent, Recipient(purposes={Purpose.VERIFICATION})
            )

    async def test_opens_nothing_for_another_processor(self, site):
        intent = await an_intent(site)
        stranger = Recipient()
        stranger.name = "elsewhere"

        with pytest.raises(InvariantBroken):
            await site.extra["access"].open_card(intent, stranger)

    async def test_opens_nothing_without_an_account(self, site):
        intent = await an_intent(site)
        without = replace(intent, use=replace(intent.use, account=None))

        with pytest.raises(InvariantBroken):
            await site.extra["access"].open_card(without, Recipient())

    @pytest.mark.parametrize("field", sorted(CardField))
    async def test_hands_over_declared_fields_only(self, site, field):
        intent = await an_intent(site)

        opened = await site.extra["access"].open_card(intent, Recipient(fields={field}))

        assert (opened.number is not None) is (field is CardField.NUMBER)
        assert (opened.expiry is not None) is (field is CardField.EXPIRY)

    async def test_records_who_used_it_for_what_before_it_opens(self, site):
        intent = await an_intent(site)

        leaf = intent.appended.receipt().entry

        assert b'"type":"use.intent"' in leaf
        assert b'"purpose":"payment.customer_initiated"' in leaf
        assert intent.use.token.encode() not in leaf

    async def test_leaves_an_entry_for_each_charge(self, site):
        token = await a_token(site, GRANTED)
        before = site.storage.stored_log(SHOP).frontier().size

        answer = await site.payments.CreatePayment(charge(token))

        log = site.storage.stored_log(SHOP)
        leaves = log.leaves(before, log.frontier().size)
        assert answer.payment.state == payment_pb2.Payment.STATE_CAPTURED
        assert [b"use.intent" in leaf for leaf in leaves] == [True, False]
        assert [b"use.outcome" in leaf for leaf in leaves] == [False, True]
        assert all(answer.payment.name.encode() in leaf for leaf in leaves)

    async def test_seals_a_reference_that_only_its_place_opens(self, site):
        intent = await an_intent(site)
        access = site.extra["access"]

        sealed = await access.seal_reference(intent, "simulator", b"pm_1")
        kept = replace(intent, reference=sealed)

        assert await access.open_reference(kept, Recipient()) == b"pm_1"


__all__ = ["site"]
