"""The gateway's own log, and what a merchant can check of it. covers: I7, I9."""

import json

import pytest
from bailee.audit.commitments import CommitmentInvalid, read_commitment
from bailee.audit.keys import VerifierKey
from bailee.audit.store import Store
from bailee.audit.watch import Watcher
from bailee.receipts import open_checkpoint
from bailee.v1 import audit_service_pb2 as pb

from gateway.audit.checkpoint import origin_of
from gateway.audit.operator_log import OperatorLog
from gateway.audit.verify import verify_log
from gateway.merchants.log_owners import DirectoryLogOwners
from gateway.words.callers import Caller, Role
from gateway.words.identifiers import GATEWAY
from tests.builders.gateway import running
from tests.builders.guarded_server import refusal_of
from tests.builders.logs import a_leaf
from tests.builders.storage import NOW, OTHER, SHOP, VAULT, an_entry
from tests.builders.watched import Site
from tests.fakes.clock import ManualClock

ORIGIN = origin_of(VAULT, SHOP, 1)
READER = Caller(
    spiffe_id="spiffe://vault.example/caller/auditor",
    roles=frozenset({Role.AUDITOR}),
    merchants=frozenset({SHOP, OTHER}),
)


@pytest.fixture
async def site(tmp_path):
    async with running(tmp_path, caller=READER, clock=ManualClock(NOW)) as made:
        await append(made, SHOP)
        await append(made, OTHER)
        yield made


async def append(site, merchant, **changes):
    entry = an_entry(merchant, **changes)
    await site.storage.commit(merchant, lambda unit: unit.log.append(entry))


async def ask(site, merchant=SHOP):
    return await site.audit.GetCheckpoint(pb.GetCheckpointRequest(merchant=merchant))


def key_of(site, origin=ORIGIN):
    return VerifierKey(origin, site.keys.log_public_key)


def own_entries(site):
    log = site.storage.stored_log(GATEWAY)
    return [json.loads(leaf) for leaf in log.leaves(0, log.size())]


class TestOperatorLog:
    async def test_has_a_leaf_over_every_merchants_checkpoint(self, site):
        await site.gateway.operator_log.commit_checkpoints()

        [leaf] = own_entries(site)
        assert (leaf["type"], leaf["count"]) == ("log.committed", 2)
        for merchant in (SHOP, OTHER):
            answer = await ask(site, merchant)
            key = key_of(site, origin_of(VAULT, merchant, 1))
            committed = read_commitment(answer.operator_commitment, key)
            signed = open_checkpoint(
                answer.checkpoint, log_origin=key.name, log_key=key.public_key
            )
            assert committed == signed

    async def test_names_no_merchant(self, site):
        await site.gateway.operator_log.commit_checkpoints()
        await site.gateway.operator_log.commit_checkpoints()

        first, second = own_entries(site)
        assert "shop" not in json.dumps(first)
        assert first["subject"] != second["subject"]  # salted anew, nothing changed

    async def test_notes_start_and_stop(self, site):
        await site.gateway.operator_log.note_start("a1")
        await site.gateway.operator_log.note_stop("a1")

        kinds = [(entry["type"], entry["subject"]) for entry in own_entries(site)]
        assert kinds == [("gateway.started", "a1"), ("gateway.stopped", "a1")]

    async def test_is_a_log_like_any_other(self, site):
        for _ in range(5):
            await site.gateway.operator_log.commit_checkpoints()

        checked = verify_log(
            site.storage.stored_log(GATEWAY),
            origin=origin_of(VAULT, GATEWAY, 1),
            public_key=site.keys.log_public_key,
        )
        assert checked.size == 5

    async def test_cannot_be_read_as_a_merchants(self, site):
        request = pb.GetCheckpointRequest(merchant="gateway")

        refusal = await refusal_of(site.audit.GetCheckpoint(request))

        assert refusal.reason == "REQUEST_INVALID"

    async def test_folds_denials_that_were_only_counted(self, site):
        clock = ManualClock(NOW)
        log = OperatorLog(
            storage=site.storage,
            owners=DirectoryLogOwners(storage=site.storage),
            clock=clock,
        )
        for _ in range(12):
            await site.storage.commit(
                SHOP, lambda unit: unit.denials.count("billing", "purpose", 0)
            )

        await log.commit_checkpoints()

        log = site.storage.stored_log(SHOP)
        [*_, last] = log.leaves(0, log.size())
        assert json.loads(last)["count"] == 2

    async def test_gives_no_proof_before_the_first_leaf(self, site):
        assert not (await ask(site)).HasField("operator_commitment")


