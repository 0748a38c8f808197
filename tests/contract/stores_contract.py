"""The suites that the stores of every engine pass; see storage_contract.py."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.errors import (
    CallerNotFound,
    CardTokenNotFound,
    InvariantBroken,
    MerchantNotFound,
    PaymentNotFound,
    StateConflict,
)
from gateway.merchants.ports import (
    Environment,
    Merchant,
    MerchantSettings,
    ProcessorAccount,
)
from gateway.payments.payment import (
    MoveKind,
    MoveOrigin,
    MoveStatus,
    PaymentState,
    Step,
)
from gateway.payments.processor import Decline, DeclineClass, RetryAdvice
from gateway.policy.mandate import Mandate
from gateway.vault.ports import KeyKind
from gateway.words.callers import Caller, KnownCaller, Role
from gateway.words.identifiers import GATEWAY, MerchantId, ProcessorAccountId
from gateway.words.lifecycles import CardState, MerchantState
from gateway.words.money import Money
from gateway.words.purposes import Purpose
from tests.builders.rows import (
    ACCOUNT,
    MOMENT,
    OTHER_PAYMENT,
    OTHER_REQUEST,
    OTHER_TOKEN,
    PAYMENT,
    REQUEST,
    RPC,
    TOKEN,
    a_card,
    a_card_entry,
    a_lease,
    a_move,
    a_payment,
    a_record,
    a_reference,
    a_wrapping_key,
    add_card,
    add_payment,
    keys_of,
)
from tests.builders.storage import OTHER, SHOP

LATER = MOMENT + timedelta(hours=1)
NEW = MerchantId("new")


class RequestsContract:
    """What every RequestStore does."""

    async def test_tells_rpcs_and_requests_apart(self, storage):
        await storage.commit(SHOP, lambda unit: unit.requests.add(a_record()))

        def find(unit):
            return [
                unit.requests.find("CreatePayment", REQUEST),
                unit.requests.find(RPC, OTHER_REQUEST),
            ]

        assert await storage.read(SHOP, find) == [None, None]

    async def test_refuses_a_second_record(self, storage):
        await storage.commit(SHOP, lambda unit: unit.requests.add(a_record()))

        with pytest.raises(InvariantBroken):
            await storage.commit(
                SHOP, lambda unit: unit.requests.add(a_record(digest=b"x" * 32))
            )

    async def test_counts_and_moves(self, storage):
        def work(unit):
            unit.requests.add(a_record())
            unit.requests.add(a_record(request_id=OTHER_REQUEST))
            unit.requests.count_mismatch(RPC, REQUEST)
            unit.requests.count_mismatch(RPC, REQUEST)
            unit.requests.set_entry_index(RPC, REQUEST, 7)
            return unit.requests.find(RPC, REQUEST), unit.requests.find(
                RPC, OTHER_REQUEST
            )

        changed, other = await storage.commit(SHOP, work)

        assert changed == a_record(mismatches=2, entry_index=7)
        assert other == a_record(request_id=OTHER_REQUEST)

    async def test_tells_the_items_of_a_batch_apart(self, storage):
        items = [
            a_record(item=place, resource=f"card-{place}", digest=bytes([place]) * 32)
            for place in (0, 1, 7)
        ]

        def work(unit):
            unit.requests.add_all(items)
            unit.requests.add(a_record(request_id=OTHER_REQUEST))
            unit.requests.add(a_record(rpc="CreatePayment"))
            unit.requests.count_mismatch(RPC, REQUEST, 7)
            return unit.requests.find(RPC, REQUEST)

        first = await storage.commit(SHOP, work)

        changed = replace(items[2], mismatches=1)
        assert first == items[0]
        found = await storage.read(
            SHOP, lambda unit: unit.requests.find_items(RPC, REQUEST)
        )
        assert dict(found) == {0: items[0], 1: items[1], 7: changed}
        assert not await storage.read(
            OTHER, lambda unit: unit.requests.find_items(RPC, REQUEST)
        )


class MerchantsContract:
    """What every MerchantStore and CallerStore does."""

    @pytest.mark.parametrize("state", MerchantState)
    async def test_returns_the_merchant(self, storage, state):
        merchant = Merchant(
            merchant_id=NEW,
            state=state,
            policy_version=4,
            created_at=MOMENT,
            display_name="New & Co",
            environment=Environment.LIVE,
            settings=MerchantSettings(show_fingerprint=True),
            deactivated_at=LATER,
            log_generation=2,
        )
        await storage.commit(NEW, lambda unit: unit.merchants.add(merchant))

        assert await storage.read(NEW, lambda unit: unit.merchants.get()) == merchant

    async def test_replaces_what_can_change(self, storage):
        known = await storage.read(SHOP, lambda unit: unit.merchants.get())
        changed = replace(
            known,
            state=MerchantState.DEACTIVATED,
            policy_version=7,
            display_name="Shop",
            settings=MerchantSettings(show_bin=True),
            deactivated_at=LATER,
        )
        await storage.commit(SHOP, lambda unit: unit.merchants.save(changed))

        assert await storage.read(SHOP, lambda unit: unit.merchants.get()) == changed
        other = await storage.read(OTHER, lambda unit: unit.merchants.get())
        assert other.state is MerchantState.ACTIVE

    async def test_replaces_no_merchant_that_is_anothers_or_none(self, storage):
        known = await storage.read(SHOP, lambda unit: unit.merchants.get())

        with pytest.raises(InvariantBroken):
            await storage.commit(OTHER, lambda unit: unit.merchants.save(known))
        absent = replace(known, merchant_id=NEW)
        with pytest.raises(MerchantNotFound):
            await storage.commit(NEW, lambda unit: unit.merchants.save(absent))

    async def test_never_shows_bins_beside_fingerprints(self, storage):
        """A constraint of the database, whatever the code above it forgets."""
        known = await storage.read(SHOP, lambda unit: unit.merchants.get())
        both = MerchantSettings(show_bin=True, show_fingerprint=True)

        with pytest.raises(InvariantBroken):
            await storage.commit(
                SHOP, lambda unit: unit.merchants.save(replace(known, settings=both))
            )

    async def test_pages_through_every_merchant(self, storage):
        def page(after, limit, among=None):
            return storage.read(
                GATEWAY,
                lambda unit: [
                    merchant.merchant_id
                    for merchant in unit.directory.page(
                        after=after, limit=limit, among=among
                    )
                ],
            )

        assert await page("", 9) == [OTHER, SHOP]
        assert await page("", 1) == [OTHER]
        assert await page(OTHER, 9) == [SHOP]
        assert await page(SHOP, 9) == []
        assert await page("", 9, {SHOP, NEW}) == [SHOP]
        assert await page("", 1, {SHOP, OTHER}) == [OTHER]
        assert await page(SHOP, 9, {SHOP, OTHER}) == []

    async def test_pages_for_nobody_but_the_gateway(self, storage):
        with pytest.raises(InvariantBroken):
            await storage.read(
                SHOP, lambda unit: unit.directory.page(after="", limit=9, among=None)
            )

    @pytest.mark.parametrize("name", [NEW, GATEWAY])
    async def test_knows_no_merchant_that_was_not_added(self, storage, name):
        with pytest.raises(MerchantNotFound):
            await storage.read(name, lambda unit: unit.merchants.get())
        assert await storage.read(name, lambda unit: unit.merchants.accounts()) == []

    async def test_refuses_a_second_one_and_anothers(self, storage):
        known = await storage.read(SHOP, lambda unit: unit.merchants.get())

        with pytest.raises(StateConflict):
            await storage.commit(SHOP, lambda unit: unit.merchants.add(known))
        with pytest.raises(InvariantBroken):
            await storage.commit(NEW, lambda unit: unit.merchants.add(known))

    async def test_returns_accounts_oldest_first(self, storage):
        def account(name, at):
            return ProcessorAccount(
                account_id=ProcessorAccountId(name),
                processor="stripe",
                environment=Environment.LIVE,
                external_account="acct_1",
                created_at=at,
            )

        added = [account("b", MOMENT), account("a", LATER), account("c", LATER)]

        def work(unit):
            for item in (added[1], added[2], added[0]):
                unit.merchants.add_account(item)

        await storage.commit(SHOP, work)

        found = await storage.read(SHOP, lambda unit: unit.merchants.accounts())
        assert list(found)[1:] == added
        with pytest.raises(StateConflict):
            await storage.commit(
                SHOP, lambda unit: unit.merchants.add_account(added[0])
            )

    async def test_keeps_callers_and_replaces_their_roles(self, storage):
        some = Caller("spiffe://v/a", frozenset({Role.PAY}), frozenset({SHOP, NEW}))
        every = Caller("spiffe://v/b", frozenset(Role), None)
        none = Caller("spiffe://v/c", frozenset(), frozenset())
        changed = replace(some, roles=frozenset({Role.READ}), merchants=None)

        async def put(*callers):
            for caller in callers:
                await storage.commit(
                    GATEWAY, lambda unit, caller=caller: unit.callers.put(caller)
                )
            return list(await storage.read(GATEWAY, lambda unit: unit.callers.all()))

        assert await put(some, every, none) == [some, every, none]
        assert await put(changed) == [changed, every, none]

    async def test_tells_enabled_callers_from_others(self, storage):
        one = Caller("spiffe://v/caller/a", frozenset({Role.PAY}), frozenset({SHOP}))
        two = Caller("spiffe://v/caller/b", frozenset({Role.READ}), None)

        def work(unit):
            unit.callers.put(two)
            unit.callers.put(one)
            unit.callers.enable(one.spiffe_id, enabled=False)
            return unit.callers.all(), unit.callers.find(one.spiffe_id)

        enabled, found = await storage.commit(GATEWAY, work)
        assert list(enabled) == [two]
        assert found == KnownCaller(one, is_enabled=False)

        def again(unit):
            unit.callers.enable(one.spiffe_id, enabled=True)
            return unit.callers.all()

        assert list(await storage.commit(GATEWAY, again)) == [one, two]

    async def test_pages_through_callers_whether_enabled_or_not(self, storage):
        made = [Caller(f"spiffe://v/caller/{x}", frozenset(), None) for x in "cab"]

        def work(unit):
            for caller in made:
                unit.callers.put(caller)
            unit.callers.enable(made[1].spiffe_id, enabled=False)

        await storage.commit(GATEWAY, work)

        def page(unit, after, limit):
            found = unit.callers.page(after=after, limit=limit)
            return [(known.caller.spiffe_id[-1], known.is_enabled) for known in found]

        async def read(after, limit):
            return await storage.read(GATEWAY, lambda unit: page(unit, after, limit))

        assert await read("", 2) == [("a", False), ("b", True)]
        assert await read("spiffe://v/caller/b", 2) == [("c", True)]

    async def test_finds_no_caller_that_was_not_added(self, storage):
        with pytest.raises(CallerNotFound):
            await storage.commit(
                GATEWAY, lambda unit: unit.callers.enable("nobody", enabled=True)
            )
        found = await storage.read(GATEWAY, lambda unit: unit.callers.find("nobody"))
        assert found is None

    @pytest.mark.parametrize(
        "ask",
        [
            lambda callers: callers.all(),
            lambda callers: callers.find("x"),
            lambda callers: callers.page(after="", limit=1),
            lambda callers: callers.enable("x", enabled=True),
        ],
    )
    async def test_shows_callers_to_nobody_but_the_gateway(self, storage, ask):
        """covers: I9."""
        with pytest.raises(InvariantBroken):
            await storage.commit(SHOP, lambda unit: ask(unit.callers))


class CardsContract:
    """What every CardStore does."""

    @pytest.mark.parametrize(
        "changes",
        [
            {},
            {"number_fingerprint": None, "expiry_fingerprint": None},
            {"mandate": Mandate(), "last_used_at": LATER, "last_four": "0042"},
            {"mandate": Mandate(purposes=frozenset({Purpose.TRANSFER}))},
        ],
    )
    async def test_returns_the_card_that_was_stored(self, storage, changes):
        card = a_card(**changes)
        await storage.commit(SHOP, lambda unit: add_card(unit, card))

        found = await storage.read(
            SHOP, lambda unit: (unit.cards.find(TOKEN), unit.cards.find(OTHER_TOKEN))
        )
        assert found == (card, None)
        assert await storage.commit(SHOP, lambda unit: unit.cards.lock(TOKEN)) == card

    async def test_has_a_copy_for_each_granted_purpose_and_no_other(self, storage):
        """covers: I3."""
        await storage.commit(SHOP, add_card)

        def read(unit):
            return unit.cards.keys(TOKEN), {
                (kind, purpose): unit.cards.find_key(TOKEN, kind, purpose)
                for kind in KeyKind
                for purpose in Purpose
            }

        keys, by_purpose = await storage.read(SHOP, read)

        assert list(keys) == keys_of()
        assert {copy for copy in by_purpose.values() if copy} == set(keys)
        assert all(
            copy is None or (copy.kind, copy.purpose) == place
            for place, copy in by_purpose.items()
        )

    async def test_stores_all_of_a_card_or_nothing(self, storage):
        bad = [*keys_of(), *keys_of(purposes=[Purpose.TRANSFER])]  # no such key

        with pytest.raises(InvariantBroken):
            await storage.commit(SHOP, lambda unit: add_card(unit, keys=bad))

        assert not await storage.read(SHOP, lambda unit: unit.cards.find(TOKEN))

    async def test_stores_many_cards_or_none(self, storage):
        cards = [a_card(), a_card(OTHER_TOKEN, customer_reference="customer-2")]
        good = [(card, keys_of(card.token)) for card in cards]
        bad = [good[0], (cards[1], keys_of(purposes=[Purpose.TRANSFER]))]  # no such key

        def prepare(unit):
            for purpose in (Purpose.RECURRING, Purpose.VERIFICATION):
                unit.keys.add(a_wrapping_key(purpose))

        await storage.commit(SHOP, prepare)
        for refused in (bad, [good[0], good[0]]):
            with pytest.raises(InvariantBroken):
                await storage.commit(
                    SHOP, lambda unit, refused=refused: unit.cards.add_all(refused)
                )
        assert not await storage.read(SHOP, lambda unit: unit.cards.find(TOKEN))

        await storage.commit(SHOP, lambda unit: unit.cards.add_all(good))

        for card, keys in good:
            stored = await storage.read(
                SHOP,
                lambda unit, token=card.token: (
                    unit.cards.find(token),
                    list(unit.cards.keys(token)),
                ),
            )
            assert stored == (card, keys)

    async def test_marks_use(self, storage):
        await storage.commit(SHOP, add_card)
        await storage.commit(SHOP, lambda unit: unit.cards.mark_used(TOKEN, LATER))

        card = await storage.read(SHOP, lambda unit: unit.cards.find(TOKEN))
        assert card == a_card(last_used_at=LATER)

    async def test_keeps_one_reference_for_each_account(self, storage):
        def work(unit):
            add_card(unit)
            unit.cards.put_reference(TOKEN, a_reference())
            unit.cards.put_reference(TOKEN, a_reference(generation=2, sealed=b"new"))
            return (
                unit.cards.references(TOKEN),
                unit.cards.find_reference(TOKEN, ACCOUNT),
                unit.cards.find_reference(TOKEN, ProcessorAccountId("other")),
            )

        newest = a_reference(generation=2, sealed=b"new")
        assert await storage.commit(SHOP, work) == ([newest], newest, None)

    @pytest.mark.parametrize(
        "change",
        [
            lambda unit: unit.cards.mark_used(OTHER_TOKEN, LATER),
            lambda unit: unit.cards.erase(OTHER_TOKEN, LATER),
            lambda unit: unit.cards.put_reference(OTHER_TOKEN, a_reference()),
        ],
    )
    async def test_refuses_to_change_what_is_not_there(self, storage, change):
        await storage.commit(SHOP, add_card)

        with pytest.raises(CardTokenNotFound):
            await storage.commit(SHOP, change)

    async def test_counts_distinct_numbers_that_end_alike(self, storage):
        tokens = [f"card_{letter}{TOKEN[6:]}" for letter in "bcdfg"]
        numbers = [b"a" * 32, b"a" * 32, b"b" * 32, b"c" * 32, None]

        def work(unit):
            for token, number in zip(tokens, numbers, strict=True):
                add_card(unit, a_card(token, number_fingerprint=number))
            add_card(unit, a_card(OTHER_TOKEN, last_four="0000"))
            count = unit.cards.count_same_last_four
            return [
                count("4242", b"z" * 32),
                count("4242", b"a" * 32),
                count("0000", b"z" * 32),
                count("1111", b"z" * 32),
            ]

        assert await storage.commit(SHOP, work) == [3, 2, 1, 0]


class ErasureContract:
    """What erasing does in every engine. covers: I10."""

    @pytest.fixture
    async def erased(self, storage):
        def fill(unit):
            add_card(unit)
            add_card(unit, a_card(OTHER_TOKEN))
            for token in (TOKEN, OTHER_TOKEN):
                unit.cards.put_reference(token, a_reference())
                unit.log.append(
                    a_card_entry(token, processor_object="pi", object_salt=b"o" * 16)
                )

        await storage.commit(SHOP, fill)
        await storage.commit(SHOP, lambda unit: unit.cards.erase(TOKEN, LATER))
        return storage

    async def test_leaves_an_emptied_row(self, erased):
        card = await erased.read(SHOP, lambda unit: unit.cards.find(TOKEN))

        assert card == a_card(
            state=CardState.ERASED,
            last_four="",
            expiry=None,
            sealed=None,
            number_fingerprint=None,
            expiry_fingerprint=None,
        )

    async def test_leaves_no_key_no_reference_and_no_number_to_count(self, erased):
        def read(unit):
            return (
                unit.cards.keys(TOKEN),
                unit.cards.references(TOKEN),
                unit.cards.count_same_last_four("4242", b"z" * 32),
            )

        assert await erased.read(SHOP, read) == ([], [], 1)

    async def test_leaves_other_cards_alone(self, erased):
        def read(unit):
            return (
                unit.cards.find(OTHER_TOKEN),
                unit.cards.keys(OTHER_TOKEN),
                unit.cards.references(OTHER_TOKEN),
                unit.log.receipt(1).card_salt,
            )

        assert await erased.read(SHOP, read) == (
            a_card(OTHER_TOKEN),
            keys_of(OTHER_TOKEN),
            [a_reference()],
            b"s" * 16,
        )

    async def test_takes_the_salts_of_every_entry_that_names_the_card(self, erased):
        receipt = await erased.read(SHOP, lambda unit: unit.log.receipt(0))

        assert (receipt.card_salt, receipt.object_salt) == (None, None)

    async def test_keeps_no_salt_of_an_entry_that_comes_later(self, erased):
        await erased.commit(SHOP, lambda unit: unit.log.append(a_card_entry()))

        receipt = await erased.read(SHOP, lambda unit: unit.log.receipt(2))
        assert receipt.card_salt is None

    @pytest.mark.parametrize("first", ["append", "erase"])
    async def test_keeps_no_salt_of_its_own_entry(self, storage, first):
        await storage.commit(SHOP, add_card)

        def erase(unit):
            if first == "append":
                unit.log.append(a_card_entry())
            unit.cards.erase(TOKEN, LATER)
            if first == "erase":
                unit.log.append(a_card_entry())

        await storage.commit(SHOP, erase)

        receipt = await storage.read(SHOP, lambda unit: unit.log.receipt(0))
        assert receipt.card_salt is None

    async def test_takes_the_salts_of_entries_in_the_same_commit(self, storage):
        await storage.commit(SHOP, add_card)

        def use(unit):
            unit.log.append(a_card_entry())

        await asyncio.gather(
            storage.commit(SHOP, use),
            storage.commit(SHOP, lambda unit: unit.cards.erase(TOKEN, LATER)),
            storage.commit(SHOP, use),
        )

        salts = await storage.read(
            SHOP, lambda unit: [unit.log.receipt(index).card_salt for index in (0, 1)]
        )
        assert salts == [None, None]

    async def test_takes_no_salt_when_it_is_undone(self, storage):
        def fill(unit):
            add_card(unit)
            unit.log.append(a_card_entry())

        def fails(unit):
            unit.cards.erase(TOKEN, LATER)
            raise KeyError

        await storage.commit(SHOP, fill)
        with pytest.raises(KeyError):
            await storage.commit(SHOP, fails)

        def read(unit):
            return unit.cards.find(TOKEN), unit.log.receipt(0).card_salt

        assert await storage.read(SHOP, read) == (a_card(), b"s" * 16)

    async def test_happens_once(self, erased):
        """The time of the first erasure stands; nothing comes back."""
        await erased.commit(SHOP, lambda unit: unit.cards.erase(TOKEN, LATER))

        with pytest.raises(CardTokenNotFound):
            await erased.commit(
                SHOP, lambda unit: unit.cards.put_reference(TOKEN, a_reference())
            )


class PaymentsContract:
    """What every PaymentStore does."""

    FULL = a_payment(
        state=PaymentState.PARTIALLY_CAPTURED,
        step=Step.DONE,
        capture_automatically=False,
        lease=a_lease(LATER),
        authorized=1999,
        capturable=1000,
        captured=999,
        refunded=100,
        refund_pending=50,
        charge_once_key="invoice-1",
        processor_object="pi_1",
        customer="cus_1",
        capture_before=LATER,
        decline=Decline(
            reason="INSUFFICIENT_FUNDS",
            decline_class=DeclineClass.SOFT,
            retry=RetryAdvice.LATER,
            processor_code="51",
        ),
        failure_reason="NOT_SENT",
        redirect_url="https://bank.example/3ds",
        merchant_reference="invoice-1",
        description="Hosting, März",
        statement_descriptor_suffix="HOSTING",
        return_url="https://shop.example/back",
        metadata={"order": "17", "ключ": "значение"},
        network_transaction_id="ntid",
        absent_inquiries=2,
        next_check_at=LATER,
    )

    @pytest.mark.parametrize("payment", [a_payment(), FULL])
    async def test_returns_the_payment_that_was_stored(self, storage, payment):
        await storage.commit(SHOP, lambda unit: add_payment(unit, payment))

        def read(unit):
            return unit.payments.find(PAYMENT), unit.payments.find(OTHER_PAYMENT)

        assert await storage.read(SHOP, read) == (payment, None)

    @pytest.mark.parametrize("state", PaymentState)
    @pytest.mark.parametrize("step", Step)
    async def test_saves_a_payment_whole(self, storage, state, step):
        changed = replace(self.FULL, state=state, step=step)

        def work(unit):
            add_payment(unit)
            unit.payments.save(changed)
            return unit.payments.lock(PAYMENT)

        assert await storage.commit(SHOP, work) == changed

    async def test_refuses_what_cannot_be_stored(self, storage):
        await storage.commit(SHOP, add_payment)
        refused = [
            a_payment(),
            a_payment(OTHER_PAYMENT, card=OTHER_TOKEN),
            a_payment(OTHER_PAYMENT, account_id=ProcessorAccountId("none")),
        ]

        for payment in refused:
            with pytest.raises(InvariantBroken):
                await storage.commit(
                    SHOP, lambda unit, payment=payment: unit.payments.add(payment)
                )
        with pytest.raises(PaymentNotFound):
            await storage.commit(
                SHOP, lambda unit: unit.payments.save(a_payment(OTHER_PAYMENT))
            )

    async def test_finds_by_key_the_newest_and_by_processor_object(self, storage):
        def work(unit):
            add_payment(unit, self.FULL)
            newer = replace(self.FULL, name=OTHER_PAYMENT, processor_object="pi_2")
            add_payment(unit, newer)
            return [
                unit.payments.find_by_charge_once_key("invoice-1"),
                unit.payments.find_by_processor_object("pi_1"),
                unit.payments.find_by_charge_once_key("invoice-2"),
                unit.payments.find_by_charge_once_key(""),
                unit.payments.find_by_processor_object(""),
            ]

        found = await storage.commit(SHOP, work)

        assert [item and item.name for item in found] == [
            OTHER_PAYMENT,
            PAYMENT,
            None,
            None,
            None,
        ]

    async def test_gives_a_charge_once_key_to_one_payment(self, storage):
        """covers: I6."""

        def work(unit):
            store = unit.payments
            return [
                store.claim_charge_once("key", PAYMENT),
                store.claim_charge_once("key", OTHER_PAYMENT),
                store.claim_charge_once("key", PAYMENT),
                store.claim_charge_once("other key", OTHER_PAYMENT),
                store.free_charge_once("key", OTHER_PAYMENT),
                store.claim_charge_once("key", OTHER_PAYMENT),
                store.free_charge_once("key", PAYMENT),
                store.claim_charge_once("key", OTHER_PAYMENT),
            ]

        assert await storage.commit(SHOP, work) == [
            None,
            PAYMENT,
            None,
            None,
            None,
            PAYMENT,
            None,
            None,
        ]

    async def test_keeps_moves_oldest_first(self, storage):
        full = a_move(
            "cap_1",
            kind=MoveKind.CAPTURE,
            status=MoveStatus.UNKNOWN,
            lease=a_lease(LATER),
            processor_object="ch_1",
            failure_reason="x",
            reason="requested_by_customer",
            next_check_at=LATER,
            origin=MoveOrigin.EXTERNAL,
        )
        saved = replace(a_move(), status=MoveStatus.SUCCEEDED, amount=Money(501, "EUR"))

        def work(unit):
            add_payment(unit)
            add_payment(unit, a_payment(OTHER_PAYMENT))
            unit.payments.add_move(a_move())
            unit.payments.add_move(full)
            unit.payments.save_move(saved)
            return (
                unit.payments.moves(PAYMENT),
                unit.payments.moves(OTHER_PAYMENT),
                unit.payments.find_move("cap_1"),
                unit.payments.find_move("none"),
            )

        assert await storage.commit(SHOP, work) == ([saved, full], [], full, None)

    async def test_refuses_moves_of_nothing(self, storage):
        with pytest.raises(InvariantBroken):
            await storage.commit(SHOP, lambda unit: unit.payments.add_move(a_move()))
        with pytest.raises(PaymentNotFound):
            await storage.commit(SHOP, lambda unit: unit.payments.save_move(a_move()))

    async def test_remembers_the_processors_customers(self, storage):
        def work(unit):
            unit.payments.put_customer(ACCOUNT, "customer-1", "cus_1")
            unit.payments.put_customer(ACCOUNT, "customer-1", "cus_2")
            return (
                unit.payments.find_customer(ACCOUNT, "customer-1"),
                unit.payments.find_customer(ACCOUNT, "customer-2"),
                unit.payments.find_customer(ProcessorAccountId("x"), "customer-1"),
            )

        assert await storage.commit(SHOP, work) == ("cus_2", None, None)


def due(name, seconds, **changes):
    """A payment whose age is told by its name's order."""
    values = {"state": PaymentState.UNKNOWN}
    created = MOMENT + timedelta(seconds=seconds)
    return a_payment(name, created_at=created, **values | changes)


