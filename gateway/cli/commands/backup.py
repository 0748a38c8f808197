"""``bailee backup`` and ``bailee restore``."""

import sys
from pathlib import Path

import click

from gateway.cli.arguments import FOLDER
from gateway.cli.refusals import refuse
from gateway.config import ConfigInvalid, Settings


@click.command()
@FOLDER
@click.argument("target", type=click.Path(path_type=Path), metavar="TARGET")
def backup(folder: Path, target: Path) -> None:
    """Copy the database of the gateway in DIR to the new folder TARGET.

    Works beside a gateway that serves; TARGET appears only once it is complete and on
    disk. The keyring, certificates and processor credentials are not in it.
    """
    from gateway.cli.backup import backup_at
    from gateway.errors import GatewayError
    from gateway.words.clock import SystemClock

    def copied(left: int, pages: int) -> None:
        if sys.stderr.isatty():
            click.echo(
                f"\r{100 * (pages - left) // max(pages, 1):3d} %", nl=False, err=True
            )

    try:
        done = backup_at(Settings.read(folder), target, SystemClock().now(), copied)
    except (ConfigInvalid, GatewayError, OSError) as error:
        refuse(error)
    if sys.stderr.isatty():
        click.echo(err=True)
    click.echo(done)


@click.command()
@FOLDER
@click.argument(
    "source",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="[BACKUP]",
    required=False,
)
@click.option(
    "--accept",
    is_flag=True,
    help="Accept an older database as the newest: its logs go on under new names, "
    "erasures since then are repeated, payments are held.",
)
@click.option(
    "--reconcile",
    is_flag=True,
    help="Compare its payments with the processor's; if nothing is lost or different, "
    "let money move again.",
)
@click.option(
    "--reconciled",
    is_flag=True,
    help="Say that you did so yourself, whatever --reconcile finds: let money move.",
)
@click.option(
    "--release-cards",
    is_flag=True,
    help="Cards erased since the backup were erased again by hand: let cards open.",
)
@click.option(
    "--merchant",
    "merchants",
    multiple=True,
    metavar="ID",
    help="For the three above: only this merchant; repeat for several. [default: all]",
)
def restore(  # noqa: PLR0913, PLR0917 - click gives one parameter for each option
    folder: Path,
    source: Path | None,
    accept: bool,  # noqa: FBT001 - as above
    reconcile: bool,  # noqa: FBT001 - click gives options by position
    reconciled: bool,  # noqa: FBT001 - as above
    release_cards: bool,  # noqa: FBT001 - as above
    merchants: tuple[str, ...],
) -> None:
    """Put a BACKUP in place of the database in DIR, then accept what is lost by it.

    \b
      bailee restore DIR BACKUP         put it in place; the old one is kept
      bailee restore DIR --accept       say that nothing newer exists
      bailee restore DIR --reconcile    compare its payments with the processor's

    The gateway must not serve meanwhile. docs/how-to/backup-and-restore.md has the
    whole drill.
    """  # noqa: D301 - the backspace is click's mark for "do not re-wrap"
    from gateway.cli import restore as work
    from gateway.cli.restored_payments import reconcile_at
    from gateway.errors import GatewayError
    from gateway.words.identifiers import read_merchant_id

    chosen = (source is not None, accept, reconcile, reconciled, release_cards)
    if sum(chosen) != 1:
        refuse(
            "say one of: BACKUP, --accept, --reconcile, --reconciled, --release-cards"
        )
    try:
        settings = Settings.read(folder)
        named = [read_merchant_id(name) for name in merchants]
        if source is not None:
            work.restore_at(settings, source, click.echo)
        elif accept:
            work.accept_at(settings, click.echo)
        elif reconcile:
            reconcile_at(settings, named, click.echo)
        else:
            work.release_at(settings, named, cards=release_cards, tell=click.echo)
    except (work.RestoreRefused, ConfigInvalid, GatewayError, OSError) as error:
        refuse(error)
