"""The ``bailee`` command: one module for each command or group, in ``commands/``."""

import click

from gateway.cli.commands.audit import audit
from gateway.cli.commands.backup import backup, restore
from gateway.cli.commands.demo import demo, demo_audit
from gateway.cli.commands.doctor import doctor
from gateway.cli.commands.init import init
from gateway.cli.commands.keys import keys
from gateway.cli.commands.serve import serve


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


for command in (
    init,
    serve,
    doctor,
    demo,
    demo_audit,
    audit,
    keys,
    backup,
    restore,
):
    main.add_command(command)


if __name__ == "__main__":
    main()