class UnsettledContract:
    """What every UnsettledPayments does."""

    async def names(self, storage, *payments, moves=(), limit=100):
        def work(unit):
            for payment in payments:
                add_payment(unit, payment)
            for move in moves:
                unit.payments.add_move(move)

        await storage.commit(SHOP, work)
        found = await storage.unsettled(MOMENT + timedelta(hours=2), limit)
        assert {merchant for merchant, _ in found} <= {SHOP}
        return [name for _, name in found]

    async def test_lists_the_oldest_first(self, storage):
        payments = [due("pay_b", 2), due("pay_a", 3), due("pay_c", 1)]

        assert await self.names(storage, *payments) == ["pay_c", "pay_b", "pay_a"]
        assert await self.names(storage, limit=2) == ["pay_c", "pay_b"]

    @pytest.mark.parametrize("state", PaymentState)
    async def test_lists_what_is_not_decided(self, storage, state):
        open_states = {
            PaymentState.SUBMITTED,
            PaymentState.REQUIRES_ACTION,
            PaymentState.PENDING,
            PaymentState.UNKNOWN,
        }

        found = await self.names(storage, due(PAYMENT, 0, state=state))

        assert found == ([PAYMENT] if state in open_states else [])

    @pytest.mark.parametrize("status", MoveStatus)
    async def test_lists_a_payment_whose_move_is(self, storage, status):
        open_states = {MoveStatus.SUBMITTED, MoveStatus.UNKNOWN}
        payment = due(PAYMENT, 0, state=PaymentState.CAPTURED)

        found = await self.names(
            storage,
            payment,
            moves=[a_move(status=status), a_move("rfnd_second", status=status)],
        )

        assert found == ([PAYMENT] if status in open_states else [])

    @pytest.mark.parametrize("state", [PaymentState.SUBMITTED, PaymentState.UNKNOWN])
    async def test_leaves_out_what_is_leased_or_not_yet_due(self, storage, state):
        late = MOMENT + timedelta(hours=3)
        payments = [
            due("pay_a", 1, state=state, lease=a_lease(late)),
            due("pay_b", 2, state=state, next_check_at=late),
            due("pay_c", 3, state=state, lease=a_lease(LATER), next_check_at=LATER),
        ]
        moves = [
            a_move("m1", payment="pay_a", lease=a_lease(late)),
            a_move("m2", payment="pay_b", next_check_at=late),
        ]

        assert await self.names(storage, *payments, moves=moves) == ["pay_c"]

    async def test_lists_payments_of_every_merchant(self, storage):
        for merchant in (SHOP, OTHER):
            await storage.commit(merchant, add_payment)

        found = await storage.unsettled(LATER, 10)

        assert set(found) == {(SHOP, PAYMENT), (OTHER, PAYMENT)}
