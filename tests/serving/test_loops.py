"""Loops beside the calls: they outlive everything, and say when something is wrong."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from prometheus_client import generate_latest

from gateway.errors import StorageUnavailable
from gateway.loops import Loop, Loops
from gateway.metrics import Metrics
from gateway.parts import Parts, PartState
from tests.builders.guarded_server import Panic, captured_logs

SECONDS = 5
SECRET = "4242 of Marked Holder"


def a_loop(work, *, every=0.001, stuck_after=60.0):
    return Loop(
        name="tested",
        work=work,
        every_seconds=every,
        stuck_after_seconds=stuck_after,
    )


@asynccontextmanager
async def running(*loops):
    parts, metrics = Parts(), Metrics()
    made = Loops(loops, parts=parts, metrics=metrics)
    made.start()
    try:
        yield parts, metrics
    finally:
        await made.close()


async def until(condition):
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.001)


class Work:
    """Raises what it is told to, and counts."""

    def __init__(self, error=None):
        self.error = error
        self.runs = 0

    async def __call__(self):
        self.runs += 1
        if self.error is not None:
            raise self.error


class TestLoops:
    async def test_run_again_and_again(self):
        work = Work()
        async with running(a_loop(work)) as (parts, metrics):
            await until(lambda: work.runs > 3)

            assert parts.state("tested") is PartState.USABLE
        shown = generate_latest(metrics.registry).decode()
        assert 'bailee_loop_runs_total{loop="tested",result="done"}' in shown

    @pytest.mark.parametrize(
        "error",
        [
            StorageUnavailable(),
            RuntimeError(SECRET),
            asyncio.CancelledError(SECRET),
            Panic(SECRET),
        ],
    )
    async def test_outlive_whatever_is_raised(self, error):
        work = Work(error)
        async with captured_logs() as logs, running(a_loop(work)) as (parts, metrics):
            await until(lambda: work.runs > 2)
            assert parts.state("tested") is PartState.DEGRADED

            work.error = None
            await until(lambda: parts.state("tested") is PartState.USABLE)

        shown = generate_latest(metrics.registry).decode()
        assert 'bailee_loop_runs_total{loop="tested",result="failed"}' in shown
        lines = [json.loads(line) for line in logs.getvalue().splitlines()]
        failed = [line for line in lines if line["message"] == "loop failed"]
        assert {line["type"] for line in failed} == {type(error).__qualname__}
        assert "Marked" not in logs.getvalue()

    async def test_one_does_not_hold_up_another(self):
        slow, quick = asyncio.Event(), Work()
        async with running(a_loop(slow.wait), a_loop(quick)):
            await until(lambda: quick.runs > 3)

    async def test_that_hang_are_shown(self):
        hanging = asyncio.Event()
        loop = a_loop(hanging.wait, stuck_after=0.01)
        async with running(loop) as (parts, _):
            await until(lambda: parts.state("tested") is PartState.DEGRADED)

            hanging.set()
            await until(lambda: parts.state("tested") is PartState.USABLE)

    async def test_end_when_closed(self):
        work = Work()
        async with running(a_loop(work)):
            await until(lambda: work.runs > 1)
        runs = work.runs
        await asyncio.sleep(0.01)

        assert work.runs == runs


class TestParts:
    async def test_tell_of_a_change_once(self):
        parts = Parts()
        async with captured_logs() as logs:
            for _ in range(3):
                parts.report("storage", PartState.DOWN, "the disk is full")
            for _ in range(3):
                parts.mend("storage")

        lines = [json.loads(line) for line in logs.getvalue().splitlines()]
        assert [(line["level"], line["state"], line["problem"]) for line in lines] == [
            ("error", "down", "the disk is full"),
            ("info", "usable", ""),
        ]

    async def test_wake_whoever_waits_for_a_change(self):
        parts = Parts()
        waiting = asyncio.create_task(parts.changed())
        await asyncio.sleep(0)

        parts.report("storage", PartState.DOWN, "the disk is full")

        async with asyncio.timeout(SECONDS):
            await waiting

    async def test_are_up_while_none_is_down(self):
        parts = Parts()
        assert parts.are_up()
        parts.report("processors", PartState.DEGRADED, "does not answer")
        assert parts.are_up()

        parts.report("storage", PartState.DOWN, "the disk is full")

        assert not parts.are_up()
