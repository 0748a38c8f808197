"""Every merchant of the gateway, a page at a time."""

from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import bindparam, select

from gateway.errors import InvariantBroken
from gateway.merchants.ports import Merchant
from gateway.storage.database import Connection
from gateway.storage.log_rows import Scope
from gateway.storage.merchant_store import MERCHANT_COLUMNS, read_merchant
from gateway.storage.statements import sql
from gateway.storage.tables import merchants, scopes
from gateway.words.identifiers import GATEWAY, MerchantId

_MERCHANTS: Final = select(*MERCHANT_COLUMNS).join(
    merchants, merchants.c.scope == scopes.c.scope
)
# Along the unique index over ids: a page costs the same at the end as at the start.
_PAGE: Final = sql(
    _MERCHANTS.where(scopes.c.merchant > bindparam("after")).order_by(scopes.c.merchant)
)
_ONE: Final = sql(_MERCHANTS.where(scopes.c.merchant == bindparam("merchant")))


class SqlMerchantDirectory:
    """See gateway.merchants.ports.MerchantDirectory.

    It belongs to the gateway: a unit of a merchant cannot even ask (I9).
    """

    def __init__(self, connection: Connection, scope: Scope) -> None:
        self._connection = connection
        self._scope = scope

    def page(
        self, *, after: str, limit: int, among: Collection[MerchantId] | None
    ) -> Sequence[Merchant]:
        """See MerchantDirectory.page.

        Raises:
            InvariantBroken: The unit is not of the gateway's scope.
        """
        if self._scope.merchant != GATEWAY:
            raise InvariantBroken
        if among is None:
            rows = self._connection.execute(_PAGE, {"after": after})
            return [read_merchant(row) for row in rows.fetchmany(limit)]
        found: list[Merchant] = []
        for name in sorted(name for name in among if name > after):
            if len(found) == limit:
                break
            row = self._connection.execute(_ONE, {"merchant": name}).fetchone()
            if row is not None:
                found.append(read_merchant(row))
        return found
