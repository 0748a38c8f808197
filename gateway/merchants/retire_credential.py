"""RetireCredential: a credential is destroyed here. Revoke it at the processor too."""

from dataclasses import dataclass
from typing import Final, Protocol

from gateway.audit.entry import Entry, EntryType
from gateway.errors import CredentialNotFound, StateConflict
from gateway.merchants.account_changes import (
    AccountChanges,
    AccountCommand,
    ChangedAccount,
    account_entry,
    active,
    find_account,
)
from gateway.merchants.ports import ControlUnit
from gateway.words.lifecycles import MerchantState

RPC: Final = "RetireCredential"


class Purge(Protocol):
    """Removes erased bytes from the files of the database."""

    async def purge(self) -> None:
        """Returns when erased bytes are in no file of the database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetireCredentialCommand(AccountCommand):
    """Which credential is to be destroyed."""

    credential: str


class RetireCredential:
    """Destroys credentials."""

    def __init__(self, *, changes: AccountChanges, files: Purge) -> None:
        self._changes = changes
        self._files = files

    async def execute(self, command: RetireCredentialCommand) -> ChangedAccount:
        """Returns the account without the credential.

        Raises:
            CredentialNotFound: The account has no such active credential.
            StateConflict: It is the last one, and the merchant is active: add another
                before.
            ProcessorAccountNotFound: The merchant has no such account.
            RequestIdReused: The request id came before with another request.
        """
        now = self._changes.clock.now()

        def retire(unit: ControlUnit) -> Entry:
            account = find_account(unit, command.account_id)
            usable = active(unit.credentials.of(command.account_id))
            if command.credential not in [item.name for item in usable]:
                raise CredentialNotFound
            is_needed = unit.merchants.get().state is MerchantState.ACTIVE
            if len(usable) == 1 and is_needed:
                raise StateConflict(metadata={"credential": "is the last one"})
            unit.credentials.retire(command.account_id, command.credential, now)
            return account_entry(
                EntryType.CREDENTIAL_RETIRED,
                command,
                account,
                now,
                subject=command.credential,
            )

        done = await self._changes.commit(RPC, command, retire, now)
        await self._files.purge()
        return done
