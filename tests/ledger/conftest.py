"""Connections to the ledger for the tests of this room."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from ledger_purse import Connect
from tollkeeper import ledger
from tollkeeper.db import Connection, Database


@pytest.fixture
async def connect(database: Database) -> AsyncIterator[Connect]:
    """Opens connections that are fit for the hot statements, and closes them after the test."""
    async with AsyncExitStack() as stack:

        async def connect() -> Connection:
            connection = await stack.enter_async_context(await database.dedicated())
            await ledger.prepare(connection)
            return connection

        yield connect


@pytest.fixture
async def connection(connect: Connect) -> Connection:
    return await connect()
