"""The tables of restores; see tables.py for the conventions."""

from typing import Final

from sqlalchemy import Column, ForeignKey, UniqueConstraint

from gateway.storage.columns import INTEGER, blob, integer, number, table

# What a restored merchant may not do yet, and since when.
holds: Final = table(
    "holds",
    Column("scope", INTEGER, ForeignKey("scopes.scope"), primary_key=True),
    integer("payments_since", optional=True),
    integer("cards_since", optional=True),
)

# Each restore that was accepted, by the anchor that it accepted to fall behind.
restores: Final = table(
    "restores",
    number("restore"),
    blob("anchor"),
    integer("at"),
    UniqueConstraint("anchor"),
)
