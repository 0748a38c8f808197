"""Formats that are frozen: what is signed once must verify for ever. covers: I7."""

import json
from pathlib import Path

import pytest

from gateway.audit.checkpoint import read_verifier_key, verifier_key
from gateway.audit.entry import Entry, EntryType
from gateway.audit.export import write_export
from gateway.audit.leaf import encode_leaf
from gateway.audit.leaf_grammar import is_leaf_of
from gateway.audit.receipts import format_proof, verify_receipt
from gateway.audit.tree import inclusion_path, leaf_hash
from gateway.audit.verify import verify_export
from tests.builders.logs import (
    BUILD,
    ORIGIN,
    PUBLIC,
    a_full_entry,
    a_fullest_entry,
    a_log,
    leaves_of,
)
from tests.builders.storage import NOW, SHOP

FOLDER = Path(__file__).parents[1] / "vectors" / "audit"
LOG = FOLDER / "log_v1"
LEAVES = json.loads((FOLDER / "leaf_v1.json").read_text("utf-8"))
ENTRIES = {
    "every field": a_full_entry(),
    "only what must be there": Entry(
        type=EntryType.LOG_STARTED, merchant=SHOP, at=NOW, caller="bailee init"
    ),
    "also what only events have": a_fullest_entry(previous=None),
    "also what only restored logs have": a_fullest_entry(),
    "text that needs care": a_full_entry(
        rule='\x00\x1f "\\\b\t\n\f\r/\x7f\u00e9\u2028\U0001f600'
    ),
}


def content_of(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


class TestLeaves:
    @pytest.mark.parametrize("vector", LEAVES, ids=lambda vector: vector["name"])
    def test_are_written_as_they_were(self, vector):
        leaf = encode_leaf(ENTRIES[vector["name"]], build=BUILD)

        assert leaf.decode() == vector["leaf"]
        assert leaf_hash(leaf).hex() == vector["leaf_hash"]

    @pytest.mark.parametrize("vector", LEAVES, ids=lambda vector: vector["name"])
    def test_are_still_taken(self, vector):
        assert is_leaf_of(vector["leaf"].encode(), b"shop")


class TestLog:
    def test_is_written_as_it_was(self, tmp_path):
        target = tmp_path / "export"
        write_export(target, a_log(leaves_of(5)), origin=ORIGIN, public_key=PUBLIC)

        assert content_of(target) == content_of(LOG / "export")

    def test_still_verifies_with_its_key_alone(self):
        origin, public_key = read_verifier_key((LOG / "verifier-key.txt").read_text())

        checked = verify_export(LOG / "export", origin=origin, public_key=public_key)

        assert checked.size == 5
        assert verifier_key(ORIGIN, PUBLIC) == verifier_key(origin, public_key)

    def test_has_a_proof_that_is_written_as_it_was(self):
        log = a_log(leaves_of(5))
        proof = format_proof(3, inclusion_path(3, 5, log.node), log.note)

        assert proof == (LOG / "entry-3.tlog-proof").read_text("utf-8")

    def test_has_a_proof_that_still_verifies(self):
        origin, public_key = read_verifier_key((LOG / "verifier-key.txt").read_text())

        verified = verify_receipt(
            (LOG / "entry-3.json").read_bytes(),
            (LOG / "entry-3.tlog-proof").read_text("utf-8"),
            origin=origin,
            public_key=public_key,
        )

        assert (verified.index, verified.size) == (3, 5)
