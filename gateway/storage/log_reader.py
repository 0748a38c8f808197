"""A merchant's log, read beside a gateway that may be serving."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from gateway.audit.checkpoint import origin_of
from gateway.audit.ports import CheckpointSigner
from gateway.errors import InvariantBroken, MerchantNotFound
from gateway.merchants.ports import ProcessorAccount
from gateway.storage.log_rows import Scope
from gateway.storage.log_store import ReadingLog, StoredLog
from gateway.storage.log_writer import Notary
from gateway.storage.merchant_store import SqlMerchantStore, find_scope
from gateway.storage.unit import SqlUnit
from gateway.words.identifiers import MerchantId

T = TypeVar("T")


class Snapshot:
    """See unit_of_work.Storage; one moment of one merchant, for reading."""

    def __init__(
        self, connection: sqlite3.Connection, scope: Scope, *, log: ReadingLog
    ) -> None:
        self._merchant = scope.merchant
        self._unit = SqlUnit(connection, scope, log)

    async def commit(
        self,
        merchant: MerchantId,  # noqa: ARG002 - the port's
        work: Callable[[SqlUnit], T],  # noqa: ARG002 - the port's
    ) -> T:
        """Refuses: a snapshot is not written to."""
        raise InvariantBroken

    async def read(self, merchant: MerchantId, query: Callable[[SqlUnit], T]) -> T:
        """See Storage.read."""
        if merchant != self._merchant:
            raise InvariantBroken
        return query(self._unit)


@dataclass(frozen=True, slots=True)
class StoredMerchant:
    """One moment of a merchant: the log, the accounts, and whatever else is asked."""

    log: StoredLog
    accounts: Sequence[ProcessorAccount]
    snapshot: Snapshot


@contextmanager
def open_merchant(
    path: Path, merchant: MerchantId, *, signer: CheckpointSigner, vault_id: str
) -> Iterator[StoredMerchant]:
    """Opens log and accounts in one snapshot that does not move while it is read.

    Raises:
        MerchantNotFound: The database has no such merchant.
        sqlite3.Error: The database cannot be read.
    """
    address = f"{path.resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        scope = find_scope(reader, merchant)
        if not scope.row:
            raise MerchantNotFound
        origin = origin_of(vault_id, merchant, scope.log_generation)
        log = StoredLog(reader, scope, origin=origin, notary=Notary(signer))
        snapshot = Snapshot(
            reader,
            scope,
            log=ReadingLog(
                reader, scope, published=None, vault_id=vault_id, notary=Notary(signer)
            ),
        )
        accounts = SqlMerchantStore(reader, scope).accounts()
        yield StoredMerchant(log, accounts, snapshot)


@contextmanager
def open_stored_log(
    path: Path, merchant: MerchantId, *, signer: CheckpointSigner, vault_id: str
) -> Iterator[StoredLog]:
    """Opens the log alone. Raises as open_merchant."""
    with open_merchant(path, merchant, signer=signer, vault_id=vault_id) as opened:
        yield opened.log
