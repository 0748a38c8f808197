"""SQLite behind the Storage port.

Invariants:
  * An acknowledged write survives a power cut (I5): see connection.py.
  * One process writes, and in it one thread.
  * A read sees what is committed and cannot write.

Reads run on the caller's thread, on a connection of that thread: a point read takes
some 20 microseconds, less than it takes to hand it to another thread and be woken
again. What reads a whole log runs on a thread of its own, or in another process.
"""

import asyncio
import shutil
import sqlite3
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from gateway.audit.ports import CheckpointSigner
from gateway.errors import StorageUnavailable
from gateway.storage.connection import (
    Connect,
    WriterLock,
    connect_sqlite,
    create_file,
    open_reader,
    open_writer,
)
from gateway.storage.database import Connection
from gateway.storage.log_store import StoredLog
from gateway.storage.schema import migrate
from gateway.storage.sql_storage import SqlStorage
from gateway.storage.sqlite_transactions import SqliteTransactions, translate
from gateway.storage.unit import SqlUnit
from gateway.words.identifiers import MerchantId

T = TypeVar("T")

# A checkpoint needs a moment without readers; it is tried for five seconds.
_PURGE_TRIES: Final = 100
_PURGE_PAUSE_SECONDS: Final = 0.05


class SqliteStorage(SqlStorage):
    """See SqlStorage."""

    def __init__(
        self,
        path: Path,
        *,
        signer: CheckpointSigner,
        vault_id: str,
        build: str,
        connect: Connect,
        lock: WriterLock,
    ) -> None:
        """Use ``open``."""
        self._path = path
        self._connect = connect
        self._lock = lock
        self._readers = threading.local()
        self._all_readers: list[sqlite3.Connection] = []
        self._closed = False
        self._connection = open_writer(path, connect)
        super().__init__(
            SqliteTransactions(self._connection),
            signer=signer,
            vault_id=vault_id,
            build=build,
        )

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        signer: CheckpointSigner,
        vault_id: str,
        build: str,
        connect: Connect | None = None,
    ) -> Self:
        """Opens the database, creating or migrating it, and locks it.

        Args:
            path: The database file; its folder must exist.
            signer: Signs the checkpoints of every log.
            vault_id: The first part of every log's origin.
            build: Named in every entry.
            connect: Makes a connection; tests pass one that loses unsynced writes.

        Raises:
            StorageUnavailable: Another process has it, it cannot be opened, or it is
                not safe to write to.
        """
        lock = WriterLock(path)
        try:
            create_file(path)
            migrate(path)
            return cls(
                path,
                signer=signer,
                vault_id=vault_id,
                build=build,
                connect=connect or connect_sqlite,
                lock=lock,
            )
        except (sqlite3.Error, OSError) as error:
            lock.release()
            raise StorageUnavailable from error
        except StorageUnavailable:
            lock.release()
            raise

    async def read(self, merchant: MerchantId, query: Callable[[SqlUnit], T]) -> T:
        """See Storage.read."""
        return self.read_now(merchant, query)

    def read_now(self, merchant: MerchantId, query: Callable[[SqlUnit], T]) -> T:
        """See SqlStorage.read_now."""
        connection = self._reader()
        # Before the snapshot begins: what is published by now, the snapshot has.
        published = self._log.published(merchant)
        try:
            connection.execute("BEGIN")
            try:
                return self._query(connection, merchant, query, published)
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise translate(error) from error

    async def ask(self, query: Callable[[Connection], T], *, is_long: bool) -> T:
        """See SqlStorage.ask. What may take long runs on a thread of its own."""
        try:
            if is_long:
                return await asyncio.to_thread(lambda: query(self._reader()))
            return query(self._reader())
        except sqlite3.Error as error:
            raise StorageUnavailable from error

    def stored_log(self, merchant: MerchantId) -> StoredLog:
        """See SqlStorage.stored_log."""
        return self._stored_log(self._reader(), merchant)

    def sizes(self) -> Mapping[str, int]:
        """See SqlStorage.sizes: of the files, and what is free beside them."""
        log = self._path.with_name(f"{self._path.name}-wal")
        return {
            "database": self._path.stat().st_size,
            "write_ahead_log": log.stat().st_size if log.exists() else 0,
            "free": shutil.disk_usage(self._path.parent).free,
        }

    async def purge(self) -> None:
        """Moves the write-ahead log into the database and empties it.

        With ``secure_delete`` on, erased bytes are then in no file of the database.

        Raises:
            StorageUnavailable: Somebody read all the time: the bytes may still be in
                the log. Ask again.
        """
        for _ in range(_PURGE_TRIES):
            if await self._batcher.run_between_commits(self._checkpoint):
                return
            await asyncio.sleep(_PURGE_PAUSE_SECONDS)
        raise StorageUnavailable

    def _checkpoint(self) -> bool:
        """Empties the write-ahead log, without holding commits up for readers."""
        connection = self._connection
        try:
            (patience,) = connection.execute("PRAGMA busy_timeout").fetchone()
            connection.execute("PRAGMA busy_timeout=0").fetchall()
            try:
                checkpoint = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                is_busy, *_ = checkpoint.fetchone()
            finally:
                connection.execute(f"PRAGMA busy_timeout={patience}").fetchall()
        except sqlite3.Error as error:
            raise StorageUnavailable from error
        return not is_busy

    async def close(self) -> None:
        """Commits what is queued, then lets go of the database."""
        await self._batcher.close()
        if self._closed:
            return
        self._closed = True
        for connection in self._all_readers:
            connection.close()
        # The last to close, so that it moves the write-ahead log into the database.
        self._connection.close()
        self._lock.release()

    def _reader(self) -> sqlite3.Connection:
        if self._closed:
            raise StorageUnavailable
        connection: Any = getattr(self._readers, "connection", None)
        if connection is None:
            connection = open_reader(self._path, self._connect)
            self._readers.connection = connection
            self._all_readers.append(connection)
        return connection  # type: ignore[no-any-return]
