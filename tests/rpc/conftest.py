"""One authority for all tests of a module, one server for each test."""

import pytest

from tests.builders.certificates import Ca
from tests.builders.guarded_server import captured_logs, serving


@pytest.fixture(scope="session")
def ca():
    return Ca()


@pytest.fixture
async def logs():
    async with captured_logs() as stream:
        yield stream


@pytest.fixture
async def served(ca, tmp_path, logs):
    async with serving(ca, tmp_path) as running:
        yield running


@pytest.fixture
async def channel(served):
    async with served.channel() as opened:
        yield opened
