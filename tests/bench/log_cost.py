"""What the log costs a tokenization: the same gateway with a log that does nothing.

    python -m tests.bench.log_cost

Sealed cards over gRPC on loopback, client and server in one process, alternating
rounds. The mark: at most 25 per cent. Run it on a quiet machine.
"""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from bailee import Card, new_request_id
from bailee.v1 import card_pb2, vault_service_pb2

from gateway.audit.ports import Receipt
from gateway.storage import log_writer, sql_storage
from tests.builders.gateway import running
from tests.builders.storage import SHOP

ROUNDS, CALLS = 7, 400
IN_FLIGHT = (1, 32)
CARD = Card(number="4242424242424242", expiry_month=12, expiry_year=2031)


class NoEntry:
    """An entry that was not written."""

    index, is_durable, undone = 0, True, False
    card = card_row = None

    def receipt(self):
        return Receipt(b"", "", None, None)


class NoLog(log_writer.LogWriter):
    """Encodes, hashes, stores and signs nothing."""

    def append(self, scope, entry):
        return NoEntry()

    def insert(self):
        """Writes nothing."""


def requests(site, number):
    made = []
    for _ in range(number):
        request_id = new_request_id()
        sealed = site.sealer.seal_card(
            CARD, merchant=SHOP, rpc="TokenizeCard", request_id=request_id
        )
        made.append(
            vault_service_pb2.TokenizeCardRequest(
                merchant=SHOP,
                request_id=request_id,
                card=card_pb2.CardInput(sealed=sealed),
            )
        )
    return made


async def milliseconds(site, in_flight):
    """Returns the time for each call, with so many in flight."""
    waiting = requests(site, CALLS)

    async def work():
        while waiting:
            await site.vault.TokenizeCard(waiting.pop())

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(in_flight)))
    return (time.perf_counter() - began) * 1000 / CALLS


async def main():
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("log", "none"):
            (Path(scratch) / name).mkdir()
        async with running(Path(scratch) / "log") as with_log:
            real, sql_storage.LogWriter = sql_storage.LogWriter, NoLog
            async with running(Path(scratch) / "none") as without:
                for in_flight in IN_FLIGHT:
                    await compare(with_log, without, in_flight)
            sql_storage.LogWriter = real


async def compare(with_log, without, in_flight):
    for site in (with_log, without):
        await milliseconds(site, in_flight)
    pairs = []
    for _ in range(ROUNDS):
        took = await milliseconds(with_log, in_flight)
        pairs.append((took, await milliseconds(without, in_flight)))
    logged = statistics.median(pair[0] for pair in pairs)
    plain = statistics.median(pair[1] for pair in pairs)
    cost = (logged / plain - 1) * 100
    shown = f"{logged:.3f} ms, {plain:.3f} ms without: {cost:+.0f} %"
    print(f"{in_flight:3} in flight: {shown}")


if __name__ == "__main__":
    asyncio.run(main())
