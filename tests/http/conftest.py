"""The toy API over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import cast

import aiohttp
import pytest
from toy import BODY_LIMIT, ROUTES, Shelf, hot_routes

from serving import served
from tollkeeper.base.clock import MovableClock
from tollkeeper.db import Database
from tollkeeper.http import Api, Idempotency, make_api


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(datetime(2026, 11, 20, 8, 0, tzinfo=UTC))


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def idempotency(clock: MovableClock) -> Idempotency:
    """Without a database: only requests with an Idempotency-Key would need it."""
    return Idempotency(cast("Database", None), clock)


@pytest.fixture
def api(idempotency: Idempotency, shelf: Shelf) -> Api:
    return make_api(
        ROUTES,
        hot_routes(shelf, idempotency),
        idempotency=idempotency,
        max_body_bytes=BODY_LIMIT,
        dependencies={},
        state={"shelf": shelf},
    )


@pytest.fixture
async def base(api: Api) -> AsyncIterator[str]:
    async with served(api) as address:
        yield address


@pytest.fixture
async def client(base: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(base_url=f"{base}/") as session:
        yield session
