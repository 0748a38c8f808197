"""A merchant's log, read beside a gateway that may be serving."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from gateway.audit.checkpoint import origin_of
from gateway.audit.ports import CheckpointSigner
from gateway.errors import MerchantNotFound
from gateway.storage.log_store import StoredLog
from gateway.storage.log_writer import Notary
from gateway.storage.merchant_store import find_scope
from gateway.words.identifiers import MerchantId


@contextmanager
def open_stored_log(
    path: Path, merchant: MerchantId, *, signer: CheckpointSigner, vault_id: str
) -> Iterator[StoredLog]:
    """Opens the log in one snapshot that does not move while it is read.

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
        yield StoredLog(reader, scope, origin=origin, notary=Notary(signer))
