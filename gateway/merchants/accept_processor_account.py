"""AcceptProcessorAccount: payments may use the account from now on.

Whoever creates an account could send a merchant's money elsewhere; whoever accepts it
looks at the processor's own id of it. Accepting again accepts the host that this
gateway asks now.
"""

from dataclasses import dataclass, replace
from typing import Final

from gateway.audit.entry import Entry, EntryType
from gateway.errors import RequestInvalid
from gateway.merchants.account_changes import (
    AccountChanges,
    AccountCommand,
    ChangedAccount,
    account_entry,
    find_account,
)
from gateway.merchants.ports import AccountState, ControlUnit

RPC: Final = "AcceptProcessorAccount"


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptProcessorAccountCommand(AccountCommand):
    """The account, and the processor's id of it, typed by whoever decides."""

    external_account: str


class AcceptProcessorAccount:
    """Accepts processor accounts."""

    def __init__(self, *, changes: AccountChanges) -> None:
        self._changes = changes

    async def execute(self, command: AcceptProcessorAccountCommand) -> ChangedAccount:
        """Returns the account, active.

        Raises:
            RequestInvalid: The processor's id of the account is another.
            ProcessorAccountNotFound: The merchant has no such account.
            RequestIdReused: The request id came before with another request.
        """
        now = self._changes.clock.now()

        def accept(unit: ControlUnit) -> Entry:
            account = find_account(unit, command.account_id)
            if command.external_account != account.external_account:
                raise RequestInvalid(
                    "external_account", "is not the processor's id of this account"
                )
            accepted = replace(
                account,
                state=AccountState.ACTIVE,
                accepted_at=now,
                host=self._changes.reader(account.processor).host,
            )
            unit.merchants.save_account(accepted)
            return account_entry(EntryType.ACCOUNT_ACCEPTED, command, accepted, now)

        return await self._changes.commit(RPC, command, accept, now)
