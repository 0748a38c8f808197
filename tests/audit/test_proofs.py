"""Receipts as C2SP tlog-proofs, checked by two programs. covers: I7, I9."""

import pytest
from bailee.errors import ReceiptInvalid as ClientReceiptInvalid
from bailee.receipts import verify_receipt as verify_as_client
from bailee.v1 import receipt_pb2
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit.receipts import (
    ReceiptInvalid,
    VerifiedReceipt,
    format_proof,
    verify_receipt,
)
from gateway.audit.tree import inclusion_path
from tests.builders.logs import ORIGIN, PUBLIC, a_log, leaves_of


def a_receipt(index, size):
    """Returns the entry and its proof."""
    log = a_log(leaves_of(size))
    path = inclusion_path(index, size, log.node)
    return log.entries[index], format_proof(index, path, log.note)


def verified(entry, proof, *, origin=ORIGIN, public_key=PUBLIC):
    return verify_receipt(entry, proof, origin=origin, public_key=public_key)


class TestVerifyReceipt:
    @pytest.mark.parametrize("size", [1, 2, 3, 6, 7, 8, 9])
    def test_takes_every_receipt_of_a_log(self, size):
        root = a_log(leaves_of(size)).root
        for index in range(size):
            receipt = a_receipt(index, size)

            assert verified(*receipt) == VerifiedReceipt(index, size, root)

    def test_agrees_with_the_client(self):
        """Two verifiers that share no code."""
        entry, proof = a_receipt(4, 7)
        message = receipt_pb2.Receipt(entry=entry, proof=proof)

        ours = verified(entry, proof)
        theirs = verify_as_client(message, log_origin=ORIGIN, log_key=PUBLIC)

        assert (theirs.index, theirs.checkpoint.size) == (ours.index, ours.size)
        with pytest.raises(ClientReceiptInvalid):
            verify_as_client(
                receipt_pb2.Receipt(entry=entry + b" ", proof=proof),
                log_origin=ORIGIN,
                log_key=PUBLIC,
            )

    @pytest.mark.parametrize(("index", "size"), [(0, 1), (3, 7), (6, 7)])
    def test_refuses_each_flipped_bit_of_the_proof(self, index, size):
        entry, proof = a_receipt(index, size)
        for place in range(len(proof.encode())):
            for bit in range(8):
                damaged = bytearray(proof.encode())
                damaged[place] ^= 1 << bit
                try:
                    text = damaged.decode()
                except UnicodeDecodeError:
                    continue
                with pytest.raises(ReceiptInvalid):
                    verified(entry, text)

    def test_refuses_each_flipped_bit_of_the_entry(self):
        entry, proof = a_receipt(3, 7)
        for place in range(len(entry)):
            for bit in range(8):
                damaged = bytearray(entry)
                damaged[place] ^= 1 << bit
                with pytest.raises(ReceiptInvalid):
                    verified(bytes(damaged), proof)

    def test_refuses_each_shorter_proof(self):
        entry, proof = a_receipt(3, 7)
        for length in range(len(proof)):
            with pytest.raises(ReceiptInvalid):
                verified(entry, proof[:length])

    def test_refuses_dropped_added_and_swapped_lines(self):
        entry, proof = a_receipt(3, 7)
        lines = proof.splitlines(keepends=True)
        for place, line in enumerate(lines):
            for changed in (
                lines[:place] + lines[place + 1 :],
                [*lines[:place], line, *lines[place:]],
                [*lines[:place], *lines[place : place + 2][::-1], *lines[place + 2 :]],
                [*lines[:place], "\n", *lines[place:]],
            ):
                if changed == lines:
                    continue
                with pytest.raises(ReceiptInvalid):
                    verified(entry, "".join(changed))

    def test_refuses_the_proof_of_another_entry(self):
        entry, _ = a_receipt(3, 7)
        _, proof = a_receipt(4, 7)

        with pytest.raises(ReceiptInvalid, match="not in this tree"):
            verified(entry, proof)

    def test_refuses_another_merchants_log_and_another_key(self):
        receipt = a_receipt(3, 7)

        with pytest.raises(ReceiptInvalid):
            verified(*receipt, origin=ORIGIN.replace("/shop/", "/other/"))
        with pytest.raises(ReceiptInvalid):
            verified(*receipt, public_key=bytes(32))

    @given(st.text())
    def test_refuses_anything_else(self, junk):
        with pytest.raises(ReceiptInvalid):
            verified(b"{}", junk)
