"""Which processor account takes a payment, and the adapter behind it."""

from collections.abc import Mapping, Sequence

from gateway.errors import PaymentsHeld, ProcessorAccountNotFound
from gateway.merchants.ports import ProcessorAccount
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
        """Returns the named account, or the merchant's only one.

        Raises:
            PaymentsHeld: A restore is not reconciled yet.
            ProcessorAccountNotFound: None of that name, or several and none named.
        """
        accounts, holds = await self._storage.read(
            merchant, lambda unit: (unit.merchants.accounts(), unit.holds.get())
        )
        # Every call that moves money, and the resolver, ask here whom to ask. Holds
        # come and go only while no gateway serves.
        if holds.payments_since is not None:
            raise PaymentsHeld(
                metadata={"since": holds.payments_since.isoformat(timespec="seconds")}
            )
        account = _pick(accounts, account_id)
        processor = self._processors.get(account.processor)
        if processor is None:
            raise ProcessorAccountNotFound
        return account, processor

    async def of(
        self, merchant: MerchantId, payment: Payment
    ) -> tuple[ProcessorAccount, Processor]:
        """Returns the account that took the payment.

        Raises:
            PaymentsHeld: A restore is not reconciled yet.
            ProcessorAccountNotFound: It is gone.
        """
        return await self.choose(merchant, payment.account_id)


def _pick(accounts: Sequence[ProcessorAccount], account_id: str) -> ProcessorAccount:
    if not account_id and len(accounts) == 1:
        return accounts[0]
    for account in accounts:
        if account.account_id == ProcessorAccountId(account_id):
            return account
    raise ProcessorAccountNotFound
