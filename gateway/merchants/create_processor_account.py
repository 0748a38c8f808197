"""CreateProcessorAccount: an account whose id and mode the processor says.

A new account waits for AcceptProcessorAccount, which another role decides.
"""

from dataclasses import dataclass, field
from typing import Final

from gateway.audit.entry import Entry, EntryType
from gateway.errors import StateConflict
from gateway.merchants.account_changes import (
    AccountChanges,
    AccountCommand,
    ChangedAccount,
    account_entry,
    check_environment,
    place_of,
)
from gateway.merchants.ports import (
    AccountCheck,
    AccountState,
    CheckResult,
    ControlUnit,
    Credential,
    CredentialSealer,
    CredentialState,
    ProcessorAccount,
)
from gateway.words.identifiers import new_name
from gateway.words.lifecycles import MerchantState

RPC: Final = "CreateProcessorAccount"
CREDENTIAL_PREFIX: Final = "cred"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateProcessorAccountCommand(AccountCommand):
    """An account that somebody wants, and a credential of it."""

    processor: str
    credential: str = field(repr=False)


class CreateProcessorAccount:
    """Makes processor accounts."""

    def __init__(self, *, changes: AccountChanges, sealer: CredentialSealer) -> None:
        self._changes = changes
        self._sealer = sealer

    async def execute(self, command: CreateProcessorAccountCommand) -> ChangedAccount:
        """Returns the account, waiting to be accepted.

        Raises:
            RequestInvalid: No such processor, or it refuses the credential, or the
                credential is of the other mode than the merchant.
            StateConflict: The merchant has an account of this name, or this very
                account under another name, or is deactivated.
            ProcessorUnavailable: The processor did not answer.
            MerchantNotFound, RequestIdReused, KeyUnavailable: Nothing was made.
        """
        earlier = await self._changes.earlier(RPC, command)
        if earlier is not None:
            return earlier
        merchant = await self._changes.storage.read(
            command.merchant, lambda unit: unit.merchants.get()
        )
        facts = await self._changes.ask(command.processor, command.credential)
        check_environment(facts, merchant.environment)
        now = self._changes.clock.now()
        account = ProcessorAccount(
            merchant=command.merchant,
            account_id=command.account_id,
            processor=command.processor,
            environment=facts.environment,
            external_account=facts.external_account,
            host=self._changes.reader(command.processor).host,
            state=AccountState.PENDING,
            created_at=now,
            last_check=AccountCheck(result=CheckResult.OK, checked_at=now),
        )
        name = new_name(CREDENTIAL_PREFIX)
        credential = Credential(
            name=name,
            state=CredentialState.ACTIVE,
            created_at=now,
            secret=await self._sealer.seal(
                command.merchant,
                place_of(account.account_id, name),
                command.credential.encode(),
            ),
        )

        def create(unit: ControlUnit) -> Entry:
            if unit.merchants.get().state is MerchantState.DEACTIVATED:
                raise StateConflict(metadata={"merchant": "is deactivated"})
            _refuse_twin(unit, account)
            unit.merchants.add_account(account)
            unit.credentials.add(account.account_id, credential)
            return account_entry(
                EntryType.ACCOUNT_CREATED, command, account, now, subject=name
            )

        return await self._changes.commit(RPC, command, create, now)


def _refuse_twin(unit: ControlUnit, new: ProcessorAccount) -> None:
    """Two names for one account would charge it twice for one key."""
    for known in unit.merchants.accounts():
        same = (known.processor, known.external_account) == (
            new.processor,
            new.external_account,
        )
        if same and known.account_id != new.account_id:
            raise StateConflict(metadata={"processor_account": known.account_id})
