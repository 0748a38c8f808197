"""Receipts and checkpoints as the client checks them. covers: I7."""

import base64
import hashlib

import pytest
from bailee.errors import LogRollback, ReceiptInvalid
from bailee.receipts import Checkpoint, LogMemory, verify_receipt
from bailee.v1 import receipt_pb2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ORIGIN = "vault.example/m/shop/g1"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
ENTRIES = [f'{{"v":{number}}}'.encode() for number in range(7)]


def root_of(leaves):
    """The naive recursive definition of RFC 6962 section 2.1."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    both = root_of(leaves[:split]) + root_of(leaves[split:])
    return hashlib.sha256(b"\x01" + both).digest()


def path_of(index, leaves):
    """The naive audit path of RFC 6962 section 2.1.1."""
    if len(leaves) == 1:
        return []
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    if index < split:
        return [*path_of(index, leaves[:split]), root_of(leaves[split:])]
    return [*path_of(index - split, leaves[split:]), root_of(leaves[:split])]


def a_checkpoint(size, root, *, key=KEY, origin=ORIGIN):
    body = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"
    public = key.public_key().public_bytes_raw()
    key_id = hashlib.sha256(origin.encode() + b"\n\x01" + public).digest()[:4]
    blob = base64.b64encode(key_id + key.sign(body.encode())).decode()
    return f"{body}\n\u2014 {origin} {blob}\n"


def a_receipt(index, size, **changes):
    leaves = ENTRIES[:size]
    path = "".join(
        base64.b64encode(part).decode() + "\n" for part in path_of(index, leaves)
    )
    note = a_checkpoint(size, root_of(leaves), **changes)
    return receipt_pb2.Receipt(
        entry=leaves[index],
        proof=f"c2sp.org/tlog-proof@v1\nindex {index}\n{path}\n{note}",
    )


def check(receipt):
    return verify_receipt(receipt, log_origin=ORIGIN, log_key=PUBLIC)


class TestVerifyReceipt:
    @pytest.mark.parametrize("size", range(1, 8))
    def test_accepts_every_entry_of_every_size(self, size):
        for index in range(size):
            verified = check(a_receipt(index, size))

            assert (verified.index, verified.checkpoint.size) == (index, size)

    @pytest.mark.parametrize("size", [1, 2, 5, 7])
    def test_refuses_each_flipped_bit_of_the_entry(self, size):
        receipt = a_receipt(size - 1, size)
        for position in range(len(receipt.entry)):
            damaged = bytearray(receipt.entry)
            damaged[position] ^= 1

            with pytest.raises(ReceiptInvalid):
                check(receipt_pb2.Receipt(entry=bytes(damaged), proof=receipt.proof))

    def test_refuses_each_changed_character_of_the_proof(self):
        receipt = a_receipt(3, 7)
        for position, character in enumerate(receipt.proof):
            other = "A" if character != "A" else "B"
            proof = receipt.proof[:position] + other + receipt.proof[position + 1 :]

            with pytest.raises(ReceiptInvalid):
                check(receipt_pb2.Receipt(entry=receipt.entry, proof=proof))

    def test_refuses_another_index(self):
        receipt = a_receipt(3, 7)
        proof = receipt.proof.replace("index 3", "index 2")

        with pytest.raises(ReceiptInvalid):
            check(receipt_pb2.Receipt(entry=receipt.entry, proof=proof))

    def test_refuses_another_key(self):
        other = Ed25519PrivateKey.generate()

        with pytest.raises(ReceiptInvalid):
            check(a_receipt(0, 3, key=other))

    def test_refuses_another_merchants_log(self):
        with pytest.raises(ReceiptInvalid):
            check(a_receipt(0, 3, origin="vault.example/m/other/g1"))

    @pytest.mark.parametrize("proof", ["", "\n\n", "index 0", "c2sp.org/tlog-proof@v1"])
    def test_refuses_what_is_no_proof(self, proof):
        with pytest.raises(ReceiptInvalid):
            check(receipt_pb2.Receipt(entry=b"{}", proof=proof))


class TestLogMemory:
    def test_notices_a_log_that_goes_backwards(self):
        memory = LogMemory()
        memory.accept(Checkpoint(5, b"a"), size_before_call=0)

        with pytest.raises(LogRollback):
            memory.accept(Checkpoint(4, b"b"), size_before_call=5)

    def test_notices_two_logs_of_one_size(self):
        memory = LogMemory()
        memory.accept(Checkpoint(5, b"a"), size_before_call=0)

        with pytest.raises(LogRollback):
            memory.accept(Checkpoint(5, b"b"), size_before_call=0)

    def test_accepts_answers_that_overtake_each_other(self):
        memory = LogMemory()
        memory.accept(Checkpoint(5, b"a"), size_before_call=3)

        memory.accept(Checkpoint(4, b"b"), size_before_call=3)

        assert memory.highest == Checkpoint(5, b"a")
