"""The tables, as the newest migration leaves them.

Conventions:
  * ``scope`` is the number of a merchant, or of the gateway itself. Every query names
    it (I9).
  * Words and times are integers (codes.py). Rows of one table refer to rows of another
    by number; names that callers know are stored once.
  * WITHOUT ROWID: the key is the table, for small rows that are always found by it.
  * A column that must be erasable is nullable.
"""

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    PrimaryKeyConstraint,
    UniqueConstraint,
    func,
)

from gateway.payments.payment import MoveStatus, PaymentState
from gateway.storage import log_tables, policy_tables, restore_tables
from gateway.storage.codes import CARD_STATES, MOVE_STATUSES, PAYMENT_STATES
from gateway.storage.columns import INTEGER, METADATA
from gateway.storage.columns import blob as _blob
from gateway.storage.columns import integer as _integer
from gateway.storage.columns import number as _number
from gateway.storage.columns import partial_index as _partial_index
from gateway.storage.columns import scope as _scope
from gateway.storage.columns import table as _table
from gateway.storage.columns import text as _text
from gateway.storage.statements import constant
from gateway.words.lifecycles import CardState

# Importing them makes every table known.
__all__ = ["METADATA", "log_tables", "policy_tables", "restore_tables"]

# Enough of a fingerprint to tell numbers apart, in an index that stays small.
FINGERPRINT_PREFIX_BYTES: Final = 8


scopes: Final = _table(
    "scopes",
    _number("scope"),
    _text("merchant"),
    _integer("log_generation"),
    UniqueConstraint("merchant"),
)

merchants: Final = _table(
    "merchants",
    Column("scope", INTEGER, ForeignKey("scopes.scope"), primary_key=True),
    _integer("state"),
    _integer("policy_version"),
    _integer("created_at"),
    _text("display_name"),
    _integer("environment"),
    _integer("show_bin"),
    _integer("show_fingerprint"),
    _integer("deactivated_at", optional=True),
    # Given the BIN and the last four, a fingerprint confirms a guessed number.
    CheckConstraint("show_bin = 0 OR show_fingerprint = 0", name="merchant_shows_one"),
)

processor_accounts: Final = _table(
    "processor_accounts",
    _number("account"),
    _scope(),
    _text("name"),
    _text("processor"),
    _integer("environment"),
    _text("external_account"),
    _text("host"),
    _integer("state"),
    _integer("created_at"),
    _integer("accepted_at", optional=True),
    _integer("checked_at", optional=True),
    _integer("check_result", optional=True),
    _text("check_failure_reason"),
    UniqueConstraint("scope", "name"),
)

callers: Final = _table(
    "callers",
    _text("spiffe_id"),
    _text("roles"),
    _text("merchants", optional=True),
    _integer("enabled"),
    PrimaryKeyConstraint("spiffe_id"),
    rowid=False,
)

request_records: Final = _table(
    "request_records",
    _scope(),
    _blob("request_id"),
    _text("rpc"),
    # Before the others: SQLite 3.40's integrity_check takes a NOT NULL column for NULL
    # when a column of the key comes after it.
    _integer("item"),
    _blob("digest"),
    _text("resource"),
    _integer("entry_index"),
    _integer("created_at"),
    _integer("mismatches"),
    PrimaryKeyConstraint("scope", "request_id", "rpc", "item"),
    rowid=False,
)

wrapping_keys: Final = _table(
    "wrapping_keys",
    _number("wrapping_key"),
    _scope(),
    _text("key_id"),
    _integer("purpose"),
    _text("epoch"),
    _blob("wrapped"),
    _integer("created_at"),
    _integer("retired_at", optional=True),
    UniqueConstraint("scope", "key_id"),
)

epochs: Final = _table(
    "epochs",
    _number("epoch_number"),
    _text("epoch"),
    _integer("state"),
    _integer("made_at"),
    _integer("due_at", optional=True),
    _integer("destroyed_at", optional=True),
    _integer("moved"),
    _text("instance"),
    _integer("lease_until", optional=True),
    UniqueConstraint("epoch"),
)

