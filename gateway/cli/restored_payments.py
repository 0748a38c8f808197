"""``bailee restore --reconcile``: what the processor did that the database forgot.

Payments carry our name in the processor's metadata, so one that the restored database
does not know was made after the backup. Its invoice may be charged again unless a
person sees to it: therefore nothing moves until then.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from typing import Final

from gateway.cli.audit import AuditFailed, opened_merchant
from gateway.cli.reconcile import Period, list_accounts
from gateway.cli.restore import RestoreRefused, all_merchants, release_at
from gateway.config import Settings
from gateway.payments.reconcile import ListedPayment
from gateway.words.clock import SystemClock
from gateway.words.identifiers import MerchantId

# How old a payment may be whose capture or refund is looked for.
_LOOK_BACK: Final = timedelta(days=180)
_AMOUNTS: Final = (
    "SELECT captured, refunded + refund_pending FROM payments JOIN scopes USING (scope)"
    " WHERE merchant = :merchant AND name = :name"
)


def reconcile_at(
    settings: Settings, merchants: Sequence[MerchantId], tell: Callable[[str], None]
) -> None:
    """Compares each merchant's payments, and ends the holds of those that agree.

    Raises:
        RestoreRefused: Some do not agree, or a processor did not answer; the text says
            what to do.
        StorageUnavailable: A gateway serves.
    """
    differing = []
    for merchant in merchants or all_merchants(settings.path("database")):
        try:
            findings = list(_compare(settings, merchant))
        except AuditFailed as error:
            raise RestoreRefused(f"{merchant}: {error}") from error
        for finding in findings:
            tell(f"{merchant}: {finding}")
        if findings:
            differing.append(merchant)
        else:
            tell(f"{merchant}: the processor shows nothing that the database forgot")
            release_at(settings, [merchant], cards=False, tell=tell)
    if differing:
        raise RestoreRefused(
            f"money does not move yet for {', '.join(differing)}: mark the invoices of "
            "the payments above as paid, or refund them at the processor, then run "
            f"bailee restore {settings.folder} --reconciled"
        )


def _compare(settings: Settings, merchant: MerchantId) -> Iterator[str]:
    """Yields a sentence for each payment that differs."""
    now = SystemClock().now()
    period = Period(now - _LOOK_BACK, now)
    with opened_merchant(settings, merchant) as (stored, _):
        accounts = stored.accounts
    address = f"{settings.path('database').resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True)) as reader:
        for account, listed in list_accounts(settings, accounts, period):
            for payment in listed:
                if not payment.payment:
                    continue  # the merchant's other traffic
                where = {"merchant": merchant, "name": payment.payment}
                row = reader.execute(_AMOUNTS, where).fetchone()
                if finding := _judge(payment, row):
                    yield f"{account.account_id}: {finding}"


def _judge(payment: ListedPayment, row: tuple[int, int] | None) -> str:
    """Returns what is wrong, or an empty text."""
    name = f"{payment.payment} ({payment.processor_object})"
    amounts = (payment.captured, payment.refunded)
    currency = payment.amount.currency
    if row is None:
        if not payment.captured:
            return ""  # no money moved, and no invoice is paid by it
        return (
            f"LOST {name}, {payment.created_at:%Y-%m-%d %H:%M} UTC: captured "
            f"{payment.captured}, refunded {payment.refunded} {currency}"
        )
    if row != amounts:
        return (
            f"DIFFERS {name}: the processor captured {payment.captured} and refunded "
            f"{payment.refunded} {currency}, the database knows {row[0]} and {row[1]}"
        )
    return ""
