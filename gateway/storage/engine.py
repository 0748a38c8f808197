"""SQLite behind the Storage port.

Invariants:
  * WAL with ``synchronous=FULL``: an acknowledged write survives a power cut (I5).
  * One process writes: a lock file beside the database is held as long as it is open,
    and the kernel releases it when the process dies.
  * Reads run on the caller's thread with a connection that cannot write: a point read
    takes some 20 microseconds, less than handing it to another thread.
"""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

from gateway.audit.checkpoint import origin_of
from gateway.audit.ports import CheckpointSigner
from gateway.audit.tree import EMPTY, Frontier
from gateway.errors import (
    GatewayError,
    InvariantBroken,
    MerchantNotFound,
    StorageUnavailable,
)
from gateway.storage.batcher import Batcher, QueuedUnit
from gateway.storage.log_store import LogIdentity, OpenLog, StoredLog
from gateway.storage.payment_store import find_unsettled
from gateway.storage.rows import Connection
from gateway.storage.schema import migrate
from gateway.storage.unit import SqliteUnit
from gateway.words.identifiers import MerchantId, PaymentName

T = TypeVar("T")
Connect = Callable[[Path], Connection]

_BUSY_MILLISECONDS: Final = 5000
_FIND_MERCHANT: Final = "SELECT id, log_generation FROM merchants WHERE name = ?"
_NO_ROW: Final = 0


