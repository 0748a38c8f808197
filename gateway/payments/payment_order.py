"""What CreatePayment is asked for, and the records made of it before the unit."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from gateway.errors import InvariantBroken, RequestInvalid
from gateway.merchants.ports import ProcessorAccount
from gateway.payments.payment import Lease, Payment, PaymentState, Step
from gateway.policy.mandate import Mandate
from gateway.vault.card_access import Use
from gateway.vault.sealed_input import PlainForm, SealedForm
from gateway.words.identifiers import (
    CardTokenName,
    MerchantId,
    PaymentName,
    RequestId,
    new_name,
)
from gateway.words.money import Money
from gateway.words.purposes import MERCHANT_INITIATED, Purpose, Verb

_SALT_BYTES: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatePaymentCommand:
    """A charge that somebody asks for. ``card`` is a token or a new card."""

    merchant: MerchantId
    caller: str
    request_id: RequestId
    digest: bytes
    card: CardTokenName | SealedForm | PlainForm = field(repr=False)
    amount: Money
    purpose: Purpose
    charge_once_key: str = ""
    capture_automatically: bool = True
    security_code: SealedForm | None = field(default=None, repr=False)
    account_id: str = ""
    merchant_reference: str = ""
    description: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    statement_descriptor_suffix: str = ""
    return_url: str = ""
    customer_reference: str = ""
    mandate: Mandate = field(default_factory=Mandate)

    def check(self) -> None:
        """Checks what no single field can say.

        Raises:
            RequestInvalid: Nothing to charge, or a merchant-initiated payment without
                charge_once_key.
        """
        if self.amount.minor_units == 0:
            raise RequestInvalid("amount.minor_units", "is not more than zero")
        if self.purpose in MERCHANT_INITIATED and not self.charge_once_key:
            raise RequestInvalid(
                "charge_once_key", "is required when the merchant starts the payment"
            )


def use_of(
    command: CreatePaymentCommand,
    token: CardTokenName,
    account: ProcessorAccount,
    now: datetime,
) -> Use:
    """Returns what the door is asked for, under the new payment's name."""
    return Use(
        merchant=command.merchant,
        token=token,
        verb=Verb.CHARGE,
        purpose=command.purpose,
        caller=command.caller,
        request_id=command.request_id,
        at=now,
        card_salt=os.urandom(_SALT_BYTES),
        account=account,
        payment=PaymentName(new_name("pay")),
        amount=command.amount,
    )


def payment_of(command: CreatePaymentCommand, use: Use, lease: Lease) -> Payment:
    """Returns the payment as it is before the processor is asked."""
    if use.payment is None or use.account is None:
        raise InvariantBroken
    return Payment(
        name=use.payment,
        request_id=command.request_id,
        state=PaymentState.SUBMITTED,
        step=Step.CUSTOMER,
        amount=command.amount,
        card=use.token,
        purpose=command.purpose,
        capture_automatically=command.capture_automatically,
        account_id=use.account.account_id,
        created_at=use.at,
        updated_at=use.at,
        caller=command.caller,
        lease=lease,
        charge_once_key=command.charge_once_key,
        merchant_reference=command.merchant_reference,
        description=command.description,
        statement_descriptor_suffix=command.statement_descriptor_suffix,
        return_url=command.return_url,
        metadata=command.metadata,
    )
