"""Asking what a processor knows of one payment, and what that means for it.

Nothing here moves money, except that a declined object which could still be confirmed
is closed before its charge_once_key is freed.
"""

from gateway.errors import ProcessorUnavailable
from gateway.merchants.ports import ProcessorAccount
from gateway.payments.asking import Asking
from gateway.payments.charge_results import Result
from gateway.payments.payment import Payment
from gateway.payments.processor import (
    Declined,
    FoundPayment,
    Processor,
    ProcessorOutcomeUnknown,
    ProcessorRefused,
)
from gateway.payments.processor_steps import ProcessorSteps


class Silent(Exception):
    """The processor did not say: nothing is known that was not known before."""


class Looking:
    """Looks at single payments."""

    def __init__(self, *, steps: ProcessorSteps, asking: Asking) -> None:
        self._steps = steps
        self._asking = asking

    async def inquire(
        self, account: ProcessorAccount, processor: Processor, payment: Payment
    ) -> FoundPayment | None:
        """Returns the processor's record of the payment's object; None if it has none.

        Raises:
            Silent: It did not say.
        """
        call = self._asking.call(account, payment, f"{payment.name}-inquiry")
        named = payment.processor_object
        try:
            return await self._asking.ask(lambda: processor.inquire(call, named))
        except (
            ProcessorOutcomeUnknown,
            ProcessorUnavailable,
            ProcessorRefused,
        ) as error:
            raise Silent from error

    async def result_of(
        self,
        account: ProcessorAccount,
        processor: Processor,
        payment: Payment,
        found: FoundPayment,
    ) -> tuple[Result, int]:
        """Returns the result, and the minor units that already went back."""
        refunded = found.refunded.minor_units if found.refunded is not None else 0
        result: Result = found.outcome
        if isinstance(result, Declined) and result.still_confirmable:
            result = await self._steps.close_declined(
                account, processor, payment, result
            )
        return result, refunded
