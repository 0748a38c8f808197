"""Tests of payments share a till over a new database and an empty bank."""

import pytest

from tests.builders.payments import a_till


@pytest.fixture
async def till(tmp_path):
    async with a_till(tmp_path) as opened:
        yield opened
