"""CheckProcessorAccount: does the processor still know the account's credential?"""

from dataclasses import replace
from datetime import datetime
from typing import Final

from gateway.audit.entry import Entry, EntryType
from gateway.errors import ProcessorUnavailable
from gateway.merchants.account_changes import (
    AccountChanges,
    AccountCommand,
    ChangedAccount,
    account_entry,
    active,
    find_account,
    place_of,
    view_account,
)
from gateway.merchants.ports import (
    AccountCheck,
    CheckResult,
    ControlUnit,
    CredentialRefused,
    CredentialSealer,
    ProcessorAccount,
)

RPC: Final = "CheckProcessorAccount"


class CheckProcessorAccount:
    """Asks processors; moves no money."""

    def __init__(self, *, changes: AccountChanges, sealer: CredentialSealer) -> None:
        self._changes = changes
        self._sealer = sealer

    async def execute(self, command: AccountCommand) -> ChangedAccount:
        """Returns the account with what the processor said.

        Raises:
            ProcessorAccountNotFound: The merchant has no such account.
            RequestIdReused: The request id came before with another request.
            IntegrityViolation, KeyUnavailable: The credential does not open.
        """
        earlier = await self._changes.earlier(RPC, command)
        if earlier is not None:
            return earlier
        now = self._changes.clock.now()
        check = await self._ask(command, now)

        def note(unit: ControlUnit) -> Entry:
            account = find_account(unit, command.account_id)
            unit.merchants.save_account(replace(account, last_check=check))
            outcome = check.failure_reason or check.result.name
            return account_entry(
                EntryType.ACCOUNT_CHECKED, command, account, now, outcome=outcome
            )

        return await self._changes.commit(RPC, command, note, now)

    async def _ask(self, command: AccountCommand, now: datetime) -> AccountCheck:
        view = await self._changes.storage.read(
            command.merchant, lambda unit: view_account(unit, command.account_id)
        )
        account = view.account
        usable = active(view.credentials)
        newest = usable[-1] if usable else None
        if newest is None or newest.secret is None:
            return _failed("CREDENTIAL_MISSING", now)
        reader = self._changes.reader(account.processor)
        if reader.host != account.host:
            return _failed("ACCEPTED_FOR_ANOTHER_HOST", now)
        opened = await self._sealer.open(
            account.merchant, place_of(account.account_id, newest.name), newest.secret
        )
        try:
            facts = await reader.read_account(opened.decode())
        except CredentialRefused as refused:
            return _failed(refused.failure_reason, now)
        except ProcessorUnavailable:
            return AccountCheck(result=CheckResult.UNREACHABLE, checked_at=now)
        if not _is_same(account, facts.external_account, facts.environment):
            return _failed("CREDENTIAL_OF_ANOTHER_ACCOUNT", now)
        return AccountCheck(result=CheckResult.OK, checked_at=now)


def _is_same(account: ProcessorAccount, external: str, environment: str) -> bool:
    return (account.external_account, account.environment) == (external, environment)


def _failed(reason: str, now: datetime) -> AccountCheck:
    return AccountCheck(
        result=CheckResult.FAILED, checked_at=now, failure_reason=reason
    )
