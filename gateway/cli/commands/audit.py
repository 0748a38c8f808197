"""``bailee audit``."""

import sys
from pathlib import Path

import click

from gateway.cli.arguments import FOLDER
from gateway.cli.refusals import refuse
from gateway.config import ConfigInvalid, Settings

_MERCHANT = click.option(
    "--merchant",
    default="shop",
    show_default=True,
    metavar="ID",
    help="Whose log, in a gateway's folder; `gateway` is the gateway's own.",
)


@click.group()
def audit() -> None:
    """Export and check the audit log. Needs no running gateway."""


@audit.command("verify")
@click.argument(
    "place",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
)
@_MERCHANT
@click.option(
    "--bundle",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="For an export: the bundle that pins the log's public key.",
)
@click.option(
    "--verifier-key",
    metavar="KEY",
    help="For an export without a bundle: the log's public key. Get it from the "
    "operator, not with the export: whoever alters one alters the other.",
)
def audit_verify(
    place: Path, merchant: str, bundle: Path | None, verifier_key: str | None
) -> None:
    """Check every entry of a log: in a gateway's folder, or in an export.

    An export is checked with the public key alone. Exit code 1 means that the log was
    altered or could not be read; the finding names the entry.
    """
    from gateway.cli import audit as log

    try:
        if bundle is not None:
            verifier_key = log.verifier_key_of(bundle)
        if verifier_key is not None:
            result = log.verify_export_at(place, verifier_key)
        elif log.is_export(place):
            raise log.AuditFailed(
                f"{place} is an export; say whose public key with --bundle"
            )
        else:
            result = log.verify_gateway_at(Settings.read(place), merchant)
    except (log.AuditFailed, ConfigInvalid) as error:
        refuse(error)
    click.echo(result)


@audit.command("export")
@FOLDER
@click.argument("target", type=click.Path(path_type=Path), metavar="TARGET")
@_MERCHANT
def audit_export(folder: Path, target: Path, merchant: str) -> None:
    """Write the merchant's log to TARGET as static C2SP tiles, for anybody to check."""
    from gateway.cli.audit import AuditFailed, export_gateway_at

    try:
        click.echo(export_gateway_at(Settings.read(folder), merchant, target))
    except (AuditFailed, ConfigInvalid) as error:
        refuse(error)


@audit.command("reconcile")
@FOLDER
@_MERCHANT
@click.option(
    "--month",
    metavar="YYYY-MM",
    required=True,
    help="Which month, in UTC.",
)
@click.option("--all", "show_all", is_flag=True, help="List what matches, too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def audit_reconcile(
    folder: Path, merchant: str, month: str, *, show_all: bool, as_json: bool
) -> None:
    """Compare the log with the processor's own list of payments, in both directions.

    \b
      matched                    the log and the processor say the same
      not executed               logged, and nothing moved
      use without object         the log says that money moved; the processor does not
      object without use         made in the gateway's name, and not in the log
      foreign                    the merchant's other traffic
      amount or currency differs

    Exit code 1 means that a person has to look: something is only on one side, or the
    two differ. The gateway may be serving.
    """  # noqa: D301 - the backspace is click's mark for "do not re-wrap"
    from gateway.cli.audit import AuditFailed
    from gateway.cli.reconcile import Period, reconcile_gateway_at, show_lines

    try:
        period = Period.month(month)
        lines = reconcile_gateway_at(Settings.read(folder), merchant, period)
    except (AuditFailed, ConfigInvalid) as error:
        refuse(error)
    for text in show_lines(lines, show_all=show_all, as_json=as_json):
        click.echo(text)
    if any(line.is_alarm for line in lines):
        sys.exit(1)


@audit.command("report")
@FOLDER
@_MERCHANT
@click.option("--month", metavar="YYYY-MM", required=True, help="Which month, in UTC.")
@click.option(
    "--out",
    "target",
    type=click.Path(path_type=Path),
    required=True,
    metavar="TARGET",
    help="A new folder for report.html, entries.csv and the export.",
)
@click.option(
    "--without-processor",
    is_flag=True,
    help="Leave the processor's own list out, for example without a network.",
)
def audit_report(
    folder: Path, merchant: str, month: str, target: Path, *, without_processor: bool
) -> None:
    """Write a month of a merchant as a page and a table that people can read.

    It shows who used cards for which purpose, what was denied, which policy was in
    force, keys, erasures, and the comparison with the processor's list; and the
    commands that verify the log it was made from. The page needs nothing from anywhere
    else. A log that does not verify gets no report.
    """
    from gateway.cli.audit import AuditFailed
    from gateway.cli.reconcile import Period
    from gateway.cli.report import write_report_at

    try:
        text = write_report_at(
            Settings.read(folder),
            merchant,
            Period.month(month),
            target,
            ask_processor=not without_processor,
        )
    except (AuditFailed, ConfigInvalid) as error:
        refuse(error)
    click.echo(text)
