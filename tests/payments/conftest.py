"""Tests of payments share a till over a new database and an empty bank."""

import pytest

from tests.builders.payments import a_till
from tests.payments.stories import check_stories


@pytest.fixture
async def till(tmp_path):
    async with a_till(tmp_path) as opened:
        yield opened
        await check_stories(opened.storage)
