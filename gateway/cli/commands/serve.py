"""``bailee serve``."""

from pathlib import Path

import click

from gateway.cli.arguments import FOLDER
from gateway.cli.refusals import refuse
from gateway.config import ConfigInvalid, Settings


@click.command()
@FOLDER
def serve(folder: Path) -> None:
    """Serve the gateway in DIR until SIGTERM or SIGINT; logs JSON lines on stderr."""
    from gateway.errors import GatewayError
    from gateway.serve import run

    try:
        run(Settings.read(folder))
    except (ConfigInvalid, GatewayError, OSError, RuntimeError) as error:
        refuse(error)
