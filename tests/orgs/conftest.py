"""An organization, an operator, a KeyRing, and the room's routes over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import aiohttp
import pytest
from people import Acme, found_acme

from serving import served
from tollkeeper.base.clock import MovableClock
from tollkeeper.db import Connection, Database
from tollkeeper.http import Cursors, Idempotency, make_api
from tollkeeper.orgs import KEYRING, KeyRing, Organization, operator_routes, organization_routes


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(datetime(2026, 11, 20, 8, 0, tzinfo=UTC))


@pytest.fixture
async def acme(database: Database, clock: MovableClock) -> Acme:
    return await found_acme(database, clock.now())


@pytest.fixture
async def ring(database: Database, clock: MovableClock) -> AsyncIterator[KeyRing]:
    async with KeyRing.open(database, clock) as opened:
        yield opened


@pytest.fixture
def opened_for() -> list[Organization]:
    """The organizations for which others were told to open theirs, such as wallets."""
    return []


@pytest.fixture
async def base(
    database: Database, clock: MovableClock, ring: KeyRing, opened_for: list[Organization]
) -> AsyncIterator[str]:
    async def opened(tx: Connection, organization: Organization) -> None:
        assert not tx.closed
        if organization.name == "Fails":
            raise RuntimeError("no wallet")
        opened_for.append(organization)

    app = make_api(
        [*organization_routes(clamp_new_keys=False), *operator_routes(opened)],
        [],
        idempotency=Idempotency(database, clock),
        max_body_bytes=100_000,
        dependencies={"database": database, "clock": clock, "cursors": Cursors(b"s" * 32)},
        state={KEYRING: ring},
    )
    async with served(app) as address:
        yield address


@pytest.fixture
async def client(base: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(base_url=f"{base}/") as session:
        yield session
