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
from gateway.storage import columns
from gateway.storage.codes import CARD_STATES, MOVE_STATUSES, PAYMENT_STATES
from gateway.storage.columns import (
    INTEGER,
    blob,
    integer,
    number,
    partial_index,
    scope,
    table,
    text,
)
from gateway.storage.statements import constant
from gateway.words.lifecycles import CardState

METADATA: Final = columns.METADATA

# Enough of a fingerprint to tell numbers apart, in an index that stays small.
FINGERPRINT_PREFIX_BYTES: Final = 8

scopes: Final = table(
    "scopes",
    number("scope"),
    text("merchant"),
    integer("log_generation"),
    UniqueConstraint("merchant"),
)

merchants: Final = table(
    "merchants",
    Column("scope", INTEGER, ForeignKey("scopes.scope"), primary_key=True),
    integer("state"),
    integer("policy_version"),
    integer("created_at"),
    text("display_name"),
    integer("environment"),
    integer("show_bin"),
    integer("show_fingerprint"),
    integer("deactivated_at", optional=True),
    # Given the BIN and the last four, a fingerprint confirms a guessed number.
    CheckConstraint("show_bin = 0 OR show_fingerprint = 0", name="merchant_shows_one"),
)

processor_accounts: Final = table(
    "processor_accounts",
    number("account"),
    scope(),
    text("name"),
    text("processor"),
    integer("environment"),
    text("external_account"),
    integer("created_at"),
    UniqueConstraint("scope", "name"),
)

# Policy versions after the one that ships; never changed, never removed.
policies: Final = table(
    "policies",
    Column("number", INTEGER, primary_key=True, autoincrement=False),
    blob("document"),
    blob("sha256"),
    integer("published_at"),
)

# The rule that a widening waits 30 days after notice is the database's, too.
policy_notices: Final = table(
    "policy_notices",
    scope(),
    integer("number"),
    integer("widens"),
    integer("dispatched_at"),
    integer("posted_at", optional=True),
    integer("effective_at"),
    integer("accepted_at", optional=True),
    PrimaryKeyConstraint("scope", "number"),
    CheckConstraint(
        "widens = 0 OR effective_at >= dispatched_at + 2592000000000 "
        "OR (posted_at IS NOT NULL AND effective_at >= posted_at + 2592000000000)",
        name="a_widening_waits_30_days",
    ),
    rowid=False,
)

policy_clock: Final = table(
    "policy_clock",
    Column("only", INTEGER, primary_key=True, autoincrement=False),
    integer("mark"),
)

callers: Final = table(
    "callers",
    text("spiffe_id"),
    text("roles"),
    text("merchants", optional=True),
    integer("enabled"),
    PrimaryKeyConstraint("spiffe_id"),
    rowid=False,
)

request_records: Final = table(
    "request_records",
    scope(),
    blob("request_id"),
    text("rpc"),
    # Before the others: SQLite 3.40's integrity_check takes a NOT NULL column for NULL
    # when a column of the key comes after it.
    integer("item"),
    blob("digest"),
    text("resource"),
    integer("entry_index"),
    integer("created_at"),
    integer("mismatches"),
    PrimaryKeyConstraint("scope", "request_id", "rpc", "item"),
    rowid=False,
)

wrapping_keys: Final = table(
    "wrapping_keys",
    number("wrapping_key"),
    scope(),
    text("key_id"),
    integer("purpose"),
    text("epoch"),
    blob("wrapped"),
    integer("created_at"),
    integer("retired_at", optional=True),
    UniqueConstraint("scope", "key_id"),
)

epochs: Final = table(
    "epochs",
    number("epoch_number"),
    text("epoch"),
    integer("state"),
    integer("made_at"),
    integer("due_at", optional=True),
    integer("destroyed_at", optional=True),
    integer("moved"),
    text("instance"),
    integer("lease_until", optional=True),
    UniqueConstraint("epoch"),
)

