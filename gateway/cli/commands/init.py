"""``bailee init``."""

from pathlib import Path

import click

from gateway.cli.arguments import FOLDER, typed_command
from gateway.cli.refusals import refuse
from gateway.config import FILE_NAME, ConfigInvalid


@click.command()
@FOLDER
@click.option(
    "--listen",
    default="127.0.0.1:7443",
    show_default=True,
    metavar="HOST:PORT",
    help="Where to listen; 0.0.0.0:7443 takes calls from other machines.",
)
@click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="A name or address that callers use; repeat for several. The first names the "
    "vault. [default: localhost, 127.0.0.1]",
)
@click.option(
    "--merchant",
    default="shop",
    show_default=True,
    metavar="ID",
    help="The first merchant: 3 to 40 characters of a-z, 0-9 and inner hyphens.",
)
@click.option(
    "--caller",
    default="billing",
    show_default=True,
    metavar="NAME",
    help="The program that will call; gets a client bundle.",
)
@click.option(
    "--operator",
    default="admin",
    show_default=True,
    metavar="NAME",
    help="The person who runs the gateway; gets a certificate in DIR/operators.",
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
    operator: str,
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
        operator=operator,
        stripe_key_file=stripe_key_file,
        passphrase_file=passphrase_file,
    )
    try:
        created = create_gateway(folder, options, SystemClock().now())
    except (InitRefused, ConfigInvalid, GatewayError, OSError) as error:
        refuse(error)
    command = typed_command()
    click.echo(f"Made {created.folder} (vault {created.vault_id}).")
    click.echo(f"  serve it:       {command} serve {created.folder}")
    click.echo(f"  check it:       {command} doctor {created.folder}")
    click.echo(f"  charges go to:  {created.processor}")
    click.echo(f"  client bundle:  {created.bundle}  (give it to the billing service)")
    click.echo(
        f"  operator:       {created.folder / 'operators' / operator}  (for the person "
        "who runs the gateway)"
    )
    click.echo(
        f"  keyring:        {created.folder / 'keyring'}  (back it up apart from the "
        "database; without it no card opens again)"
    )
    if created.only_this_machine:
        click.echo(
            f"  listens on:     {listen}, which only this machine reaches; change "
            f"`listen` in {created.folder / FILE_NAME}, for example to 0.0.0.0:7443"
        )
