"""What the calls that create and change a processor account share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.audit.entry import Entry, EntryType
from gateway.audit.ports import Receipt
from gateway.errors import (
    ProcessorAccountNotFound,
    RequestIdReused,
    RequestInvalid,
)
from gateway.idempotency.claims import Repeated, Reused, claim, look_up
from gateway.merchants.changes import ChangeCommand, Recorded, record_change
from gateway.merchants.ports import (
    AccountFacts,
    AccountReader,
    ControlUnit,
    Credential,
    CredentialRefused,
    CredentialState,
    Environment,
    ProcessorAccount,
)
from gateway.unit_of_work import Storage
from gateway.words.clock import Clock
from gateway.words.identifiers import ProcessorAccountId

# One in use and one to take over: more would only be forgotten.
ACTIVE_CREDENTIALS_MAX: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountCommand(ChangeCommand):
    """Who asks for a change of which processor account."""

    account_id: ProcessorAccountId


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView:
    """An account and the names and states of its credentials."""

    account: ProcessorAccount
    credentials: Sequence[Credential]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedAccount:
    """The account as it is now, and proof of the entry."""

    view: AccountView
    receipt: Receipt
    replayed: bool = False


class AccountChanges:
    """Commits changes of processor accounts, and asks processors before."""

    def __init__(
        self,
        *,
        storage: Storage[ControlUnit],
        readers: Mapping[str, AccountReader],
        clock: Clock,
    ) -> None:
        self.storage = storage
        self.clock = clock
        self._readers = readers

    async def earlier(self, rpc: str, command: AccountCommand) -> ChangedAccount | None:
        """Returns what the same request made before: the processor is not asked again.

        Raises:
            RequestIdReused: The request id came before with another request.
        """
        found = await self.storage.read(
            command.merchant,
            lambda unit: look_up(
                unit.requests, rpc, command.request_id, command.digest
            ),
        )
        if isinstance(found, Reused):
            await self.storage.commit(
                command.merchant,
                lambda unit: claim(
                    unit.requests, rpc, command.request_id, command.digest
                ),
            )
            raise RequestIdReused
        if found is None:
            return None
        return await self._show(command, _recorded(found))

    async def commit(
        self,
        rpc: str,
        command: AccountCommand,
        change: Callable[[ControlUnit], Entry],
        now: datetime,
    ) -> ChangedAccount:
        """Returns the changed account, or what the same request made before.

        Raises:
            RequestIdReused: The request id came before with another request.
            GatewayError: As the change raises.
        """
        done = await record_change(
            self.storage,
            rpc,
            command,
            lambda unit: (command.account_id, change(unit)),
            now,
        )
        return await self._show(command, done)

    def reader(self, processor: str) -> AccountReader:
        """Returns the processor of this name.

        Raises:
            RequestInvalid: This gateway has none.
        """
        reader = self._readers.get(processor)
        if reader is None:
            known = ", ".join(sorted(self._readers))
            raise RequestInvalid("processor", f"is not one of this gateway's: {known}")
        return reader

    async def ask(self, processor: str, credential: str) -> AccountFacts:
        """Returns what the processor says of a credential that somebody brings.

        Raises:
            RequestInvalid: The processor does not take it.
            ProcessorUnavailable: The processor did not answer.
        """
        try:
            return await self.reader(processor).read_account(credential)
        except CredentialRefused as refused:
            raise RequestInvalid(
                "credential", f"was refused by the processor: {refused.failure_reason}"
            ) from None

    async def _show(self, command: AccountCommand, done: Recorded) -> ChangedAccount:
        def read(unit: ControlUnit) -> tuple[AccountView, Receipt]:
            view = view_account(unit, command.account_id)
            return view, unit.log.receipt(done.entry_index)

        view, proof = await self.storage.read(command.merchant, read)
        return ChangedAccount(view=view, receipt=proof, replayed=done.replayed)


def find_account(unit: ControlUnit, account_id: ProcessorAccountId) -> ProcessorAccount:
    """Returns the unit's account.

    Raises:
        ProcessorAccountNotFound: The merchant has no such account.
    """
    for account in unit.merchants.accounts():
        if account.account_id == account_id:
            return account
    raise ProcessorAccountNotFound


def view_account(unit: ControlUnit, account_id: ProcessorAccountId) -> AccountView:
    """Returns the account with its credentials.

    Raises:
        ProcessorAccountNotFound: The merchant has no such account.
    """
    return AccountView(
        account=find_account(unit, account_id),
        credentials=unit.credentials.of(account_id),
    )


def active(credentials: Sequence[Credential]) -> Sequence[Credential]:
    """Returns those that are used, oldest first."""
    return [item for item in credentials if item.state is CredentialState.ACTIVE]


def place_of(account_id: ProcessorAccountId, credential: str) -> tuple[str, str]:
    """Returns where a credential belongs: it opens nowhere else."""
    return (account_id, credential)


def check_environment(facts: AccountFacts, environment: Environment) -> None:
    """Raises RequestInvalid for a credential of the other mode."""
    if facts.environment is not environment:
        raise RequestInvalid(
            "credential",
            f"is of {facts.environment} mode, and this is for {environment} mode",
        )


def account_entry(
    kind: EntryType,
    command: AccountCommand,
    account: ProcessorAccount,
    now: datetime,
    *,
    outcome: str | None = None,
    subject: str | None = None,
) -> Entry:
    """Returns the entry of a change of an account."""
    return Entry(
        type=kind,
        merchant=command.merchant,
        at=now,
        caller=command.caller,
        request_id=command.request_id,
        processor_account=account.account_id,
        environment=account.environment.value,
        external_account=account.external_account,
        processor_host=account.host,
        outcome=outcome,
        subject=subject,
    )


def _recorded(found: Repeated) -> Recorded:
    record = found.record
    return Recorded(record.resource, record.entry_index, replayed=True)
