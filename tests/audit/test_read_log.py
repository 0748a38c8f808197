"""AuditService on a whole gateway: pages and proofs that a stranger checks.

covers: I7, I9.
"""

import json
from datetime import timedelta

import pytest
from bailee.receipts import open_checkpoint, verify_receipt
from bailee.v1 import audit_service_pb2 as pb

from gateway.audit.checkpoint import origin_of
from gateway.audit.tree import EMPTY, grow, leaf_hash, verify_consistency
from gateway.audit.verify import verify_entries
from gateway.words.callers import Caller, Role
from tests.builders.gateway import running
from tests.builders.guarded_server import refusal_of
from tests.builders.storage import NOW, OTHER, SHOP, VAULT, an_entry
from tests.fakes.clock import ManualClock

READER = Caller(
    spiffe_id="spiffe://vault.example/caller/auditor",
    roles=frozenset({Role.AUDITOR}),
    merchants=frozenset({SHOP}),
)
OPERATOR = Caller(
    spiffe_id="spiffe://vault.example/caller/operator",
    roles=frozenset({Role.AUDITOR}),
    merchants=None,
)
SIZE = 23


@pytest.fixture
async def site(tmp_path):
    async with running(tmp_path, caller=READER) as made:
        await fill(made, SIZE)
        yield made


async def fill(site, number, merchant=SHOP, **changes):
    for _ in range(number):
        entry = an_entry(merchant, **changes)
        await site.storage.commit(
            merchant, lambda unit, entry=entry: unit.log.append(entry)
        )


def signed(site, note):
    return open_checkpoint(
        note, log_origin=origin_of(VAULT, SHOP, 1), log_key=site.keys.log_public_key
    )


async def checkpoint(site):
    answer = await site.audit.GetCheckpoint(pb.GetCheckpointRequest(merchant=SHOP))
    return signed(site, answer.checkpoint)


async def all_entries(site, page_size):
    start, leaves = 0, []
    while True:
        request = pb.ListEntriesRequest(
            merchant=SHOP, start_index=start, page_size=page_size
        )
        answer = await site.audit.ListEntries(request)
        assert [item.index for item in answer.entries] == list(
            range(start, start + len(answer.entries))
        )
        leaves += [item.entry for item in answer.entries]
        if not answer.next_index:
            return leaves
        start = answer.next_index


class TestGetCheckpoint:
    async def test_is_signed_and_counts_every_entry(self, site):
        assert (await checkpoint(site)).size == SIZE

    async def test_of_another_merchant_does_not_exist(self, site):
        request = pb.GetCheckpointRequest(merchant=OTHER)

        refusal = await refusal_of(site.audit.GetCheckpoint(request))

        assert refusal.reason == "MERCHANT_NOT_FOUND"

    async def test_of_a_merchant_that_was_never_made_looks_the_same(self, tmp_path):
        async with running(tmp_path, caller=OPERATOR) as made:
            request = pb.ListEntriesRequest(merchant="nobody")

            refusal = await refusal_of(made.audit.ListEntries(request))

        assert refusal.reason == "MERCHANT_NOT_FOUND"


class TestListEntries:
    @pytest.mark.parametrize("page_size", [1, 7, SIZE, 0, 100_000])
    async def test_gives_the_signed_log_page_by_page(self, site, page_size):
        head = await checkpoint(site)

        leaves = await all_entries(site, page_size)

        verify_entries(leaves, size=head.size, root=head.root, merchant=SHOP)

    async def test_cuts_a_page_that_is_too_large_for_a_message(self, site):
        await fill(site, 60, rule="x" * 60_000)

        leaves = await all_entries(site, 1000)

        assert len(leaves) == SIZE + 60

    async def test_gives_nothing_beyond_the_end(self, site):
        request = pb.ListEntriesRequest(merchant=SHOP, start_index=SIZE)

        answer = await site.audit.ListEntries(request)

        assert (len(answer.entries), answer.next_index, answer.size) == (0, 0, SIZE)

    @pytest.mark.parametrize(
        ("field", "value"), [("start_index", -1), ("page_size", -1)]
    )
    async def test_refuses_a_negative_number(self, site, field, value):
        request = pb.ListEntriesRequest(merchant=SHOP, **{field: value})

        refusal = await refusal_of(site.audit.ListEntries(request))

        assert refusal.reason == "REQUEST_INVALID"
        assert [name for name, _ in refusal.fields] == [field]

    async def test_refuses_a_start_that_no_log_reaches(self, site):
        """Beyond what a database counts with, and still no failure of ours."""
        request = pb.ListEntriesRequest(merchant=SHOP, start_index=2**63 - 1)

        answer = await site.audit.ListEntries(request)

        assert len(answer.entries) == 0


