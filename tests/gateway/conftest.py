"""A house with a gateway in it, for the tests of this room."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import psycopg
import pytest
from gateway_house import House, open_house
from psycopg import sql

from tollkeeper.db import Database, EmbeddedServer


@pytest.fixture(scope="session")
def shared_database_url(server: EmbeddedServer, template: str) -> Iterator[str]:
    """A database for all tests that bring customers of their own."""
    name = f"gateway_{uuid4().hex}"
    identifiers = {"name": sql.Identifier(name), "template": sql.Identifier(template)}
    with psycopg.connect(server.url_of("postgres"), autocommit=True) as admin:
        create = sql.SQL("CREATE DATABASE {name} TEMPLATE {template}")
        admin.execute(create.format(**identifiers))
        yield server.url_of(name)
        admin.execute(sql.SQL("DROP DATABASE {name} WITH (FORCE)").format(**identifiers))


@pytest.fixture(scope="session")
async def shared_hasty_house(shared_database_url: str) -> AsyncIterator[House]:
    limits = {
        "connect_timeout_seconds": 1,
        "first_byte_timeout_seconds": 1,
        "idle_timeout_seconds": 1,
        "total_timeout_seconds": 3,
        "drain_seconds": 1,
    }
    async with (
        Database.open(shared_database_url) as database,
        open_house(database, limits) as opened,
    ):
        yield opened


@pytest.fixture(scope="session")
async def shared_house(shared_database_url: str) -> AsyncIterator[House]:
    async with (
        Database.open(shared_database_url) as database,
        open_house(database) as opened,
    ):
        yield opened


@pytest.fixture
def house(shared_house: House) -> House:
    """The house that most tests share. Its upstream does nothing until it is told."""
    return anew(shared_house)


@pytest.fixture
def hasty_house(shared_hasty_house: House) -> House:
    """A house that waits a second for anything, and three for a whole call."""
    return anew(shared_hasty_house)


def anew(house: House) -> House:
    house.upstream.script = None
    house.upstream.heard.clear()
    house.upstream.finished = 0
    return house
