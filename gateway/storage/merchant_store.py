"""The unit's own merchant and its processor accounts."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import bindparam, select, update

from gateway.errors import (
    InvariantBroken,
    MerchantNotFound,
    ProcessorAccountNotFound,
    StateConflict,
)
from gateway.merchants.ports import (
    AccountCheck,
    Merchant,
    MerchantSettings,
    ProcessorAccount,
)
from gateway.storage.codes import (
    ACCOUNT_STATES,
    CHECK_RESULTS,
    ENVIRONMENTS,
    MERCHANT_STATES,
    read_optional_time,
    read_time,
    store_optional_time,
    store_time,
)
from gateway.storage.database import Connection
from gateway.storage.log_rows import Scope
from gateway.storage.statements import insert_into, sql
from gateway.storage.tables import merchants, processor_accounts, scopes
from gateway.words.identifiers import GATEWAY, MerchantId, ProcessorAccountId

_SELECT_SCOPE: Final = sql(
    select(scopes.c.scope, scopes.c.log_generation).where(
        scopes.c.merchant == bindparam("merchant")
    )
)
_INSERT_SCOPE: Final = insert_into(scopes)
MERCHANT_COLUMNS: Final = (
    scopes.c.merchant,
    merchants.c.state,
    merchants.c.policy_version,
    merchants.c.created_at,
    merchants.c.display_name,
    merchants.c.environment,
    merchants.c.show_bin,
    merchants.c.show_fingerprint,
    merchants.c.deactivated_at,
    scopes.c.log_generation,
)
_SELECT_MERCHANT: Final = sql(
    select(*MERCHANT_COLUMNS)
    .join(scopes, scopes.c.scope == merchants.c.scope)
    .where(merchants.c.scope == bindparam("scope"))
)
_INSERT_MERCHANT: Final = insert_into(merchants)
_CHANGEABLE: Final = (
    merchants.c.state,
    merchants.c.policy_version,
    merchants.c.display_name,
    merchants.c.show_bin,
    merchants.c.show_fingerprint,
    merchants.c.deactivated_at,
)
_UPDATE_MERCHANT: Final = sql(
    update(merchants)
    .where(merchants.c.scope == bindparam("scope"))
    .values({column: bindparam(column.name) for column in _CHANGEABLE})
)
_ACCOUNT_COLUMNS: Final = (
    processor_accounts.c.name,
    processor_accounts.c.processor,
    processor_accounts.c.environment,
    processor_accounts.c.external_account,
    processor_accounts.c.host,
    processor_accounts.c.state,
    processor_accounts.c.created_at,
    processor_accounts.c.accepted_at,
    processor_accounts.c.checked_at,
    processor_accounts.c.check_result,
    processor_accounts.c.check_failure_reason,
)
_SELECT_ACCOUNTS: Final = sql(
    select(*_ACCOUNT_COLUMNS)
    .where(processor_accounts.c.scope == bindparam("scope"))
    .order_by(processor_accounts.c.created_at, processor_accounts.c.account)
)
_ACCOUNT_CHANGEABLE: Final = (
    processor_accounts.c.host,
    processor_accounts.c.state,
    processor_accounts.c.accepted_at,
    processor_accounts.c.checked_at,
    processor_accounts.c.check_result,
    processor_accounts.c.check_failure_reason,
)
_UPDATE_ACCOUNT: Final = sql(
    update(processor_accounts)
    .where(
        processor_accounts.c.scope == bindparam("scope"),
        processor_accounts.c.name == bindparam("named"),
    )
    .values({column: bindparam(column.name) for column in _ACCOUNT_CHANGEABLE})
)
_INSERT_ACCOUNT: Final = insert_into(processor_accounts)


def find_scope(connection: Connection, merchant: MerchantId) -> Scope:
    """Returns the merchant's scope; its ``row`` is 0 if there is no such merchant."""
    row = connection.execute(_SELECT_SCOPE, {"merchant": merchant}).fetchone()
    return Scope(merchant) if row is None else Scope(merchant, *row)