class TestCommitment:
    @pytest.fixture
    async def proof(self, site):
        await site.gateway.operator_log.commit_checkpoints()
        return (await ask(site)).operator_commitment

    @pytest.mark.parametrize(
        "tamper",
        [
            lambda proof: setattr(proof, "salt", bytes(32)),
            lambda proof: setattr(proof, "index", 1 - proof.index),
            lambda proof: proof.hashes.append(bytes(32)),
            lambda proof: setattr(
                proof,
                "checkpoint_text",
                proof.checkpoint_text.replace("\n1\n", "\n2\n"),
            ),
            lambda proof: setattr(proof.receipt, "entry", proof.receipt.entry + b" "),
            lambda proof: setattr(proof.receipt, "proof", "nonsense"),
        ],
    )
    async def test_is_refused_when_it_was_tampered_with(self, site, proof, tamper):
        tamper(proof)

        with pytest.raises(CommitmentInvalid):
            read_commitment(proof, key_of(site))

    async def test_of_another_merchant_is_refused(self, site, proof):
        key = key_of(site, origin_of(VAULT, OTHER, 1))

        with pytest.raises(CommitmentInvalid, match="another log"):
            read_commitment(proof, key)

    async def test_of_another_entry_is_refused(self, site, proof):
        """Any entry of the operator log is signed; only its leaf commits."""
        await site.gateway.operator_log.note_start("a1")
        receipt = await site.storage.read(GATEWAY, lambda unit: unit.log.receipt(1))
        proof.receipt.entry, proof.receipt.proof = receipt.entry, receipt.proof

        with pytest.raises(CommitmentInvalid):
            read_commitment(proof, key_of(site))

    async def test_of_an_entry_of_another_kind_is_refused(self, site, proof):
        """Even if its subject is the right root: only a commitment commits."""
        facts = json.loads(proof.receipt.entry)
        entry = an_entry(GATEWAY, subject=facts["subject"], count=facts["count"])
        appended = await site.storage.commit(
            GATEWAY, lambda unit: unit.log.append(entry)
        )
        receipt = appended.receipt()
        proof.receipt.entry, proof.receipt.proof = receipt.entry, receipt.proof

        with pytest.raises(CommitmentInvalid, match="not under"):
            read_commitment(proof, key_of(site))


class TestWatcher:
    """Two readers of one log: the watcher is shown another one than was committed."""

    @pytest.fixture
    async def watched(self, site, tmp_path):
        watched = Site(tmp_path)
        log = site.storage.stored_log(SHOP)
        watched.shown.leaves = list(log.leaves(0, log.size()))
        watched.watcher = Watcher(
            key=key_of(site),
            source=watched.shown,
            store=Store(tmp_path / "second.db", origin=ORIGIN),
        )
        watched.shown.signer = Notary(site.keys)
        await site.gateway.operator_log.commit_checkpoints()
        watched.shown.committed = (await ask(site)).operator_commitment
        return watched

    async def test_accepts_the_log_that_was_committed(self, watched):
        assert watched.look() == []
        watched.shown.leaves.append(a_leaf(1))
        assert watched.look() == []

    async def test_finds_another_log(self, watched):
        watched.shown.leaves[0] = a_leaf(1)

        assert watched.look() == ["rewritten"]
        assert "operator log" in watched.text()

    async def test_finds_a_shorter_log(self, watched):
        watched.shown.leaves.clear()

        assert watched.look() == ["rewritten"]

    async def test_finds_another_log_that_it_saw_first(self, watched):
        committed, watched.shown.committed = watched.shown.committed, None
        watched.shown.leaves[0] = a_leaf(1)
        assert watched.look() == []
        watched.shown.committed = committed

        assert watched.look(minutes=1) == ["rewritten"]


class Notary:
    """Signs as the gateway does."""

    def __init__(self, keys):
        self.public_key = keys.log_public_key
        self.sign = keys.sign_checkpoint
