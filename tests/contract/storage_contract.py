"""The suite that every Storage passes: commits, reads, the log, isolation.

Use it with the suite of the stores, so, with a fixture that opens an engine where the
merchants SHOP and OTHER exist:

    class TestOurStorage(StorageContract, StoresContract):
        @pytest.fixture
        async def storage(self, tmp_path):
            ...
"""

import asyncio
import threading

import pytest
from bailee.receipts import verify_receipt
from bailee.v1 import receipt_pb2

from gateway.audit.checkpoint import open_checkpoint, origin_of
from gateway.audit.tree import EMPTY, grow, leaf_hash
from gateway.errors import (
    IntegrityViolation,
    InvariantBroken,
    MerchantNotFound,
)
from gateway.words.callers import Caller
from gateway.words.identifiers import GATEWAY, MerchantId
from gateway.words.purposes import Purpose
from tests.builders.rows import (
    ACCOUNT,
    MOVE,
    PAYMENT,
    REQUEST,
    RPC,
    TOKEN,
    a_card,
    a_card_entry,
    a_move,
    a_payment,
    a_record,
    a_reference,
    a_wrapping_key,
    add_card,
    add_payment,
    keys_of,
)
from tests.builders.storage import OTHER, SHOP, VAULT, a_signer, add_merchant, an_entry

NOBODY = MerchantId("nobody")


def verify(receipt, merchant=SHOP):
    """Checks a receipt as a client does, with the public key alone."""
    return verify_receipt(
        receipt_pb2.Receipt(entry=receipt.entry, proof=receipt.proof),
        log_origin=origin_of(VAULT, merchant, 1),
        log_key=a_signer().public_key,
    )


def append(unit):
    return unit.log.append(an_entry())


async def whole_log(storage, merchant=SHOP):
    """Returns the leaves of a log that adds up to its signed checkpoint."""
    log = storage.stored_log(merchant)
    signed = open_checkpoint(
        log.checkpoint(),
        origin=origin_of(VAULT, merchant, 1),
        public_key=a_signer().public_key,
    )
    leaves = list(log.leaves(0, signed.size + 1))
    assert len(leaves) == signed.size == log.size()
    hashes = [leaf_hash(leaf) for leaf in leaves]
    assert grow(EMPTY, hashes).frontier.root() == signed.root
    return leaves


