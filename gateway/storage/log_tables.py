"""The tables of the log; see tables.py for the conventions."""

from typing import Final

from sqlalchemy import ForeignKey, PrimaryKeyConstraint, UniqueConstraint

from gateway.storage.columns import (
    blob,
    integer,
    number,
    partial_index,
    scope,
    table,
    text,
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
partial_index(
    "log_entries_by_card",
    log_entries.c.card,
    where=log_entries.c.card.is_not(None),
)

# Denials of the last minutes, so that a caller cannot fill the log with them.
denials: Final = table(
    "denials",
    scope(),
    integer("minute"),
    text("caller"),
    text("rule"),
    integer("denials"),
    PrimaryKeyConstraint("scope", "minute", "caller", "rule"),
    rowid=False,
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