class SqliteStorage:
    """See unit_of_work.Storage; also payments.ports.UnsettledPayments."""

    def __init__(
        self,
        path: Path,
        *,
        signer: CheckpointSigner,
        vault_id: str,
        build: str,
        connect: Connect,
    ) -> None:
        """Use ``open``."""
        self._path = path
        self._signer = signer
        self._vault_id = vault_id
        self._build = build
        self._connect = connect
        self._writer = connect(path)
        self._readers = threading.local()
        self._all_readers: list[Connection] = []
        self._identities: dict[MerchantId, LogIdentity] = {}
        self._frontiers: dict[MerchantId, Frontier] = {}
        self._batcher = Batcher(self._commit_units, self._writer.close)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        signer: CheckpointSigner,
        vault_id: str,
        build: str,
        connect: Connect | None = None,
    ) -> "SqliteStorage":
        """Opens the database, creating or migrating it, and locks it.

        Args:
            path: The database file; its folder must exist.
            signer: Signs the checkpoints of every log.
            vault_id: The first part of every log's origin.
            build: Named in every entry.
            connect: Makes a connection; tests pass one that loses unsynced writes.

        Raises:
            StorageUnavailable: Another process has it, or it is not safe to write to.
        """
        lock = _lock(path)
        try:
            path.touch(mode=0o600)
            migrate(path)
            storage = cls(
                path,
                signer=signer,
                vault_id=vault_id,
                build=build,
                connect=connect or connect_sqlite,
            )
        except (sqlite3.Error, OSError) as error:
            os.close(lock)
            raise StorageUnavailable from error
        storage._lock = lock
        return storage

    _lock: int

    async def commit(self, merchant: MerchantId, work: Callable[[SqliteUnit], T]) -> T:
        """See Storage.commit."""
        value: T = await self._batcher.submit(merchant, work)
        return value

    async def read(self, merchant: MerchantId, query: Callable[[SqliteUnit], T]) -> T:
        """See Storage.read."""
        return self.read_now(merchant, query)

    def read_now(self, merchant: MerchantId, query: Callable[[SqliteUnit], T]) -> T:
        """Reads without waiting; ``read`` for code that has no event loop."""
        connection = self._reader()
        try:
            with _snapshot(connection):
                identity = self._identity(connection, merchant)
                return query(SqliteUnit(connection, identity, None))
        except sqlite3.Error as error:
            raise StorageUnavailable from error

    def stored_log(self, merchant: MerchantId) -> StoredLog:
        """Returns the merchant's committed log.

        Raises:
            MerchantNotFound: It has none.
        """
        connection = self._reader()
        identity = self._identity(connection, merchant)
        if identity.merchant_id == _NO_ROW:
            raise MerchantNotFound
        return StoredLog(connection, identity)

    async def unsettled(
        self, now: datetime, limit: int
    ) -> Sequence[tuple[MerchantId, PaymentName]]:
        """See UnsettledPayments.unsettled."""
        try:
            return find_unsettled(self._reader(), now, limit)
        except sqlite3.Error as error:
            raise StorageUnavailable from error

    async def purge(self) -> None:
        """Moves the write-ahead log into the database and empties it.

        With ``secure_delete`` on, erased bytes are then in no file of the database.
        """
        connection = self._connect(self._path)
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.Error as error:
            raise StorageUnavailable from error
        finally:
            connection.close()

    async def close(self) -> None:
        """Commits what is queued, then lets go of the database."""
        await self._batcher.close()
        for connection in self._all_readers:
            connection.close()
        self._all_readers.clear()
        os.close(self._lock)

    # On the storage thread

    def _commit_units(self, units: Sequence[QueuedUnit]) -> None:
        """Runs the units in one transaction, each in its own savepoint."""
        connection = self._writer
        logs: dict[MerchantId, OpenLog] = {}
        try:
            connection.execute("BEGIN IMMEDIATE")
            for unit in units:
                self._run_unit(connection, unit, logs)
            for log in logs.values():
                if log.entries:
                    log.save_head(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._frontiers.clear()
            raise
        for merchant, log in logs.items():
            self._frontiers[merchant] = log.frontier
            log.publish()

    def _run_unit(
        self,
        connection: Connection,
        unit: QueuedUnit,
        logs: dict[MerchantId, OpenLog],
    ) -> None:
        log = logs.get(unit.merchant)
        if log is None:
            log = logs[unit.merchant] = self._open_log(connection, unit.merchant)
        mark = log.mark()
        connection.execute("SAVEPOINT unit")
        try:
            unit.value = unit.work(SqliteUnit(connection, log.identity, log))
        except Exception as error:
            log.go_back(mark)
            if not connection.in_transaction:
                # SQLite gave up the whole transaction (disk full, I/O error).
                raise
            connection.execute("ROLLBACK TO unit")
            connection.execute("RELEASE unit")
            unit.error = _translate(error)
            return
        connection.execute("RELEASE unit")
        if log.identity.merchant_id == _NO_ROW:
            # The unit may have created its merchant; look again next time.
            del logs[unit.merchant]

    def _open_log(self, connection: Connection, merchant: MerchantId) -> OpenLog:
        identity = self._identity(connection, merchant)
        frontier = self._frontiers.get(merchant)
        if frontier is None:
            frontier = EMPTY
            if identity.merchant_id != _NO_ROW:
                frontier = StoredLog(connection, identity).frontier()
        return OpenLog(identity, frontier, frontier)

    # Shared

    def _identity(self, connection: Connection, merchant: MerchantId) -> LogIdentity:
        """Returns the merchant's row ids; of an unknown one, an id that no row has."""
        known = self._identities.get(merchant)
        if known is not None:
            return known
        row = connection.execute(_FIND_MERCHANT, (merchant,)).fetchone()
        merchant_id, generation = row or (_NO_ROW, 1)
        identity = LogIdentity(
            merchant_id=merchant_id,
            merchant=merchant,
            generation=generation,
            origin=origin_of(self._vault_id, merchant, generation),
            signer=self._signer,
            build=self._build,
        )
        if row is not None:
            self._identities[merchant] = identity
        return identity

    def _reader(self) -> Connection:
        connection: Connection | None = getattr(self._readers, "connection", None)
        if connection is None:
            connection = self._connect(self._path)
            connection.execute("PRAGMA query_only = ON").fetchall()
            self._readers.connection = connection
            self._all_readers.append(connection)
        return connection


def connect_sqlite(path: Path) -> Connection:
    """Opens a connection and refuses settings under which a write could be lost.

    Raises:
        StorageUnavailable: SQLite did not take a setting.
    """
    connection = sqlite3.connect(
        path,
        isolation_level=None,
        check_same_thread=False,
        timeout=_BUSY_MILLISECONDS / 1000,
        cached_statements=512,
    )
    apply_settings(connection)
    return connection


def apply_settings(connection: Connection) -> None:
    """Sets what durability and erasure need, and checks that SQLite took it."""
    for name, value, expected in (
        ("journal_mode", "WAL", "wal"),
        ("synchronous", "FULL", 2),
        ("secure_delete", "ON", 1),
        ("foreign_keys", "ON", 1),
        ("temp_store", "MEMORY", 2),
    ):
        connection.execute(f"PRAGMA {name} = {value}").fetchall()
        row = connection.execute(f"PRAGMA {name}").fetchone()
        if row is None or row[0] != expected:
            connection.close()
            raise StorageUnavailable(metadata={"setting": name})


def _lock(path: Path) -> int:
    """Takes the writer's lock, or refuses."""
    lock = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise StorageUnavailable(
            metadata={"database": "another process has it open"}
        ) from error
    return lock


@contextmanager
def _snapshot(connection: Connection) -> Iterator[None]:
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("COMMIT")


def _translate(error: Exception) -> Exception:
    """Returns the error that a unit's caller may see."""
    if isinstance(error, GatewayError):
        return error
    if isinstance(error, sqlite3.IntegrityError):
        broken: Exception = InvariantBroken()
    elif isinstance(error, sqlite3.Error):
        broken = StorageUnavailable()
    else:
        return error
    broken.__cause__ = error
    return broken
