"""``python -m gateway.processors.simulator``: the simulated bank as a process."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path
from typing import Final

from gateway.errors import StorageUnavailable
from gateway.processors.simulator.cards import CARDS
from gateway.processors.simulator.faults import FAULTS
from gateway.processors.simulator.ledger import Ledger
from gateway.processors.simulator.server import HOST, SimulatorServer

_PORT_MAX: Final = 65535
_DESCRIPTION: Final = """\
A card processor that moves no real money, for tests and demonstrations. It listens on
127.0.0.1 alone, prints the line "listening on 127.0.0.1:PORT" and serves until it is
told to stop. Point a gateway at it: simulator_url = "http://127.0.0.1:PORT".
"""


def _epilog() -> str:
    cards = "\n".join(f"  {card.number:<19}  {card.does}" for card in CARDS)
    faults = "\n".join(f"  {kind:<17}  {does}" for kind, does in FAULTS.items())
    return f"""\
test cards (any expiry in the future; any other number is declined):
{cards}

faults (POST /control/faults {{"operation": "payment", "fault": "drop_after"}}; or in
the metadata of one request as simulator_fault; slow, slow_body and decline take an
argument: slow:500, decline:call_issuer):
{faults}

also: GET /ledger, POST /control/clock {{"advance_seconds": 86400}},
POST /control/prune, POST /control/authenticate {{"payment": ID, "succeeded": true}}.
docs/processors/simulator.md explains all of it.
"""


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= _PORT_MAX:
        raise argparse.ArgumentTypeError("is not a port")
    return port


def main() -> None:
    """Reads the arguments and serves until told to stop."""
    parser = argparse.ArgumentParser(
        prog="python -m gateway.processors.simulator",
        description=_DESCRIPTION,
        epilog=_epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--port", type=_port, default=0, help="0, the default, takes a free port"
    )
    parser.add_argument(
        "--ledger",
        type=Path,
        metavar="FILE",
        help="keep the ledger in this file (JSON lines, no card number) and continue "
        "it; without it the ledger ends with the process",
    )
    arguments = parser.parse_args()
    sys.exit(asyncio.run(_serve(arguments.port, arguments.ledger)))


async def _serve(port: int, file: Path | None) -> int:
    try:
        server = await SimulatorServer.start(Ledger(file), port)
    except StorageUnavailable:
        sys.stderr.write(f"{file} is no ledger, or another process has it\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"cannot listen on {HOST}:{port}: {error.strerror}\n")
        return 1
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    sys.stdout.write(f"listening on {HOST}:{server.port}\n")
    sys.stdout.flush()
    await told.wait()
    await server.close()
    return 0


if __name__ == "__main__":
    main()
