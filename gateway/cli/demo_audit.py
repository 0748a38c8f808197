"""``bailee demo-audit``: a dishonest operator, and who catches him at what.

He holds every key of the gateway: he writes what he likes and signs it anew. What he
does not hold is what others keep: the platform's journal and receipts, the checkpoints
that a watcher saw and cosigned, and the processor's books.
"""

import asyncio
import tempfile
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from bailee.audit.store import Store
from bailee.audit.watch import Watcher
from rich.console import Console
from rich.markup import escape

from gateway.cli.demo_attacks import ATTACKS, Attack, Evidence
from gateway.cli.demo_year import MONTHS, SHOP, Year, make_home
from gateway.cli.dishonest_log import Case, Honest, HonestSource
from gateway.merchants.ports import ProcessorAccount
from gateway.payments.reconcile import ListedPayment


class DemoAuditFailed(Exception):
    """Somebody did not catch what he should, or caught what was honest."""


@dataclass(frozen=True, slots=True)
class _Said:
    """What came of one attack."""

    who: str
    text: str


def run_demo_audit(console: Console) -> None:
    """Runs the year, then every attack; prints one line for each.

    Raises:
        DemoAuditFailed: An expectation did not hold.
    """
    with tempfile.TemporaryDirectory(prefix="bailee-demo-audit-") as scratch:
        folder = Path(scratch)
        make_home(folder)
        honest = asyncio.run(_live(folder, console))
        _say(console, "\n[bold]Then the operator turns dishonest.[/]")
        _say(console, "He holds every key of the gateway and signs everything anew.\n")
        for number, attack in enumerate(ATTACKS, 1):
            place = folder / f"attack-{number}"
            place.mkdir()
            said = _try(attack, Case(honest, place))
            style = "green" if attack.caught_by is not Evidence.NOTHING else "yellow"
            _say(console, f"{number:2}. {escape(attack.title)}")
            _say(console, f"    [{style}]{escape(said.who)}[/]: {escape(said.text)}")
    _say(console, "\n[bold green]Each was caught where it can be.[/]")


async def _live(folder: Path, console: Console) -> Honest:
    began = time.perf_counter()
    year = Year(folder)
    store = Store(folder / "watch.db", origin=year.key.name)
    watcher = Watcher(
        key=year.key,
        source=HonestSource(year),
        store=store,
        journal=year.journal_file,
    )
    try:
        await year.sign_up()
        for month in range(1, MONTHS + 1):
            await year.month(month)
            if month % 3 == 0:
                await year.leave(month)
            report = watcher.look(year.clock.now())
            if report.findings:
                raise DemoAuditFailed(f"honest, and yet {report.findings[0].show()}")
            year.clock.turn(days=28)
        leaves = year.leaves()
        account, listed = await _list_payments(year)
    finally:
        store.close()
        await year.close()
    seconds = time.perf_counter() - began
    _say(console, "[bold]A year of an honest gateway[/]")
    _say(
        console,
        f"{year.calls} calls, {report.size} entries, {len(listed)} payments at the "
        f"processor, in {seconds:.0f} seconds; watched once a month: no finding",
    )
    return Honest(
        key=year.key,
        sign=year.keys.sign_checkpoint,
        leaves=leaves,
        listed=listed,
        account=account,
        journal=year.journal_file,
        store=folder / "watch.db",
        now=year.clock.now(),
    )


async def _list_payments(
    year: Year,
) -> tuple[ProcessorAccount, list[ListedPayment]]:
    [account] = await year.gateway.storage.read(
        SHOP, lambda unit: unit.merchants.accounts()
    )
    start, end = year.clock.now() - timedelta(days=400), year.clock.now()
    listed = await year.lister.list_payments(account, start, end)
    return account, list(listed)


def _try(attack: Attack, case: Case) -> _Said:
    """Does it, lets everybody look, and returns who noticed."""
    attack.do(case)
    if attack.late:  # an entry may wait for its line of the journal, not for long
        case.look()
    case.pass_time(timedelta(minutes=10))
    found = attack.look(case)
    case.close()
    if attack.caught_by is Evidence.NOTHING:
        if found:
            raise DemoAuditFailed(f"{attack.title}: unexpectedly found: {found[0]}")
        return _Said(Evidence.NOTHING, attack.why)
    if not found:
        raise DemoAuditFailed(f"{attack.title}: nobody noticed")
    return _Said(f"caught by the {attack.caught_by}", found[0])


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True)
