"""Checkpoints and keys as C2SP notes. covers: I7, I9 (one log, one key)."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit.checkpoint import (
    Checkpoint,
    CheckpointInvalid,
    checkpoint_text,
    key_id,
    merchant_of,
    open_checkpoint,
    origin_of,
    read_base64,
    read_decimal,
    read_verifier_key,
    signed_note,
    verifier_key,
)
from tests.builders.logs import ORIGIN, PUBLIC, SIGNER
from tests.builders.storage import Signer

ROOT = bytes(range(32))
WITNESS = Signer(Ed25519PrivateKey.from_private_bytes(bytes(32)))

# From the documentation of golang.org/x/mod/sumdb/note.
FOREIGN_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
FOREIGN_ID = base64.b64decode("x08go/ZJ")[:4]
# The key of the Go checksum database, which every Go toolchain carries.
GO_SUM_KEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"


def a_note(text=None, *, signer=SIGNER, name=ORIGIN):
    text = checkpoint_text(ORIGIN, 7, ROOT) if text is None else text
    return signed_note(text, name, signer.public_key, signer.sign(text))


def opened(note, *, origin=ORIGIN, public_key=PUBLIC):
    return open_checkpoint(note, origin=origin, public_key=public_key)


def a_witness_line():
    return a_note(signer=WITNESS, name="witness.example").splitlines()[-1] + "\n"


class TestVerifierKey:
    @pytest.mark.parametrize("text", [FOREIGN_KEY, GO_SUM_KEY])
    def test_reads_keys_that_other_software_wrote(self, text):
        origin, public_key = read_verifier_key(text)

        assert verifier_key(origin, public_key) == text

    def test_names_a_foreign_key_as_its_own_signature_does(self):
        assert key_id(*read_verifier_key(FOREIGN_KEY)) == FOREIGN_ID

    def test_reads_what_it_wrote_with_a_line_end(self):
        text = verifier_key(ORIGIN, PUBLIC) + "\n"

        assert read_verifier_key(text) == (ORIGIN, PUBLIC)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "name",
            "name+00000000",
            FOREIGN_KEY.replace("c74f20a3", "c74f20a4"),
            FOREIGN_KEY.replace("Peter", "peter"),
            FOREIGN_KEY.replace("+ARpc", "+BRpc"),  # another signature type
            FOREIGN_KEY[:-4],
            FOREIGN_KEY + "=",
            FOREIGN_KEY.replace("10TW", "10T*"),
        ],
    )
    def test_refuses_damaged_keys(self, text):
        with pytest.raises(ValueError, match="verifier key"):
            read_verifier_key(text)


class TestOrigin:
    def test_names_vault_merchant_and_generation(self):
        origin = origin_of("bailee.example/vault-0123456789abcdef", "shop-2", 3)

        assert origin == "bailee.example/vault-0123456789abcdef/m/shop-2/g3"
        assert merchant_of(origin) == "shop-2"

    @pytest.mark.parametrize(
        "origin",
        [
            "",
            "sum.golang.org",
            "vault/m/shop",
            "vault/m/shop/g0",
            "vault/m/shop/g1/",
            "vault/m/Shop/g1",
            "vault/m/a/b/g1",
            "va ult/m/shop/g1",
            "va+ult/m/shop/g1",
            "vault/m/shop/g1\n",
        ],
    )
    def test_refuses_origins_of_other_forms(self, origin):
        with pytest.raises(CheckpointInvalid):
            merchant_of(origin)


class TestOpenCheckpoint:
    def test_returns_what_was_signed(self):
        assert opened(a_note()) == Checkpoint(7, ROOT)

    def test_ignores_a_witness_before_and_after(self):
        text, ours = a_note().split("\n\n")
        line = a_witness_line()

        for lines in (line + ours, ours + line, line + ours + line):
            assert opened(f"{text}\n\n{lines}") == Checkpoint(7, ROOT)

    def test_refuses_a_damaged_witness_line(self):
        with pytest.raises(CheckpointInvalid):
            opened(a_note() + a_witness_line().replace(" ", "  ", 1))

    def test_refuses_each_flipped_bit(self):
        note = a_note().encode()
        for place in range(len(note)):
            for bit in range(8):
                damaged = bytearray(note)
                damaged[place] ^= 1 << bit
                try:
                    text = damaged.decode()
                except UnicodeDecodeError:
                    continue
                with pytest.raises(CheckpointInvalid):
                    opened(text)

    def test_refuses_each_shorter_note(self):
        note = a_note()
        for length in range(len(note)):
            with pytest.raises(CheckpointInvalid):
                opened(note[:length])

    def test_refuses_another_origin_and_another_key(self):
        other = origin_of("vault.example/vault-1", "other", 1)
        with pytest.raises(CheckpointInvalid, match="not of this log"):
            opened(a_note(), origin=other)
        with pytest.raises(CheckpointInvalid, match="no signature of this key"):
            opened(a_note(), public_key=WITNESS.public_key)

    def test_refuses_a_signature_of_the_same_name_by_another_key(self):
        with pytest.raises(CheckpointInvalid, match="no signature of this key"):
            opened(a_note(signer=WITNESS))

    def test_refuses_a_key_id_that_covers_another_signature(self):
        text = checkpoint_text(ORIGIN, 7, ROOT)
        forged = signed_note(text, ORIGIN, PUBLIC, WITNESS.sign(text))

        with pytest.raises(CheckpointInvalid, match="does not verify"):
            opened(forged)

    def test_refuses_a_public_key_that_is_none(self):
        text = checkpoint_text(ORIGIN, 7, ROOT)
        note = signed_note(text, ORIGIN, b"short", bytes(64))

        with pytest.raises(CheckpointInvalid, match="does not verify"):
            opened(note, public_key=b"short")

    def test_refuses_two_signatures_of_one_key(self):
        """The second would be bytes that nobody checks."""
        note = a_note()

        with pytest.raises(CheckpointInvalid, match="twice"):
            opened(note + note.splitlines()[-1] + "\n")

    def test_refuses_too_many_signatures(self):
        with pytest.raises(CheckpointInvalid, match="malformed"):
            opened(a_note() + a_witness_line() * 100)

    @pytest.mark.parametrize(
        "body",
        [
            f"{ORIGIN}\n07\n{base64.b64encode(ROOT).decode()}\n",
            f"{ORIGIN}\n+7\n{base64.b64encode(ROOT).decode()}\n",
            f"{ORIGIN}\n \u0667\n{base64.b64encode(ROOT).decode()}\n",
            f"{ORIGIN}\n{10**19}\n{base64.b64encode(ROOT).decode()}\n",
            f"{ORIGIN}\n7\n{base64.b64encode(ROOT[:31]).decode()}\n",
            f"{ORIGIN}\n7\n{base64.b64encode(ROOT).decode()[:-1]}\n",
            f"{ORIGIN}\n7\nnot base64\n",
        ],
    )
    def test_refuses_malformed_bodies_though_they_are_signed(self, body):
        with pytest.raises(CheckpointInvalid, match="malformed"):
            opened(a_note(body.encode()))

    @pytest.mark.parametrize("extra", ["an extension\n", "\n"])
    def test_refuses_extension_lines(self, extra):
        text = checkpoint_text(ORIGIN, 7, ROOT) + extra.encode()

        with pytest.raises(CheckpointInvalid):
            opened(a_note(text))

    @given(st.text())
    def test_refuses_anything_else(self, junk):
        with pytest.raises(CheckpointInvalid):
            opened(junk)


class TestOneSpelling:
    @given(st.binary(max_size=70))
    def test_base64_reads_back_what_was_written(self, content):
        assert read_base64(base64.b64encode(content).decode()) == content

    @pytest.mark.parametrize(
        "text", ["QQ", "QQ=", "QR==", "QUJ=", "Q Q==", "QQ==\n", "-_8=", "Q\u00e9=="]
    )
    def test_base64_has_no_other(self, text):
        with pytest.raises(ValueError, match=r"."):
            read_base64(text)

    @pytest.mark.parametrize(
        "text", ["", "00", "01", "-1", "1 ", "1_0", "\u0661", "1e3", "9" * 20]
    )
    def test_decimals_have_no_other(self, text):
        with pytest.raises(ValueError, match="decimal"):
            read_decimal(text)

    @pytest.mark.parametrize("number", [0, 1, 10, 2**53, 10**19 - 1])
    def test_decimals_read_back(self, number):
        assert read_decimal(str(number)) == number
