"""Keys in a file outside the database: the provider for a single host.

docs/keys.md lists each key, its holder, its rotation and what its loss means.
"""

import hashlib
import os
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hpke
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from gateway.errors import KeyUnavailable, SealedCardRejected
from gateway.key_providers.keyring import (
    Keyring,
    StoredSealingKey,
    read_keyring,
    write_keyring,
)
from gateway.keys.ports import SealingKey
from gateway.keys.wrap import KEY_BYTES, unwrap_key, wrap_key
from gateway.words.length_prefix import join_parts

SEALING_KEY_LIFETIME: Final = timedelta(days=30)
# A new sealing key is made when the newest has less than this left.
_RENEW_BEFORE: Final = timedelta(days=7)
_KEY_LABEL: Final = "bailee-sealing-key/v1"
_SUITE: Final = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


class FileKeyProvider:
    """See KeyProvider."""

    def __init__(self, keyring: Keyring) -> None:
        """Use ``create`` or ``open``."""
        self._keyring = keyring
        self._identity = Ed25519PrivateKey.from_private_bytes(keyring.identity_key)
        self._log = Ed25519PrivateKey.from_private_bytes(keyring.log_key)
        self._sealing = {
            public.key_id: (
                X25519PrivateKey.from_private_bytes(key.private_key),
                public,
            )
            for key in keyring.sealing_keys
            for public in [self._publish(key)]
        }

    @classmethod
    def create(
        cls,
        folder: Path,
        vault_id: str,
        now: datetime,
        *,
        passphrase: bytes | None = None,
    ) -> Self:
        """Makes a new keyring in a new folder.

        Raises:
            FileExistsError: The folder exists; a keyring is never overwritten.
        """
        folder.mkdir(mode=0o700)
        keyring = Keyring(
            vault_id=vault_id,
            epochs={f"epoch-{secrets.token_hex(8)}": os.urandom(KEY_BYTES)},
            sealing_keys=[_new_sealing_key(now)],
            identity_key=Ed25519PrivateKey.generate().private_bytes_raw(),
            log_key=Ed25519PrivateKey.generate().private_bytes_raw(),
            mac_root=os.urandom(KEY_BYTES),
        )
        write_keyring(folder, keyring, passphrase)
        return cls(keyring)

    @classmethod
    def open(cls, folder: Path, *, passphrase: bytes | None = None) -> Self:
        """Opens a keyring.

        Raises:
            KeyUnavailable: Missing, readable by others, damaged, wrong passphrase.
        """
        return cls(read_keyring(folder, passphrase))

    @classmethod
    def renew_sealing_key(
        cls, folder: Path, now: datetime, *, passphrase: bytes | None = None
    ) -> Self:
        """Opens a keyring, adding a sealing key when the newest ends soon and removing
        those that ended.

        Raises:
            KeyUnavailable: As ``open``.
        """
        keyring = read_keyring(folder, passphrase)
        kept = [key for key in keyring.sealing_keys if key.expires_at > now]
        if not kept or max(key.expires_at for key in kept) - now < _RENEW_BEFORE:
            kept = [_new_sealing_key(now), *kept]
        if kept != keyring.sealing_keys:
            keyring = replace(keyring, sealing_keys=kept)
            write_keyring(folder, keyring, passphrase)
        return cls(keyring)

    @property
    def vault_id(self) -> str:
        """See KeyProvider.vault_id."""
        return self._keyring.vault_id

    @property
    def log_public_key(self) -> bytes:
        """See KeyProvider.log_public_key."""
        return self._log.public_key().public_bytes_raw()

    @property
    def identity_public_key(self) -> bytes:
        """See KeyProvider.identity_public_key."""
        return self._identity.public_key().public_bytes_raw()

    def epochs(self) -> Sequence[str]:
        """See KeyProvider.epochs."""
        return tuple(self._keyring.epochs)

    async def wrap(self, epoch: str, key: bytes, context: bytes) -> bytes:
        """See KeyProvider.wrap."""
        return wrap_key(self._epoch(epoch), key, context)

    async def unwrap(self, epoch: str, wrapped: bytes, context: bytes) -> bytes:
        """See KeyProvider.unwrap."""
        return unwrap_key(self._epoch(epoch), wrapped, context)

    def sealing_keys(self, now: datetime) -> Sequence[SealingKey]:
        """See KeyProvider.sealing_keys."""
        current = [key for _, key in self._sealing.values() if key.expires_at > now]
        return sorted(current, key=lambda key: key.expires_at, reverse=True)

    def open_sealed(
        self, key_id: str, ciphertext: bytes, info: bytes, now: datetime
    ) -> bytes:
        """See KeyProvider.open_sealed."""
        private, public = self._sealing.get(key_id, (None, None))
        if private is None or public is None or public.expires_at <= now:
            raise SealedCardRejected
        try:
            return _SUITE.decrypt(ciphertext, private, info=info)
        except (InvalidTag, ValueError):
            raise SealedCardRejected from None

    def sign_checkpoint(self, text: bytes) -> bytes:
        """See KeyProvider.sign_checkpoint."""
        return self._log.sign(text)

    def mac_key(self, label: str) -> bytes:
        """See KeyProvider.mac_key."""
        expand = HKDFExpand(
            algorithm=hashes.SHA256(), length=KEY_BYTES, info=label.encode()
        )
        return expand.derive(self._keyring.mac_root)

    def _epoch(self, epoch: str) -> bytes:
        key = self._keyring.epochs.get(epoch)
        if key is None:
            raise KeyUnavailable(metadata={"epoch": epoch})
        return key

    def _publish(self, key: StoredSealingKey) -> SealingKey:
        """Returns the public half with the identity key's signature."""
        private = X25519PrivateKey.from_private_bytes(key.private_key)
        public = private.public_key().public_bytes_raw()
        named = hashlib.sha256(_KEY_LABEL.encode() + public).hexdigest()
        seconds = str(int(key.expires_at.timestamp()))
        signed = join_parts(_KEY_LABEL, self._keyring.vault_id, public, seconds)
        return SealingKey(
            key_id=named[:16],
            public_key=public,
            expires_at=key.expires_at,
            signature=self._identity.sign(signed),
        )


def _new_sealing_key(now: datetime) -> StoredSealingKey:
    private = X25519PrivateKey.generate().private_bytes_raw()
    ends = (now + SEALING_KEY_LIFETIME).replace(microsecond=0)
    return StoredSealingKey(private, ends)
