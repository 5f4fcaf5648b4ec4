from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tollkeeper.base.settings import Settings
from tollkeeper.base.settings_of_money import Plans
from whole import Customer, Whole, whole_served


@pytest.fixture
async def whole(database_url: str) -> AsyncIterator[Whole]:
    async with whole_served(database_url, Settings(plans=Plans(default="free"))) as served:
        yield served


@pytest.fixture
async def customer(whole: Whole) -> Customer:
    return await whole.customer()
