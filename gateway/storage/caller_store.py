"""Callers of the whole gateway."""

import json
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import bindparam, select, update

from gateway.errors import CallerNotFound, InvariantBroken
from gateway.storage.database import Connection
from gateway.storage.log_rows import Scope
from gateway.storage.statements import constant, sql, upsert
from gateway.storage.tables import callers
from gateway.words.callers import Caller, KnownCaller, Role
from gateway.words.identifiers import GATEWAY, MerchantId

_COLUMNS: Final = (
    callers.c.spiffe_id,
    callers.c.roles,
    callers.c.merchants,
    callers.c.enabled,
)
_SELECT_CALLERS: Final = sql(
    select(*_COLUMNS)
    .where(callers.c.enabled == constant(1))
    .order_by(callers.c.spiffe_id)
)
_SELECT_CALLER: Final = sql(
    select(*_COLUMNS).where(callers.c.spiffe_id == bindparam("spiffe_id"))
)
_SELECT_PAGE: Final = sql(
    select(*_COLUMNS)
    .where(callers.c.spiffe_id > bindparam("after"))
    .order_by(callers.c.spiffe_id)
)
_ENABLE: Final = sql(
    update(callers)
    .where(callers.c.spiffe_id == bindparam("named"))
    .values(enabled=bindparam("enabled"))
)
_row: Final = upsert(callers).values(
    spiffe_id=bindparam("spiffe_id"),
    roles=bindparam("roles"),
    merchants=bindparam("merchants"),
    enabled=constant(1),
)
_PUT_CALLER: Final = sql(
    _row.on_conflict_do_update(
        index_elements=[callers.c.spiffe_id],
        set_={
            "roles": _row.excluded.roles,
            "merchants": _row.excluded.merchants,
            "enabled": _row.excluded.enabled,
        },
    )
)


class SqlCallerStore:
    """See gateway.merchants.ports.CallerStore.

    Callers belong to the gateway: a unit of a merchant cannot even ask (I9).
    """

    def __init__(self, connection: Connection, scope: Scope) -> None:
        self._connection = connection
        self._scope = scope

    def all(self) -> Sequence[Caller]:
        """See CallerStore.all.

        Raises:
            InvariantBroken: The unit is not of the gateway's scope.
        """
        self._check_scope()
        rows = self._connection.execute(_SELECT_CALLERS)
        return [_read_caller(row).caller for row in rows]

    def find(self, spiffe_id: str) -> KnownCaller | None:
        """See CallerStore.find.

        Raises:
            InvariantBroken: The unit is not of the gateway's scope.
        """
        self._check_scope()
        named = {"spiffe_id": spiffe_id}
        row = self._connection.execute(_SELECT_CALLER, named).fetchone()
        return None if row is None else _read_caller(row)

    def page(self, *, after: str, limit: int) -> Sequence[KnownCaller]:
        """See CallerStore.page.

        Raises:
            InvariantBroken: The unit is not of the gateway's scope.
        """
        self._check_scope()
        rows = self._connection.execute(_SELECT_PAGE, {"after": after})
        return [_read_caller(row) for row in rows.fetchmany(limit)]

    def enable(self, spiffe_id: str, *, enabled: bool) -> None:
        """See CallerStore.enable.

        Raises:
            InvariantBroken: The unit is not of the gateway's scope.
            CallerNotFound: There is no such caller.
        """
        self._check_scope()
        change = {"named": spiffe_id, "enabled": int(enabled)}
        if self._connection.execute(_ENABLE, change).rowcount != 1:
            raise CallerNotFound

    def put(self, caller: Caller) -> None:
        """See CallerStore.put.

        Raises:
            InvariantBroken: The unit is not of the gateway's scope.
        """
        self._check_scope()
        everyone = caller.merchants is None
        self._connection.execute(
            _PUT_CALLER,
            {
                "spiffe_id": caller.spiffe_id,
                "roles": json.dumps(sorted(caller.roles)),
                "merchants": None
                if everyone
                else json.dumps(sorted(caller.merchants or ())),
            },
        )

    def _check_scope(self) -> None:
        if self._scope.merchant != GATEWAY:
            raise InvariantBroken


def _read_caller(row: Sequence[Any]) -> KnownCaller:
    spiffe_id, roles, merchants, enabled = row
    caller = Caller(
        spiffe_id,
        frozenset(Role(role) for role in json.loads(roles)),
        _read_merchants(merchants),
    )
    return KnownCaller(caller, bool(enabled))


def _read_merchants(stored: str | None) -> frozenset[MerchantId] | None:
    if stored is None:
        return None
    return frozenset(MerchantId(merchant) for merchant in json.loads(stored))
