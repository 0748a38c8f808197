"""What several commands take."""

from pathlib import Path
from typing import Final

import click

# The folder that ``bailee init`` made.
FOLDER: Final = click.argument(
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
)
