"""The Storage port over SQL: what every engine has in common.

An engine brings its transactions, its snapshots for reading, and how a read gets off
the event loop if it must. The stores, the log and the group commit are the same.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from gateway.audit.checkpoint import origin_of
from gateway.audit.ports import CheckpointSigner
from gateway.errors import MerchantNotFound
from gateway.merchants.ports import CredentialUnder
from gateway.storage.anchor import Erasure
from gateway.storage.batcher import Batcher, CommitEnded
from gateway.storage.census import Census, take_census
from gateway.storage.credential_store import find_credentials_under
from gateway.storage.data_key_store import find_cards_under
from gateway.storage.database import Connection, Transactions
from gateway.storage.key_store import find_merchants_with
from gateway.storage.log_rows import Scope
from gateway.storage.log_store import ReadingLog, StoredLog
from gateway.storage.log_writer import Head, LogWriter, Notary
from gateway.storage.merchant_store import find_scope
from gateway.storage.payment_store import find_unsettled
from gateway.storage.policy_store import find_without_notice
from gateway.storage.retention_store import count_active, find_not_needed
from gateway.storage.unit import SqlUnit
from gateway.storage.writer import Writer
from gateway.vault.ports import CardUnder
from gateway.vault.sweep_cards import CardNumber
from gateway.words.identifiers import MerchantId, PaymentName

T = TypeVar("T")


class SqlStorage(ABC):
    """See unit_of_work.Storage; also payments.ports.UnsettledPayments,
    policy.ports.MerchantsToNotify, keys.ports.WrappingKeyHolders and
    vault.ports.CardsUnderEpoch.
    """

    def __init__(
        self,
        transactions: Transactions,
        *,
        signer: CheckpointSigner,
        vault_id: str,
        build: str,
    ) -> None:
        """Binds the storage to the connection that writes.

        Args:
            transactions: Those of the connection that writes.
            signer: Signs the checkpoints of every log.
            vault_id: The first part of every log's origin.
            build: Named in every entry.
        """
        self._vault_id = vault_id
        self._notary = Notary(signer)
        self._scopes: dict[MerchantId, Scope] = {}
        self._log = LogWriter(
            transactions, notary=self._notary, vault_id=vault_id, build=build
        )
        self._writer = Writer(
            transactions, log=self._log, notary=self._notary, scopes=self._scopes
        )
        self._batcher = Batcher(self._writer.commit)

    async def commit(self, merchant: MerchantId, work: Callable[[SqlUnit], T]) -> T:
        """See Storage.commit."""
        value: T = await self._batcher.submit(merchant, work)
        return value

    @abstractmethod
    async def read(self, merchant: MerchantId, query: Callable[[SqlUnit], T]) -> T:
        """See Storage.read."""

    @abstractmethod
    async def ask(self, query: Callable[[Connection], T], *, is_long: bool) -> T:
        """Runs a query that belongs to no merchant.

        Raises:
            StorageUnavailable: The database did not answer.
        """

    @abstractmethod
    async def purge(self) -> None:
        """See vault.ports.Purge: what the engine can do about erased bytes."""

    @abstractmethod
    async def close(self) -> None:
        """Commits what is queued, then lets go of the database."""

    @abstractmethod
    def read_now(self, merchant: MerchantId, query: Callable[[SqlUnit], T]) -> T:
        """Reads in one snapshot; ``read`` for code that has no event loop.

        Raises:
            StorageUnavailable: The database did not answer.
            InvariantBroken: The query tried to write.
        """

    @abstractmethod
    def stored_log(self, merchant: MerchantId) -> StoredLog:
        """Returns the merchant's committed log, to be read on this thread.

        Raises:
            MerchantNotFound: There is no such merchant.
        """

    @abstractmethod
    def sizes(self) -> Mapping[str, int]:
        """Returns how many bytes the database takes, and what else is known."""

    async def unsettled(
        self, now: datetime, limit: int
    ) -> Sequence[tuple[MerchantId, PaymentName]]:
        """See UnsettledPayments.unsettled."""
        return await self.ask(
            lambda reader: find_unsettled(reader, now, limit), is_long=False
        )

    async def merchants_without_notice(
        self, number: int, limit: int
    ) -> Sequence[MerchantId]:
        """See MerchantsToNotify.merchants_without_notice."""
        return await self.ask(
            lambda reader: find_without_notice(reader, number, limit), is_long=False
        )

    async def merchants_with_epoch(self, epoch: str) -> Sequence[MerchantId]:
        """See WrappingKeyHolders.merchants_with_epoch."""
        return await self.ask(
            lambda reader: find_merchants_with(reader, epoch), is_long=True
        )

    async def cards_under(
        self, epoch: str, *, after: int, limit: int
    ) -> Sequence[CardUnder]:
        """See CardsUnderEpoch.cards_under."""
        return await self.ask(
            lambda reader: find_cards_under(reader, epoch, after=after, limit=limit),
            is_long=True,
        )

    async def credentials_under(
        self, epoch: str, *, after: int, limit: int
    ) -> Sequence[CredentialUnder]:
        """See CredentialsUnderEpoch.credentials_under."""
        return await self.ask(
            lambda reader: find_credentials_under(
                reader, epoch, after=after, limit=limit
            ),
            is_long=True,
        )

    async def cards_not_needed(
        self, since: datetime, *, after: int, limit: int
    ) -> Sequence[CardNumber]:
        """See CardsByNeed.cards_not_needed."""
        return await self.ask(
            lambda reader: find_not_needed(reader, since, after=after, limit=limit),
            is_long=True,
        )

    async def count_active_cards(self) -> int:
        """See CardsByNeed.count_active_cards."""
        return await self.ask(count_active, is_long=True)

    def keep_journal(self, note: Callable[[Sequence[Erasure]], None]) -> None:
        """Makes every erasure be noted outside the database before it commits.

        Args:
            note: Durable when it returns; an OSError undoes the erasure.
        """
        self._writer.note_erasures = note

    def published_heads(self) -> Mapping[MerchantId, Head]:
        """See AnchorKeeper."""
        return self._log.published_heads()

    def tell_commits_to(self, commit_ended: CommitEnded) -> None:
        """Tells of every commit from now on, on the storage thread."""
        self._batcher.commit_ended = commit_ended

    def queue_depth(self) -> int:
        """Returns how many units wait for a commit."""
        return self._batcher.depth()

    async def census(self) -> Census:
        """Counts over all merchants.

        Raises:
            StorageUnavailable: The database did not answer.
        """
        return await self.ask(take_census, is_long=True)

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

    def _query(
        self,
        connection: Connection,
        merchant: MerchantId,
        query: Callable[[SqlUnit], T],
        published: Head | None,
    ) -> T:
        """Runs a merchant's query in the snapshot that the connection has open.

        Args:
            connection: One that reads.
            merchant: Whose rows the query sees.
            query: What to run.
            published: The merchant's newest head from before the snapshot.
        """
        scope = self._find_scope(connection, merchant)
        log = ReadingLog(
            connection,
            scope,
            published=published,
            vault_id=self._vault_id,
            notary=self._notary,
        )
        return query(SqlUnit(connection, scope, log))

    def _stored_log(self, connection: Connection, merchant: MerchantId) -> StoredLog:
        scope = self._find_scope(connection, merchant)
        if not scope.row:
            raise MerchantNotFound
        origin = origin_of(self._vault_id, merchant, scope.log_generation)
        return StoredLog(connection, scope, origin=origin, notary=self._notary)

    def _find_scope(self, connection: Connection, merchant: MerchantId) -> Scope:
        scope = self._scopes.get(merchant)
        if scope is None:
            scope = find_scope(connection, merchant)
            if scope.row:
                self._scopes[merchant] = scope
        return scope
