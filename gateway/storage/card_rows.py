"""A card as a row: its columns, and the statements that find rows.

Lists go by the number of the row, newest first: what is stored meanwhile has a higher
number, so it comes before the first page and shifts nothing.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import ColumnElement, bindparam, select

from gateway.cards.expiry import Expiry
from gateway.policy.mandate import Mandate
from gateway.storage.codes import (
    CARD_STATES,
    PURPOSES,
    damage_is_integrity,
    read_optional_time,
    read_time,
    store_optional_time,
    store_time,
)
from gateway.storage.statements import constant, is_listed, sql
from gateway.storage.tables import cards, credential_references, processor_accounts
from gateway.vault.ports import CardFilter, StoredCard
from gateway.words.identifiers import CardTokenName
from gateway.words.lifecycles import CardState
from gateway.words.purposes import Purpose

_MONTHS: Final = 12
# Higher than any row's number: a list begins with the newest.
FROM_THE_NEWEST: Final = 2**63 - 1

THIS_CARD: Final = (
    cards.c.scope == bindparam("scope"),
    cards.c.token == bindparam("token"),
)
CARD_COLUMNS: Final = (
    cards.c.token,
    cards.c.customer_reference,
    cards.c.state,
    cards.c.brand,
    cards.c.last_four,
    cards.c.expiry,
    cards.c.purposes,
    cards.c.agreement_reference,
    cards.c.mandate_expires_at,
    cards.c.policy_version,
    cards.c.generation,
    cards.c.created_at,
    cards.c.last_used_at,
    cards.c.sealed,
    cards.c.number_fingerprint,
    cards.c.expiry_fingerprint,
)
_THESE_CARDS: Final = (
    cards.c.scope == bindparam("scope"),
    is_listed(cards.c.token, "tokens"),
)
SELECT_CARD: Final = sql(select(*CARD_COLUMNS).where(*THIS_CARD))
SELECT_NUMBER: Final = sql(select(cards.c.card, cards.c.state).where(*THIS_CARD))
SELECT_CARDS: Final = sql(select(*CARD_COLUMNS).where(*_THESE_CARDS))
SELECT_HOLDERS: Final = sql(
    select(cards.c.token, processor_accounts.c.name)
    .join(credential_references, credential_references.c.card == cards.c.card)
    .join(
        processor_accounts,
        processor_accounts.c.account == credential_references.c.account,
    )
    .where(*_THESE_CARDS)
    .order_by(credential_references.c.card, credential_references.c.account)
)


def _list(state: CardState | None, *, customer: bool, last_four: bool) -> str:
    """Returns the statement of a list with these filters."""
    where: list[ColumnElement[bool]] = [cards.c.scope == bindparam("scope")]
    if customer:
        # The second condition is that of the index.
        where.append(cards.c.customer_reference == bindparam("customer_reference"))
        where.append(cards.c.customer_reference != constant(""))
    if last_four:
        where.append(cards.c.last_four == bindparam("last_four"))
    if state is not None:
        where.append(cards.c.state == constant(CARD_STATES.code(state)))
    number: ColumnElement[int] = cards.c.card
    if last_four and not customer:
        # The sum keeps the planner from walking through every card of the
        # merchant because they are in order; one in 10,000 ends in these digits.
        number = number + constant(0)
    return sql(
        select(*CARD_COLUMNS)
        .where(*where, number < bindparam("before"))
        .order_by(number.desc())
    )


_LISTS: Final = {
    (state, customer, last_four): _list(state, customer=customer, last_four=last_four)
    for state in (None, *CardState)
    for customer in (False, True)
    for last_four in (False, True)
}


def list_statement(wanted: CardFilter) -> tuple[str, dict[str, str]]:
    """Returns the statement of a list, and its parameters but scope and place."""
    given = wanted.customer_reference, wanted.last_four
    statement = _LISTS[wanted.state, bool(given[0]), bool(given[1])]
    names = ("customer_reference", "last_four")
    return statement, {
        name: text for name, text in zip(names, given, strict=True) if text
    }


def list_of(tokens: Iterable[CardTokenName]) -> str:
    """Returns the tokens as the one parameter that SELECT_CARDS takes."""
    return json.dumps(list(tokens))


def write_card(card: StoredCard) -> Mapping[str, object]:
    """Returns the columns of a card."""
    expiry, mandate = card.expiry, card.mandate
    return {
        "token": card.token,
        "customer_reference": card.customer_reference,
        "state": CARD_STATES.code(card.state),
        "brand": card.brand,
        "last_four": card.last_four or None,
        "expiry": write_expiry(expiry),
        "purposes": PURPOSES.mask(mandate.purposes),
        "agreement_reference": mandate.agreement_reference,
        "mandate_expires_at": store_optional_time(mandate.expires_at),
        "policy_version": card.policy_version,
        "generation": card.generation,
        "created_at": store_time(card.created_at),
        "last_used_at": store_optional_time(card.last_used_at),
        "sealed": card.sealed,
        "number_fingerprint": card.number_fingerprint,
        "expiry_fingerprint": card.expiry_fingerprint,
    }


@damage_is_integrity
def read_card(row: Sequence[Any]) -> StoredCard:
    """Returns the card of a row of CARD_COLUMNS."""
    (
        token,
        customer_reference,
        state,
        brand,
        last_four,
        expiry,
        purposes,
        agreement_reference,
        mandate_expires_at,
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
        state=CARD_STATES.word(state),
        brand=brand,
        last_four=last_four or "",
        expiry=read_expiry(expiry),
        mandate=Mandate(
            purposes=_purposes(purposes),
            agreement_reference=agreement_reference,
            expires_at=read_optional_time(mandate_expires_at),
        ),
        policy_version=policy_version,
        generation=generation,
        created_at=read_time(created_at),
        last_used_at=read_optional_time(last_used_at),
        sealed=sealed,
        number_fingerprint=number_fingerprint,
        expiry_fingerprint=expiry_fingerprint,
    )


@lru_cache(maxsize=256)
def _purposes(mask: int) -> frozenset[Purpose]:
    """Returns the purposes of a mandate; few sets of them occur."""
    return PURPOSES.words(mask)


def write_expiry(expiry: Expiry | None) -> int | None:
    """Returns the expiry as a count of months."""
    return None if expiry is None else expiry.year * _MONTHS + expiry.month - 1


def read_expiry(stored: int | None) -> Expiry | None:
    """Reads what ``write_expiry`` made."""
    if stored is None:
        return None
    year, month = divmod(stored, _MONTHS)
    return Expiry(month + 1, year)
