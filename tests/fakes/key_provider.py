"""A key provider in memory with real cryptography. Passes the KeyProvider contract."""

import hashlib
from datetime import UTC, datetime, timedelta

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hpke
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.errors import (
    IntegrityViolation,
    InvariantBroken,
    KeyUnavailable,
    SealedCardRejected,
)
from gateway.keys.ports import SealingKey
from gateway.words.length_prefix import join_parts

SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
VAULT = "vault.example/vault-0123456789abcdef"
FAR_AWAY = datetime(2027, 11, 25, tzinfo=UTC)
_LABEL = "bailee-sealing-key/v1"
_NONCE_BYTES = 12
_EPOCHS_MAX = 2
_WEEK = timedelta(days=7)


class MemoryKeyProvider:
    """See KeyProvider. Every key is derived from a seed, so that tests repeat exactly.

    ``is_reachable = False`` makes wrapping and unwrapping fail as an outage would.
    """

    def __init__(self, *, seed=b"seed", vault_id=VAULT, expires_at=FAR_AWAY):
        self.vault_id = vault_id
        self.is_reachable = True
        self._seed = seed
        self._nonces = 0
        self._identity = Ed25519PrivateKey.from_private_bytes(self._derive("identity"))
        self._log = Ed25519PrivateKey.from_private_bytes(self._derive("log"))
        self._epoch_keys = {}
        self._epochs_made = 0
        self._made_at = {}
        self._sealing_made = 0
        self.asked_at = None
        self._sealing = {}
        self.add_epoch()
        self.add_sealing_key(expires_at=expires_at)

    @property
    def log_public_key(self):
        """See KeyProvider.log_public_key."""
        return self._log.public_key().public_bytes_raw()

    @property
    def identity_public_key(self):
        """See KeyProvider.identity_public_key."""
        return self._identity.public_key().public_bytes_raw()

    def epochs(self):
        """See KeyProvider.epochs."""
        return tuple(reversed(self._epoch_keys))

    async def wrap(self, epoch, key, context):
        """See KeyProvider.wrap."""
        self._nonces += 1
        nonce = self._nonces.to_bytes(_NONCE_BYTES, "big")
        return nonce + self._cipher(epoch).encrypt(nonce, key, context)

    async def unwrap(self, epoch, wrapped, context):
        """See KeyProvider.unwrap."""
        cipher = self._cipher(epoch)
        nonce, body = wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:]
        try:
            return cipher.decrypt(nonce, body, context)
        except (InvalidTag, ValueError) as error:
            raise IntegrityViolation from error

    def sealing_keys(self, now):
        """See KeyProvider.sealing_keys."""
        keys = [public for _, public in self._sealing.values()]
        current = [key for key in keys if key.expires_at > now]
        return sorted(current, key=lambda key: key.expires_at, reverse=True)

    def open_sealed(self, key_id, ciphertext, info, now):
        """See KeyProvider.open_sealed."""
        private, public = self._sealing.get(key_id, (None, None))
        if public is None or public.expires_at <= now:
            raise SealedCardRejected
        try:
            return SUITE.decrypt(ciphertext, private, info=info)
        except (InvalidTag, ValueError):
            raise SealedCardRejected from None

    def sign_checkpoint(self, text):
        """See KeyProvider.sign_checkpoint."""
        return self._log.sign(text)

    def mac_key(self, label):
        """See KeyProvider.mac_key."""
        return self._derive(f"mac/{label}")

    def epoch_made_at(self, epoch):
        """See RotatableKeyProvider.epoch_made_at."""
        return self._made_at.get(epoch)

    async def make_epoch(self, epoch, now):
        """See RotatableKeyProvider.make_epoch."""
        if epoch in self._epoch_keys:
            return
        if not self.is_reachable or len(self._epoch_keys) >= _EPOCHS_MAX:
            raise KeyUnavailable
        self._epoch_keys[epoch] = self._derive(epoch)
        self._made_at[epoch] = now

    async def destroy_epoch(self, epoch):
        """See RotatableKeyProvider.destroy_epoch."""
        if not self.is_reachable:
            raise KeyUnavailable
        if epoch == self.epochs()[0]:
            raise InvariantBroken
        self._epoch_keys.pop(epoch, None)
        self._made_at.pop(epoch, None)

    def needs_sealing_key(self, now):
        """See RotatableKeyProvider.needs_sealing_key."""
        current = self.sealing_keys(now)
        return not current or current[0].expires_at - now < _WEEK

    def rotate_sealing_key(self, now):
        """See RotatableKeyProvider.rotate_sealing_key."""
        ended = [
            name for name, (_, key) in self._sealing.items() if key.expires_at <= now
        ]
        made = self.add_sealing_key(expires_at=now + _WEEK + timedelta(days=1))
        for name in ended:
            del self._sealing[name]
        return made

    def refresh(self):
        """See RotatableKeyProvider.refresh."""

    def rotation_asked_at(self):
        """See RotatableKeyProvider.rotation_asked_at."""
        return self.asked_at

    def add_epoch(self):
        """Makes a new epoch key and destroys the oldest when there would be three."""
        self._epochs_made += 1
        name = f"epoch-{self._epochs_made}"
        self._epoch_keys[name] = self._derive(name)
        while len(self._epoch_keys) > _EPOCHS_MAX:
            del self._epoch_keys[next(iter(self._epoch_keys))]
        return name

    def add_sealing_key(self, *, private_key=None, expires_at=FAR_AWAY):
        """Makes a sealing key, or takes one, and returns its public half."""
        private = X25519PrivateKey.from_private_bytes(
            private_key or self._derive(f"sealing-{self._sealing_made}")
        )
        self._sealing_made += 1
        public = private.public_key().public_bytes_raw()
        expires_at = expires_at.replace(microsecond=0)
        seconds = str(int(expires_at.timestamp()))
        signed = join_parts(_LABEL, self.vault_id, public, seconds)
        key = SealingKey(
            key_id=hashlib.sha256(_LABEL.encode() + public).hexdigest()[:16],
            public_key=public,
            expires_at=expires_at,
            signature=self._identity.sign(signed),
        )
        self._sealing[key.key_id] = (private, key)
        return key

    def _cipher(self, epoch):
        if not self.is_reachable or epoch not in self._epoch_keys:
            raise KeyUnavailable(metadata={"epoch": epoch})
        return AESGCMSIV(self._epoch_keys[epoch])

    def _derive(self, label):
        hkdf = HKDF(hashes.SHA256(), 32, b"memory-key-provider", label.encode())
        return hkdf.derive(self._seed)
