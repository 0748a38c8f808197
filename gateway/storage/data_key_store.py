"""The wrapped copies of data keys, as a rotation finds and replaces them."""

from typing import Final

from sqlalchemy import bindparam, exists, select, update

from gateway.storage.codes import KEY_KINDS, PURPOSES
from gateway.storage.database import Connection
from gateway.storage.log_rows import Scope
from gateway.storage.statements import sql
from gateway.storage.tables import cards, data_keys, scopes, wrapping_keys
from gateway.vault.ports import CardUnder, WrappedDataKey
from gateway.words.identifiers import CardTokenName, MerchantId

_REWRAP: Final = sql(
    update(data_keys)
    .where(
        data_keys.c.card
        == select(cards.c.card)
        .where(
            cards.c.scope == bindparam("scope"),
            cards.c.token == bindparam("token"),
        )
        .scalar_subquery(),
        data_keys.c.purpose == bindparam("of_purpose"),
        data_keys.c.kind == bindparam("of_kind"),
        data_keys.c.wrapped == bindparam("old"),
    )
    .values(
        wrapping_key=select(wrapping_keys.c.wrapping_key)
        .where(
            wrapping_keys.c.scope == bindparam("scope"),
            wrapping_keys.c.key_id == bindparam("key_id"),
            wrapping_keys.c.retired_at.is_(None),
        )
        .scalar_subquery(),
        wrapped=bindparam("new"),
    )
)
# In the order of the cards, which are walked once however many batches it takes.
_CARDS_UNDER: Final = sql(
    select(cards.c.card, scopes.c.merchant, cards.c.token)
    .join(scopes, scopes.c.scope == cards.c.scope)
    .where(
        cards.c.card > bindparam("after"),
        exists()
        .where(
            data_keys.c.card == cards.c.card,
            wrapping_keys.c.wrapping_key == data_keys.c.wrapping_key,
            wrapping_keys.c.epoch == bindparam("epoch"),
        )
        .correlate(cards),
    )
    .order_by(cards.c.card)
)


class SqlDataKeyStore:
    """See gateway.vault.ports.DataKeyStore."""

    def __init__(self, connection: Connection, scope: Scope) -> None:
        self._connection = connection
        self._scope = scope

    def rewrap(
        self, token: CardTokenName, old: WrappedDataKey, new: WrappedDataKey
    ) -> bool:
        """See DataKeyStore.rewrap.

        Raises:
            InvariantBroken: The merchant has no such wrapping key, or it is
                retired.
        """
        row = {
            "scope": self._scope.row,
            "token": token,
            "of_purpose": PURPOSES.code(old.purpose),
            "of_kind": KEY_KINDS.code(old.kind),
            "old": old.wrapped,
            "key_id": new.wrapping_key_id,
            "new": new.wrapped,
        }
        return self._connection.execute(_REWRAP, row).rowcount == 1


def find_cards_under(
    connection: Connection, epoch: str, *, after: int, limit: int
) -> list[CardUnder]:
    """See CardsUnderEpoch.cards_under."""
    found = connection.execute(_CARDS_UNDER, {"epoch": epoch, "after": after})
    rows = found.fetchmany(limit)
    found.close()
    return [
        CardUnder(number, MerchantId(merchant), CardTokenName(token))
        for number, merchant, token in rows
    ]
