"""A meter and a purse for the tests of this room."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from metered import DOLLAR, START, Purse, open_purse
from shop import Customer, Shop, open_shop

from tollkeeper.base.clock import MovableClock
from tollkeeper.db import Database
from tollkeeper.metering import Meter


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(START)


@pytest.fixture
async def meter(database: Database, clock: MovableClock) -> AsyncIterator[Meter]:
    async with Meter.open(database, clock) as opened:
        yield opened


@pytest.fixture
async def purse(database: Database, clock: MovableClock) -> Purse:
    return await open_purse(database, clock, 100 * DOLLAR)


@pytest.fixture
async def shop(database: Database, clock: MovableClock) -> AsyncIterator[Shop]:
    async with open_shop(database, clock) as opened:
        yield opened


@pytest.fixture
async def customer(shop: Shop) -> Customer:
    return await shop.customer()
