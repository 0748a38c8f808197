"""The tables. Times are milliseconds since 1970 in UTC; amounts are minor units.

Invariants:
  * Every row of a merchant carries ``merchant_id``, and every query names it (I9).
  * What must be erasable (salts, wrapped keys, sealed data) is a column of its own.
"""

from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql import ClauseElement

metadata = MetaData()
_DIALECT = sqlite.dialect(paramstyle="named")


def sql(statement: ClauseElement) -> str:
    """Compiles a statement once, with ``:name`` parameters."""
    return str(statement.compile(dialect=_DIALECT))


def _merchant(*, primary_key: bool = False) -> Column[int]:
    return Column(
        "merchant_id",
        Integer,
        ForeignKey("merchants.id"),
        nullable=False,
        primary_key=primary_key,
    )


merchants = Table(
    "merchants",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("state", Text, nullable=False),
    Column("policy_version", Integer, nullable=False),
    Column("log_generation", Integer, nullable=False),
    Column("created_at", Integer, nullable=False),
)

processor_accounts = Table(
    "processor_accounts",
    metadata,
    _merchant(primary_key=True),
    Column("account", Text, primary_key=True, nullable=False),
    Column("processor", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("external_account", Text, nullable=False),
    Column("created_at", Integer, nullable=False),
    sqlite_with_rowid=False,
)

callers = Table(
    "callers",
    metadata,
    Column("spiffe_id", Text, primary_key=True, nullable=False),
    Column("roles", Text, nullable=False),
    Column("merchants", Text),
    sqlite_with_rowid=False,
)

request_records = Table(
    "request_records",
    metadata,
    _merchant(primary_key=True),
    Column("rpc", Text, primary_key=True, nullable=False),
    Column("request_id", LargeBinary, primary_key=True, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("resource", Text, nullable=False),
    Column("entry_index", Integer, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("mismatches", Integer, nullable=False),
    sqlite_with_rowid=False,
)

log_heads = Table(
    "log_heads",
    metadata,
    _merchant(primary_key=True),
    Column("generation", Integer, primary_key=True, nullable=False),
    Column("size", Integer, nullable=False),
    Column("frontier", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

log_entries = Table(
    "log_entries",
    metadata,
    _merchant(primary_key=True),
    Column("generation", Integer, primary_key=True, nullable=False),
    Column("position", Integer, primary_key=True, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    Column("card_id", Integer),
    Column("card_salt", LargeBinary),
    Column("object_salt", LargeBinary),
    Index(
        "log_entries_of_card",
        "card_id",
        sqlite_where=text("card_id IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)

# Level 0 is not stored: a leaf's hash is computed from the leaf.
log_nodes = Table(
    "log_nodes",
    metadata,
    _merchant(primary_key=True),
    Column("generation", Integer, primary_key=True, nullable=False),
    Column("level", Integer, primary_key=True, nullable=False),
    Column("position", Integer, primary_key=True, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

wrapping_keys = Table(
    "wrapping_keys",
    metadata,
    _merchant(primary_key=True),
    Column("key_id", Text, primary_key=True, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("epoch", Text, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("created_at", Integer, nullable=False),
    Index("wrapping_keys_one", "merchant_id", "purpose", "epoch", unique=True),
    sqlite_with_rowid=False,
)

cards = Table(
    "cards",
    metadata,
    Column("id", Integer, primary_key=True),
    _merchant(),
    Column("token", Text, nullable=False),
    Column("customer_reference", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("brand", Text, nullable=False),
    Column("last_four", Text, nullable=False),
    Column("expiry_month", Integer),
    Column("expiry_year", Integer),
    Column("purposes", Text, nullable=False),
    Column("agreement_reference", Text, nullable=False),
    Column("mandate_expires_at", Integer),
    Column("policy_version", Integer, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("last_used_at", Integer),
    Column("erased_at", Integer),
    Column("sealed", LargeBinary),
    Column("number_fingerprint", LargeBinary),
    Column("expiry_fingerprint", LargeBinary),
    Index("cards_by_token", "merchant_id", "token", unique=True),
)

card_keys = Table(
    "card_keys",
    metadata,
    Column("card_id", Integer, ForeignKey("cards.id"), primary_key=True),
    Column("kind", Text, primary_key=True, nullable=False),
    Column("purpose", Text, primary_key=True, nullable=False),
    Column("wrapping_key_id", Text, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

card_references = Table(
    "card_references",
    metadata,
    Column("card_id", Integer, ForeignKey("cards.id"), primary_key=True),
    Column("account", Text, primary_key=True, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

payments = Table(
    "payments",
    metadata,
    Column("id", Integer, primary_key=True),
    _merchant(),
    Column("name", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("amount", Integer, nullable=False),
    Column("currency", Text, nullable=False),
    Column("card", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("capture_automatically", Integer, nullable=False),
    Column("account", Text, nullable=False),
    Column("caller", Text, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("updated_at", Integer, nullable=False),
    Column("lease_instance", Text),
    Column("lease_until", Integer),
    Column("authorized", Integer, nullable=False),
    Column("capturable", Integer, nullable=False),
    Column("captured", Integer, nullable=False),
    Column("refunded", Integer, nullable=False),
    Column("refund_pending", Integer, nullable=False),
    Column("charge_once_key", Text, nullable=False),
    Column("processor_object", Text, nullable=False),
    Column("customer", Text, nullable=False),
    Column("capture_before", Integer),
    Column("decline", Text),
    Column("failure_reason", Text, nullable=False),
    Column("redirect_url", Text, nullable=False),
    Column("merchant_reference", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("statement_descriptor_suffix", Text, nullable=False),
    Column("return_url", Text, nullable=False),
    Column("metadata", Text, nullable=False),
    Column("network_transaction_id", Text, nullable=False),
    Column("absent_inquiries", Integer, nullable=False),
    Column("next_check_at", Integer),
    Index("payments_by_name", "merchant_id", "name", unique=True),
    Index(
        "payments_by_charge_once_key",
        "merchant_id",
        "charge_once_key",
        sqlite_where=text("charge_once_key <> ''"),
    ),
    Index(
        "payments_by_processor_object",
        "merchant_id",
        "processor_object",
        sqlite_where=text("processor_object <> ''"),
    ),
    Index(
        "payments_unsettled",
        "next_check_at",
        sqlite_where=text("state IN ('submitted', 'unknown')"),
    ),
)

moves = Table(
    "moves",
    metadata,
    Column("id", Integer, primary_key=True),
    _merchant(),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("payment", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("amount", Integer, nullable=False),
    Column("currency", Text, nullable=False),
    Column("caller", Text, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("updated_at", Integer, nullable=False),
    Column("lease_instance", Text),
    Column("lease_until", Integer),
    Column("processor_object", Text, nullable=False),
    Column("failure_reason", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("next_check_at", Integer),
    Index("moves_by_name", "merchant_id", "name", unique=True),
    Index("moves_of_payment", "merchant_id", "payment"),
    Index(
        "moves_unsettled",
        "next_check_at",
        sqlite_where=text("status IN ('submitted', 'unknown')"),
    ),
)

# The unique key holds the promise that one key pays once (I6).
charge_once = Table(
    "charge_once",
    metadata,
    _merchant(primary_key=True),
    Column("key", Text, primary_key=True, nullable=False),
    Column("payment", Text, nullable=False),
    sqlite_with_rowid=False,
)

processor_customers = Table(
    "processor_customers",
    metadata,
    _merchant(primary_key=True),
    Column("account", Text, primary_key=True, nullable=False),
    Column("customer_reference", Text, primary_key=True, nullable=False),
    Column("customer", Text, nullable=False),
    sqlite_with_rowid=False,
)