cards: Final = table(
    "cards",
    number("card"),
    scope(),
    text("token"),
    text("customer_reference"),
    integer("state"),
    text("brand"),
    text("last_four", optional=True),
    integer("expiry", optional=True),
    integer("purposes"),
    text("agreement_reference"),
    integer("mandate_expires_at", optional=True),
    integer("policy_version"),
    integer("generation"),
    integer("created_at"),
    integer("last_used_at", optional=True),
    integer("erased_at", optional=True),
    blob("sealed", optional=True),
    blob("number_fingerprint", optional=True),
    blob("expiry_fingerprint", optional=True),
    UniqueConstraint("scope", "token"),
)


def fingerprint_prefix() -> ColumnElement[bytes]:
    """Returns the indexed part of a card's fingerprint."""
    length = constant(FINGERPRINT_PREFIX_BYTES)
    return func.substr(cards.c.number_fingerprint, constant(1), length)


# Answers "how many numbers end in these digits" without touching the cards.
(
    partial_index(
        "cards_by_last_four",
        cards.c.scope,
        cards.c.last_four,
        fingerprint_prefix(),
        where=cards.c.last_four.is_not(None),
    ),
)

# Lists go by the number of the row. Most cards are active: those need no index.
Index("cards_by_age", cards.c.scope, cards.c.card)
(
    partial_index(
        "cards_by_customer",
        cards.c.scope,
        cards.c.customer_reference,
        cards.c.card,
        where=cards.c.customer_reference != constant(""),
    ),
)

(
    partial_index(
        "cards_erased",
        cards.c.scope,
        cards.c.card,
        where=cards.c.state == constant(CARD_STATES.code(CardState.ERASED)),
    ),
)


data_keys: Final = table(
    "data_keys",
    integer("card", ForeignKey("cards.card")),
    integer("purpose"),
    integer("kind"),
    integer("wrapping_key", ForeignKey("wrapping_keys.wrapping_key")),
    blob("wrapped"),
    PrimaryKeyConstraint("card", "purpose", "kind"),
    rowid=False,
)

credential_references: Final = table(
    "credential_references",
    integer("card", ForeignKey("cards.card")),
    integer("account", ForeignKey("processor_accounts.account")),
    integer("generation"),
    blob("sealed"),
    PrimaryKeyConstraint("card", "account"),
    rowid=False,
)

payments: Final = table(
    "payments",
    number("payment"),
    scope(),
    text("name"),
    blob("request_id"),
    integer("state"),
    integer("step"),
    integer("minor_units"),
    text("currency"),
    integer("card", ForeignKey("cards.card")),
    integer("purpose"),
    integer("capture_automatically"),
    integer("account", ForeignKey("processor_accounts.account")),
    integer("created_at"),
    integer("updated_at"),
    text("caller"),
    text("lease_instance", optional=True),
    integer("lease_until", optional=True),
    integer("authorized"),
    integer("capturable"),
    integer("captured"),
    integer("refunded"),
    integer("refund_pending"),
    text("charge_once_key"),
    text("processor_object"),
    text("customer"),
    integer("capture_before", optional=True),
    text("decline", optional=True),
    text("failure_reason"),
    text("redirect_url"),
    text("merchant_reference"),
    text("description"),
    text("statement_descriptor_suffix"),
    text("return_url"),
    text("metadata"),
    text("network_transaction_id"),
    integer("absent_inquiries"),
    integer("next_check_at", optional=True),
    UniqueConstraint("scope", "name"),
)
(
    partial_index(
        "payments_by_charge_once_key",
        payments.c.scope,
        payments.c.charge_once_key,
        where=payments.c.charge_once_key != constant(""),
    ),
)

