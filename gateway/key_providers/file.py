"""Keys in a file outside the database: the provider for a single host.

docs/keys.md lists each key, its holder, its rotation and what its loss means.
"""

import asyncio
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

from gateway.errors import InvariantBroken, KeyUnavailable, SealedCardRejected
from gateway.key_providers.keyring import (
    EPOCHS_MAX,
    KEYRING,
    ROTATION_ASKED,
    Keyring,
    KeyringFile,
    StoredSealingKey,
)
from gateway.keys.ports import SealingKey
from gateway.keys.wrap import KEY_BYTES, Wrapper
from gateway.words.length_prefix import join_parts

# With the next line: a new sealing key every day, each good for a week when it is new.
SEALING_KEY_LIFETIME: Final = timedelta(days=8)
# A new sealing key is made when the newest has less than this left.
_RENEW_BEFORE: Final = timedelta(days=7)
_KEY_LABEL: Final = "bailee-sealing-key/v1"
_SUITE: Final = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)

_SealingKeys = dict[str, tuple[X25519PrivateKey, SealingKey]]


class FileKeyProvider:
    """See KeyProvider."""

    def __init__(self, file: KeyringFile, keyring: Keyring) -> None:
        """Use ``create`` or ``open``."""
        self._file = file
        self._keyring = keyring
        self._version = (0, 0)
        self._identity = Ed25519PrivateKey.from_private_bytes(keyring.identity_key)
        self._log = Ed25519PrivateKey.from_private_bytes(keyring.log_key)
        self._sealing = self._publish_all(keyring)

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
            KeyUnavailable: The passphrase is empty.
        """
        epoch = f"epoch-{secrets.token_hex(8)}"
        keyring = Keyring(
            vault_id=vault_id,
            epochs={epoch: os.urandom(KEY_BYTES)},
            times={KEYRING: now, epoch: now},
            sealing_keys=[_new_sealing_key(now)],
            identity_key=Ed25519PrivateKey.generate().private_bytes_raw(),
            log_key=Ed25519PrivateKey.generate().private_bytes_raw(),
            mac_root=os.urandom(KEY_BYTES),
        )
        return cls(KeyringFile.create(folder, keyring, passphrase), keyring)

    @classmethod
    def open(cls, folder: Path, *, passphrase: bytes | None = None) -> Self:
        """Opens a keyring.

        Raises:
            KeyUnavailable: Missing, readable by others, damaged, wrong passphrase.
        """
        return cls(*KeyringFile.open(folder, passphrase))

    @classmethod
    def renew_sealing_key(
        cls, folder: Path, now: datetime, *, passphrase: bytes | None = None
    ) -> Self:
        """Opens a keyring, making a new sealing key when the newest ends soon.

        Raises:
            KeyUnavailable: As ``open``.
        """
        provider = cls.open(folder, passphrase=passphrase)
        if provider.needs_sealing_key(now):
            provider.rotate_sealing_key(now)
        return provider

    def needs_sealing_key(self, now: datetime) -> bool:
        """See RotatableKeyProvider.needs_sealing_key."""
        current = self.sealing_keys(now)
        return not current or current[0].expires_at - now < _RENEW_BEFORE

    def rotate_sealing_key(self, now: datetime) -> SealingKey:
        """See RotatableKeyProvider.rotate_sealing_key.

        Older ones that have not ended still open envelopes.
        """
        made = _new_sealing_key(now)

        def rotate(keyring: Keyring) -> Keyring:
            kept = [key for key in keyring.sealing_keys if key.expires_at > now]
            return replace(keyring, sealing_keys=[made, *kept])

        self._use(self._file.change(rotate))
        return self._publish(made)

    def refresh(self) -> None:
        """See RotatableKeyProvider.refresh."""
        version = self._file.version()
        if version != self._version:
            self._use(self._file.read())
            self._version = version

    def ask_for_rotation(self, now: datetime) -> None:
        """Makes the gateway that serves, or the next one, rotate the epoch key.

        Raises:
            KeyUnavailable: The keyring cannot be read or written; nothing changed.
        """

        def ask(keyring: Keyring) -> Keyring:
            return replace(keyring, times={**keyring.times, ROTATION_ASKED: now})

        self._use(self._file.change(ask))

    def rotation_asked_at(self) -> datetime | None:
        """See RotatableKeyProvider.rotation_asked_at."""
        return self._keyring.times.get(ROTATION_ASKED)

    async def make_epoch(self, epoch: str, now: datetime) -> None:
        """See RotatableKeyProvider.make_epoch."""

        def make(keyring: Keyring) -> Keyring:
            if epoch in keyring.epochs:
                return keyring
            if len(keyring.epochs) >= EPOCHS_MAX:
                raise KeyUnavailable(
                    metadata={"keyring": "holds two epoch keys; finish the rotation"}
                )
            return replace(
                keyring,
                epochs={epoch: os.urandom(KEY_BYTES), **keyring.epochs},
                times={**keyring.times, epoch: now},
            )

        self._use(await asyncio.to_thread(self._file.change, make))

    async def destroy_epoch(self, epoch: str) -> None:
        """See RotatableKeyProvider.destroy_epoch.

        The file is replaced and the old one unlinked; a copy of the keyring that
        somebody made earlier still holds the key.
        """

        def destroy(keyring: Keyring) -> Keyring:
            if next(iter(keyring.epochs)) == epoch:
                raise InvariantBroken
            return replace(
                keyring,
                epochs={
                    name: key for name, key in keyring.epochs.items() if name != epoch
                },
                times={
                    name: moment
                    for name, moment in keyring.times.items()
                    if name != epoch
                },
            )

        self._use(await asyncio.to_thread(self._file.change, destroy))

    def epoch_made_at(self, epoch: str) -> datetime | None:
        """See RotatableKeyProvider.epoch_made_at."""
        return self._keyring.times.get(epoch)

    @property
    def made_at(self) -> datetime | None:
        """When identity key, log key and MAC root were made, if that is known."""
        return self._keyring.times.get(KEYRING)

    def _use(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._sealing = self._publish_all(keyring)

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
        return self._epoch(epoch).wrap(key, context)

    async def unwrap(self, epoch: str, wrapped: bytes, context: bytes) -> bytes:
        """See KeyProvider.unwrap."""
        return self._epoch(epoch).unwrap(wrapped, context)

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
        # The root is uniformly random, so HKDF's extract step adds nothing
        # (RFC 5869, section 3.3).
        expand = HKDFExpand(
            algorithm=hashes.SHA256(), length=KEY_BYTES, info=label.encode()
        )
        return expand.derive(self._keyring.mac_root)

    def _epoch(self, epoch: str) -> Wrapper:
        key = self._keyring.epochs.get(epoch)
        if key is None:
            raise KeyUnavailable(metadata={"epoch": epoch})
        return Wrapper(key)

    def _publish_all(self, keyring: Keyring) -> _SealingKeys:
        found: _SealingKeys = {}
        for key in keyring.sealing_keys:
            public = self._publish(key)
            private = X25519PrivateKey.from_private_bytes(key.private_key)
            found[public.key_id] = (private, public)
        return found

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
    # The signature covers whole seconds.
    ends = (now + SEALING_KEY_LIFETIME).replace(microsecond=0)
    return StoredSealingKey(private, ends)
