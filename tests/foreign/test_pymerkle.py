"""pymerkle, a library by others, gives the same roots and paths. covers: I7."""

import base64
import json
import subprocess

import pytest

from gateway.audit.tree import EMPTY, grow, inclusion_path, leaf_hash
from tests.builders.logs import a_log, leaves_of
from tests.foreign.judges import fetch_pymerkle

SIZE = 70
SCRIPT = "tests/foreign/pymerkle_facts.py"


@pytest.fixture(scope="module")
def facts():
    entries = "\n".join(base64.b64encode(leaf).decode() for leaf in leaves_of(SIZE))
    done = subprocess.run(
        [fetch_pymerkle(), "-I", SCRIPT],
        input=entries,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_root_is_the_same_at_every_size(facts):
    hashes = [leaf_hash(leaf) for leaf in leaves_of(SIZE)]
    roots = [
        grow(EMPTY, hashes[:size]).frontier.root().hex() for size in range(1, SIZE + 1)
    ]

    assert facts["roots"] == roots


def test_path_of_every_entry_is_the_same(facts):
    """It lists the entry's own hash too, and orders by side."""
    log = a_log(leaves_of(SIZE))
    for index, theirs in enumerate(facts["paths"]):
        ours = inclusion_path(index, SIZE, log.node)
        own = log.node(0, index)

        assert sorted(theirs) == sorted(part.hex() for part in [own, *ours])
