from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from tollkeeper.db import EmbeddedServer
from tollkeeper.pricing import publish, read_price_file
from tollkeeper_client import AsyncTollkeeper
from whole import Customer, Whole, whole_served

PRICES = """
provider: own
source: a test
models:
  generate_sql:
    prices:
      - from: 2025-01-01
        rates: {request: 0.02, row: {price: 0.10, per: 1000}}
"""


@pytest.fixture(scope="session")
def own_database_url(server: EmbeddedServer, template: str) -> Iterator[str]:
    """A database for all tests of the clients."""
    name = f"clients_{uuid4().hex}"
    names = {"name": sql.Identifier(name), "template": sql.Identifier(template)}
    with psycopg.connect(server.url_of("postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {name} TEMPLATE {template}").format(**names))
        yield server.url_of(name)
        admin.execute(sql.SQL("DROP DATABASE {name} WITH (FORCE)").format(**names))


@pytest.fixture(scope="session")
async def clients_whole(own_database_url: str) -> AsyncIterator[Whole]:
    """One server for all of them: each test has customers of its own."""
    async with whole_served(own_database_url) as whole:
        async with whole.database.transaction() as tx:
            at = datetime.now(UTC) - timedelta(days=1)
            await publish(tx, read_price_file(PRICES, "own.yaml"), "a test", at)
        await whole.app.rooms.books.refresh()
        yield whole


@pytest.fixture
def whole(clients_whole: Whole) -> Whole:
    return clients_whole


@pytest.fixture
async def customer(whole: Whole) -> Customer:
    return await whole.customer()


@pytest.fixture
async def admin(whole: Whole, customer: Customer) -> AsyncIterator[AsyncTollkeeper]:
    async with AsyncTollkeeper(customer.keys["test ADMIN"], whole.url) as client:
        yield client


@pytest.fixture
async def operator(whole: Whole) -> AsyncIterator[AsyncTollkeeper]:
    async with AsyncTollkeeper(whole.operator_key, whole.url) as client:
        yield client
