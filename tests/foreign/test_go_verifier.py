"""The Go project's own note and tlog packages accept our logs and refuse others.

covers: I7. Every format is judged: signed note, checkpoint, tiles, tlog-proof,
consistency. tests/foreign/verifier/main.go is the whole of what was written for it.
"""

import base64
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.audit.checkpoint import (
    checkpoint_text,
    origin_of,
    signed_note,
    verifier_key,
)
from gateway.audit.export import write_export
from gateway.audit.receipts import format_proof
from gateway.audit.tree import EMPTY, grow, inclusion_path, leaf_hash
from tests.builders.logs import ORIGIN, PUBLIC, SIGNER, a_leaf, a_log, leaves_of
from tests.builders.storage import OTHER, VAULT, Signer
from tests.foreign.judges import build_verifier

VECTORS = Path(__file__).parents[1] / "vectors" / "audit" / "log_v1"
SIZE = 300  # more than a tile, so that two levels of tiles are read
SHOWN = 7
FORGER = Signer(Ed25519PrivateKey.from_private_bytes(bytes(32)))


@pytest.fixture(scope="session")
def verifier():
    return build_verifier()


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """An export, its key, an older checkpoint and one receipt."""
    folder = tmp_path_factory.mktemp("original")
    leaves = leaves_of(SIZE)
    write(folder, leaves)
    (folder / "old-checkpoint").write_text(a_log(leaves[:100]).checkpoint())
    return folder


def write(folder, leaves, *, origin=ORIGIN, signer=SIGNER):
    """Writes an export and a receipt of entry SHOWN, as the gateway does."""
    log = a_log(leaves, origin=origin, signer=signer)
    write_export(folder / "export", log, origin=origin, public_key=signer.public_key)
    (folder / "key").write_text(verifier_key(ORIGIN, PUBLIC) + "\n")
    path = inclusion_path(SHOWN, len(leaves), log.node)
    (folder / "entry").write_bytes(leaves[SHOWN])
    (folder / "proof").write_text(format_proof(SHOWN, path, log.checkpoint()))
    (folder / "old-checkpoint").write_text(a_log(leaves_of(100)).checkpoint())


@pytest.fixture
def folder(original, tmp_path):
    return Path(shutil.copytree(original, tmp_path / "copy"))


@pytest.fixture
def judge(verifier):
    def run(folder):
        """Returns what each of the three checks printed; 'ok' begins an acceptance."""
        key = folder / "key"
        checks = {
            "log": [folder / "export"],
            "receipt": [folder / "entry", folder / "proof"],
            "grown": [folder / "old-checkpoint", folder / "export"],
        }
        said = {}
        for check, files in checks.items():
            done = subprocess.run(
                [verifier, check, key, *files],
                capture_output=True,
                check=False,
                text=True,
            )
            assert done.returncode == (0 if done.stdout.startswith("ok") else 1)
            said[check] = done.stdout
        return said

    return run


def refused(said):
    return {check for check, text in said.items() if not text.startswith("ok")}


class TestGenuine:
    def test_log_is_accepted(self, judge, folder):
        said = judge(folder)

        assert said["log"] == f"ok: {SIZE} entries of {ORIGIN}\n"
        assert said["receipt"] == f"ok: entry {SHOWN} of {SIZE} of {ORIGIN}\n"
        assert said["grown"] == f"ok: {ORIGIN} grew from 100 to {SIZE} entries\n"

    @pytest.mark.parametrize("size", [1, 2, 5, 256, 257, 512])
    def test_log_of_any_shape_is_accepted(self, verifier, tmp_path, size):
        write_export(
            tmp_path / "x", a_log(leaves_of(size)), origin=ORIGIN, public_key=PUBLIC
        )
        (tmp_path / "key").write_text(verifier_key(ORIGIN, PUBLIC))

        command = [verifier, "log", tmp_path / "key", tmp_path / "x"]
        assert subprocess.run(command, check=False).returncode == 0

    def test_files_that_were_frozen_are_accepted(self, verifier):
        key = VECTORS / "verifier-key.txt"
        for arguments in (
            ["log", key, VECTORS / "export"],
            ["receipt", key, VECTORS / "entry-3.json", VECTORS / "entry-3.tlog-proof"],
        ):
            assert subprocess.run([verifier, *arguments], check=False).returncode == 0

    def test_line_of_a_witness_does_not_disturb(self, judge, folder):
        """Room for a second signature: unknown lines are ignored."""
        blob = base64.b64encode(bytes(76)).decode()
        for name in ("export/checkpoint", "old-checkpoint", "proof"):
            with (folder / name).open("a") as stream:
                stream.write(f"\u2014 witness.example {blob}\n")

        assert refused(judge(folder)) == set()


