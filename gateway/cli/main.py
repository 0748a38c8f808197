"""The ``bailee`` command. Heavy modules are imported by the command that needs them."""

import asyncio
import sys
from pathlib import Path
from typing import NoReturn

import click

from gateway.config import ConfigInvalid, Settings

_FOLDER = click.argument(
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
)


def _refuse(text: object) -> NoReturn:
    """Ends the command with one sentence on stderr and exit code 1."""
    click.echo(f"bailee: {text}", err=True)
    sys.exit(1)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="bailee-gateway", prog_name="bailee")
def main() -> None:
    """Bailee keeps cards for card processing and nothing else, and proves it.

    \b
    First steps:
      bailee demo                see the whole thing work, with simulated money
      bailee init DIR            make a gateway
      bailee serve DIR           serve it
      bailee doctor DIR          say what is wrong with it
      bailee audit verify DIR    check its log
    """  # noqa: D301 - the backspace is click's mark for "do not re-wrap"


@main.command()
@_FOLDER
@click.option("--listen", default="127.0.0.1:7443", show_default=True, metavar="H:P")
@click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="A name or address that callers use; repeat for several. The first names the "
    "vault. [default: localhost, 127.0.0.1]",
)
@click.option("--merchant", default="shop", show_default=True, metavar="ID")
@click.option(
    "--caller",
    default="billing",
    show_default=True,
    metavar="NAME",
    help="The program that will call; gets a client bundle.",
)
@click.option(
    "--stripe-key-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Use Stripe with the secret or restricted key in this file. Without it the "
    "embedded simulator is used and no real money moves.",
)
@click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Encrypt the keyring under this passphrase (Argon2id). The gateway reads the "
    "file at every start: keep it on another medium than the keyring.",
)
def init(  # noqa: PLR0913, PLR0917 - click gives one parameter for each option
    folder: Path,
    listen: str,
    hosts: tuple[str, ...],
    merchant: str,
    caller: str,
    stripe_key_file: Path | None,
    passphrase_file: Path | None,
) -> None:
    """Make a gateway in DIR: settings, certificates, keyring, database, client bundle.

    DIR must not exist: nothing is ever overwritten.
    """
    from gateway.cli.init import InitOptions, InitRefused, create_gateway
    from gateway.errors import GatewayError
    from gateway.words.clock import SystemClock

    options = InitOptions(
        listen=listen,
        hosts=hosts or ("localhost", "127.0.0.1"),
        merchant=merchant,
        caller=caller,
        stripe_key_file=stripe_key_file,
        passphrase_file=passphrase_file,
    )
    try:
        created = create_gateway(folder, options, SystemClock().now())
    except (InitRefused, ConfigInvalid, GatewayError, OSError) as error:
        _refuse(_explain(error))
    click.echo(f"Made {created.folder} (vault {created.vault_id}).")
    click.echo(f"  serve it:       bailee serve {created.folder}")
    click.echo(f"  client bundle:  {created.bundle}  (give it to the billing service)")
    click.echo(
        f"  keyring:        {created.folder / 'keyring'}  (back it up apart from the "
        "database; without it no card opens again)"
    )


@main.command()
@_FOLDER
def serve(folder: Path) -> None:
    """Serve the gateway in DIR until SIGTERM or SIGINT; logs JSON lines on stderr."""
    from gateway.errors import GatewayError
    from gateway.serve import serve as run

    try:
        asyncio.run(run(Settings.read(folder)))
    except (ConfigInvalid, GatewayError, OSError, RuntimeError) as error:
        _refuse(_explain(error))


@main.command()
@_FOLDER
def doctor(folder: Path) -> None:
    """Check the gateway in DIR and say what to do about each finding."""
    from gateway.cli.doctor import examine

    findings = examine(folder)
    for finding in findings:
        click.echo(f"{finding.mark}  {finding.text}")
    if any(finding.is_problem for finding in findings):
        sys.exit(1)


@main.command()
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Make the gateway in DIR and leave it there.",
)
def demo(keep: Path | None) -> None:
    """Tokenize a card and move simulated money, from nothing, in under a minute."""
    from rich.console import Console

    from gateway.cli.demo import DemoFailed, run_demo
    from gateway.cli.init import InitRefused

    try:
        run_demo(keep=keep, console=Console())
    except (DemoFailed, InitRefused) as error:
        _refuse(error)


@main.group()
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
        _refuse(error)
    click.echo(result)


@audit.command("export")
@_FOLDER
@click.argument("target", type=click.Path(path_type=Path), metavar="TARGET")
@click.option("--merchant", default="shop", show_default=True, metavar="ID")
def audit_export(folder: Path, target: Path, merchant: str) -> None:
    """Write the merchant's log to TARGET as static C2SP tiles, for anybody to check."""
    from gateway.cli.audit import AuditFailed, export_gateway_at

    try:
        click.echo(export_gateway_at(Settings.read(folder), merchant, target))
    except (AuditFailed, ConfigInvalid) as error:
        _refuse(error)


def _explain(error: BaseException) -> str:
    """Returns the error's sentence and what it knows beside it."""
    from gateway.errors import GatewayError

    if not isinstance(error, GatewayError):
        return str(error)
    details = "; ".join(f"{name}: {text}" for name, text in error.metadata.items())
    return f"{error} ({details})" if details else str(error)


if __name__ == "__main__":
    main()
