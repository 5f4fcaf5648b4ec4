from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from earned import SETTINGS, START

from tollkeeper.base.clock import MovableClock
from whole import Customer, Whole, whole_served


@pytest.fixture
async def whole(database_url: str) -> AsyncIterator[Whole]:
    async with whole_served(database_url, SETTINGS, MovableClock(START)) as served:
        yield served


@pytest.fixture
async def customer(whole: Whole) -> Customer:
    return await whole.customer()
