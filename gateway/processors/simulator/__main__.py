"""``python -m gateway.processors.simulator``: the simulated bank as a process."""

import argparse
import asyncio
import contextlib
from pathlib import Path

from gateway.processors.simulator.server import run_simulator


def main() -> None:
    """Reads the arguments and serves until interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m gateway.processors.simulator",
        description="A card processor that moves no real money. It listens on "
        "loopback only and prints its address as one JSON line.",
    )
    parser.add_argument(
        "--port", type=int, default=0, help="0 takes a free port (the default)"
    )
    parser.add_argument(
        "--ledger", type=Path, help="keep the ledger in this file; holds no card number"
    )
    arguments = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run_simulator(arguments.port, arguments.ledger))


if __name__ == "__main__":
    main()
