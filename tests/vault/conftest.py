"""A vault of its own for each test."""

import pytest

from tests.builders.vault import a_vault


@pytest.fixture
async def vault(tmp_path):
    async with a_vault(tmp_path) as opened:
        yield opened
