"""A house with a gateway in it, for the tests of this room."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import psycopg
import pytest
from house import House, open_house
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
async def shared_house(shared_database_url: str) -> AsyncIterator[House]:
    async with (
        Database.open(shared_database_url) as database,
        open_house(database) as opened,
    ):
        yield opened


@pytest.fixture
async def house(shared_house: House) -> AsyncIterator[House]:
    """The house that most tests share. Its upstream does nothing until it is told."""
    shared_house.upstream.script = None
    shared_house.upstream.heard.clear()
    shared_house.upstream.finished = 0
    yield shared_house
    shared_house.upstream.script = None
