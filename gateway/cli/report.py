"""``bailee audit report``: a month of one merchant, for people, with its evidence.

The log is verified before anything is written: a report of a broken log is refused.
"""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from gateway.audit.checkpoint import verifier_key
from gateway.audit.verify import LogBroken, read_checkpoint, read_leaves, verify_log
from gateway.cli.audit import AuditFailed, export_gateway_at, opened_merchant
from gateway.cli.reconcile import Period, reconcile_gateway_at
from gateway.cli.report_facts import LoggedEntry, MonthFacts, count_month, entries_of
from gateway.cli.report_page import Proof, Report, show_report
from gateway.config import Settings
from gateway.payments.reconcile import Line

_COLUMNS: Final = (
    "type",
    "action",
    "purpose",
    "decision",
    "rule",
    "count",
    "caller",
    "payment",
    "amount",
    "currency",
    "outcome",
    "card_opened",
    "policy_version",
    "processor_account",
    "environment",
    "request_id",
    "subject",
    "effective",
)
# What a spreadsheet takes for a formula (OWASP: CSV injection).
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def write_report_at(
    settings: Settings,
    merchant: str,
    period: Period,
    target: Path,
    *,
    ask_processor: bool,
) -> str:
    """Writes report.html, entries.csv and the export to a new folder; says so.

    Raises:
        AuditFailed: The log is broken, the folder exists, or the processor could not
            be asked.
    """
    if target.exists():
        raise AuditFailed(f"{target} exists; name a new folder")
    facts, proof = _read_month(settings, merchant, period)
    lines: Sequence[Line] | None = None
    if ask_processor:
        lines = reconcile_gateway_at(settings, merchant, period)
    report = Report(
        merchant=merchant, period=period, facts=facts, proof=proof, lines=lines
    )
    try:
        target.mkdir(parents=True)
        page = target / "report.html"
        page.write_text(show_report(report), "utf-8")
        _write_csv(target / "entries.csv", facts.entries)
    except OSError as error:
        raise AuditFailed(f"{target} cannot be written: {error}") from error
    export_gateway_at(settings, merchant, target / "export")
    alarms = sum(line.is_alarm for line in lines or ())
    return (
        f"wrote {page}, entries.csv ({len(facts.entries)} entries) and the export"
        + (f"; {alarms} lines of the reconciliation need a person" if alarms else "")
    )


def _read_month(
    settings: Settings, merchant: str, period: Period
) -> tuple[MonthFacts, Proof]:
    with opened_merchant(settings, merchant) as (stored, public_key):
        log = stored.log
        try:
            checked = verify_log(log, origin=log.origin, public_key=public_key)
        except LogBroken as error:
            raise AuditFailed(f"no report, the log is broken: {error}") from None
        entries = entries_of(read_leaves(log, checked.size), period)
        proof = Proof(
            origin=log.origin,
            verifier_key=verifier_key(log.origin, public_key),
            size=checked.size,
            root=checked.root.hex(),
            checkpoint=read_checkpoint(log),
        )
        return count_month(entries), proof


def _write_csv(file: Path, entries: Iterable[LoggedEntry]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("index", "time", *_COLUMNS, "leaf_hash"))
        for entry in entries:
            row = (_cell(entry.facts.get(name, "")) for name in _COLUMNS)
            time = entry.facts["time"]
            writer.writerow((entry.index, time, *row, entry.leaf_hash))


def _cell(value: object) -> str:
    """Returns a value that no spreadsheet runs."""
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
