"""What several commands take."""

import shutil
import sys
from pathlib import Path
from typing import Final

import click

# The folder that ``bailee init`` made.
FOLDER: Final = click.argument(
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
)


def typed_command() -> str:
    """Returns the command as it was typed, so that a hint can be pasted."""
    typed = Path(sys.argv[0])
    if typed.name == "bailee" and shutil.which("bailee") is None:
        return str(typed)
    return "bailee"
