"""``bailee demo``."""

from pathlib import Path

import click

from gateway.cli.arguments import typed_command
from gateway.cli.refusals import refuse


@click.command()
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
        run_demo(keep=keep, console=Console(), command=typed_command())
    except (DemoFailed, InitRefused, OSError) as error:
        refuse(error)
