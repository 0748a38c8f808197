"""``bailee audit``."""

from pathlib import Path

import click

from gateway.cli.arguments import FOLDER
from gateway.cli.refusals import refuse
from gateway.config import ConfigInvalid, Settings


@click.group()
def audit() -> None:
    """Export and check the audit log. Needs no running gateway."""


@audit.command("verify")
@click.argument("place", type=click.Path(path_type=Path, exists=True), metavar="PATH")
@click.option("--merchant", default="shop", show_default=True, metavar="ID")
@click.option(
    "--verifier-key",
    metavar="KEY",
    help="For an export: the log's public key, from a bundle or the operator.",
)
def audit_verify(place: Path, merchant: str, verifier_key: str | None) -> None:
    """Check every entry of a log: in a gateway's folder, or in an export.

    An export is checked with the public key alone. Exit code 1 means that the log was
    altered; the finding names the entry.
    """
    from gateway.cli.audit import AuditFailed, verify_export_at, verify_gateway_at

    try:
        if verifier_key is None:
            result = verify_gateway_at(Settings.read(place), merchant)
        else:
            result = verify_export_at(place, verifier_key)
    except (AuditFailed, ConfigInvalid) as error:
        refuse(error)
    click.echo(result)


@audit.command("export")
@FOLDER
@click.argument("target", type=click.Path(path_type=Path), metavar="TARGET")
@click.option("--merchant", default="shop", show_default=True, metavar="ID")
def audit_export(folder: Path, target: Path, merchant: str) -> None:
    """Write the merchant's log to TARGET as static C2SP tiles, for anybody to check."""
    from gateway.cli.audit import AuditFailed, export_gateway_at

    try:
        click.echo(export_gateway_at(Settings.read(folder), merchant, target))
    except (AuditFailed, ConfigInvalid) as error:
        refuse(error)