class StorageContract:
    """What every Storage does. See the module for how to use it."""

    async def test_returns_what_the_work_returned(self, storage):
        assert await storage.commit(SHOP, lambda unit: 7) == 7

    async def test_keeps_what_the_work_wrote(self, storage):
        await storage.commit(SHOP, lambda unit: unit.requests.add(a_record()))

        found = await storage.read(SHOP, lambda unit: unit.requests.find(RPC, REQUEST))
        assert found == a_record()

    async def test_gives_the_callers_own_error_back(self, storage):
        error = KeyError("mine")

        def fails(unit):
            raise error

        with pytest.raises(KeyError) as raised:
            await storage.commit(SHOP, fails)
        assert raised.value is error

    async def test_undoes_a_unit_that_raises_and_that_unit_alone(self, storage):
        def fails(unit):
            add_card(unit)
            unit.requests.add(a_record())
            append(unit)
            append(unit)
            raise KeyError

        results = await asyncio.gather(
            storage.commit(SHOP, append),
            storage.commit(SHOP, fails),
            storage.commit(SHOP, append),
            storage.commit(SHOP, fails),
            return_exceptions=True,
        )

        assert [results[0].index, results[2].index] == [0, 1]
        assert len(await whole_log(storage)) == 2
        left = await storage.read(
            SHOP,
            lambda unit: (unit.requests.find(RPC, REQUEST), unit.cards.find(TOKEN)),
        )
        assert left == (None, None)
        for kept in (results[0], results[2]):
            assert verify(kept.receipt()).index == kept.index

    async def test_undoes_a_unit_whose_row_is_refused_and_that_unit_alone(
        self, storage
    ):
        await storage.commit(SHOP, add_card)

        results = await asyncio.gather(
            storage.commit(SHOP, append),
            storage.commit(SHOP, add_card),
            storage.commit(SHOP, append),
            return_exceptions=True,
        )

        assert isinstance(results[1], InvariantBroken)
        assert len(await whole_log(storage)) == 2

    async def test_shows_a_unit_what_the_units_before_it_wrote(self, storage):
        def claim(unit):
            earlier = unit.requests.find(RPC, REQUEST)
            if earlier is None:
                unit.requests.add(a_record())
            return earlier

        seen = await asyncio.gather(*(storage.commit(SHOP, claim) for _ in range(8)))

        assert seen.count(None) == 1

    async def test_finishes_a_unit_whose_caller_left(self, storage):
        task = asyncio.ensure_future(
            storage.commit(SHOP, lambda unit: unit.requests.add(a_record()))
        )
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await storage.commit(SHOP, lambda unit: None)

        assert await storage.read(SHOP, lambda unit: unit.requests.find(RPC, REQUEST))

    async def test_serves_callers_in_several_event_loops(self, storage):
        found = []

        def elsewhere():
            found.append(asyncio.run(storage.commit(SHOP, append)))

        thread = threading.Thread(target=elsewhere)
        thread.start()
        own = await storage.commit(SHOP, append)
        await asyncio.to_thread(thread.join)

        assert sorted([own.index, found[0].index]) == [0, 1]

    async def test_reads_only_what_is_committed(self, storage):
        started, go_on = threading.Event(), threading.Event()

        def slow(unit):
            unit.requests.add(a_record())
            started.set()
            go_on.wait(10)

        task = asyncio.ensure_future(storage.commit(SHOP, slow))
        await asyncio.to_thread(started.wait, 10)
        during = await storage.read(SHOP, lambda unit: unit.requests.find(RPC, REQUEST))
        go_on.set()
        await task
        after = await storage.read(SHOP, lambda unit: unit.requests.find(RPC, REQUEST))

        assert (during, after) == (None, a_record())

    @pytest.mark.parametrize(
        "write",
        [
            add_card,
            append,
            lambda unit: unit.requests.add(a_record()),
            lambda unit: unit.payments.claim_charge_once("key", PAYMENT),
        ],
    )
    async def test_refuses_to_write_in_a_read(self, storage, write):
        with pytest.raises(InvariantBroken):
            await storage.read(SHOP, write)

        assert await whole_log(storage) == []


