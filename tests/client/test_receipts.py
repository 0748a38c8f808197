"""Receipts and checkpoints as the client checks them. covers: I7."""

import base64
import hashlib

import pytest
from bailee.errors import LogRollback, ReceiptInvalid
from bailee.receipts import Checkpoint, LogMemory, receipts_of, verify_receipt
from bailee.v1 import (
    merchant_service_pb2,
    payment_service_pb2,
    receipt_pb2,
    vault_service_pb2,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.audit import receipts as gateway_receipts

ORIGIN = "vault.example/m/shop/g1"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
# What int() takes for 3 and for 7, and the formats do not.
INTEGERS = ["+3", "03", " 3", "3 ", "\u0663", "\uff13", "0_3", "-0", "", "3.0", "0x3"]
SIZES = ["+7", "07", " 7", "7 ", "\u0667", "\uff17", "0_7", "", "9" * 30]
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


def a_note(size_text, root_text, *, blob=lambda blob: blob, more=""):
    """Returns a checkpoint of exactly these texts, signed as they are."""
    body = f"{ORIGIN}\n{size_text}\n{root_text}\n"
    key_id = hashlib.sha256(ORIGIN.encode() + b"\n\x01" + PUBLIC).digest()[:4]
    signature = base64.b64encode(key_id + KEY.sign(body.encode())).decode()
    return f"{body}\n\u2014 {ORIGIN} {blob(signature)}\n{more}"


def unused_bits(text):
    """Returns base64 that decodes to the same bytes but is spelled otherwise."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    bare = text.rstrip("=")
    other = letters[letters.index(bare[-1]) | 1]
    return bare[:-1] + other + "=" * (len(text) - len(bare))


ROOT = base64.b64encode(root_of(ENTRIES)).decode()
PATH = [base64.b64encode(part).decode() for part in path_of(3, ENTRIES)]
WITNESS = "\u2014 witness.example AAAA\n"


def a_proof(index="3", path=None, note=None):
    lines = "".join(f"{line}\n" for line in (PATH if path is None else path))
    return f"c2sp.org/tlog-proof@v1\nindex {index}\n{lines}\n{note or a_note(7, ROOT)}"


class TestSpelling:
    """A proof has one spelling, whoever checks it."""

    @pytest.mark.parametrize(
        "proof",
        [
            *(a_proof(index=index) for index in INTEGERS),
            *(a_proof(note=a_note(size, ROOT)) for size in SIZES),
            a_proof(path=[unused_bits(PATH[0]), *PATH[1:]]),
            a_proof(path=[f" {PATH[0]}", *PATH[1:]]),
            a_proof(path=[*PATH[:2], f"{PATH[2]}\r"]),
            a_proof(path=[*PATH, ""]),
            a_proof(path=["AAAA", *PATH]),
            a_proof(note=a_note(7, unused_bits(ROOT))),
            a_proof(note=a_note(7, ROOT.rstrip("="))),
            a_proof(note=a_note(7, ROOT + "\nextension")),
            a_proof(note=a_note(7, ROOT, blob=lambda blob: f"{blob} ")),
            a_proof(note=a_note(7, ROOT, blob=lambda blob: f" {blob}")),
            a_proof(note=a_note(7, ROOT, blob=lambda blob: f"{blob}=")),
            a_proof(note=a_note(7, ROOT)[:-1]),
            a_proof(note=a_note(7, ROOT, more="\n")),
            a_proof(note=a_note(7, ROOT, more="garbage\n")),
            a_proof(note=a_note(7, ROOT, more=WITNESS.replace("AAAA", "AB=="))),
            a_proof(note=a_note(7, ROOT, more=WITNESS * 100)),
            a_proof(note=a_note(7, ROOT) + a_note(7, ROOT).partition("\n\n")[2]),
            a_proof().replace("\n", "\r\n"),
        ],
    )
    def test_of_another_kind_is_refused_by_client_and_gateway(self, proof):
        with pytest.raises(ReceiptInvalid):
            check(receipt_pb2.Receipt(entry=ENTRIES[3], proof=proof))
        with pytest.raises(gateway_receipts.ReceiptInvalid):
            gateway_receipts.verify_receipt(
                ENTRIES[3], proof, origin=ORIGIN, public_key=PUBLIC
            )

    @pytest.mark.parametrize("more", ["", WITNESS, WITNESS * 99])
    def test_is_accepted_with_signatures_of_witnesses(self, more):
        proof = a_proof(note=a_note(7, ROOT, more=more))

        verified = check(receipt_pb2.Receipt(entry=ENTRIES[3], proof=proof))

        seen = gateway_receipts.verify_receipt(
            ENTRIES[3], proof, origin=ORIGIN, public_key=PUBLIC
        )
        assert verified.index == seen.index == 3
        assert verified.checkpoint.size == seen.size == 7


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


class TestReceiptsOf:
    def test_misses_one_that_was_left_out(self):
        """covers: I7."""
        answer = payment_service_pb2.CreatePaymentResponse()

        with pytest.raises(ReceiptInvalid):
            list(receipts_of(answer))

    def test_misses_one_in_a_batch(self):
        answer = vault_service_pb2.BatchTokenizeCardsResponse()
        answer.results.add().tokenized.receipt.entry = b"{}"
        answer.results.add().tokenized.card_token.name = "card_x"

        with pytest.raises(ReceiptInvalid):
            list(receipts_of(answer))

    @pytest.mark.parametrize(
        "answer",
        [
            payment_service_pb2.GetPaymentResponse(),
            vault_service_pb2.GetCardTokenResponse(),
            merchant_service_pb2.AcceptPolicyResponse(),
        ],
    )
    def test_asks_none_of_answers_that_changed_nothing(self, answer):
        assert list(receipts_of(answer)) == []
