"""The unit's own merchant and its processor accounts. See merchants/ports.py."""

from collections.abc import Sequence
from typing import Final

from gateway.errors import MerchantNotFound
from gateway.merchants.ports import Environment, Merchant, ProcessorAccount
from gateway.storage.log_store import LogIdentity
from gateway.storage.rows import Connection, moment, to_milliseconds
from gateway.words.identifiers import ProcessorAccountId
from gateway.words.lifecycles import MerchantState

_GET: Final = (
    "SELECT name, state, policy_version, log_generation, created_at FROM merchants "
    "WHERE id = ?"
)
_ADD: Final = (
    "INSERT INTO merchants (name, state, policy_version, log_generation, created_at) "
    "VALUES (?, ?, ?, ?, ?)"
)
_ACCOUNTS: Final = (
    "SELECT account, processor, environment, external_account, created_at "
    "FROM processor_accounts WHERE merchant_id = (SELECT id FROM merchants WHERE "
    "name = ?) ORDER BY created_at, account"
)
_ADD_ACCOUNT: Final = (
    "INSERT INTO processor_accounts VALUES ((SELECT id FROM merchants WHERE name = ?), "
    "?, ?, ?, ?, ?)"
)


class SqliteMerchantStore:
    """See MerchantStore."""

    def __init__(self, connection: Connection, identity: LogIdentity) -> None:
        self._connection = connection
        self._identity = identity

    def get(self) -> Merchant:
        """See MerchantStore.get."""
        row = self._connection.execute(_GET, (self._identity.merchant_id,)).fetchone()
        if row is None:
            raise MerchantNotFound
        _, state, policy_version, generation, created_at = row
        return Merchant(
            merchant_id=self._identity.merchant,
            state=MerchantState(state),
            policy_version=policy_version,
            created_at=moment(created_at),
            log_generation=generation,
        )

    def add(self, merchant: Merchant) -> None:
        """See MerchantStore.add."""
        values = (
            self._identity.merchant,
            merchant.state.value,
            merchant.policy_version,
            merchant.log_generation,
            to_milliseconds(merchant.created_at),
        )
        self._connection.execute(_ADD, values)

    def accounts(self) -> Sequence[ProcessorAccount]:
        """See MerchantStore.accounts."""
        rows = self._connection.execute(_ACCOUNTS, (self._identity.merchant,))
        return [
            ProcessorAccount(
                account_id=ProcessorAccountId(account),
                processor=processor,
                environment=Environment(environment),
                external_account=external,
                created_at=moment(created_at),
            )
            for account, processor, environment, external, created_at in rows.fetchall()
        ]

    def add_account(self, account: ProcessorAccount) -> None:
        """See MerchantStore.add_account."""
        values = (
            self._identity.merchant,
            account.account_id,
            account.processor,
            account.environment.value,
            account.external_account,
            to_milliseconds(account.created_at),
        )
        self._connection.execute(_ADD_ACCOUNT, values)
