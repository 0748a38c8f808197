"""The unit of work that SQLite gives: every slice, for one merchant."""

from functools import cached_property

from gateway.storage.caller_store import SqlCallerStore
from gateway.storage.card_store import SqlCardStore
from gateway.storage.credential_store import SqlCredentialStore
from gateway.storage.data_key_store import SqlDataKeyStore
from gateway.storage.database import Connection
from gateway.storage.denial_store import SqlDenialStore
from gateway.storage.epoch_store import SqlEpochStore
from gateway.storage.hold_store import SqlHoldStore
from gateway.storage.key_store import SqlKeyStore
from gateway.storage.log_rows import Scope
from gateway.storage.log_store import AppendingLog, ReadingLog
from gateway.storage.merchant_directory_store import SqlMerchantDirectory
from gateway.storage.merchant_store import SqlMerchantStore
from gateway.storage.payment_store import SqlPaymentStore
from gateway.storage.policy_store import SqlHighWaterStore, SqlPolicyStore
from gateway.storage.request_store import SqlRequestStore
from gateway.storage.retention_store import SqlSweepStore


class SqlUnit:
    """See gateway.unit_of_work.Storage. Stores are made when first used."""

    def __init__(
        self,
        connection: Connection,
        scope: Scope,
        log: AppendingLog | ReadingLog,
    ) -> None:
        self._connection = connection
        self._scope = scope
        self.log = log

    @cached_property
    def requests(self) -> SqlRequestStore:
        """The merchant's request records."""
        return SqlRequestStore(self._connection, self._scope)

    @cached_property
    def merchants(self) -> SqlMerchantStore:
        """The unit's own merchant."""
        return SqlMerchantStore(self._connection, self._scope)

    @cached_property
    def cards(self) -> SqlCardStore:
        """The merchant's cards."""
        return SqlCardStore(self._connection, self._scope)

    @cached_property
    def holds(self) -> SqlHoldStore:
        """What the merchant may not do since a restore."""
        return SqlHoldStore(self._connection, self._scope)

    @cached_property
    def keys(self) -> SqlKeyStore:
        """The merchant's wrapping keys."""
        return SqlKeyStore(self._connection, self._scope)

    @cached_property
    def epochs(self) -> SqlEpochStore:
        """Every epoch; in units of the GATEWAY scope only."""
        return SqlEpochStore(self._connection, self._scope)

    @cached_property
    def data_keys(self) -> SqlDataKeyStore:
        """The wrapped copies of the merchant's data keys."""
        return SqlDataKeyStore(self._connection, self._scope)

    @cached_property
    def denials(self) -> SqlDenialStore:
        """The merchant's denials of the last minutes."""
        return SqlDenialStore(self._connection, self._scope)

    @cached_property
    def payments(self) -> SqlPaymentStore:
        """The merchant's payments."""
        return SqlPaymentStore(self._connection, self._scope)

    @cached_property
    def callers(self) -> SqlCallerStore:
        """Every caller; in units of the GATEWAY scope only."""
        return SqlCallerStore(self._connection, self._scope)

    @cached_property
    def sweeps(self) -> SqlSweepStore:
        """What sweeps took; in units of the GATEWAY scope only."""
        return SqlSweepStore(self._connection, self._scope)

    @cached_property
    def policies(self) -> SqlPolicyStore:
        """Every policy version, and where the merchant stands."""
        return SqlPolicyStore(self._connection, self._scope)

    @cached_property
    def high_water(self) -> SqlHighWaterStore:
        """Policy's high-water mark; in units of the GATEWAY scope only."""
        return SqlHighWaterStore(self._connection)

    @cached_property
    def directory(self) -> SqlMerchantDirectory:
        """Every merchant; in units of the GATEWAY scope only."""
        return SqlMerchantDirectory(self._connection, self._scope)

    @cached_property
    def credentials(self) -> SqlCredentialStore:
        """The sealed keys of the merchant's processor accounts."""
        return SqlCredentialStore(self._connection, self._scope)