(
    partial_index(
        "payments_by_processor_object",
        payments.c.scope,
        payments.c.processor_object,
        where=payments.c.processor_object != constant(""),
    ),
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
(
    partial_index(
        "payments_by_merchant_reference",
        payments.c.scope,
        payments.c.merchant_reference,
        payments.c.created_at,
        where=payments.c.merchant_reference != constant(""),
    ),
)


charge_once: Final = table(
    "charge_once",
    scope(),
    text("key"),
    text("payment"),
    PrimaryKeyConstraint("scope", "key"),
    rowid=False,
)

moves: Final = table(
    "moves",
    number("move"),
    scope(),
    text("name"),
    integer("kind"),
    integer("payment", ForeignKey("payments.payment")),
    blob("request_id"),
    integer("status"),
    integer("minor_units"),
    text("currency"),
    integer("created_at"),
    integer("updated_at"),
    text("caller"),
    text("lease_instance", optional=True),
    integer("lease_until", optional=True),
    text("processor_object"),
    text("failure_reason"),
    text("reason"),
    integer("next_check_at", optional=True),
    UniqueConstraint("scope", "name"),
)
Index("moves_by_payment", moves.c.payment)
Index("moves_by_time", moves.c.scope, moves.c.kind, moves.c.created_at)
Index(
    "moves_by_status", moves.c.scope, moves.c.kind, moves.c.status, moves.c.created_at
)


def is_unsettled_payment() -> ColumnElement[bool]:
    """Returns the condition of the index over payments that the resolver visits."""
    states = (PaymentState.SUBMITTED, PaymentState.UNKNOWN)
    return payments.c.state.in_([constant(PAYMENT_STATES.code(s)) for s in states])


def is_unsettled_move() -> ColumnElement[bool]:
    """Returns the condition of the index over moves that the resolver visits."""
    statuses = (MoveStatus.SUBMITTED, MoveStatus.UNKNOWN)
    return moves.c.status.in_([constant(MOVE_STATUSES.code(s)) for s in statuses])


# Small whatever the size of the tables: what is settled is not in them.
partial_index("payments_unsettled", payments.c.created_at, where=is_unsettled_payment())
partial_index(
    "payments_needing_attention",
    payments.c.created_at,
    where=payments.c.state
    == constant(PAYMENT_STATES.code(PaymentState.NEEDS_ATTENTION)),
)
partial_index("moves_unsettled", moves.c.created_at, where=is_unsettled_move())

# ``position`` counts the merchant's events without gaps; a reader's cursor is one.
payment_events: Final = table(
    "payment_events",
    scope(),
    integer("position"),
    integer("payment", ForeignKey("payments.payment")),
    integer("kind"),
    integer("at"),
    integer("previous_state", optional=True),
    integer("state"),
    integer("authorized"),
    integer("capturable"),
    integer("captured"),
    integer("refunded"),
    integer("refund_pending"),
    integer("move", ForeignKey("moves.move"), optional=True),
    integer("move_status", optional=True),
    PrimaryKeyConstraint("scope", "position"),
    rowid=False,
)
Index(
    "payment_events_by_payment",
    payment_events.c.payment,
    payment_events.c.position,
)

customers: Final = table(
    "customers",
    scope(),
    integer("account", ForeignKey("processor_accounts.account")),
    text("customer_reference"),
    text("customer"),
    PrimaryKeyConstraint("scope", "account", "customer_reference"),
    rowid=False,
)

# ``nodes`` holds the hashes of the inner nodes that this entry completed, lowest level
# first: see log_rows.py. Entries of all merchants lie in the order they came, so that a
# commit fills pages instead of splitting them.
log_entries: Final = table(
    "log_entries",
    number("entry"),
    scope(),
    integer("generation"),
    integer("position"),
    blob("leaf"),
    blob("nodes"),
    integer("card", ForeignKey("cards.card"), optional=True),
    blob("card_salt", optional=True),
    blob("object_salt", optional=True),
    UniqueConstraint("scope", "generation", "position"),
)
(
    partial_index(
        "log_entries_by_card", log_entries.c.card, where=log_entries.c.card.is_not(None)
    ),
)


log_heads: Final = table(
    "log_heads",
    scope(),
    integer("generation"),
    integer("size"),
    blob("frontier"),
    PrimaryKeyConstraint("scope", "generation"),
    rowid=False,
)
