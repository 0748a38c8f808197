"""``bailee doctor``."""

import sys
from pathlib import Path

import click

from gateway.cli.arguments import FOLDER


@click.command()
@FOLDER
def doctor(folder: Path) -> None:
    """Check the gateway in DIR and say what to do about each finding."""
    from gateway.cli.doctor import examine

    findings = examine(folder)
    for finding in findings:
        click.echo(f"{finding.mark}  {finding.text}")
    if any(finding.is_problem for finding in findings):
        sys.exit(1)
