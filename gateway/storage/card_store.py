"""The merchant's cards, the wrapped copies of their keys, and their references.

Invariants:
  * A table without a ``scope`` of its own is reached only through the cards of the
    unit's merchant (I9).
  * Erasing leaves nothing of a card that could be read with any key (I10).
"""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, delete, func, insert, null, select, update

from gateway.errors import CardTokenNotFound, InvariantBroken
from gateway.storage.card_rows import (
    CARD_COLUMNS,
    FROM_THE_NEWEST,
    SELECT_CARD,
    SELECT_CARDS,
    SELECT_HOLDERS,
    SELECT_NUMBER,
    THIS_CARD,
    list_of,
    list_statement,
    read_card,
    write_card,
)
from gateway.storage.codes import CARD_STATES, KEY_KINDS, PURPOSES, store_time
from gateway.storage.database import Connection
from gateway.storage.log_rows import Scope
from gateway.storage.statements import insert_into, is_listed, numbers_of, sql, upsert
from gateway.storage.tables import (
    FINGERPRINT_PREFIX_BYTES,
    cards,
    credential_references,
    data_keys,
    fingerprint_prefix,
    processor_accounts,
    wrapping_keys,
)
from gateway.vault.ports import (
    CardFilter,
    KeyKind,
    SealedReference,
    StoredCard,
    WrappedDataKey,
)
from gateway.words.identifiers import CardTokenName, ProcessorAccountId
from gateway.words.lifecycles import CardState
from gateway.words.purposes import Purpose

_TAKE_NUMBERS: Final = numbers_of(cards.c.card)
_INSERT_CARD: Final = sql(
    insert(cards).values(
        {
            column: bindparam(column.name)
            for column in (cards.c.card, cards.c.scope, *CARD_COLUMNS)
        }
    )
)
_MARK_USED: Final = sql(
    update(cards).where(*THIS_CARD).values(last_used_at=bindparam("at"))
)
_ERASE_CARD: Final = sql(
    update(cards)
    .where(cards.c.scope == bindparam("scope"), cards.c.card == bindparam("of_card"))
    .values(
        state=bindparam("erased"),
        erased_at=bindparam("at"),
        last_four=null(),
        expiry=null(),
        sealed=null(),
        number_fingerprint=null(),
        expiry_fingerprint=null(),
    )
)
_COUNT_NUMBERS: Final = sql(
    select(func.count(fingerprint_prefix().distinct())).where(
        cards.c.scope == bindparam("scope"),
        cards.c.last_four == bindparam("last_four"),
        cards.c.number_fingerprint.is_not(None),
        fingerprint_prefix() != bindparam("except_prefix"),
    )
)

_OF_CARD: Final = data_keys.c.card == bindparam("of_card")
# The look-up by merchant keeps a card from using another merchant's wrapping key.
_SELECT_WRAPPING: Final = sql(
    select(wrapping_keys.c.key_id, wrapping_keys.c.wrapping_key).where(
        wrapping_keys.c.scope == bindparam("scope"),
        is_listed(wrapping_keys.c.key_id, "key_ids"),
        # Its copies would not open once its epoch is destroyed.
        wrapping_keys.c.retired_at.is_(None),
    )
)
_INSERT_KEY: Final = insert_into(data_keys)
_KEYS: Final = (
    select(
        data_keys.c.kind,
        data_keys.c.purpose,
        wrapping_keys.c.key_id,
        data_keys.c.wrapped,
    )
    .join(cards, cards.c.card == data_keys.c.card)
    .join(wrapping_keys, wrapping_keys.c.wrapping_key == data_keys.c.wrapping_key)
    .where(*THIS_CARD)
)
_SELECT_KEYS: Final = sql(_KEYS.order_by(data_keys.c.purpose, data_keys.c.kind))
_SELECT_KEY: Final = sql(
    _KEYS.where(
        data_keys.c.purpose == bindparam("purpose"),
        data_keys.c.kind == bindparam("kind"),
    )
)
_DELETE_KEYS: Final = sql(delete(data_keys).where(_OF_CARD))

_reference: Final = upsert(credential_references).values(
    card=bindparam("card"),
    account=select(processor_accounts.c.account)
    .where(
        processor_accounts.c.scope == bindparam("scope"),
        processor_accounts.c.name == bindparam("account"),
    )
    .scalar_subquery(),
    generation=bindparam("generation"),
    sealed=bindparam("sealed"),
)
_PUT_REFERENCE: Final = sql(
    _reference.on_conflict_do_update(
        index_elements=[
            credential_references.c.card,
            credential_references.c.account,
        ],
        set_={
            "generation": _reference.excluded.generation,
            "sealed": _reference.excluded.sealed,
        },
    )
)
_REFERENCES: Final = (
    select(
        processor_accounts.c.name,
        credential_references.c.generation,
        credential_references.c.sealed,
    )
    .join(cards, cards.c.card == credential_references.c.card)
    .join(
        processor_accounts,
        processor_accounts.c.account == credential_references.c.account,
    )
    .where(*THIS_CARD)
)
_SELECT_REFERENCES: Final = sql(_REFERENCES.order_by(credential_references.c.account))
_SELECT_REFERENCE: Final = sql(
    _REFERENCES.where(processor_accounts.c.name == bindparam("account"))
)
_DELETE_REFERENCES: Final = sql(
    delete(credential_references).where(
        credential_references.c.card == bindparam("of_card")
    )
)


