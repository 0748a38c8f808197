"""The suite that every KeyProvider passes.

Use it so, with a fixture that yields a provider whose sealing keys are good at NOW:

    class TestOurKeyProvider(KeyProviderContract):
        @pytest.fixture
        def provider(self):
            return OurKeyProvider()
"""

import hashlib
import os
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from gateway.errors import (
    IntegrityViolation,
    InvariantBroken,
    KeyUnavailable,
    SealedCardRejected,
)

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
KEY = bytes(range(32))
CONTEXT = b"a context"
INFO = b"an info"
SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
LABEL = b"bailee-sealing-key/v1"

DAMAGES = {
    "first bit flipped": lambda data: bytes([data[0] ^ 0x80]) + data[1:],
    "last bit flipped": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "middle bit flipped": lambda data: (
        data[: len(data) // 2]
        + bytes([data[len(data) // 2] ^ 1])
        + data[len(data) // 2 + 1 :]
    ),
    "first byte gone": lambda data: data[1:],
    "last byte gone": lambda data: data[:-1],
    "a byte more": lambda data: data + b"\x00",
    "a tag alone": lambda data: data[:16],
    "empty": lambda data: b"",
    "oversized": lambda data: data * 1000,
}
damaged = pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())


def seal_to(key, plain=b"a card", info=INFO):
    """Seals as a client does."""
    public = X25519PublicKey.from_public_bytes(key.public_key)
    return SUITE.encrypt(plain, public, info=info)


def oldest_of(provider):
    return provider.epochs()[-1]


def join(*parts):
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


class KeyProviderContract:
    """What every KeyProvider does. Subclass it and provide ``provider``."""

    def test_has_one_or_two_epoch_keys(self, provider):
        assert 1 <= len(provider.epochs()) <= 2
        assert len(set(provider.epochs())) == len(provider.epochs())

    async def test_returns_the_key_it_wrapped(self, provider):
        for epoch in provider.epochs():
            wrapped = await provider.wrap(epoch, KEY, CONTEXT)

            assert await provider.unwrap(epoch, wrapped, CONTEXT) == KEY

    async def test_shows_nothing_of_a_wrapped_key(self, provider):
        epoch = provider.epochs()[0]

        first = await provider.wrap(epoch, KEY, CONTEXT)
        second = await provider.wrap(epoch, KEY, CONTEXT)

        assert KEY[:8] not in first
        assert first != second

    @pytest.mark.parametrize("context", [b"", b"another", CONTEXT + b"\x00"])
    async def test_refuses_another_context(self, provider, context):
        """A wrapped key is useless in any other place."""
        epoch = provider.epochs()[0]
        wrapped = await provider.wrap(epoch, KEY, CONTEXT)

        with pytest.raises(IntegrityViolation):
            await provider.unwrap(epoch, wrapped, context)

    @damaged
    async def test_refuses_damaged_bytes(self, provider, damage):
        """Damage is an integrity violation, never a crash and never a wrong key."""
        epoch = provider.epochs()[0]
        wrapped = await provider.wrap(epoch, KEY, CONTEXT)

        with pytest.raises(IntegrityViolation):
            await provider.unwrap(epoch, damage(wrapped), CONTEXT)

    async def test_does_not_wrap_under_an_epoch_it_has_not(self, provider):
        wrapped = await provider.wrap(provider.epochs()[0], KEY, CONTEXT)

        with pytest.raises(KeyUnavailable):
            await provider.wrap("epoch-of-another", KEY, CONTEXT)
        with pytest.raises(KeyUnavailable):
            await provider.unwrap("epoch-of-another", wrapped, CONTEXT)

    async def test_makes_an_epoch_key_and_prefers_it(self, provider):
        await self.leave_one_epoch(provider)
        wrapped = await provider.wrap(oldest_of(provider), KEY, CONTEXT)

        await provider.make_epoch("epoch-made", NOW)

        assert provider.epochs()[0] == "epoch-made"
        assert provider.epoch_made_at("epoch-made") == NOW
        assert provider.epoch_made_at("epoch-of-another") is None
        assert await provider.unwrap(oldest_of(provider), wrapped, CONTEXT) == KEY
        with pytest.raises(IntegrityViolation):
            await provider.unwrap("epoch-made", wrapped, CONTEXT)

    async def test_makes_an_epoch_key_once(self, provider):
        """Who was killed asks again; a second key would lose what the first wrapped."""
        await self.leave_one_epoch(provider)
        await provider.make_epoch("epoch-made", NOW)
        wrapped = await provider.wrap("epoch-made", KEY, CONTEXT)

        await provider.make_epoch("epoch-made", NOW + timedelta(days=1))

        assert len(provider.epochs()) == 2
        assert provider.epoch_made_at("epoch-made") == NOW
        assert await provider.unwrap("epoch-made", wrapped, CONTEXT) == KEY

    async def test_refuses_a_third_epoch_key(self, provider):
        """It would push out one that copies may depend on."""
        await self.leave_one_epoch(provider)
        await provider.make_epoch("epoch-made", NOW)
        before = provider.epochs()

        with pytest.raises(KeyUnavailable):
            await provider.make_epoch("epoch-third", NOW)
        assert provider.epochs() == before

    async def test_destroys_an_epoch_key_for_good(self, provider):
        """covers: I10."""
        await self.leave_one_epoch(provider)
        old = oldest_of(provider)
        wrapped = await provider.wrap(old, KEY, CONTEXT)
        await provider.make_epoch("epoch-made", NOW)

        await provider.destroy_epoch(old)
        await provider.destroy_epoch(old)
        provider.refresh()

        assert provider.epochs() == ("epoch-made",)
        with pytest.raises(KeyUnavailable):
            await provider.unwrap(old, wrapped, CONTEXT)

    async def test_never_destroys_the_newest_epoch_key(self, provider):
        before = provider.epochs()

        with pytest.raises(InvariantBroken):
            await provider.destroy_epoch(before[0])
        assert provider.epochs() == before

    async def leave_one_epoch(self, provider):
        for epoch in provider.epochs()[1:]:
            await provider.destroy_epoch(epoch)

    def test_makes_a_sealing_key_every_day_and_destroys_those_that_ended(
        self, provider
    ):
        now = provider.sealing_keys(NOW)[0].expires_at - timedelta(days=7)
        for _ in range(20):
            now += timedelta(days=1, minutes=1)
            if provider.needs_sealing_key(now):
                provider.rotate_sealing_key(now)
            keys = provider.sealing_keys(now)

        assert not provider.needs_sealing_key(now)
        newest = keys[0]
        assert now + timedelta(days=7) <= newest.expires_at
        assert newest.expires_at <= now + timedelta(days=8)
        sealed = seal_to(newest)
        later = newest.expires_at + timedelta(days=1)
        provider.rotate_sealing_key(later)
        with pytest.raises(SealedCardRejected):
            provider.open_sealed(newest.key_id, sealed, INFO, NOW)

    def test_offers_a_sealing_key_for_at_least_a_week(self, provider):
        newest = provider.sealing_keys(NOW)[0]

        assert newest.expires_at >= NOW + timedelta(days=7)
        assert newest.expires_at.utcoffset() == timedelta(0)

    def test_prefers_the_key_that_lasts_longest(self, provider):
        ends = [key.expires_at for key in provider.sealing_keys(NOW)]

        assert ends == sorted(ends, reverse=True)

    def test_offers_no_key_that_has_ended(self, provider):
        newest = provider.sealing_keys(NOW)[0]

        assert newest not in provider.sealing_keys(newest.expires_at)

    def test_names_and_signs_sealing_keys_as_the_api_says(self, provider):
        """proto/bailee/v1/vault_service.proto, SealingKey."""
        identity = Ed25519PublicKey.from_public_bytes(provider.identity_public_key)
        for key in provider.sealing_keys(NOW):
            seconds = str(int(key.expires_at.timestamp())).encode()
            signed = join(LABEL, provider.vault_id.encode(), key.public_key, seconds)

            assert key.key_id == hashlib.sha256(LABEL + key.public_key).hexdigest()[:16]
            assert key.expires_at.microsecond == 0
            identity.verify(key.signature, signed)

    def test_opens_what_was_sealed_to_each_key(self, provider):
        for key in provider.sealing_keys(NOW):
            opened = provider.open_sealed(key.key_id, seal_to(key), INFO, NOW)

            assert opened == b"a card"

    def test_refuses_another_info(self, provider):
        key = provider.sealing_keys(NOW)[0]

        with pytest.raises(SealedCardRejected):
            provider.open_sealed(key.key_id, seal_to(key), INFO + b"!", NOW)

    def test_refuses_an_unknown_key(self, provider):
        key = provider.sealing_keys(NOW)[0]

        with pytest.raises(SealedCardRejected):
            provider.open_sealed("0" * 16, seal_to(key), INFO, NOW)

    def test_refuses_a_key_from_the_moment_it_ends(self, provider):
        key = provider.sealing_keys(NOW)[0]
        last = key.expires_at - timedelta(microseconds=1)

        assert provider.open_sealed(key.key_id, seal_to(key), INFO, last)
        with pytest.raises(SealedCardRejected):
            provider.open_sealed(key.key_id, seal_to(key), INFO, key.expires_at)

    @damaged
    def test_refuses_a_damaged_envelope(self, provider, damage):
        key = provider.sealing_keys(NOW)[0]

        with pytest.raises(SealedCardRejected):
            provider.open_sealed(key.key_id, damage(seal_to(key)), INFO, NOW)

    @pytest.mark.parametrize("length", [0, 1, 31, 32, 33, 47, 48, 64])
    def test_refuses_bytes_that_are_no_envelope(self, provider, length):
        key = provider.sealing_keys(NOW)[0]
        for noise in (bytes(length), os.urandom(length)):
            with pytest.raises(SealedCardRejected):
                provider.open_sealed(key.key_id, noise, INFO, NOW)

    def test_signs_checkpoints_with_the_log_key(self, provider):
        log = Ed25519PublicKey.from_public_bytes(provider.log_public_key)
        signature = provider.sign_checkpoint(b"a checkpoint")

        log.verify(signature, b"a checkpoint")
        with pytest.raises(InvalidSignature):
            log.verify(signature, b"another checkpoint")

    def test_has_a_key_of_its_own_for_each_job(self, provider):
        """A signature of the log must not vouch for a sealing key."""
        assert len(provider.log_public_key) == len(provider.identity_public_key) == 32
        assert provider.log_public_key != provider.identity_public_key

    def test_derives_the_same_mac_key_for_the_same_label_only(self, provider):
        labels = ["fingerprint/shop", "fingerprint/other", "request/shop", ""]
        keys = [provider.mac_key(label) for label in labels]

        assert [provider.mac_key(label) for label in labels] == keys
        assert len(set(keys)) == len(labels)
        assert {len(key) for key in keys} == {32}

    def test_shows_no_key_when_printed(self, provider):
        shown = f"{provider!r} {provider} {provider.sealing_keys(NOW)!r}"

        for secret in self.secrets(provider):
            assert secret.hex() not in shown
            assert repr(secret)[2:-1] not in shown

    def secrets(self, provider):
        """Returns the secret keys that a test can get hold of."""
        return [provider.mac_key("fingerprint/shop")]
