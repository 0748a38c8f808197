"""The simulator as a process: how it starts, and what a kill -9 leaves."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.payments.processor import Approved, ProcessorOutcomeUnknown
from gateway.processors.simulator.http_transport import HttpTransport
from gateway.processors.simulator.processor import SimulatorProcessor
from tests.contract.processor_contract import Desk
from tests.contract.processor_harness import a_card, an_account
from tests.processors.simulator_harness import CARDS, totals_of
from tests.security.leak_search import search_files

pytestmark = pytest.mark.process

COMMAND = [sys.executable, "-m", "gateway.processors.simulator"]
LINE = re.compile(r"listening on (127\.0\.0\.1:\d+)\n")


class Process:
    """A running simulator."""

    def __init__(self, popen):
        self._popen = popen
        self.line = popen.stdout.readline()
        self.url = f"http://{LINE.fullmatch(self.line)[1]}"

    def kill(self, number=signal.SIGKILL):
        self._popen.send_signal(number)
        return self._popen.wait(timeout=20)


def run(*arguments):
    """Runs the command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"COLUMNS": "88"},
    )


@contextmanager
def simulator(file=None):
    arguments = ["--ledger", str(file)] if file else []
    popen = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, text=True)
    with popen:
        try:
            yield Process(popen)
        finally:
            popen.kill()


class Harness:
    """As much of a harness as a desk needs, over a process."""

    account = an_account("simulator")

    def __init__(self, url):
        self.transport = HttpTransport(url)

    def card(self, behaviour):
        return a_card(CARDS[behaviour])

    async def dump(self):
        async with self.transport._open().get(
            self.transport._url + "/ledger"
        ) as answer:
            return await answer.json()


@pytest.fixture
async def open_desk():
    desks = []

    def opened(process):
        harness = Harness(process.url)
        desks.append(Desk(harness, SimulatorProcessor(harness.transport)))
        return desks[-1]

    yield opened
    for desk in desks:
        await desk.processor.close()


class TestProcess:
    async def test_keeps_every_answer_across_a_kill(self, tmp_path, open_desk):
        file = tmp_path / "ledger.jsonl"
        with simulator(file) as process:
            before = open_desk(process)
            reference = await before.store()
            told = await before.charge(reference)
            books = await before.harness.dump()
            process.kill()

        with simulator(file) as process:
            after = open_desk(process)
            after.payment = before.payment

            assert await after.harness.dump() == books
            assert await after.charge(reference) == told
            assert totals_of(await after.harness.dump()).captured == 1999

    async def test_doubles_nothing_when_killed_under_load(self, tmp_path, open_desk):
        file = tmp_path / "ledger.jsonl"
        with simulator(file) as process:
            desks = [open_desk(process) for _ in range(8)]
            references = [
                await desk.store(key=f"desk-{place}")
                for place, desk in enumerate(desks)
            ]
            calls = [
                asyncio.create_task(desk.charge(reference, key=f"charge-{place}"))
                for place, (desk, reference) in enumerate(
                    zip(desks, references, strict=True)
                )
            ]
            await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
            process.kill()
            told = await asyncio.gather(*calls, return_exceptions=True)

        with simulator(file) as process:
            for place, (desk, reference) in enumerate(
                zip(desks, references, strict=True)
            ):
                again = open_desk(process)
                again.payment = desk.payment
                outcome = await again.charge(reference, key=f"charge-{place}")
                assert isinstance(outcome, Approved)
                unknown = isinstance(told[place], ProcessorOutcomeUnknown)
                assert unknown or told[place] == outcome
            totals = totals_of(await again.harness.dump())

        assert (totals.payments, totals.captured) == (8, 8 * 1999)

    async def test_keeps_no_card_number(self, tmp_path, open_desk):
        file = tmp_path / "ledger.jsonl"
        with simulator(file) as process:
            for number in sorted(CARDS):
                desk = open_desk(process)
                reference = await desk.store(number, key=number)
                if hasattr(reference, "customer"):
                    await desk.charge(reference, key=f"charge-{number}")
            shown = await desk.harness.dump()
            process.kill(signal.SIGTERM)

        assert file.stat().st_mode & 0o077 == 0
        assert search_files([tmp_path], CARDS.values()) == []
        assert not any(number in str(shown) for number in CARDS.values())
        # The search finds what is there.
        (tmp_path / "control").write_text(next(iter(CARDS.values())))
        assert search_files([tmp_path], CARDS.values())

    def test_listens_on_loopback_alone(self):
        with simulator() as process:
            port = int(process.url.rpartition(":")[2])
            sockets = [
                line.split()[1]
                for table in ("tcp", "tcp6")
                for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
                if line.split()[3] == "0A"
            ]

        assert [each for each in sockets if each.endswith(f":{port:04X}")] == [
            f"0100007F:{port:04X}"
        ]

    def test_ends_when_it_is_told_to(self):
        with simulator() as process:
            assert process.kill(signal.SIGTERM) == 0

    def test_refuses_a_ledger_that_another_process_has(self, tmp_path):
        file = tmp_path / "ledger.jsonl"
        with simulator(file):
            second = run("--ledger", str(file))

        assert second.returncode == 1
        assert "another process has it" in second.stderr

    def test_says_when_the_port_is_taken(self):
        with simulator() as process:
            port = process.url.rpartition(":")[2]
            second = run("--port", port)

        assert second.returncode == 1
        assert f"cannot listen on 127.0.0.1:{port}" in second.stderr

    def test_explains_itself(self):
        shown = run("--help")

        assert shown.returncode == 0
        for word in ("--port", "--ledger", "4000000000009995", "drop_after", "/ledger"):
            assert word in shown.stdout
