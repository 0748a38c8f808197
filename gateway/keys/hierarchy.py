"""Wrapping keys: one for each merchant and purpose, made when first needed.

Invariants:
  * A wrapping key is random, and in the database only wrapped by an epoch key.
  * The epoch key is in the key provider, never in the database or its backups.
  * A data key's wrapped copy is bound to card, kind, purpose and wrapping key.
"""

import os
import secrets
from collections import OrderedDict
from typing import Final, Protocol

from gateway.audit.entry import Entry, EntryType
from gateway.audit.ports import AuditUnit
from gateway.errors import IntegrityViolation
from gateway.keys.ports import KeyProvider, KeyUnit, StoredWrappingKey
from gateway.keys.wrap import KEY_BYTES, Wrapper
from gateway.unit_of_work import Storage
from gateway.words.clock import Clock
from gateway.words.identifiers import MerchantId
from gateway.words.length_prefix import join_parts
from gateway.words.purposes import Purpose

# Unwrapped wrapping keys kept in memory: some 1,500 merchants with seven purposes.
_CACHED_MAX: Final = 10_000
_LABEL: Final = "bailee-wrapping-key/v1"


class HierarchyUnit(KeyUnit, AuditUnit, Protocol):
    """The slice of the unit of work that making a wrapping key uses."""


class WrappingKey:
    """A wrapping key, ready to use. Its repr shows nothing of it.

    What it wraps is bound to the context that is given and to its own purpose and id.
    """

    __slots__ = ("_end", "_wrapper", "key_id", "purpose")

    def __init__(self, key_id: str, purpose: Purpose, key: bytes) -> None:
        self.key_id: Final = key_id
        self.purpose: Final = purpose
        self._wrapper = Wrapper(key)
        self._end = join_parts(purpose.value, key_id)

    def wrap(self, data_key: bytes, context: bytes) -> bytes:
        """Wraps a data key for this purpose."""
        return self._wrapper.wrap(data_key, self._bind(context))

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Returns the data key.

        Raises:
            IntegrityViolation: Another key, another context, or damaged bytes.
        """
        return self._wrapper.unwrap(wrapped, self._bind(context))

    def _bind(self, context: bytes) -> bytes:
        """Returns ``join_parts(context, purpose, key_id)``, most of it made before."""
        return len(context).to_bytes(4, "big") + context + self._end

    def __repr__(self) -> str:
        return f"WrappingKey({self.key_id!r}, {self.purpose.value!r})"


class KeyHierarchy:
    """Finds wrapping keys, making those that do not exist yet."""

    def __init__(
        self,
        *,
        provider: KeyProvider,
        storage: Storage[HierarchyUnit],
        clock: Clock,
    ) -> None:
        self._provider = provider
        self._storage = storage
        self._clock = clock
        self._by_id: OrderedDict[tuple[MerchantId, str], WrappingKey] = OrderedDict()
        self._newest: dict[tuple[MerchantId, Purpose, str], WrappingKey] = {}

    async def wrapping_key(self, merchant: MerchantId, purpose: Purpose) -> WrappingKey:
        """Returns the key that new data keys of this purpose are wrapped with.

        Raises:
            KeyUnavailable: The key provider did not answer.
            StorageUnavailable: A new key could not be stored.
        """
        epoch = self._provider.epochs()[0]
        known = self._newest.get((merchant, purpose, epoch))
        if known is not None:
            return known
        stored = await self._storage.read(
            merchant, lambda unit: unit.keys.newest(purpose, epoch)
        )
        if stored is None:
            stored = await self._create(merchant, purpose, epoch)
        key = await self._unwrap(merchant, stored)
        if len(self._newest) >= _CACHED_MAX:
            self._newest.clear()
        self._newest[merchant, purpose, epoch] = key
        return key

    async def wrapping_key_by_id(
        self, merchant: MerchantId, key_id: str
    ) -> WrappingKey:
        """Returns the key that a stored copy names.

        Raises:
            KeyUnavailable: The key provider did not answer, or the epoch is gone.
            IntegrityViolation: There is no such key, or it is damaged.
        """
        known = self._by_id.get((merchant, key_id))
        if known is not None:
            self._by_id.move_to_end((merchant, key_id))
            return known
        stored = await self._storage.read(merchant, lambda unit: unit.keys.find(key_id))
        if stored is None:
            raise IntegrityViolation
        return await self._unwrap(merchant, stored)

    def forget(self) -> None:
        """Drops every unwrapped key: the next use asks the provider again."""
        self._by_id.clear()
        self._newest.clear()

    async def _create(
        self, merchant: MerchantId, purpose: Purpose, epoch: str
    ) -> StoredWrappingKey:
        """Stores a new key, unless somebody was faster; returns the stored one."""
        key_id = f"wk-{secrets.token_hex(8)}"
        context = self._context(merchant, key_id, purpose, epoch)
        now = self._clock.now()
        made = StoredWrappingKey(
            key_id=key_id,
            purpose=purpose,
            epoch=epoch,
            wrapped=await self._provider.wrap(epoch, os.urandom(KEY_BYTES), context),
            created_at=now,
        )
        entry = Entry(
            type=EntryType.WRAPPING_KEY_CREATED,
            merchant=merchant,
            at=now,
            caller="gateway",
            purpose=purpose,
        )

        def add(unit: HierarchyUnit) -> StoredWrappingKey:
            existing = unit.keys.newest(purpose, epoch)
            if existing is not None:
                return existing
            unit.keys.add(made)
            unit.log.append(entry)
            return made

        return await self._storage.commit(merchant, add)

    async def _unwrap(
        self, merchant: MerchantId, stored: StoredWrappingKey
    ) -> WrappingKey:
        context = self._context(merchant, stored.key_id, stored.purpose, stored.epoch)
        raw = await self._provider.unwrap(stored.epoch, stored.wrapped, context)
        key = WrappingKey(stored.key_id, stored.purpose, raw)
        self._by_id[merchant, stored.key_id] = key
        if len(self._by_id) > _CACHED_MAX:
            self._by_id.popitem(last=False)
        return key

    def _context(
        self, merchant: MerchantId, key_id: str, purpose: Purpose, epoch: str
    ) -> bytes:
        vault_id = self._provider.vault_id
        return join_parts(_LABEL, vault_id, merchant, key_id, purpose.value, epoch)
