"""What a restored merchant may not do yet."""

from typing import Final

from sqlalchemy import bindparam, select

from gateway.errors import MerchantNotFound
from gateway.merchants.ports import Holds
from gateway.storage.codes import read_optional_time, store_optional_time
from gateway.storage.database import Connection
from gateway.storage.log_rows import Scope
from gateway.storage.restore_tables import holds
from gateway.storage.statements import sql, upsert

_SELECT: Final = sql(
    select(holds.c.payments_since, holds.c.cards_since).where(
        holds.c.scope == bindparam("scope")
    )
)
_row: Final = upsert(holds).values(
    scope=bindparam("scope"),
    payments_since=bindparam("payments_since"),
    cards_since=bindparam("cards_since"),
)
_PUT: Final = sql(
    _row.on_conflict_do_update(
        index_elements=[holds.c.scope],
        set_={
            "payments_since": _row.excluded.payments_since,
            "cards_since": _row.excluded.cards_since,
        },
    )
)


class SqlHoldStore:
    """See gateway.merchants.ports.HoldStore."""

    def __init__(self, connection: Connection, scope: Scope) -> None:
        self._connection = connection
        self._scope = scope

    def get(self) -> Holds:
        """See HoldStore.get."""
        row = self._connection.execute(_SELECT, {"scope": self._scope.row}).fetchone()
        return Holds() if row is None else Holds(*map(read_optional_time, row))

    def put(self, holds: Holds) -> None:
        """See HoldStore.put.

        Raises:
            MerchantNotFound: There is no such merchant.
        """
        if not self._scope.row:
            raise MerchantNotFound
        self._connection.execute(
            _PUT,
            {
                "scope": self._scope.row,
                "payments_since": store_optional_time(holds.payments_since),
                "cards_since": store_optional_time(holds.cards_since),
            },
        )