def flip(file, place=-1):
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(bytes(content))


def rewrite(change):
    """Builds the whole log anew from other entries, signed with the genuine key."""

    def tamper(folder):
        shutil.rmtree(folder / "export")
        leaves = leaves_of(SIZE)
        write(folder, change(leaves))

    return tamper


def swap_entries(folder):
    bundle = folder / "export/tile/entries/000"
    content = bundle.read_bytes()
    first, second = (len(leaf) + 2 for leaf in leaves_of(2))
    bundle.write_bytes(
        content[first : first + second] + content[:first] + content[first + second :]
    )


def cut_last_entry(folder):
    bundle = folder / f"export/tile/entries/001.p/{SIZE - 256}"
    bundle.write_bytes(bundle.read_bytes()[: -len(a_leaf(SIZE - 1)) - 2])


def claim_smaller_size(folder):
    note = folder / "export/checkpoint"
    note.write_text(note.read_text().replace(f"\n{SIZE}\n", f"\n{SIZE - 1}\n"))


def sign_with_another_key(folder):
    shutil.rmtree(folder / "export")
    write(folder, leaves_of(SIZE), signer=FORGER)


def name_the_genuine_key(folder):
    """A forger's signature under the genuine key's id."""
    root = grow(EMPTY, [leaf_hash(leaf) for leaf in leaves_of(SIZE)]).frontier.root()
    text = checkpoint_text(ORIGIN, SIZE, root)
    note = signed_note(text, ORIGIN, PUBLIC, FORGER.sign(text))
    (folder / "export/checkpoint").write_text(note)
    head = (folder / "proof").read_text().partition("\n\n")[0]
    (folder / "proof").write_text(f"{head}\n\n{note}")


def take_another_merchants_log(folder):
    shutil.rmtree(folder / "export")
    leaves = [a_leaf(number, merchant=OTHER) for number in range(SIZE)]
    write(folder, leaves, origin=origin_of(VAULT, OTHER, 1))


def move_the_receipt(folder):
    proof = folder / "proof"
    proof.write_text(proof.read_text().replace(f"index {SHOWN}", f"index {SHOWN - 1}"))


def change_the_path(folder):
    lines = (folder / "proof").read_text().split("\n")
    lines[2], lines[3] = lines[3], lines[2]
    (folder / "proof").write_text("\n".join(lines))


ALTERED = a_leaf(999)
EVERYTHING = {"log", "receipt", "grown"}
# What is tampered with, how, and which of the three checks must refuse it. The last
# three are by someone who holds the signing key: only who kept an older checkpoint
# can tell.
TAMPERINGS = {
    "a byte of an entry": (
        lambda f: flip(f / "export/tile/entries/000", 40),
        {"log"},
    ),
    "entries swapped": (swap_entries, {"log"}),
    "the last entry cut off": (cut_last_entry, {"log"}),
    "a byte of a leaf's hash": (
        lambda f: flip(f / "export/tile/0/000", 5),
        {"log", "grown"},
    ),
    "a byte of an inner hash": (
        lambda f: flip(f / "export/tile/1/000.p/1", 5),
        {"log", "grown"},
    ),
    "a smaller size in the checkpoint": (claim_smaller_size, {"log", "grown"}),
    "a byte of the signature": (
        lambda f: flip(f / "export/checkpoint", -12),
        {"log", "grown"},
    ),
    "another signing key": (sign_with_another_key, EVERYTHING),
    "another key under the genuine key's id": (name_the_genuine_key, EVERYTHING),
    "another merchant's log": (take_another_merchants_log, EVERYTHING),
    "a receipt's index": (move_the_receipt, {"receipt"}),
    "a receipt's path": (change_the_path, {"receipt"}),
    "a receipt's entry": (lambda f: flip(f / "entry", 30), {"receipt"}),
    "history rewritten and signed": (
        rewrite(lambda leaves: [*leaves[:50], ALTERED, *leaves[51:]]),
        {"grown"},
    ),
    "history shortened and signed": (rewrite(lambda leaves: leaves[:99]), {"grown"}),
    "an entry left out and signed": (
        rewrite(lambda leaves: [*leaves[:50], *leaves[51:]]),
        {"grown"},
    ),
}


class TestTampering:
    def test_is_tried_in_ten_ways_and_more(self):
        assert len(TAMPERINGS) >= 10

    @pytest.mark.parametrize("name", TAMPERINGS)
    def test_is_refused(self, judge, folder, name):
        tamper, expected = TAMPERINGS[name]

        tamper(folder)

        assert refused(judge(folder)) == expected