class LogContract:
    """What the log of every Storage does."""

    async def test_gives_receipts_that_a_stranger_verifies(self, storage):
        """covers: I7."""
        appended = await asyncio.gather(
            *(storage.commit(SHOP, append) for _ in range(150))
        )

        assert [item.index for item in appended] == list(range(150))
        for item in appended:
            assert verify(item.receipt()).index == item.index
        assert len(await whole_log(storage)) == 150

    async def test_gives_a_receipt_of_an_old_entry(self, storage):
        for _ in range(5):
            await storage.commit(SHOP, append)

        receipt = await storage.read(SHOP, lambda unit: unit.log.receipt(2))

        verified = verify(receipt)
        assert (verified.index, verified.checkpoint.size) == (2, 5)

    async def test_gives_a_receipt_inside_a_unit_under_the_committed_head(
        self, storage
    ):
        for _ in range(3):
            await storage.commit(SHOP, append)

        def replay(unit):
            append(unit)
            return unit.log.receipt(1)

        verified = verify(await storage.commit(SHOP, replay))

        assert (verified.index, verified.checkpoint.size) == (1, 3)

    @pytest.mark.parametrize("index", [-1, 1, 99])
    async def test_has_no_receipt_of_an_entry_that_is_not_there(self, storage, index):
        await storage.commit(SHOP, append)

        with pytest.raises(IntegrityViolation):
            await storage.read(SHOP, lambda unit: unit.log.receipt(index))

    async def test_signs_nothing_before_the_commit(self, storage):
        """covers: I5."""
        kept = []

        def work(unit):
            appended = append(unit)
            kept.append(appended.is_durable)
            with pytest.raises(InvariantBroken):
                appended.receipt()
            return appended

        appended = await storage.commit(SHOP, work)

        assert kept == [False]
        assert appended.is_durable

    async def test_never_signs_an_entry_that_was_undone(self, storage):
        """Its index belongs to another entry by now. covers: I5."""
        undone = []

        def fails(unit):
            undone.append(append(unit))
            raise KeyError

        results = await asyncio.gather(
            storage.commit(SHOP, fails),
            storage.commit(SHOP, append),
            return_exceptions=True,
        )

        assert results[1].index == undone[0].index == 0
        assert not undone[0].is_durable
        with pytest.raises(InvariantBroken):
            undone[0].receipt()

    async def test_keeps_the_salts_beside_the_entry(self, storage):
        def work(unit):
            add_card(unit)
            return unit.log.append(
                a_card_entry(processor_object="pi_1", object_salt=b"o" * 16)
            )

        first = (await storage.commit(SHOP, work)).receipt()
        again = await storage.read(SHOP, lambda unit: unit.log.receipt(0))

        assert (first.card_salt, first.object_salt) == (b"s" * 16, b"o" * 16)
        assert (again.card_salt, again.object_salt) == (b"s" * 16, b"o" * 16)
        assert b"s" * 16 not in first.entry

    async def test_takes_an_entry_before_its_card(self, storage):
        """The order inside a unit is the use case's own business."""

        def work(unit):
            unit.log.append(a_card_entry())
            add_card(unit)

        await storage.commit(SHOP, work)

        receipt = await storage.read(SHOP, lambda unit: unit.log.receipt(0))
        assert receipt.card_salt == b"s" * 16

    async def test_keeps_no_salt_of_a_card_that_was_never_stored(self, storage):
        """Nothing could erase it later. covers: I10."""
        await storage.commit(SHOP, lambda unit: unit.log.append(a_card_entry()))

        receipt = await storage.read(SHOP, lambda unit: unit.log.receipt(0))
        assert receipt.card_salt is None

    async def test_refuses_an_entry_of_another_merchant(self, storage):
        with pytest.raises(InvariantBroken):
            await storage.commit(OTHER, append)

    async def test_refuses_an_entry_of_a_merchant_that_does_not_exist(self, storage):
        with pytest.raises(MerchantNotFound):
            await storage.commit(NOBODY, lambda unit: unit.log.append(an_entry(NOBODY)))

    async def test_gives_the_gateway_a_log_of_its_own(self, storage):
        await storage.commit(GATEWAY, lambda unit: unit.log.append(an_entry(GATEWAY)))

        assert len(await whole_log(storage, GATEWAY)) == 1
        assert await whole_log(storage) == []


def write_everything(unit):
    """Leaves one row in every table of a merchant."""
    add_payment(unit)
    unit.requests.add(a_record())
    unit.cards.put_reference(TOKEN, a_reference())
    unit.payments.claim_charge_once("key", PAYMENT)
    unit.payments.add_move(a_move())
    unit.payments.put_customer(ACCOUNT, "customer-1", "cus_1")
    unit.log.append(a_card_entry())


def read_everything(unit):
    """Returns whatever a unit can see of what ``write_everything`` wrote."""
    return [
        unit.requests.find(RPC, REQUEST),
        unit.cards.find(TOKEN),
        unit.cards.lock(TOKEN),
        *unit.cards.keys(TOKEN),
        *(
            unit.cards.find_key(TOKEN, copy.kind, copy.purpose)
            for copy in unit.cards.keys(TOKEN)
        ),
        *unit.cards.references(TOKEN),
        unit.cards.find_reference(TOKEN, ACCOUNT),
        unit.cards.count_same_last_four("4242", b"another-fingerprint") or None,
        unit.keys.find(a_wrapping_key().key_id),
        unit.keys.newest(Purpose.RECURRING, "e1"),
        unit.payments.find(PAYMENT),
        unit.payments.lock(PAYMENT),
        unit.payments.find_by_charge_once_key("key"),
        unit.payments.find_by_processor_object("pi_1"),
        unit.payments.find_move(MOVE),
        *unit.payments.moves(PAYMENT),
        unit.payments.find_customer(ACCOUNT, "customer-1"),
    ]


