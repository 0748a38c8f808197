"""A merchant's log, read beside a gateway that may be serving."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.audit.checkpoint import origin_of
from gateway.audit.ports import CheckpointSigner
from gateway.errors import MerchantNotFound
from gateway.merchants.ports import ProcessorAccount
from gateway.storage.log_store import StoredLog
from gateway.storage.log_writer import Notary
from gateway.storage.merchant_store import SqlMerchantStore, find_scope
from gateway.words.identifiers import MerchantId


@dataclass(frozen=True, slots=True)
class StoredMerchant:
    """One moment of a merchant: the log and the processor accounts."""

    log: StoredLog
    accounts: Sequence[ProcessorAccount]


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
        yield StoredMerchant(log, SqlMerchantStore(reader, scope).accounts())


@contextmanager
def open_stored_log(
    path: Path, merchant: MerchantId, *, signer: CheckpointSigner, vault_id: str
) -> Iterator[StoredLog]:
    """Opens the log alone. Raises as open_merchant."""
    with open_merchant(path, merchant, signer=signer, vault_id=vault_id) as opened:
        yield opened.log
