"""The sealed keys of processor accounts.

The table has no ``scope`` of its own: it is reached only through the accounts of the
unit's merchant (I9).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, insert, null, select, update

from gateway.merchants.ports import Credential, CredentialState, CredentialUnder
from gateway.storage.codes import (
    CREDENTIAL_STATES,
    read_optional_time,
    read_time,
    store_time,
)
from gateway.storage.database import Connection
from gateway.storage.log_rows import Scope
from gateway.storage.statements import constant, sql
from gateway.storage.tables import (
    processor_accounts,
    processor_credentials,
    scopes,
    wrapping_keys,
)
from gateway.words.identifiers import MerchantId, ProcessorAccountId
from gateway.words.sealed_secret import SealedSecret

_ACTIVE: Final = constant(CREDENTIAL_STATES.code(CredentialState.ACTIVE))
_ACCOUNT: Final = (
    select(processor_accounts.c.account)
    .where(
        processor_accounts.c.scope == bindparam("scope"),
        processor_accounts.c.name == bindparam("account_name"),
    )
    .scalar_subquery()
)
# No new copy under a wrapping key that a rotation has retired.
_OPEN_WRAPPING_KEY: Final = (
    select(wrapping_keys.c.wrapping_key)
    .where(
        wrapping_keys.c.scope == bindparam("scope"),
        wrapping_keys.c.key_id == bindparam("key_id"),
        wrapping_keys.c.retired_at.is_(None),
    )
    .scalar_subquery()
)
_COLUMNS: Final = (
    processor_credentials.c.name,
    processor_credentials.c.state,
    processor_credentials.c.created_at,
    processor_credentials.c.retired_at,
    wrapping_keys.c.key_id,
    processor_credentials.c.wrapped,
    processor_credentials.c.sealed,
)
_SELECT: Final = sql(
    select(*_COLUMNS)
    .outerjoin(
        wrapping_keys,
        wrapping_keys.c.wrapping_key == processor_credentials.c.wrapping_key,
    )
    .where(processor_credentials.c.account == _ACCOUNT)
    .order_by(processor_credentials.c.created_at, processor_credentials.c.credential)
)
_INSERT: Final = sql(
    insert(processor_credentials).values(
        account=_ACCOUNT,
        name=bindparam("name"),
        state=bindparam("state"),
        created_at=bindparam("created_at"),
        wrapping_key=_OPEN_WRAPPING_KEY,
        wrapped=bindparam("wrapped"),
        sealed=bindparam("sealed"),
    )
)
_RETIRE: Final = sql(
    update(processor_credentials)
    .where(
        processor_credentials.c.account == _ACCOUNT,
        processor_credentials.c.name == bindparam("named"),
        processor_credentials.c.state == _ACTIVE,
    )
    .values(
        state=bindparam("retired"),
        retired_at=bindparam("at"),
        wrapping_key=null(),
        wrapped=null(),
        sealed=null(),
    )
)
_REWRAP: Final = sql(
    update(processor_credentials)
    .where(
        processor_credentials.c.account == _ACCOUNT,
        processor_credentials.c.name == bindparam("named"),
        processor_credentials.c.wrapped == bindparam("old"),
    )
    .values(wrapping_key=_OPEN_WRAPPING_KEY, wrapped=bindparam("new"))
)
_UNDER: Final = sql(
    select(
        processor_credentials.c.credential,
        scopes.c.merchant,
        processor_accounts.c.name.label("account_name"),
        *_COLUMNS,
    )
    .join(
        wrapping_keys,
        wrapping_keys.c.wrapping_key == processor_credentials.c.wrapping_key,
    )
    .join(
        processor_accounts,
        processor_accounts.c.account == processor_credentials.c.account,
    )
    .join(scopes, scopes.c.scope == processor_accounts.c.scope)
    .where(
        processor_credentials.c.credential > bindparam("after"),
        wrapping_keys.c.epoch == bindparam("epoch"),
    )
    .order_by(processor_credentials.c.credential)
)


class SqlCredentialStore:
    """See gateway.merchants.ports.CredentialStore."""

    def __init__(self, connection: Connection, scope: Scope) -> None:
        self._connection = connection
        self._scope = scope

    def of(self, account_id: ProcessorAccountId) -> Sequence[Credential]:
        """See CredentialStore.of."""
        rows = self._connection.execute(_SELECT, self._account(account_id))
        return [_read(row) for row in rows]

    def add(self, account_id: ProcessorAccountId, credential: Credential) -> None:
        """See CredentialStore.add.

        Raises:
            InvariantBroken: The merchant has no such account or wrapping key, or the
                account has a credential of this name.
        """
        secret = credential.secret
        self._connection.execute(
            _INSERT,
            {
                **self._account(account_id),
                "name": credential.name,
                "state": CREDENTIAL_STATES.code(credential.state),
                "created_at": store_time(credential.created_at),
                "key_id": None if secret is None else secret.wrapping_key_id,
                "wrapped": None if secret is None else secret.wrapped,
                "sealed": None if secret is None else secret.sealed,
            },
        )

    def retire(self, account_id: ProcessorAccountId, name: str, at: datetime) -> bool:
        """See CredentialStore.retire."""
        change = {
            **self._account(account_id),
            "named": name,
            "retired": CREDENTIAL_STATES.code(CredentialState.RETIRED),
            "at": store_time(at),
        }
        return self._connection.execute(_RETIRE, change).rowcount == 1

    def rewrap(
        self,
        account_id: ProcessorAccountId,
        name: str,
        old: SealedSecret,
        new: SealedSecret,
    ) -> bool:
        """See CredentialStore.rewrap.

        Raises:
            InvariantBroken: The merchant has no such wrapping key, or it is retired.
        """
        change = {
            **self._account(account_id),
            "named": name,
            "old": old.wrapped,
            "key_id": new.wrapping_key_id,
            "new": new.wrapped,
        }
        return self._connection.execute(_REWRAP, change).rowcount == 1

    def _account(self, account_id: ProcessorAccountId) -> dict[str, object]:
        return {"scope": self._scope.row, "account_name": account_id}


def find_credentials_under(
    connection: Connection, epoch: str, *, after: int, limit: int
) -> list[CredentialUnder]:
    """See CredentialsUnderEpoch.credentials_under."""
    found = connection.execute(_UNDER, {"epoch": epoch, "after": after})
    rows = found.fetchmany(limit)
    found.close()
    return [
        CredentialUnder(
            row[0], MerchantId(row[1]), ProcessorAccountId(row[2]), _read(row[3:])
        )
        for row in rows
    ]


def _read(row: Sequence[Any]) -> Credential:
    name, state, created_at, retired_at, key_id, wrapped, sealed = row
    secret = None
    if sealed is not None:
        secret = SealedSecret(wrapping_key_id=key_id, wrapped=wrapped, sealed=sealed)
    return Credential(
        name=name,
        state=CREDENTIAL_STATES.word(state),
        created_at=read_time(created_at),
        secret=secret,
        retired_at=read_optional_time(retired_at),
    )
