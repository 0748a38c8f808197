"""The unit of work that SQLite gives: every slice, for one merchant."""

import sqlite3
from functools import cached_property

from gateway.storage.caller_store import SqliteCallerStore
from gateway.storage.card_store import SqliteCardStore
from gateway.storage.data_key_store import SqliteDataKeyStore
from gateway.storage.denial_store import SqliteDenialStore
from gateway.storage.epoch_store import SqliteEpochStore
from gateway.storage.hold_store import SqliteHoldStore
from gateway.storage.key_store import SqliteKeyStore
from gateway.storage.log_rows import Scope
from gateway.storage.log_store import AppendingLog, ReadingLog
from gateway.storage.merchant_directory_store import SqliteMerchantDirectory
from gateway.storage.merchant_store import SqliteMerchantStore
from gateway.storage.payment_store import SqlitePaymentStore
from gateway.storage.policy_store import SqliteHighWaterStore, SqlitePolicyStore
from gateway.storage.request_store import SqliteRequestStore


class SqliteUnit:
    """See gateway.unit_of_work.Storage. Stores are made when first used."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        scope: Scope,
        log: AppendingLog | ReadingLog,
    ) -> None:
        self._connection = connection
        self._scope = scope
        self.log = log

    @cached_property
    def requests(self) -> SqliteRequestStore:
        """The merchant's request records."""
        return SqliteRequestStore(self._connection, self._scope)

    @cached_property
    def merchants(self) -> SqliteMerchantStore:
        """The unit's own merchant."""
        return SqliteMerchantStore(self._connection, self._scope)

    @cached_property
    def cards(self) -> SqliteCardStore:
        """The merchant's cards."""
        return SqliteCardStore(self._connection, self._scope)

    @cached_property
    def holds(self) -> SqliteHoldStore:
        """What the merchant may not do since a restore."""
        return SqliteHoldStore(self._connection, self._scope)

    @cached_property
    def keys(self) -> SqliteKeyStore:
        """The merchant's wrapping keys."""
        return SqliteKeyStore(self._connection, self._scope)

    @cached_property
    def epochs(self) -> SqliteEpochStore:
        """Every epoch; in units of the GATEWAY scope only."""
        return SqliteEpochStore(self._connection, self._scope)

    @cached_property
    def data_keys(self) -> SqliteDataKeyStore:
        """The wrapped copies of the merchant's data keys."""
        return SqliteDataKeyStore(self._connection, self._scope)

    @cached_property
    def denials(self) -> SqliteDenialStore:
        """The merchant's denials of the last minutes."""
        return SqliteDenialStore(self._connection, self._scope)

    @cached_property
    def payments(self) -> SqlitePaymentStore:
        """The merchant's payments."""
        return SqlitePaymentStore(self._connection, self._scope)

    @cached_property
    def callers(self) -> SqliteCallerStore:
        """Every caller; in units of the GATEWAY scope only."""
        return SqliteCallerStore(self._connection, self._scope)

    @cached_property
    def policies(self) -> SqlitePolicyStore:
        """Every policy version, and where the merchant stands."""
        return SqlitePolicyStore(self._connection, self._scope)

    @cached_property
    def high_water(self) -> SqliteHighWaterStore:
        """Policy's high-water mark; in units of the GATEWAY scope only."""
        return SqliteHighWaterStore(self._connection)

    @cached_property
    def directory(self) -> SqliteMerchantDirectory:
        """Every merchant; in units of the GATEWAY scope only."""
        return SqliteMerchantDirectory(self._connection, self._scope)