cards: Final = _table(
    "cards",
    _number("card"),
    _scope(),
    _text("token"),
    _text("customer_reference"),
    _integer("state"),
    _text("brand"),
    _text("last_four", optional=True),
    _integer("expiry", optional=True),
    _integer("purposes"),
    _text("agreement_reference"),
    _integer("mandate_expires_at", optional=True),
    _integer("policy_version"),
    _integer("generation"),
    _integer("created_at"),
    _integer("last_used_at", optional=True),
    _integer("erased_at", optional=True),
    _blob("sealed", optional=True),
    _blob("number_fingerprint", optional=True),
    _blob("expiry_fingerprint", optional=True),
    UniqueConstraint("scope", "token"),
)


def fingerprint_prefix() -> ColumnElement[bytes]:
    """Returns the indexed part of a card's fingerprint."""
    length = constant(FINGERPRINT_PREFIX_BYTES)
    return func.substr(cards.c.number_fingerprint, constant(1), length)


# Answers "how many numbers end in these digits" without touching the cards.
_partial_index(
    "cards_by_last_four",
    cards.c.scope,
    cards.c.last_four,
    fingerprint_prefix(),
    where=cards.c.last_four.is_not(None),
)
# Lists go by the number of the row. Most cards are active: those need no index.
Index("cards_by_age", cards.c.scope, cards.c.card)
_partial_index(
    "cards_by_customer",
    cards.c.scope,
    cards.c.customer_reference,
    cards.c.card,
    where=cards.c.customer_reference != constant(""),
)
_partial_index(
    "cards_erased",
    cards.c.scope,
    cards.c.card,
    where=cards.c.state == constant(CARD_STATES.code(CardState.ERASED)),
)

processor_credentials: Final = _table(
    "processor_credentials",
    _number("credential"),
    _integer("account", ForeignKey("processor_accounts.account")),
    _text("name"),
    _integer("state"),
    _integer("created_at"),
    _integer("retired_at", optional=True),
    _integer("wrapping_key", ForeignKey("wrapping_keys.wrapping_key"), optional=True),
    _blob("wrapped", optional=True),
    _blob("sealed", optional=True),
    UniqueConstraint("account", "name"),
    # Retired is destroyed, and nothing else is.
    CheckConstraint(
        "(retired_at IS NULL) = (sealed IS NOT NULL)"
        " AND (wrapping_key IS NULL) = (sealed IS NULL)"
        " AND (wrapped IS NULL) = (sealed IS NULL)",
        name="credential_is_whole",
    ),
)

data_keys: Final = _table(
    "data_keys",
    _integer("card", ForeignKey("cards.card")),
    _integer("purpose"),
    _integer("kind"),
    _integer("wrapping_key", ForeignKey("wrapping_keys.wrapping_key")),
    _blob("wrapped"),
    PrimaryKeyConstraint("card", "purpose", "kind"),
    rowid=False,
)

credential_references: Final = _table(
    "credential_references",
    _integer("card", ForeignKey("cards.card")),
    _integer("account", ForeignKey("processor_accounts.account")),
    _integer("generation"),
    _blob("sealed"),
    PrimaryKeyConstraint("card", "account"),
    rowid=False,
)

payments: Final = _table(
    "payments",
    _number("payment"),
    _scope(),
    _text("name"),
    _blob("request_id"),
    _integer("state"),
    _integer("step"),
    _integer("minor_units"),
    _text("currency"),
    _integer("card", ForeignKey("cards.card")),
    _integer("purpose"),
    _integer("capture_automatically"),
    _integer("account", ForeignKey("processor_accounts.account")),
    _integer("created_at"),
    _integer("updated_at"),
    _text("caller"),
    _text("lease_instance", optional=True),
    _integer("lease_until", optional=True),
    _integer("authorized"),
    _integer("capturable"),
    _integer("captured"),
    _integer("refunded"),
    _integer("refund_pending"),
    _text("charge_once_key"),
    _text("processor_object"),
    _text("customer"),
    _integer("capture_before", optional=True),
    _text("decline", optional=True),
    _text("failure_reason"),
    _text("redirect_url"),
    _text("merchant_reference"),
    _text("description"),
    _text("statement_descriptor_suffix"),
    _text("return_url"),
    _text("metadata"),
    _text("network_transaction_id"),
    _integer("absent_inquiries"),
    _integer("next_check_at", optional=True),
    UniqueConstraint("scope", "name"),
)
_partial_index(
    "payments_by_charge_once_key",
    payments.c.scope,
    payments.c.charge_once_key,
    where=payments.c.charge_once_key != constant(""),
)
_partial_index(
    "payments_by_processor_object",
    payments.c.scope,
    payments.c.processor_object,
    where=payments.c.processor_object != constant(""),
)

