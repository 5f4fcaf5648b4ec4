from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tax_rules import TAXES

from tollkeeper.base.settings import Settings
from whole import Customer, Whole, whole_served


@pytest.fixture
async def whole(database_url: str) -> AsyncIterator[Whole]:
    async with whole_served(database_url, Settings(taxes=TAXES)) as served:
        yield served


@pytest.fixture
async def customer(whole: Whole) -> Customer:
    return await whole.customer()
