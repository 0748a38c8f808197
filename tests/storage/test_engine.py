"""The SQLite engine: what commits, what is undone, what another merchant sees."""

import asyncio

import pytest
from bailee.receipts import verify_receipt
from bailee.v1 import receipt_pb2

from gateway.audit.checkpoint import open_checkpoint, origin_of
from gateway.audit.tree import EMPTY, grow, leaf_hash
from gateway.errors import InvariantBroken, StorageUnavailable
from gateway.idempotency.ports import RequestRecord
from gateway.words.identifiers import RequestId
from tests.builders.storage import (
    NOW,
    OTHER,
    SHOP,
    VAULT,
    a_signer,
    an_entry,
    open_shop,
)

REQUEST = RequestId("6f2c1d4e-8a3b-4c5d-9e7f-0a1b2c3d4e5f")


@pytest.fixture
async def storage(tmp_path):
    opened = await open_shop(tmp_path)
    yield opened
    await opened.close()


def a_record(digest=b"d" * 32):
    return RequestRecord(
        rpc="TokenizeCard",
        request_id=REQUEST,
        digest=digest,
        resource="card_x",
        entry_index=0,
        created_at=NOW,
    )


class TestCommit:
    async def test_returns_what_the_work_returned(self, storage):
        assert await storage.commit(SHOP, lambda unit: 7) == 7

    async def test_keeps_what_the_work_wrote(self, storage):
        await storage.commit(SHOP, lambda unit: unit.requests.add(a_record()))

        found = await storage.read(
            SHOP, lambda unit: unit.requests.find("TokenizeCard", REQUEST)
        )
        assert found == a_record()

    async def test_undoes_a_unit_that_raises_and_that_unit_alone(self, storage):
        def fails(unit):
            unit.requests.add(a_record())
            unit.log.append(an_entry())
            raise KeyError

        good = [storage.commit(SHOP, lambda unit: unit.log.append(an_entry()))] * 1
        results = await asyncio.gather(
            storage.commit(SHOP, lambda unit: unit.log.append(an_entry())),
            storage.commit(SHOP, fails),
            *good,
            return_exceptions=True,
        )

        assert isinstance(results[1], KeyError)
        assert [results[0].index, results[2].index] == [0, 1]
        assert storage.stored_log(SHOP).size() == 2
        assert not await storage.read(
            SHOP, lambda unit: unit.requests.find("TokenizeCard", REQUEST)
        )

    async def test_finishes_a_unit_whose_caller_left(self, storage):
        task = asyncio.ensure_future(
            storage.commit(SHOP, lambda unit: unit.requests.add(a_record()))
        )
        await asyncio.sleep(0)
        task.cancel()
        await storage.commit(SHOP, lambda unit: None)

        assert await storage.read(
            SHOP, lambda unit: unit.requests.find("TokenizeCard", REQUEST)
        )

    async def test_refuses_to_write_in_a_read(self, storage):
        with pytest.raises(InvariantBroken):
            await storage.read(SHOP, lambda unit: unit.requests.add(a_record()))

    async def test_shows_nothing_of_one_merchant_to_another(self, storage):
        """covers: I9."""
        await storage.commit(SHOP, lambda unit: unit.requests.add(a_record()))

        assert not await storage.read(
            OTHER, lambda unit: unit.requests.find("TokenizeCard", REQUEST)
        )

    async def test_refuses_an_entry_of_another_merchant(self, storage):
        with pytest.raises(InvariantBroken):
            await storage.commit(OTHER, lambda unit: unit.log.append(an_entry()))


class TestLog:
    async def test_gives_receipts_that_a_stranger_verifies(self, storage):
        """covers: I7."""
        appended = await asyncio.gather(
            *(
                storage.commit(SHOP, lambda unit: unit.log.append(an_entry()))
                for _ in range(150)
            )
        )

        for item in appended:
            receipt = item.receipt()
            verified = verify_receipt(
                receipt_pb2.Receipt(entry=receipt.entry, proof=receipt.proof),
                log_origin=origin_of(VAULT, SHOP, 1),
                log_key=a_signer().public_key,
            )
            assert verified.index == item.index

    async def test_gives_a_receipt_of_an_old_entry(self, storage):
        for _ in range(5):
            await storage.commit(SHOP, lambda unit: unit.log.append(an_entry()))

        receipt = await storage.read(SHOP, lambda unit: unit.log.receipt(2))

        verified = verify_receipt(
            receipt_pb2.Receipt(entry=receipt.entry, proof=receipt.proof),
            log_origin=origin_of(VAULT, SHOP, 1),
            log_key=a_signer().public_key,
        )
        assert (verified.index, verified.checkpoint.size) == (2, 5)

    async def test_signs_nothing_before_the_commit(self, storage):
        """covers: I5."""
        kept = []

        def work(unit):
            appended = unit.log.append(an_entry())
            kept.append(appended.is_durable)
            with pytest.raises(InvariantBroken):
                appended.receipt()
            return appended

        appended = await storage.commit(SHOP, work)

        assert kept == [False]
        assert appended.is_durable

    async def test_continues_after_a_restart(self, tmp_path):
        first = await open_shop(tmp_path)
        for _ in range(3):
            await first.commit(SHOP, lambda unit: unit.log.append(an_entry()))
        await first.close()

        second = await open_shop(tmp_path)
        appended = await second.commit(SHOP, lambda unit: unit.log.append(an_entry()))
        log = second.stored_log(SHOP)
        hashes = [leaf_hash(leaf) for leaf in log.leaves(0, 4)]
        signed = open_checkpoint(
            log.checkpoint(),
            origin=origin_of(VAULT, SHOP, 1),
            public_key=a_signer().public_key,
        )
        await second.close()

        assert (appended.index, signed.size) == (3, 4)
        assert signed.root == grow(EMPTY, hashes).frontier.root()


class TestOpen:
    async def test_refuses_a_database_that_another_process_has(self, storage, tmp_path):
        with pytest.raises(StorageUnavailable):
            await open_shop(tmp_path)

    async def test_writes_a_file_that_only_its_owner_reads(self, storage, tmp_path):
        assert (tmp_path / "bailee.db").stat().st_mode & 0o77 == 0

    async def test_refuses_work_after_closing(self, tmp_path):
        closed = await open_shop(tmp_path)
        await closed.close()

        with pytest.raises(StorageUnavailable):
            await closed.commit(SHOP, lambda unit: None)
