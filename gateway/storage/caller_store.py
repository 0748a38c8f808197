"""Callers of the whole gateway. See merchants/ports.py."""

import json
from collections.abc import Sequence
from typing import Final

from gateway.errors import InvariantBroken
from gateway.storage.rows import Connection
from gateway.words.callers import Caller, Role
from gateway.words.identifiers import GATEWAY, MerchantId

_ALL: Final = "SELECT spiffe_id, roles, merchants FROM callers ORDER BY spiffe_id"
_PUT: Final = "INSERT OR REPLACE INTO callers VALUES (?, ?, ?)"


class SqliteCallerStore:
    """See CallerStore."""

    def __init__(self, connection: Connection, scope: MerchantId) -> None:
        if scope != GATEWAY:
            raise InvariantBroken
        self._connection = connection

    def all(self) -> Sequence[Caller]:
        """See CallerStore.all."""
        return [
            Caller(
                spiffe_id=spiffe_id,
                roles=frozenset(Role(role) for role in json.loads(roles)),
                merchants=None
                if merchants is None
                else frozenset(MerchantId(name) for name in json.loads(merchants)),
            )
            for spiffe_id, roles, merchants in self._connection.execute(_ALL).fetchall()
        ]

    def put(self, caller: Caller) -> None:
        """See CallerStore.put."""
        merchants = caller.merchants
        values = (
            caller.spiffe_id,
            json.dumps(sorted(caller.roles)),
            None if merchants is None else json.dumps(sorted(merchants)),
        )
        self._connection.execute(_PUT, values)
