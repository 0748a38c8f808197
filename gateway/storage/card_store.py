"""Cards, wrapped data keys and credential references. See vault/ports.py."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from gateway.cards.expiry import Expiry
from gateway.policy.mandate import Mandate
from gateway.storage.rows import (
    Connection,
    Row,
    from_milliseconds,
    moment,
    to_milliseconds,
)
from gateway.vault.ports import KeyKind, SealedReference, StoredCard, WrappedDataKey
from gateway.words.identifiers import CardTokenName, ProcessorAccountId
from gateway.words.lifecycles import CardState
from gateway.words.purposes import Purpose

_COLUMNS: Final = (
    "token, customer_reference, state, brand, last_four, expiry_month, expiry_year, "
    "purposes, agreement_reference, mandate_expires_at, policy_version, generation, "
    "created_at, last_used_at, sealed, number_fingerprint, expiry_fingerprint"
)
_FIND: Final = f"SELECT {_COLUMNS} FROM cards WHERE merchant_id = ? AND token = ?"
_ADD: Final = (
    f"INSERT INTO cards ({_COLUMNS}, merchant_id) "
    f"VALUES ({', '.join('?' * 18)}) RETURNING id"
)
_ID: Final = "(SELECT id FROM cards WHERE merchant_id = ? AND token = ?)"
_ADD_KEY: Final = "INSERT INTO card_keys VALUES (?, ?, ?, ?, ?)"
_KEYS: Final = (
    "SELECT kind, purpose, wrapping_key_id, wrapped FROM card_keys "
    f"WHERE card_id = {_ID}"
)
_FIND_KEY: Final = f"{_KEYS} AND kind = ? AND purpose = ?"
_MARK_USED: Final = (
    "UPDATE cards SET last_used_at = ? WHERE merchant_id = ? AND token = ?"
)
_ERASE: Final = (
    "UPDATE cards SET state = ?, erased_at = ?, last_four = '', expiry_month = NULL, "
    "expiry_year = NULL, sealed = NULL, number_fingerprint = NULL, "
    "expiry_fingerprint = NULL WHERE merchant_id = ? AND token = ?"
)
_ERASE_KEYS: Final = f"DELETE FROM card_keys WHERE card_id = {_ID}"
_ERASE_REFERENCES: Final = f"DELETE FROM card_references WHERE card_id = {_ID}"
_ERASE_SALTS: Final = f"UPDATE log_entries SET card_salt = NULL WHERE card_id = {_ID}"
_PUT_REFERENCE: Final = (
    f"INSERT OR REPLACE INTO card_references VALUES ({_ID}, ?, ?, ?)"
)
_REFERENCES: Final = (
    f"SELECT account, generation, sealed FROM card_references WHERE card_id = {_ID}"
)
_FIND_REFERENCE: Final = f"{_REFERENCES} AND account = ?"
_COUNT_SAME: Final = (
    "SELECT COUNT(DISTINCT number_fingerprint) FROM cards WHERE merchant_id = ? "
    "AND last_four = ? AND number_fingerprint <> ?"
)


class SqliteCardStore:
    """See CardStore. SQLite has one writer, so a row read in a unit is locked."""

    def __init__(self, connection: Connection, merchant_id: int) -> None:
        self._connection = connection
        self._merchant_id = merchant_id

    def add(self, card: StoredCard, keys: Sequence[WrappedDataKey]) -> None:
        """See CardStore.add."""
        expiry = card.expiry
        values = (
            card.token,
            card.customer_reference,
            card.state.value,
            card.brand,
            card.last_four,
            expiry and expiry.month,
            expiry and expiry.year,
            " ".join(sorted(card.mandate.purposes)),
            card.mandate.agreement_reference,
            to_milliseconds(card.mandate.expires_at),
            card.policy_version,
            card.generation,
            to_milliseconds(card.created_at),
            to_milliseconds(card.last_used_at),
            card.sealed,
            card.number_fingerprint,
            card.expiry_fingerprint,
            self._merchant_id,
        )
        card_id = self._connection.execute(_ADD, values).fetchone()[0]
        self._connection.executemany(
            _ADD_KEY,
            [
                (card_id, key.kind, key.purpose, key.wrapping_key_id, key.wrapped)
                for key in keys
            ],
        )

    def find(self, token: CardTokenName) -> StoredCard | None:
        """See CardStore.find."""
        row = self._connection.execute(_FIND, self._key(token)).fetchone()
        return None if row is None else _read_card(row)

    def lock(self, token: CardTokenName) -> StoredCard | None:
        """See CardStore.lock."""
        return self.find(token)

    def keys(self, token: CardTokenName) -> Sequence[WrappedDataKey]:
        """See CardStore.keys."""
        rows = self._connection.execute(_KEYS, self._key(token)).fetchall()
        return [_read_key(row) for row in rows]

    def find_key(
        self, token: CardTokenName, kind: KeyKind, purpose: Purpose
    ) -> WrappedDataKey | None:
        """See CardStore.find_key."""
        values = (*self._key(token), kind.value, purpose.value)
        row = self._connection.execute(_FIND_KEY, values).fetchone()
        return None if row is None else _read_key(row)

    def mark_used(self, token: CardTokenName, at: datetime) -> None:
        """See CardStore.mark_used."""
        values = (to_milliseconds(at), *self._key(token))
        self._connection.execute(_MARK_USED, values)

    def erase(self, token: CardTokenName, at: datetime) -> None:
        """See CardStore.erase."""
        key = self._key(token)
        self._connection.execute(_ERASE_KEYS, key)
        self._connection.execute(_ERASE_REFERENCES, key)
        self._connection.execute(_ERASE_SALTS, key)
        values = (CardState.ERASED.value, to_milliseconds(at), *key)
        self._connection.execute(_ERASE, values)

    def put_reference(self, token: CardTokenName, reference: SealedReference) -> None:
        """See CardStore.put_reference."""
        values = (
            *self._key(token),
            reference.account_id,
            reference.generation,
            reference.sealed,
        )
        self._connection.execute(_PUT_REFERENCE, values)

    def references(self, token: CardTokenName) -> Sequence[SealedReference]:
        """See CardStore.references."""
        rows = self._connection.execute(_REFERENCES, self._key(token)).fetchall()
        return [_read_reference(row) for row in rows]

    def find_reference(
        self, token: CardTokenName, account_id: ProcessorAccountId
    ) -> SealedReference | None:
        """See CardStore.find_reference."""
        values = (*self._key(token), account_id)
        row = self._connection.execute(_FIND_REFERENCE, values).fetchone()
        return None if row is None else _read_reference(row)

    def count_same_last_four(self, last_four: str, except_fingerprint: bytes) -> int:
        """See CardStore.count_same_last_four."""
        values = (self._merchant_id, last_four, except_fingerprint)
        count: int = self._connection.execute(_COUNT_SAME, values).fetchone()[0]
        return count

    def _key(self, token: CardTokenName) -> tuple[int, str]:
        return self._merchant_id, token


def _read_card(row: Row) -> StoredCard:
    (
        token,
        customer_reference,
        state,
        brand,
        last_four,
        month,
        year,
        purposes,
        agreement,
        expires_at,
        policy_version,
        generation,
        created_at,
        last_used_at,
        sealed,
        number_fingerprint,
        expiry_fingerprint,
    ) = row
    return StoredCard(
        token=token,
        customer_reference=customer_reference,
        state=CardState(state),
        brand=brand,
        last_four=last_four,
        expiry=None if month is None else Expiry(month, year),
        mandate=Mandate(
            purposes=frozenset(Purpose(purpose) for purpose in purposes.split()),
            agreement_reference=agreement,
            expires_at=from_milliseconds(expires_at),
        ),
        policy_version=policy_version,
        generation=generation,
        created_at=moment(created_at),
        last_used_at=from_milliseconds(last_used_at),
        sealed=sealed,
        number_fingerprint=number_fingerprint,
        expiry_fingerprint=expiry_fingerprint,
    )


def _read_key(row: Row) -> WrappedDataKey:
    kind, purpose, wrapping_key_id, wrapped = row
    return WrappedDataKey(
        kind=KeyKind(kind),
        purpose=Purpose(purpose),
        wrapping_key_id=wrapping_key_id,
        wrapped=wrapped,
    )


def _read_reference(row: Row) -> SealedReference:
    account, generation, sealed = row
    return SealedReference(
        account_id=ProcessorAccountId(account), generation=generation, sealed=sealed
    )