class IsolationContract:
    """Nothing of one merchant is visible to or usable by another. covers: I9."""

    @pytest.fixture
    async def filled(self, storage):
        await storage.commit(SHOP, write_everything)
        return storage

    async def test_shows_a_merchant_its_own(self, filled):
        """The control: what the next tests look for is there."""
        seen = await filled.read(SHOP, read_everything)

        assert seen.count(None) == 2  # no key nor processor object on the payment

    @pytest.mark.parametrize("stranger", [OTHER, NOBODY, GATEWAY])
    async def test_shows_nothing_to_another(self, filled, stranger):
        seen = await filled.read(stranger, read_everything)

        assert [item for item in seen if item is not None] == []

    @pytest.mark.parametrize("stranger", [OTHER, NOBODY, GATEWAY])
    async def test_shows_nothing_to_another_in_a_commit(self, filled, stranger):
        seen = await filled.commit(stranger, read_everything)

        assert [item for item in seen if item is not None] == []

    @pytest.mark.parametrize(
        "change",
        [
            lambda unit: unit.cards.erase(TOKEN, a_card().created_at),
            lambda unit: unit.cards.mark_used(TOKEN, a_card().created_at),
            lambda unit: unit.cards.put_reference(TOKEN, a_reference(sealed=b"x")),
            lambda unit: unit.requests.count_mismatch(RPC, REQUEST),
            lambda unit: unit.requests.set_entry_index(RPC, REQUEST, 9),
            lambda unit: unit.payments.free_charge_once("key", PAYMENT),
            lambda unit: unit.payments.save_move(a_move(reason="x")),
            lambda unit: unit.payments.add_move(a_move("rfnd_other")),
        ],
    )
    async def test_lets_another_change_nothing(self, filled, change):
        before = await filled.read(SHOP, read_everything)

        await asyncio.gather(filled.commit(OTHER, change), return_exceptions=True)

        assert await filled.read(SHOP, read_everything) == before
        holder = await filled.commit(
            SHOP, lambda unit: unit.payments.claim_charge_once("key", "pay_second")
        )
        assert holder == PAYMENT

    async def test_lets_another_use_the_same_names(self, filled):
        def write(unit):
            add_payment(unit)
            unit.requests.add(a_record())
            return unit.payments.claim_charge_once("key", PAYMENT)

        assert await filled.commit(OTHER, write) is None

    async def test_refuses_copies_under_anothers_wrapping_key(self, filled):
        with pytest.raises(InvariantBroken):
            await filled.commit(OTHER, lambda unit: unit.cards.add(a_card(), keys_of()))

    async def test_refuses_a_payment_from_anothers_card(self, filled):
        with pytest.raises(InvariantBroken):
            await filled.commit(OTHER, lambda unit: unit.payments.add(a_payment()))

    async def test_shows_callers_to_the_gateway_alone(self, storage):
        caller = Caller("spiffe://vault.example/caller/a", frozenset(), None)
        await storage.commit(GATEWAY, lambda unit: unit.callers.put(caller))

        with pytest.raises(InvariantBroken):
            await storage.read(SHOP, lambda unit: unit.callers.all())
        with pytest.raises(InvariantBroken):
            await storage.commit(SHOP, lambda unit: unit.callers.put(caller))

    async def test_has_nothing_of_a_merchant_that_was_undone(self, storage):
        """Its row number may be the next merchant's. covers: I9."""

        def fails(unit):
            add_merchant(unit, NOBODY)
            unit.log.append(an_entry(NOBODY))
            raise KeyError

        third = MerchantId("third")
        await asyncio.gather(
            storage.commit(NOBODY, fails),
            storage.commit(third, lambda unit: add_merchant(unit, third)),
            return_exceptions=True,
        )
        appended = await storage.commit(
            third, lambda unit: unit.log.append(an_entry(third))
        )

        assert appended.index == 0
        with pytest.raises(MerchantNotFound):
            await storage.commit(NOBODY, lambda unit: unit.log.append(an_entry(NOBODY)))
