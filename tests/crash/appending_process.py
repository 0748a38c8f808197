"""A process that appends to a log until it is killed: run by test_kill_bare_appends.

    python -m tests.crash.appending_process FOLDER

It prints one line for each acknowledged entry, when it is acknowledged: index, size of
the signed tree, and the entry.
"""

import asyncio
import itertools
import sys
from pathlib import Path

from gateway.storage.engine import SqliteStorage
from tests.builders.storage import SHOP, VAULT, a_signer, an_entry
from tests.contract.storage_contract import verify

IN_FLIGHT = 16


async def append(storage, numbers):
    for number in numbers:
        entry = an_entry(outcome=f"NUMBER_{number}")
        appended = await storage.commit(
            SHOP, lambda unit, entry=entry: unit.log.append(entry)
        )
        receipt = appended.receipt()
        size = verify(receipt).checkpoint.size
        print(appended.index, size, receipt.entry.hex(), flush=True)


async def main():
    storage = SqliteStorage.open(
        Path(sys.argv[1]) / "bailee.db", signer=a_signer(), vault_id=VAULT, build="test"
    )
    numbers = itertools.count()
    await asyncio.gather(*(append(storage, numbers) for _ in range(IN_FLIGHT)))


if __name__ == "__main__":
    asyncio.run(main())
