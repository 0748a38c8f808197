"""``bailee demo``."""

from pathlib import Path

import click

from gateway.cli.arguments import typed_command
from gateway.cli.refusals import refuse


@click.command("demo-audit")
def demo_audit() -> None:
    """A year of traffic, then a dishonest operator: who catches him at what."""
    from rich.console import Console

    from gateway.cli.demo_audit import DemoAuditFailed, run_demo_audit

    try:
        run_demo_audit(Console())
    except DemoAuditFailed as error:
        refuse(error)


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