class SqlMerchantStore:
    """See gateway.merchants.ports.MerchantStore."""

    def __init__(self, connection: Connection, scope: Scope) -> None:
        self._connection = connection
        self._scope = scope

    def get(self) -> Merchant:
        """See MerchantStore.get."""
        row = self._connection.execute(
            _SELECT_MERCHANT, {"scope": self._scope.row}
        ).fetchone()
        if row is None:
            raise MerchantNotFound
        return read_merchant(row)

    def add(self, merchant: Merchant) -> None:
        """See MerchantStore.add.

        Raises:
            StateConflict: It exists.
            InvariantBroken: Not the merchant of this unit.
        """
        scope = self._scope
        if merchant.merchant_id != scope.merchant or scope.merchant == GATEWAY:
            raise InvariantBroken
        if not scope.row:
            # After a restore new logs, too, are of the generation that callers pin.
            generation = max(
                merchant.log_generation,
                find_scope(self._connection, GATEWAY).log_generation,
            )
            row = {"merchant": scope.merchant, "log_generation": generation}
            number = self._connection.execute(_INSERT_SCOPE, row).lastrowid
            if number is None:
                raise InvariantBroken
            scope.row, scope.log_generation = number, generation
        # A scope without a merchant: a restore lost it. Its log goes on as a new one.
        elif self._connection.execute(
            _SELECT_MERCHANT, {"scope": scope.row}
        ).fetchone():
            raise StateConflict
        self._connection.execute(
            _INSERT_MERCHANT,
            {
                **_changeable(merchant),
                "scope": scope.row,
                "created_at": store_time(merchant.created_at),
                "environment": ENVIRONMENTS.code(merchant.environment),
            },
        )

    def save(self, merchant: Merchant) -> None:
        """See MerchantStore.save.

        Raises:
            InvariantBroken: Not the merchant of this unit.
        """
        if merchant.merchant_id != self._scope.merchant:
            raise InvariantBroken
        values = {**_changeable(merchant), "scope": self._scope.row}
        if self._connection.execute(_UPDATE_MERCHANT, values).rowcount != 1:
            raise MerchantNotFound

    def accounts(self) -> Sequence[ProcessorAccount]:
        """See MerchantStore.accounts."""
        rows = self._connection.execute(_SELECT_ACCOUNTS, {"scope": self._scope.row})
        return [_read_account(self._scope.merchant, row) for row in rows]

    def add_account(self, account: ProcessorAccount) -> None:
        """See MerchantStore.add_account.

        Raises:
            StateConflict: The merchant has an account with this id.
        """
        if account.merchant != self._scope.merchant:
            raise InvariantBroken
        if any(known.account_id == account.account_id for known in self.accounts()):
            raise StateConflict
        self._connection.execute(
            _INSERT_ACCOUNT,
            {
                **_changeable_account(account),
                "scope": self._scope.row,
                "name": account.account_id,
                "processor": account.processor,
                "environment": ENVIRONMENTS.code(account.environment),
                "external_account": account.external_account,
                "created_at": store_time(account.created_at),
            },
        )

    def save_account(self, account: ProcessorAccount) -> None:
        """See MerchantStore.save_account."""
        values = {
            **_changeable_account(account),
            "scope": self._scope.row,
            "named": account.account_id,
        }
        if self._connection.execute(_UPDATE_ACCOUNT, values).rowcount != 1:
            raise ProcessorAccountNotFound


def read_merchant(row: Sequence[Any]) -> Merchant:
    """Returns the merchant of a row of MERCHANT_COLUMNS."""
    return Merchant(
        merchant_id=MerchantId(row[0]),
        state=MERCHANT_STATES.word(row[1]),
        policy_version=row[2],
        created_at=read_time(row[3]),
        display_name=row[4],
        environment=ENVIRONMENTS.word(row[5]),
        settings=MerchantSettings(show_bin=bool(row[6]), show_fingerprint=bool(row[7])),
        deactivated_at=read_optional_time(row[8]),
        log_generation=row[9],
    )


def _changeable(merchant: Merchant) -> dict[str, object]:
    return {
        "state": MERCHANT_STATES.code(merchant.state),
        "policy_version": merchant.policy_version,
        "display_name": merchant.display_name,
        "show_bin": int(merchant.settings.show_bin),
        "show_fingerprint": int(merchant.settings.show_fingerprint),
        "deactivated_at": store_optional_time(merchant.deactivated_at),
    }


def _read_account(merchant: MerchantId, row: Sequence[Any]) -> ProcessorAccount:
    checked_at = read_optional_time(row[8])
    check = None
    if checked_at is not None:
        check = AccountCheck(
            result=CHECK_RESULTS.word(row[9]),
            checked_at=checked_at,
            failure_reason=row[10],
        )
    return ProcessorAccount(
        merchant=merchant,
        account_id=ProcessorAccountId(row[0]),
        processor=row[1],
        environment=ENVIRONMENTS.word(row[2]),
        external_account=row[3],
        host=row[4],
        state=ACCOUNT_STATES.word(row[5]),
        created_at=read_time(row[6]),
        accepted_at=read_optional_time(row[7]),
        last_check=check,
    )


def _changeable_account(account: ProcessorAccount) -> dict[str, object]:
    check = account.last_check
    return {
        "host": account.host,
        "state": ACCOUNT_STATES.code(account.state),
        "accepted_at": store_optional_time(account.accepted_at),
        "checked_at": None if check is None else store_time(check.checked_at),
        "check_result": None if check is None else CHECK_RESULTS.code(check.result),
        "check_failure_reason": "" if check is None else check.failure_reason,
    }
