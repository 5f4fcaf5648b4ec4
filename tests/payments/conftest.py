"""The same tests for every processor: sandbox, fake Stripe, and Stripe where there is a key."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
import stripe
from banks import (
    Account,
    Bank,
    FakeBank,
    RealStripe,
    SandboxBank,
    fake_settings,
    no_pause,
)
from fake_stripe import FakeStripe
from fake_stripe import served as fake_served
from shops import Shop, open_shop

from serving import served
from tollkeeper.base.clock import MovableClock
from tollkeeper.base.settings import Secret, Stripe
from tollkeeper.db import Connection, Database
from tollkeeper.http import Idempotency, make_api
from tollkeeper.payments.processors.sandbox import SandboxProcessor, sandbox_pages
from tollkeeper.payments.processors.stripe import StripeProcessor, open_stripe

TEST_KEY = os.environ.get("STRIPE_TEST_KEY")
CLICKABLE = ("sandbox", "fake_stripe")
PROCESSORS = (*CLICKABLE, "stripe") if TEST_KEY else CLICKABLE
SECRET = b"s" * 32


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(datetime.now(UTC).replace(microsecond=0))


@pytest.fixture
async def fake(clock: MovableClock) -> AsyncIterator[FakeStripe]:
    async with fake_served(clock=lambda: clock.now().timestamp()) as running:
        yield running


@pytest.fixture
async def fake_processor(fake: FakeStripe, clock: MovableClock) -> AsyncIterator[StripeProcessor]:
    async with open_stripe(fake_settings(fake), clock, no_pause) as processor:
        yield processor


@asynccontextmanager
async def sandbox_served(
    database: Database, clock: MovableClock
) -> AsyncGenerator[SandboxProcessor]:
    """The sandbox with its pages on a free port."""

    async def changed() -> None:
        """Nobody waits for webhooks here."""

    sandbox = SandboxProcessor(database, clock, SECRET, "http://nowhere.invalid")
    app = make_api(
        [],
        [],
        idempotency=Idempotency(database, clock),
        max_body_bytes=100_000,
        other_routes=sandbox_pages(sandbox, changed),
        dependencies={},
    )
    async with served(app) as address:
        sandbox._base_url = address.removesuffix("/api/v1")
        yield sandbox


@pytest.fixture
async def sandbox_bank(database: Database, clock: MovableClock) -> AsyncIterator[SandboxBank]:
    async with sandbox_served(database, clock) as sandbox:
        bank = SandboxBank(sandbox, database, clock)
        await bank.open()
        yield bank


@pytest.fixture
async def fake_bank(
    fake: FakeStripe, fake_processor: StripeProcessor, clock: MovableClock
) -> FakeBank:
    bank = FakeBank(fake_processor, fake, clock)
    await bank.open()
    return bank


@pytest.fixture
async def real_stripe(clock: MovableClock) -> AsyncIterator[RealStripe]:
    assert TEST_KEY is not None
    async with open_stripe(Stripe(secret_key=Secret(TEST_KEY)), clock) as processor:
        http = stripe.AIOHTTPClient()
        account = RealStripe(processor, stripe.StripeClient(TEST_KEY, http_client=http), clock)
        await account.open()
        yield account
        await http.close_async()


@pytest.fixture(params=CLICKABLE)
def bank(request: pytest.FixtureRequest) -> Bank:
    """The sandbox, and the fake Stripe."""
    fixture = {"sandbox": "sandbox_bank", "fake_stripe": "fake_bank"}[request.param]
    found: Bank = request.getfixturevalue(fixture)
    return found


@pytest.fixture(params=PROCESSORS)
def account(request: pytest.FixtureRequest) -> Account:
    """Every processor there is."""
    fixture = {"sandbox": "sandbox_bank", "fake_stripe": "fake_bank", "stripe": "real_stripe"}
    found: Account = request.getfixturevalue(fixture[request.param])
    return found


@pytest.fixture
async def shop(bank: Bank, database: Database, owner: Connection) -> Shop:
    """A till at the sandbox, and one at the fake Stripe."""
    return await open_shop(bank, database, owner)


@pytest.fixture
async def fake_shop(fake_bank: FakeBank, database: Database, owner: Connection) -> Shop:
    return await open_shop(fake_bank, database, owner)


@pytest.fixture
async def sandbox_shop(sandbox_bank: SandboxBank, database: Database, owner: Connection) -> Shop:
    return await open_shop(sandbox_bank, database, owner)
