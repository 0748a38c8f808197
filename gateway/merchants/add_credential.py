"""AddCredential: a second key of an account, to take over from the first."""

from dataclasses import dataclass, field
from typing import Final

from gateway.audit.entry import Entry, EntryType
from gateway.errors import RequestInvalid, StateConflict
from gateway.merchants.account_changes import (
    ACTIVE_CREDENTIALS_MAX,
    AccountChanges,
    AccountCommand,
    ChangedAccount,
    account_entry,
    active,
    check_environment,
    find_account,
    place_of,
)
from gateway.merchants.create_processor_account import CREDENTIAL_PREFIX
from gateway.merchants.ports import (
    ControlUnit,
    Credential,
    CredentialSealer,
    CredentialState,
)
from gateway.words.identifiers import new_name

RPC: Final = "AddCredential"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCredentialCommand(AccountCommand):
    """A credential that somebody brings."""

    credential: str = field(repr=False)


class AddCredential:
    """Adds credentials; the newest active one is used from then on."""

    def __init__(self, *, changes: AccountChanges, sealer: CredentialSealer) -> None:
        self._changes = changes
        self._sealer = sealer

    async def execute(self, command: AddCredentialCommand) -> ChangedAccount:
        """Returns the account with one more credential.

        Raises:
            RequestInvalid: The processor refuses the credential, or it is of another
                account or mode.
            StateConflict: Two are active; retire one first.
            ProcessorAccountNotFound: The merchant has no such account.
            ProcessorUnavailable, KeyUnavailable, RequestIdReused: Nothing was added.
        """
        earlier = await self._changes.earlier(RPC, command)
        if earlier is not None:
            return earlier
        account = await self._changes.storage.read(
            command.merchant, lambda unit: find_account(unit, command.account_id)
        )
        facts = await self._changes.ask(account.processor, command.credential)
        check_environment(facts, account.environment)
        if facts.external_account != account.external_account:
            raise RequestInvalid("credential", "is of another account")
        now = self._changes.clock.now()
        name = new_name(CREDENTIAL_PREFIX)
        credential = Credential(
            name=name,
            state=CredentialState.ACTIVE,
            created_at=now,
            secret=await self._sealer.seal(
                command.merchant,
                place_of(command.account_id, name),
                command.credential.encode(),
            ),
        )

        def add(unit: ControlUnit) -> Entry:
            known = unit.credentials.of(command.account_id)
            if len(active(known)) >= ACTIVE_CREDENTIALS_MAX:
                raise StateConflict(metadata={"credentials": "two are active"})
            unit.credentials.add(command.account_id, credential)
            return account_entry(
                EntryType.CREDENTIAL_ADDED, command, account, now, subject=name
            )

        return await self._changes.commit(RPC, command, add, now)
