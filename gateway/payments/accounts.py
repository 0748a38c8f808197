"""Which processor account takes a payment, and the adapter behind it."""

from collections.abc import Mapping, Sequence

from gateway.errors import (
    PaymentsHeld,
    ProcessorAccountNotFound,
    StateConflict,
)
from gateway.merchants.ports import AccountState, ProcessorAccount
from gateway.payments.payment import Payment
from gateway.payments.ports import PaymentUnit
from gateway.payments.processor import Processor
from gateway.unit_of_work import Storage
from gateway.words.identifiers import MerchantId, ProcessorAccountId


class Accounts:
    """The merchants' processor accounts and the processors of this gateway."""

    def __init__(
        self, *, storage: Storage[PaymentUnit], processors: Mapping[str, Processor]
    ) -> None:
        self._storage = storage
        self._processors = processors

    async def choose(
        self, merchant: MerchantId, account_id: str
    ) -> tuple[ProcessorAccount, Processor]:
        """Returns the named account, or the merchant's only one, for a new payment.

        Raises:
            PaymentsHeld: A restore is not reconciled yet.
            ProcessorAccountNotFound: None of that name, or several and none named.
            StateConflict: It was not accepted yet, or for another host.
        """
        accounts = await self._read(merchant)
        account = _pick(accounts, account_id)
        if account.state is not AccountState.ACTIVE:
            raise _conflict(account, "waits for AcceptProcessorAccount")
        return self._with_processor(account)

    async def of(
        self, merchant: MerchantId, payment: Payment
    ) -> tuple[ProcessorAccount, Processor]:
        """Returns the account that took the payment, whatever its state is now.

        Raises:
            PaymentsHeld: A restore is not reconciled yet.
            ProcessorAccountNotFound: It is gone.
            StateConflict: It was accepted for another host.
        """
        for account in await self._read(merchant):
            if account.account_id == payment.account_id:
                return self._with_processor(account)
        raise ProcessorAccountNotFound

    async def _read(self, merchant: MerchantId) -> Sequence[ProcessorAccount]:
        """Returns the merchant's accounts, if money may move."""
        accounts, holds = await self._storage.read(
            merchant, lambda unit: (unit.merchants.accounts(), unit.holds.get())
        )
        # Every call that moves money, and the resolver, ask here whom to ask. Holds
        # come and go only while no gateway serves.
        if holds.payments_since is not None:
            raise PaymentsHeld(
                metadata={"since": holds.payments_since.isoformat(timespec="seconds")}
            )
        return accounts

    def _with_processor(
        self, account: ProcessorAccount
    ) -> tuple[ProcessorAccount, Processor]:
        processor = self._processors.get(account.processor)
        if processor is None:
            raise ProcessorAccountNotFound
        if processor.host != account.host:
            # A changed setting must not send cards and credentials elsewhere.
            raise _conflict(account, f"was accepted for {account.host}; accept again")
        return account, processor


def _pick(accounts: Sequence[ProcessorAccount], account_id: str) -> ProcessorAccount:
    if not account_id:
        usable = [item for item in accounts if item.state is AccountState.ACTIVE]
        if len(usable) == 1:
            return usable[0]
        if len(accounts) == 1:
            return accounts[0]
    for account in accounts:
        if account.account_id == ProcessorAccountId(account_id):
            return account
    raise ProcessorAccountNotFound


def _conflict(account: ProcessorAccount, why: str) -> StateConflict:
    return StateConflict(
        metadata={"processor_account": account.account_id, "account": why}
    )
