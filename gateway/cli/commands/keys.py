"""``bailee keys``."""

import json
from pathlib import Path

import click

from gateway.cli.arguments import FOLDER
from gateway.cli.refusals import refuse
from gateway.config import ConfigInvalid, Settings

_COLUMNS = ("kind", "id", "merchant", "purpose", "age", "copies", "where", "state")


@click.group()
def keys() -> None:
    """List keys and rotate them. docs/keys.md says what each is for."""


@keys.command()
@FOLDER
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def inventory(folder: Path, *, as_json: bool) -> None:
    """List every key: kind, id, merchant, purpose, age in days, place, state.

    No key is shown. Data keys are counted, as copies, at the wrapping key that wraps
    them. Works beside a gateway that serves.
    """
    from gateway.cli.keys import KeysFailed, list_keys
    from gateway.errors import GatewayError
    from gateway.words.clock import SystemClock

    try:
        facts = list_keys(Settings.read(folder), SystemClock().now())
    except (KeysFailed, ConfigInvalid, GatewayError, OSError) as error:
        refuse(error)
    if as_json:
        for fact in facts:
            click.echo(json.dumps(fact.as_json()))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in _COLUMNS:
        table.add_column(name, no_wrap=True)
    for fact in facts:
        age = "" if fact.age_days is None else str(fact.age_days)
        copies = "" if fact.copies is None else str(fact.copies)
        table.add_row(
            fact.kind,
            fact.id,
            fact.merchant,
            fact.purpose,
            age,
            copies,
            fact.where,
            fact.state,
        )
    # Whole lines, however wide the terminal is: a key id that is cut off names nothing.
    Console(width=500).print(table)


@keys.command()
@FOLDER
def rotate(folder: Path) -> None:
    """Rotate the epoch key now, and every wrapping key with it.

    A gateway that serves does it without failing a call; this command waits, and may be
    stopped. Without one it is done here. Afterwards no older backup opens a card, and
    copies of the keyring from before must be destroyed: they hold the old key.
    """
    from gateway.cli.keys import rotate_at
    from gateway.errors import GatewayError

    try:
        click.echo(rotate_at(Settings.read(folder), click.echo))
    except (ConfigInvalid, GatewayError, OSError) as error:
        refuse(error)
