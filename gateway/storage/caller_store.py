"""Callers of the whole gateway."""

import json
import sqlite3
from collections.abc import Sequence
from typing import Final

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.sqlite import insert

from gateway.errors import InvariantBroken
from gateway.storage.log_rows import Scope
from gateway.storage.statements import constant, sql
from gateway.storage.tables import callers
from gateway.words.callers import Caller, Role
from gateway.words.identifiers import GATEWAY, MerchantId

_SELECT_CALLERS: Final = sql(
    select(callers.c.spiffe_id, callers.c.roles, callers.c.merchants)
    .where(callers.c.enabled == constant(1))
    .order_by(callers.c.spiffe_id)
)
_row: Final = insert(callers).values(
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


class SqliteCallerStore:
    """See gateway.merchants.ports.CallerStore.

    Callers belong to the gateway: a unit of a merchant cannot even ask (I9).
    """

    def __init__(self, connection: sqlite3.Connection, scope: Scope) -> None:
        self._connection = connection
        self._scope = scope

    def all(self) -> Sequence[Caller]:
        """See CallerStore.all.

        Raises:
            InvariantBroken: The unit is not of the gateway's scope.
        """
        self._check_scope()
        return [
            Caller(
                spiffe_id,
                frozenset(Role(role) for role in json.loads(roles)),
                _read_merchants(merchants),
            )
            for spiffe_id, roles, merchants in self._connection.execute(_SELECT_CALLERS)
        ]

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


def _read_merchants(stored: str | None) -> frozenset[MerchantId] | None:
    if stored is None:
        return None
    return frozenset(MerchantId(merchant) for merchant in json.loads(stored))
