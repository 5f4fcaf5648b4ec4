"""All processes of one installation seal cursors with the same secret."""

from __future__ import annotations

import asyncio
import secrets

from tollkeeper.db import Database
from tollkeeper.http import instance_secret


async def test_the_first_secret_stays(database: Database) -> None:
    async def ask() -> bytes:
        async with database.connection() as connection:
            return await instance_secret(connection, secrets.token_bytes(32))

    found = await asyncio.gather(*(ask() for _ in range(10)))
    assert len(set(found)) == 1
    assert len(found[0]) == 32
