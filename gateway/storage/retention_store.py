"""Cards that nobody needed for a while, and what sweeps took."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, func, select

from gateway.cards.expiry import Expiry
from gateway.errors import InvariantBroken
from gateway.storage.card_rows import write_expiry
from gateway.storage.codes import CARD_STATES, store_time
from gateway.storage.database import Connection
from gateway.storage.log_rows import Scope
from gateway.storage.policy_tables import retention_sweeps
from gateway.storage.statements import constant, insert_into, sql
from gateway.storage.tables import cards, scopes
from gateway.vault.sweep_cards import CardNumber
from gateway.words.identifiers import GATEWAY, CardTokenName, MerchantId
from gateway.words.lifecycles import CardState

_IS_ACTIVE: Final = cards.c.state == constant(CARD_STATES.code(CardState.ACTIVE))
_NOT_NEEDED: Final = sql(
    select(cards.c.card, scopes.c.merchant, cards.c.token)
    .join(scopes, scopes.c.scope == cards.c.scope)
    .where(
        cards.c.card > bindparam("after"),
        _IS_ACTIVE,
        func.coalesce(cards.c.expiry, constant(0)) <= bindparam("month"),
        func.coalesce(cards.c.last_used_at, cards.c.created_at) <= bindparam("since"),
    )
    .order_by(cards.c.card)
)
_COUNT_ACTIVE: Final = sql(select(func.count()).select_from(cards).where(_IS_ACTIVE))
_INSERT: Final = insert_into(retention_sweeps)
_SUM: Final = sql(
    select(func.coalesce(func.sum(retention_sweeps.c.cards), constant(0))).where(
        retention_sweeps.c.at > bindparam("since")
    )
)


def find_not_needed(
    connection: Connection, since: datetime, *, after: int, limit: int
) -> Sequence[CardNumber]:
    """See CardsByNeed.cards_not_needed."""
    # A month that runs now is not over; the one before may be, or will be in hours.
    month = write_expiry(Expiry(since.month, since.year))
    values = {"after": after, "month": month, "since": store_time(since)}
    found = connection.execute(_NOT_NEEDED, values)
    rows = found.fetchmany(limit)
    found.close()
    return [
        CardNumber(place, MerchantId(merchant), CardTokenName(token))
        for place, merchant, token in rows
    ]


def count_active(connection: Connection) -> int:
    """See CardsByNeed.count_active_cards."""
    (count,) = connection.execute(_COUNT_ACTIVE).fetchone()
    return int(count)


class SqlSweepStore:
    """See gateway.vault.sweep_cards.SweepStore."""

    def __init__(self, connection: Connection, scope: Scope) -> None:
        if scope.merchant != GATEWAY:
            raise InvariantBroken
        self._connection = connection

    def add(self, at: datetime, cards: int) -> None:
        """See SweepStore.add."""
        self._connection.execute(_INSERT, {"at": store_time(at), "cards": cards})

    def cards_since(self, since: datetime) -> int:
        """See SweepStore.cards_since."""
        row = self._connection.execute(_SUM, {"since": store_time(since)})
        return int(row.fetchone()[0])