class TestGetInclusionProof:
    @pytest.mark.parametrize("index", [0, 1, 15, 16, SIZE - 1])
    async def test_is_a_receipt_that_verifies(self, site, index):
        request = pb.GetInclusionProofRequest(merchant=SHOP, index=index)

        answer = await site.audit.GetInclusionProof(request)

        verified = verify_receipt(
            answer.receipt,
            log_origin=origin_of(VAULT, SHOP, 1),
            log_key=site.keys.log_public_key,
        )
        assert (verified.index, verified.checkpoint.size) == (index, SIZE)

    @pytest.mark.parametrize("index", [-1, SIZE, 2**63 - 1])
    async def test_refuses_an_entry_that_is_not_there(self, site, index):
        request = pb.GetInclusionProofRequest(merchant=SHOP, index=index)

        refusal = await refusal_of(site.audit.GetInclusionProof(request))

        assert (refusal.reason, refusal.fields[0][0]) == ("REQUEST_INVALID", "index")


class TestGetConsistencyProof:
    @pytest.mark.parametrize("old_size", [1, 7, 8, 16, SIZE - 1, SIZE])
    async def test_proves_that_the_log_only_grew(self, site, old_size):
        leaves = await all_entries(site, 0)
        old = grow(EMPTY, [leaf_hash(leaf) for leaf in leaves[:old_size]]).frontier

        answer = await site.audit.GetConsistencyProof(
            pb.GetConsistencyProofRequest(merchant=SHOP, old_size=old_size)
        )

        head = signed(site, answer.checkpoint)
        verify_consistency(
            old_size,
            head.size,
            answer.hashes,
            old_root=old.root(),
            new_root=head.root,
        )

    @pytest.mark.parametrize("old_size", [0, -1, SIZE + 1, 2**63 - 1])
    async def test_refuses_a_size_that_the_log_never_had(self, site, old_size):
        request = pb.GetConsistencyProofRequest(merchant=SHOP, old_size=old_size)

        refusal = await refusal_of(site.audit.GetConsistencyProof(request))

        assert refusal.reason == "REQUEST_INVALID"


class TestOperator:
    async def test_leaves_an_entry_each_minute_that_it_reads(self, tmp_path):
        clock = ManualClock(NOW)
        async with running(tmp_path, caller=OPERATOR, clock=clock) as made:
            await checkpoint(made)
            await all_entries(made, 1)
            clock.move(timedelta(minutes=1))
            leaves = await all_entries(made, 0)

        read = [json.loads(leaf) for leaf in leaves]
        assert [entry["type"] for entry in read] == ["log.read", "log.read"]
        assert {entry["caller"] for entry in read} == {OPERATOR.spiffe_id}
        assert [entry["action"] for entry in read] == ["checkpoint", "entries"]

    async def test_is_recognized_by_its_role_too(self, tmp_path):
        both = Caller(
            spiffe_id="spiffe://vault.example/caller/both",
            roles=frozenset({Role.READ, Role.OPERATOR}),
            merchants=frozenset({SHOP}),
        )
        async with running(tmp_path, caller=both) as made:
            assert (await checkpoint(made)).size == 1

    async def test_is_not_whom_the_merchant_sends(self, site):
        await checkpoint(site)

        assert (await checkpoint(site)).size == SIZE
