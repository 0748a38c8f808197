"""The tables of policy and retention; see tables.py for the conventions."""

from typing import Final

from sqlalchemy import CheckConstraint, Column, PrimaryKeyConstraint

from gateway.storage.columns import INTEGER, blob, integer, number, scope, table

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

# What the retention sweeper took, so that a day's allowance outlives a restart.
retention_sweeps: Final = table(
    "retention_sweeps",
    number("sweep"),
    integer("at"),
    integer("cards"),
)
