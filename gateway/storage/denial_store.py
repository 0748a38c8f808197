"""How often callers were denied in the last minutes."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import bindparam, delete, select

from gateway.audit.denials import CountedDenials
from gateway.storage.database import Connection
from gateway.storage.log_rows import Scope
from gateway.storage.log_tables import denials
from gateway.storage.statements import constant, sql, upsert

_insert: Final = upsert(denials)
_COUNT: Final = sql(
    _insert.on_conflict_do_update(
        index_elements=[
            denials.c.scope,
            denials.c.minute,
            denials.c.caller,
            denials.c.rule,
        ],
        set_={"denials": denials.c.denials + constant(1)},
    ).returning(denials.c.denials)
)
_EARLIER: Final = (
    denials.c.scope == bindparam("scope"),
    denials.c.minute < bindparam("minute"),
)
_SELECT: Final = sql(
    select(denials.c.caller, denials.c.rule, denials.c.minute, denials.c.denials)
    .where(*_EARLIER)
    .order_by(denials.c.minute, denials.c.caller, denials.c.rule)
)
_DELETE: Final = sql(delete(denials).where(*_EARLIER))


class SqlDenialStore:
    """See gateway.audit.denials.DenialStore."""

    def __init__(self, connection: Connection, scope: Scope) -> None:
        self._connection = connection
        self._scope = scope

    def count(self, caller: str, rule: str, minute: int) -> int:
        """See DenialStore.count."""
        row = {
            "scope": self._scope.row,
            "minute": minute,
            "caller": caller,
            "rule": rule,
            "denials": 1,
        }
        return int(self._connection.execute(_COUNT, row).fetchone()[0])

    def before(self, minute: int) -> Sequence[CountedDenials]:
        """See DenialStore.before."""
        earlier = {"scope": self._scope.row, "minute": minute}
        rows = self._connection.execute(_SELECT, earlier)
        return [CountedDenials(*row) for row in rows]

    def forget_before(self, minute: int) -> None:
        """See DenialStore.forget_before."""
        earlier = {"scope": self._scope.row, "minute": minute}
        self._connection.execute(_DELETE, earlier)
