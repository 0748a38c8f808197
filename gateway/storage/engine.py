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
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from gateway.audit.checkpoint import origin_of
from gateway.audit.ports import CheckpointSigner
from gateway.errors import InvariantBroken, MerchantNotFound, StorageUnavailable
from gateway.storage.anchor import Erasure
from gateway.storage.batcher import Batcher, CommitEnded
from gateway.storage.census import Census, take_census
from gateway.storage.connection import (
    Connect,
    WriterLock,
    connect_sqlite,
    create_file,
    open_reader,
    open_writer,
)
from gateway.storage.data_key_store import find_cards_under
from gateway.storage.key_store import find_merchants_with
from gateway.storage.log_rows import Scope
from gateway.storage.log_store import ReadingLog, StoredLog
from gateway.storage.log_writer import Head, LogWriter, Notary
from gateway.storage.merchant_store import find_scope
from gateway.storage.payment_store import find_unsettled
from gateway.storage.policy_store import find_without_notice
from gateway.storage.schema import migrate
from gateway.storage.unit import SqliteUnit
from gateway.storage.writer import Writer, translate
from gateway.vault.ports import CardUnder
from gateway.words.identifiers import MerchantId, PaymentName

T = TypeVar("T")

# A checkpoint needs a moment without readers; it is tried for five seconds.
_PURGE_TRIES: Final = 100
_PURGE_PAUSE_SECONDS: Final = 0.05


class SqliteStorage:
    """See unit_of_work.Storage; also payments.ports.UnsettledPayments,
    keys.ports.WrappingKeyHolders and vault.ports.CardsUnderEpoch.
    """

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
        self._vault_id = vault_id
        self._connect = connect
        self._lock = lock
        self._notary = Notary(signer)
        self._scopes: dict[MerchantId, Scope] = {}
        self._readers = threading.local()
        self._all_readers: list[sqlite3.Connection] = []
        self._closed = False
        self._connection = open_writer(path, connect)
        self._log = LogWriter(
            self._connection, notary=self._notary, vault_id=vault_id, build=build
        )
        self._writer = Writer(
            self._connection, log=self._log, notary=self._notary, scopes=self._scopes
        )
        self._batcher = Batcher(self._writer.commit)

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

    def keep_journal(self, note: Callable[[Sequence[Erasure]], None]) -> None:
        """Makes every erasure be noted outside the database before it commits.

        Args:
            note: Durable when it returns; an OSError undoes the erasure.
        """
        self._writer.note_erasures = note

    def published_heads(self) -> Mapping[MerchantId, Head]:
        """See AnchorKeeper."""
        return self._log.published_heads()

    async def commit(self, merchant: MerchantId, work: Callable[[SqliteUnit], T]) -> T:
        """See Storage.commit."""
        value: T = await self._batcher.submit(merchant, work)
        return value

    async def read(self, merchant: MerchantId, query: Callable[[SqliteUnit], T]) -> T:
        """See Storage.read."""
        return self.read_now(merchant, query)

    def read_now(self, merchant: MerchantId, query: Callable[[SqliteUnit], T]) -> T:
        """Reads in one snapshot; ``read`` for code that has no event loop.

        Raises:
            StorageUnavailable: The database did not answer.
            InvariantBroken: The query tried to write.
        """
        connection = self._reader()
        # Before the snapshot begins: what is published by now, the snapshot has.
        published = self._log.published(merchant)
        try:
            connection.execute("BEGIN")
            try:
                scope = self._find_scope(connection, merchant)
                log = ReadingLog(
                    connection,
                    scope,
                    published=published,
                    vault_id=self._vault_id,
                    notary=self._notary,
                )
                return query(SqliteUnit(connection, scope, log))
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            seen = translate(error)
            raise (seen or InvariantBroken()) from error

    def stored_log(self, merchant: MerchantId) -> StoredLog:
        """Returns the merchant's committed log, to be read on this thread.

        Raises:
            MerchantNotFound: There is no such merchant.
        """
        connection = self._reader()
        scope = self._find_scope(connection, merchant)
        if not scope.row:
            raise MerchantNotFound
        origin = origin_of(self._vault_id, merchant, scope.log_generation)
        return StoredLog(connection, scope, origin=origin, notary=self._notary)

    async def unsettled(
        self, now: datetime, limit: int
    ) -> Sequence[tuple[MerchantId, PaymentName]]:
        """See UnsettledPayments.unsettled."""
        try:
            return find_unsettled(self._reader(), now, limit)
        except sqlite3.Error as error:
            raise StorageUnavailable from error

    async def merchants_without_notice(
        self, number: int, limit: int
    ) -> Sequence[MerchantId]:
        """See MerchantsToNotify.merchants_without_notice."""
        try:
            return find_without_notice(self._reader(), number, limit)
        except sqlite3.Error as error:
            raise StorageUnavailable from error

    async def merchants_with_epoch(self, epoch: str) -> Sequence[MerchantId]:
        """See WrappingKeyHolders.merchants_with_epoch."""
        return await self._read_aside(lambda reader: find_merchants_with(reader, epoch))

    async def cards_under(
        self, epoch: str, *, after: int, limit: int
    ) -> Sequence[CardUnder]:
        """See CardsUnderEpoch.cards_under."""
        return await self._read_aside(
            lambda reader: find_cards_under(reader, epoch, after=after, limit=limit)
        )

    async def _read_aside(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Reads what may take long, on a thread of its own.

        Raises:
            StorageUnavailable: The database did not answer.
        """
        try:
            return await asyncio.to_thread(lambda: query(self._reader()))
        except sqlite3.Error as error:
            raise StorageUnavailable from error

    def tell_commits_to(self, commit_ended: CommitEnded) -> None:
        """Tells of every commit from now on, on the storage thread."""
        self._batcher.commit_ended = commit_ended

    def queue_depth(self) -> int:
        """Returns how many units wait for a commit."""
        return self._batcher.depth()

    def sizes(self) -> Mapping[str, int]:
        """Returns the bytes of the database's files, and those free beside them."""
        log = self._path.with_name(f"{self._path.name}-wal")
        return {
            "database": self._path.stat().st_size,
            "write_ahead_log": log.stat().st_size if log.exists() else 0,
            "free": shutil.disk_usage(self._path.parent).free,
        }

    async def census(self) -> Census:
        """Counts over all merchants.

        Raises:
            StorageUnavailable: The database did not answer.
        """
        return await self._read_aside(take_census)

    async def probe(self) -> None:
        """Writes something that changes nothing, and waits until it is on disk.

        Raises:
            StorageUnavailable: Nothing can be written; ``problem`` says why.
        """
        await self._batcher.run_between_commits(self._writer.probe)

    @property
    def problem(self) -> str:
        """Why the last commit failed and what to do; empty when it did not."""
        return self._writer.problem

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

    def _find_scope(
        self, connection: sqlite3.Connection, merchant: MerchantId
    ) -> Scope:
        scope = self._scopes.get(merchant)
        if scope is None:
            scope = find_scope(connection, merchant)
            if scope.row:
                self._scopes[merchant] = scope
        return scope

    def _reader(self) -> sqlite3.Connection:
        if self._closed:
            raise StorageUnavailable
        connection: Any = getattr(self._readers, "connection", None)
        if connection is None:
            connection = open_reader(self._path, self._connect)
            self._readers.connection = connection
            self._all_readers.append(connection)
        return connection  # type: ignore[no-any-return]
