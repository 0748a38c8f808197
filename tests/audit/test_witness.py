"""The witness's answers, as https://c2sp.org/tlog-witness numbers them."""

import base64

import pytest
from bailee.audit.keys import LOG, WITNESS, VerifierKey, read_verifier_key
from bailee.audit.tree import EMPTY_ROOT, GrowingTree, is_prefix, leaf_hash
from bailee.audit.witness import Witness, WitnessKey, cosigned_at
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit.tree import consistency_path
from tests.builders.logs import ORIGIN, PUBLIC, a_leaf, a_log, leaves_of
from tests.builders.storage import NOW, Signer

FORGER = Signer(Ed25519PrivateKey.from_private_bytes(bytes(32)))


class Memory:
    """See WitnessMemory."""

    def __init__(self):
        self.kept = {}

    def cosigned(self, origin):
        return self.kept.get(origin)

    def keep(self, origin, checkpoint):
        self.kept[origin] = checkpoint


@pytest.fixture
def key():
    private = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
    return WitnessKey("witness.example/1", private)


@pytest.fixture
def witness(key):
    return Witness(key=key, logs={ORIGIN: PUBLIC}, memory=Memory())


def submit(witness, old, log, *, proof=None):
    """Returns the status and the body of the answer."""
    size = log.size()
    if proof is None:
        proof = consistency_path(old, size, log.node) if old else []
    lines = "".join(base64.b64encode(part).decode() + "\n" for part in proof)
    body = f"old {old}\n{lines}\n{log.checkpoint()}"
    status, _, text = witness.add_checkpoint(body.encode(), NOW)
    return status, text


class TestAddCheckpoint:
    def test_cosigns_a_log_that_grows(self, witness, key):
        for old, new in [(0, 3), (3, 3), (3, 8), (8, 21)]:
            log = a_log(leaves_of(new))
            status, line = submit(witness, old, log)

            assert status == 200
            cosigned = cosigned_at(log.checkpoint() + line, key.public)
            assert cosigned == NOW.timestamp()

    @pytest.mark.parametrize("old", [0, 2, 5])
    def test_says_what_size_it_knows(self, witness, old):
        submit(witness, 0, a_log(leaves_of(3)))

        assert submit(witness, old, a_log(leaves_of(5))) == (409, "3\n")

    def test_refuses_another_log_of_the_same_size(self, witness):
        submit(witness, 0, a_log(leaves_of(3)))
        other = a_log([*leaves_of(2), a_leaf(9)])

        assert submit(witness, 3, other)[0] == 409

    def test_refuses_a_log_that_was_rewritten(self, witness):
        submit(witness, 0, a_log(leaves_of(3)))
        other = a_log([*leaves_of(2), a_leaf(9), a_leaf(3)])

        assert submit(witness, 3, other)[0] == 422
        assert submit(witness, 3, a_log(leaves_of(4)))[0] == 200

    def test_refuses_a_proof_where_none_is_needed(self, witness):
        assert submit(witness, 0, a_log(leaves_of(3)), proof=[bytes(32)])[0] == 422

    def test_refuses_an_old_size_beyond_the_checkpoint(self, witness):
        assert submit(witness, 9, a_log(leaves_of(3)), proof=[])[0] == 400

    def test_does_not_know_other_logs(self, witness):
        log = a_log(leaves_of(3), origin="vault.example/other/m/shop/g1")

        assert submit(witness, 0, log)[0] == 404

    def test_takes_no_other_signature(self, witness):
        assert submit(witness, 0, a_log(leaves_of(3), signer=FORGER))[0] == 403

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"\xff\n\n",
            b"old 03\n\nx",
            b"old -1\n\nx",
            b"old\n\nx",
            b"old 1\nnot base64!\n\nx",
            b"size 1\n\nx",
            b"old 1\n" + b"aaaa\n" * 64 + b"\nx",
        ],
    )
    def test_refuses_what_is_malformed(self, witness, body):
        assert witness.add_checkpoint(body, NOW)[0] == 400


class TestPrefix:
    @given(st.integers(0, 40), st.integers(0, 40))
    def test_holds_for_every_two_sizes(self, first, second):
        old, new = sorted([first, second])
        log, tree = a_log(leaves_of(new)), GrowingTree()
        hashes = [leaf_hash(leaf) for leaf in leaves_of(new)]
        tree.add(hashes[:old])
        before = (old, tree.root())
        tree.add(hashes[old:])
        proof = consistency_path(old, new, log.node) if old else []

        assert is_prefix(before, (new, tree.root()), proof)
        assert not is_prefix((old, bytes(32)), (new, tree.root()), proof)
        if new:
            assert not is_prefix(before, (new, bytes(32)), proof) or not old
            assert not is_prefix(before, (new, tree.root()), [*proof, bytes(32)])

    def test_of_an_empty_log_has_the_empty_root(self):
        assert GrowingTree().root() == EMPTY_ROOT
        assert not is_prefix((5, bytes(32)), (4, bytes(32)), [])

    def test_is_not_proved_by_nothing(self):
        assert not is_prefix((3, bytes(32)), (5, bytes(32)), [])


class TestVerifierKeys:
    @pytest.mark.parametrize("kind", [LOG, WITNESS])
    def test_are_read_as_they_are_written(self, kind):
        key = VerifierKey(ORIGIN, PUBLIC, kind)

        assert read_verifier_key(key.show()) == key

    def test_are_those_of_the_gateway(self):
        from gateway.audit.checkpoint import verifier_key

        assert VerifierKey(ORIGIN, PUBLIC).show() == verifier_key(ORIGIN, PUBLIC)

    @pytest.mark.parametrize(
        "text",
        ["", "a+b", "a+00000000+!!", "a+00000000+AQ==", "a+00000000+" + "A" * 44],
    )
    def test_are_refused_when_they_are_not_keys(self, text):
        with pytest.raises(ValueError, match="key"):
            read_verifier_key(text)
