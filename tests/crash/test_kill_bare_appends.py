"""kill -9 while entries are appended: what was acknowledged is there. covers: I5.

The receipts are what callers hold: each entry must still be at its index, in a log that
adds up. The child verifies each receipt before it counts it as acknowledged.
"""

import random
import subprocess
import sys
import time

import pytest

from tests.builders.storage import open_shop
from tests.contract.storage_contract import whole_log

pytestmark = pytest.mark.process
KILLS = 20
KILLS_DEEP = 200
ALIVE_SECONDS_MAX = 0.2


def append_until_killed(folder, alive_seconds):
    """Returns the acknowledged entries as (index, size of the tree, leaf)."""
    command = [sys.executable, "-m", "tests.crash.appending_process", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        first = process.stdout.readline()
        time.sleep(alive_seconds)
        process.kill()
        rest = process.stdout.read()
    assert first, "the process ended before it acknowledged anything"
    whole = (first + rest).rpartition(b"\n")[0].decode()  # the last line may be cut
    lines = [line.split() for line in whole.splitlines()]
    return [(int(index), int(size), bytes.fromhex(leaf)) for index, size, leaf in lines]


async def kill_and_check(folder, kills):
    """Kills, restarts, and checks every entry ever acknowledged."""
    random_source = random.Random(7)
    await (await open_shop(folder)).close()
    acknowledged, size = {}, 0
    for _ in range(kills):
        seconds = random_source.uniform(0, ALIVE_SECONDS_MAX)
        for index, signed_size, leaf in append_until_killed(folder, seconds):
            assert index not in acknowledged, "an index was given twice"
            assert size <= index < signed_size
            acknowledged[index] = leaf
        storage = await open_shop(folder)
        leaves = await whole_log(storage)
        await storage.close()
        lost = [i for i, leaf in acknowledged.items() if leaves[i : i + 1] != [leaf]]
        assert lost == []
        size = len(leaves)
    return len(acknowledged), size


class TestKill:
    async def test_loses_no_acknowledged_entry(self, tmp_path):
        acknowledged, size = await kill_and_check(tmp_path, KILLS)

        print(f"{KILLS} kills: {acknowledged} acknowledged, {size} in the log")
        assert acknowledged > KILLS * 10

    @pytest.mark.deep
    async def test_loses_none_in_many_kills(self, tmp_path):
        acknowledged, size = await kill_and_check(tmp_path, KILLS_DEEP)

        print(f"{KILLS_DEEP} kills: {acknowledged} acknowledged, {size} in the log")
