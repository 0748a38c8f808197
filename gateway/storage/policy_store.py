"""Policy versions, the notices of the unit's merchant, and policy's high-water mark."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final

from sqlalchemy import bindparam, func, select, update

from gateway.errors import (
    IntegrityViolation,
    InvariantBroken,
    MerchantNotFound,
    StateConflict,
)
from gateway.policy.document import PolicyInvalid, read_document
from gateway.policy.ports import Notice, Standing
from gateway.policy.versions import SHIPPED, PolicyVersion
from gateway.storage.codes import (
    MERCHANT_STATES,
    read_optional_time,
    read_time,
    store_optional_time,
    store_time,
)
from gateway.storage.database import Connection
from gateway.storage.log_rows import Scope
from gateway.storage.policy_tables import policies, policy_clock, policy_notices
from gateway.storage.statements import constant, insert_into, sql
from gateway.storage.tables import merchants, scopes
from gateway.words.identifiers import GATEWAY, MerchantId

_NEWEST: Final = sql(select(func.max(policies.c.number)))
_SELECT: Final = sql(
    select(policies.c.document, policies.c.sha256, policies.c.published_at).where(
        policies.c.number == bindparam("number")
    )
)
_INSERT: Final = insert_into(policies)
_SELECT_STANDING: Final = sql(
    select(merchants.c.policy_version, merchants.c.state).where(
        merchants.c.scope == bindparam("scope")
    )
)
_COME_UNDER: Final = sql(
    update(merchants)
    .where(merchants.c.scope == bindparam("scope"))
    .values(policy_version=bindparam("number"))
)
_NOTICES: Final = (
    select(
        policy_notices.c.number,
        policy_notices.c.widens,
        policy_notices.c.dispatched_at,
        policy_notices.c.posted_at,
        policy_notices.c.effective_at,
        policy_notices.c.accepted_at,
    )
    .where(policy_notices.c.scope == bindparam("scope"))
    .order_by(policy_notices.c.number)
)
_SELECT_NOTICES: Final = sql(_NOTICES)
_SELECT_NOTICE: Final = sql(
    _NOTICES.where(policy_notices.c.number == bindparam("number"))
)
_INSERT_NOTICE: Final = insert_into(policy_notices)
_ACCEPT: Final = sql(
    update(policy_notices)
    .where(policy_notices.c.scope == bindparam("scope"))
    .where(policy_notices.c.number == bindparam("number"))
    .values(accepted_at=bindparam("accepted"))
)
_WITHOUT_NOTICE: Final = sql(
    select(scopes.c.merchant)
    .join(merchants, merchants.c.scope == scopes.c.scope)
    .outerjoin(
        policy_notices,
        (policy_notices.c.scope == scopes.c.scope)
        & (policy_notices.c.number == bindparam("number")),
    )
    .where(merchants.c.policy_version < bindparam("number"))
    .where(policy_notices.c.number.is_(None))
    .order_by(scopes.c.scope)
)
_THE_MARK: Final = policy_clock.c.only == constant(1)
_SELECT_MARK: Final = sql(select(policy_clock.c.mark).where(_THE_MARK))
_INSERT_MARK: Final = insert_into(policy_clock)
_UPDATE_MARK: Final = sql(
    update(policy_clock).where(_THE_MARK).values(mark=bindparam("new_mark"))
)


@lru_cache(maxsize=64)
def _parse(
    number: int, document: bytes, sha256: bytes, published_at: int
) -> PolicyVersion:
    """Reads a stored version; a row says the same as long as it is the same."""
    if hashlib.sha256(document).digest() != sha256:
        raise IntegrityViolation
    try:
        read = read_document(document)
    except PolicyInvalid as error:
        raise IntegrityViolation from error
    return PolicyVersion(
        number=number, document=read, published_at=read_time(published_at)
    )


class SqlPolicyStore:
    """See gateway.policy.ports.PolicyStore."""

    def __init__(self, connection: Connection, scope: Scope) -> None:
        self._connection = connection
        self._scope = scope

    def newest_number(self) -> int:
        """See PolicyStore.newest_number."""
        (number,) = self._connection.execute(_NEWEST).fetchone()
        return SHIPPED.number if number is None else int(number)

    def version(self, number: int) -> PolicyVersion:
        """See PolicyStore.version."""
        if number == SHIPPED.number:
            return SHIPPED
        row = self._connection.execute(_SELECT, {"number": number}).fetchone()
        if row is None:
            raise InvariantBroken
        return _parse(number, *row)

    def publish(self, version: PolicyVersion) -> None:
        """See PolicyStore.publish."""
        if self._scope.merchant != GATEWAY or version.published_at is None:
            raise InvariantBroken
        if version.number != self.newest_number() + 1:
            raise StateConflict
        self._connection.execute(
            _INSERT,
            {
                "number": version.number,
                "document": version.document.text.encode(),
                "sha256": bytes.fromhex(version.sha256),
                "published_at": store_time(version.published_at),
            },
        )

    def standing(self) -> Standing:
        """See PolicyStore.standing."""
        keys = {"scope": self._scope.row}
        row = self._connection.execute(_SELECT_STANDING, keys).fetchone()
        if row is None:
            raise MerchantNotFound
        number, state = row
        return Standing(number, MERCHANT_STATES.word(state))

    def come_under(self, number: int) -> None:
        """See PolicyStore.come_under."""
        row = {"scope": self._scope.row, "number": number}
        self._connection.execute(_COME_UNDER, row)

    def notice(self, number: int) -> Notice | None:
        """See PolicyStore.notice."""
        keys = {"scope": self._scope.row, "number": number}
        row = self._connection.execute(_SELECT_NOTICE, keys).fetchone()
        return None if row is None else _read_notice(row)

    def notices(self) -> Sequence[Notice]:
        """See PolicyStore.notices."""
        rows = self._connection.execute(_SELECT_NOTICES, {"scope": self._scope.row})
        return [_read_notice(row) for row in rows]

    def put_notice(self, notice: Notice) -> None:
        """See PolicyStore.put_notice."""
        known = self.notice(notice.number)
        if known is None:
            self._connection.execute(_INSERT_NOTICE, self._row(notice))
            return
        accepted = {"scope": self._scope.row, "number": notice.number}
        if self._row(notice) | {"accepted_at": None} != self._row(known) | {
            "accepted_at": None
        }:
            raise StateConflict
        accepted_at = store_optional_time(notice.accepted_at)
        self._connection.execute(_ACCEPT, {**accepted, "accepted": accepted_at})

    def _row(self, notice: Notice) -> dict[str, int | None]:
        return {
            "scope": self._scope.row,
            "number": notice.number,
            "widens": int(notice.widens),
            "dispatched_at": store_time(notice.dispatched_at),
            "posted_at": store_optional_time(notice.posted_at),
            "effective_at": store_time(notice.effective_at),
            "accepted_at": store_optional_time(notice.accepted_at),
        }


def find_without_notice(
    connection: Connection, number: int, limit: int
) -> Sequence[MerchantId]:
    """See MerchantsToNotify.merchants_without_notice."""
    rows = connection.execute(_WITHOUT_NOTICE, {"number": number}).fetchmany(limit)
    return [MerchantId(merchant) for (merchant,) in rows]


class SqlHighWaterStore:
    """See gateway.policy.policy_time.HighWaterStore."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self) -> datetime | None:
        """See HighWaterStore.get."""
        row = self._connection.execute(_SELECT_MARK).fetchone()
        return None if row is None else read_time(row[0])

    def put(self, mark: datetime) -> None:
        """See HighWaterStore.put."""
        stored = store_time(mark)
        if self._connection.execute(_UPDATE_MARK, {"new_mark": stored}).rowcount == 0:
            self._connection.execute(_INSERT_MARK, {"only": 1, "mark": stored})


def _read_notice(row: tuple[int, int, int, int | None, int, int | None]) -> Notice:
    number, widens, dispatched_at, posted_at, effective_at, accepted_at = row
    try:
        return Notice(
            number=number,
            widens=bool(widens),
            dispatched_at=read_time(dispatched_at),
            posted_at=read_optional_time(posted_at),
            effective_at=read_time(effective_at),
            accepted_at=read_optional_time(accepted_at),
        )
    except ValueError as error:
        # The database's own rule forbids it: somebody went around it.
        raise IntegrityViolation from error