class SqlCardStore:
    """See gateway.vault.ports.CardStore.

    ``erased`` lists the numbers of the cards that the unit erased, and ``erasures``
    their tokens and when.
    """

    def __init__(self, connection: Connection, scope: Scope) -> None:
        self._connection = connection
        self._scope = scope
        self._numbers: dict[CardTokenName, int] = {}
        self.erased: list[int] = []
        self.erasures: list[tuple[CardTokenName, datetime]] = []

    def add(self, card: StoredCard, keys: Sequence[WrappedDataKey]) -> None:
        """See CardStore.add. Raises as ``add_all``."""
        self.add_all([(card, keys)])

    def add_all(
        self, cards: Sequence[tuple[StoredCard, Sequence[WrappedDataKey]]]
    ) -> None:
        """See CardStore.add_all. Two statements, however many cards there are.

        Raises:
            InvariantBroken: A key is wrapped by a wrapping key that the merchant does
                not have, or a token is taken.
        """
        taken = self._connection.execute(_TAKE_NUMBERS, {"count": len(cards)})
        numbers = [number for (number,) in taken]
        numbered = list(zip(numbers, cards, strict=True))
        scope = self._scope.row
        self._connection.executemany(
            _INSERT_CARD,
            [
                {"card": number, "scope": scope, **write_card(card)}
                for number, (card, _) in numbered
            ],
        )
        self._insert_keys([(number, keys) for number, (_, keys) in numbered])
        for number, (card, _) in numbered:
            if card.state is CardState.ACTIVE:
                self._numbers[card.token] = number

    def _insert_keys(
        self, cards: Sequence[tuple[int, Sequence[WrappedDataKey]]]
    ) -> None:
        key_ids = {key.wrapping_key_id for _, keys in cards for key in keys}
        where = {"scope": self._scope.row, "key_ids": json.dumps(list(key_ids))}
        wrapping = dict(self._connection.execute(_SELECT_WRAPPING, where).fetchall())
        if len(wrapping) != len(key_ids):
            raise InvariantBroken
        self._connection.executemany(
            _INSERT_KEY,
            [
                {
                    "card": number,
                    "purpose": PURPOSES.code(key.purpose),
                    "kind": KEY_KINDS.code(key.kind),
                    "wrapping_key": wrapping[key.wrapping_key_id],
                    "wrapped": key.wrapped,
                }
                for number, keys in cards
                for key in keys
            ],
        )

    def find(self, token: CardTokenName) -> StoredCard | None:
        """See CardStore.find."""
        row = self._connection.execute(SELECT_CARD, self._key(token)).fetchone()
        return None if row is None else read_card(row)

    def find_many(
        self, tokens: Collection[CardTokenName]
    ) -> Mapping[CardTokenName, StoredCard]:
        """See CardStore.find_many."""
        rows = self._connection.execute(SELECT_CARDS, self._keys(tokens))
        return {card.token: card for card in map(read_card, rows)}

    def list(
        self, wanted: CardFilter, after: CardTokenName | None, limit: int
    ) -> Sequence[StoredCard]:
        """See CardStore.list."""
        before = FROM_THE_NEWEST
        if after is not None:
            found = self.locate(after)
            if found is None:
                return []
            before, _ = found
        statement, where = list_statement(wanted)
        place = {"scope": self._scope.row, "before": before}
        rows = self._connection.execute(statement, {**where, **place})
        return [read_card(row) for row in rows.fetchmany(limit)]

    def holders(
        self, tokens: Collection[CardTokenName]
    ) -> Mapping[CardTokenName, Sequence[ProcessorAccountId]]:
        """See CardStore.holders."""
        found: dict[CardTokenName, list[ProcessorAccountId]] = {}
        rows = self._connection.execute(SELECT_HOLDERS, self._keys(tokens))
        for token, account in rows:
            found.setdefault(token, []).append(account)
        return found

    def lock(self, token: CardTokenName) -> StoredCard | None:
        """See CardStore.lock. One unit writes at a time, so to read is to lock."""
        return self.find(token)

    def keys(self, token: CardTokenName) -> Sequence[WrappedDataKey]:
        """See CardStore.keys."""
        rows = self._connection.execute(_SELECT_KEYS, self._key(token))
        return [_read_key(row) for row in rows]

    def find_key(
        self, token: CardTokenName, kind: KeyKind, purpose: Purpose
    ) -> WrappedDataKey | None:
        """See CardStore.find_key."""
        where = {
            **self._key(token),
            "purpose": PURPOSES.code(purpose),
            "kind": KEY_KINDS.code(kind),
        }
        row = self._connection.execute(_SELECT_KEY, where).fetchone()
        return None if row is None else _read_key(row)

    def mark_used(self, token: CardTokenName, at: datetime) -> None:
        """See CardStore.mark_used.

        Raises:
            CardTokenNotFound: There is no such card.
        """
        row = {**self._key(token), "at": store_time(at)}
        if self._connection.execute(_MARK_USED, row).rowcount != 1:
            raise CardTokenNotFound

    def erase(self, token: CardTokenName, at: datetime) -> None:
        """See CardStore.erase. The log's salts go when the unit ends.

        Raises:
            CardTokenNotFound: There is no such card.
        """
        number, is_erased = self._locate(token)
        if is_erased:
            return
        card = {"of_card": number}
        self._connection.execute(_DELETE_KEYS, card)
        self._connection.execute(_DELETE_REFERENCES, card)
        self._connection.execute(
            _ERASE_CARD,
            {
                **card,
                "scope": self._scope.row,
                "erased": CARD_STATES.code(CardState.ERASED),
                "at": store_time(at),
            },
        )
        self._numbers.pop(token, None)
        self.erased.append(number)
        self.erasures.append((token, at))

    def put_reference(self, token: CardTokenName, reference: SealedReference) -> None:
        """See CardStore.put_reference.

        Raises:
            CardTokenNotFound: There is no such card, or it is erased: what was
                destroyed does not come back.
            InvariantBroken: The merchant has no such account.
        """
        number, is_erased = self._locate(token)
        if is_erased:
            raise CardTokenNotFound
        self._connection.execute(
            _PUT_REFERENCE,
            {
                "card": number,
                "scope": self._scope.row,
                "account": reference.account_id,
                "generation": reference.generation,
                "sealed": reference.sealed,
            },
        )

    def references(self, token: CardTokenName) -> Sequence[SealedReference]:
        """See CardStore.references."""
        rows = self._connection.execute(_SELECT_REFERENCES, self._key(token))
        return [_read_reference(row) for row in rows]

    def find_reference(
        self, token: CardTokenName, account_id: ProcessorAccountId
    ) -> SealedReference | None:
        """See CardStore.find_reference."""
        where = {**self._key(token), "account": account_id}
        row = self._connection.execute(_SELECT_REFERENCE, where).fetchone()
        return None if row is None else _read_reference(row)

    def count_same_last_four(self, last_four: str, except_fingerprint: bytes) -> int:
        """See CardStore.count_same_last_four."""
        where = {
            "scope": self._scope.row,
            "last_four": last_four,
            "except_prefix": except_fingerprint[:FINGERPRINT_PREFIX_BYTES],
        }
        count: int = self._connection.execute(_COUNT_NUMBERS, where).fetchone()[0]
        return count

    def locate(self, token: CardTokenName) -> tuple[int, bool] | None:
        """Returns the number of the card's row, and whether the card is erased."""
        number = self._numbers.get(token)
        if number is not None:
            return number, False
        row = self._connection.execute(SELECT_NUMBER, self._key(token)).fetchone()
        if row is None:
            return None
        number, state = row
        if CARD_STATES.word(state) is CardState.ERASED:
            return number, True
        self._numbers[token] = number
        return number, False

    def _locate(self, token: CardTokenName) -> tuple[int, bool]:
        found = self.locate(token)
        if found is None:
            raise CardTokenNotFound
        return found

    def _key(self, token: CardTokenName) -> dict[str, int | str]:
        return {"scope": self._scope.row, "token": token}

    def _keys(self, tokens: Collection[CardTokenName]) -> dict[str, int | str]:
        return {"scope": self._scope.row, "tokens": list_of(tokens)}


def _read_key(row: tuple[int, int, str, bytes]) -> WrappedDataKey:
    kind, purpose, key_id, wrapped = row
    return WrappedDataKey(
        kind=KEY_KINDS.word(kind),
        purpose=PURPOSES.word(purpose),
        wrapping_key_id=key_id,
        wrapped=wrapped,
    )


def _read_reference(row: tuple[str, int, bytes]) -> SealedReference:
    name, generation, sealed = row
    return SealedReference(
        account_id=ProcessorAccountId(name), generation=generation, sealed=sealed
    )