# What lists are found by, each in the order of the list: see payment_list_store.py.
Index("payments_by_time", payments.c.scope, payments.c.created_at)
Index("payments_by_card", payments.c.card, payments.c.created_at)
Index("payments_by_state", payments.c.scope, payments.c.state, payments.c.created_at)
Index(
    "payments_by_amount",
    payments.c.scope,
    payments.c.minor_units,
    payments.c.currency,
    payments.c.created_at,
)
_partial_index(
    "payments_by_merchant_reference",
    payments.c.scope,
    payments.c.merchant_reference,
    payments.c.created_at,
    where=payments.c.merchant_reference != constant(""),
)

charge_once: Final = _table(
    "charge_once",
    _scope(),
    _text("key"),
    _text("payment"),
    PrimaryKeyConstraint("scope", "key"),
    rowid=False,
)

moves: Final = _table(
    "moves",
    _number("move"),
    _scope(),
    _text("name"),
    _integer("kind"),
    _integer("payment", ForeignKey("payments.payment")),
    _blob("request_id"),
    _integer("status"),
    _integer("minor_units"),
    _text("currency"),
    _integer("created_at"),
    _integer("updated_at"),
    _text("caller"),
    _text("lease_instance", optional=True),
    _integer("lease_until", optional=True),
    _text("processor_object"),
    _text("failure_reason"),
    _text("reason"),
    _integer("next_check_at", optional=True),
    _integer("origin"),
    UniqueConstraint("scope", "name"),
)
Index("moves_by_payment", moves.c.payment)
Index("moves_by_time", moves.c.scope, moves.c.kind, moves.c.created_at)
Index(
    "moves_by_status", moves.c.scope, moves.c.kind, moves.c.status, moves.c.created_at
)


def is_unsettled_payment() -> ColumnElement[bool]:
    """Returns the condition of the index over payments that the resolver visits."""
    states = (
        PaymentState.SUBMITTED,
        PaymentState.REQUIRES_ACTION,
        PaymentState.PENDING,
        PaymentState.UNKNOWN,
    )
    return payments.c.state.in_([constant(PAYMENT_STATES.code(s)) for s in states])


def is_unsettled_move() -> ColumnElement[bool]:
    """Returns the condition of the index over moves that the resolver visits."""
    statuses = (MoveStatus.SUBMITTED, MoveStatus.UNKNOWN)
    return moves.c.status.in_([constant(MOVE_STATUSES.code(s)) for s in statuses])


# Small whatever the size of the tables: what is settled is not in them.
_partial_index(
    "payments_unsettled", payments.c.created_at, where=is_unsettled_payment()
)
_partial_index(
    "payments_needing_attention",
    payments.c.created_at,
    where=payments.c.state
    == constant(PAYMENT_STATES.code(PaymentState.NEEDS_ATTENTION)),
)
_partial_index("moves_unsettled", moves.c.created_at, where=is_unsettled_move())

# ``position`` counts the merchant's events without gaps; a reader's cursor is one.
payment_events: Final = _table(
    "payment_events",
    _scope(),
    _integer("position"),
    _integer("payment", ForeignKey("payments.payment")),
    _integer("kind"),
    _integer("at"),
    _integer("previous_state", optional=True),
    _integer("state"),
    _integer("authorized"),
    _integer("capturable"),
    _integer("captured"),
    _integer("refunded"),
    _integer("refund_pending"),
    _integer("move", ForeignKey("moves.move"), optional=True),
    _integer("move_status", optional=True),
    PrimaryKeyConstraint("scope", "position"),
    rowid=False,
)
Index(
    "payment_events_by_payment",
    payment_events.c.payment,
    payment_events.c.position,
)

customers: Final = _table(
    "customers",
    _scope(),
    _integer("account", ForeignKey("processor_accounts.account")),
    _text("customer_reference"),
    _text("customer"),
    PrimaryKeyConstraint("scope", "account", "customer_reference"),
    rowid=False,
)
