"""``bailee audit reconcile``: the log beside the processor's own list."""

import asyncio
import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from gateway.adapters import open_keys, open_listers
from gateway.cli.audit import AuditFailed, opened_merchant
from gateway.config import Settings
from gateway.errors import GatewayError
from gateway.keys.hierarchy import KeyHierarchy
from gateway.keys.secret_sealer import SecretSealer
from gateway.merchants.ports import ProcessorAccount
from gateway.merchants.stored_credentials import StoredCredentials
from gateway.payments.processor import ProcessorOutcomeUnknown, ProcessorRefused
from gateway.payments.reconcile import (
    Line,
    ListedPayment,
    Match,
    PaymentLister,
    read_uses,
    reconcile,
)
from gateway.words.clock import SystemClock

# An object is made after its intent, and the two clocks differ.
_BEFORE: Final = timedelta(hours=1)
_AFTER: Final = timedelta(days=1)
_RANGE: Final = 4096


@dataclass(frozen=True, slots=True)
class Period:
    """From ``start`` to before ``end``."""

    start: datetime
    end: datetime

    @classmethod
    def month(cls, text: str) -> "Period":
        """Reads a month such as ``2026-11``.

        Raises:
            AuditFailed: It is none.
        """
        try:
            start = datetime.strptime(f"{text}-01", "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            raise AuditFailed(f"{text} is not a month such as 2026-11") from None
        next_month = start.replace(day=28) + timedelta(days=4)
        return cls(start, next_month.replace(day=1))


def reconcile_gateway_at(
    settings: Settings, merchant: str, period: Period
) -> list[Line]:
    """Compares the log with the list of each of the merchant's accounts.

    Raises:
        AuditFailed: The log or a processor could not be read; the text says which.
    """
    with opened_merchant(settings, merchant) as (stored, _):
        size = stored.log.size()
        leaves = (
            leaf
            for start in range(0, size, _RANGE)
            for leaf in stored.log.leaves(start, min(start + _RANGE, size))
        )
        uses = read_uses(leaves)
        accounts = stored.accounts
    lines = []
    for account, listed in list_accounts(settings, accounts, period):
        lines += reconcile(
            uses, listed, account=account, start=period.start, end=period.end
        )
    return lines


def list_accounts(
    settings: Settings, accounts: Sequence[ProcessorAccount], period: Period
) -> list[tuple[ProcessorAccount, Sequence[ListedPayment]]]:
    """Asks the processor of each account; what was made around the period counts.

    Raises:
        AuditFailed: A processor did not answer; the text says which.
    """

    async def credential_of(account: ProcessorAccount) -> str:
        return await _open_credential(settings, account)

    with tempfile.TemporaryDirectory(prefix="bailee-reconcile-") as scratch:
        try:
            listers = open_listers(settings, Path(scratch), credential_of)
            return asyncio.run(_ask(listers, accounts, period))
        except ProcessorRefused as error:
            raise AuditFailed(
                f"the processor refused to list payments: {error.failure_reason}"
            ) from None
        except (GatewayError, ProcessorOutcomeUnknown, OSError):
            raise AuditFailed(
                "the processor's list could not be read; try again later"
            ) from None


async def _open_credential(settings: Settings, account: ProcessorAccount) -> str:
    """Returns the account's credential, from the database as it is.

    Raises:
        LookupError: It has none.
    """
    with opened_merchant(settings, account.merchant) as (stored, _):
        keys = open_keys(settings)
        snapshot = stored.snapshot
        hierarchy = KeyHierarchy(provider=keys, storage=snapshot, clock=SystemClock())
        sealer = SecretSealer(hierarchy=hierarchy, vault_id=keys.vault_id)
        source = StoredCredentials(storage=snapshot, sealer=sealer)
        return await source.of(account)


async def _ask(
    listers: Mapping[str, PaymentLister],
    accounts: Sequence[ProcessorAccount],
    period: Period,
) -> list[tuple[ProcessorAccount, Sequence[ListedPayment]]]:
    found = []
    try:
        for account in accounts:
            lister = listers.get(account.processor)
            if lister is None:
                raise AuditFailed(
                    f"{account.processor} is not set up on this gateway, and account "
                    f"{account.account_id} is there"
                )
            start, end = period.start - _BEFORE, period.end + _AFTER
            found.append((account, await lister.list_payments(account, start, end)))
    finally:
        for lister in listers.values():
            await lister.close()
    return found


def show_lines(
    lines: Sequence[Line], *, show_all: bool, as_json: bool
) -> Iterator[str]:
    """Yields what the command prints: what a person has to look at comes first."""
    ordered = sorted(lines, key=lambda line: not line.is_alarm)
    for line in ordered:
        if as_json:
            yield json.dumps(
                {
                    "match": line.match,
                    "account": line.account,
                    "payment": line.payment,
                    "processor_object": line.processor_object,
                    "minor_units": line.amount.minor_units,
                    "currency": line.amount.currency,
                    "text": line.text,
                }
            )
        elif show_all or line.is_alarm:
            name = line.payment or line.processor_object
            amount = f"{line.amount.minor_units} {line.amount.currency}"
            yield f"{line.match.upper()}  {name}  {amount}: {line.text}"
    if not as_json:
        counts = Counter(line.match for line in lines)
        yield ", ".join(f"{counts[match]} {match}" for match in Match)
