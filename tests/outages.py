"""Databases that hang up, and that are away for a while."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import psycopg
from psycopg import sql

from tollkeeper.db import Connection


async def hang_up(owner: Connection) -> None:
    """End every connection but this one, as a restarting server does."""
    await owner.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


@asynccontextmanager
async def outage(owner: Connection) -> AsyncGenerator[None]:
    """A database that takes no connection, and has hung up on those it had."""
    name = owner.info.dbname
    elsewhere = owner.info.dsn.replace(name, "postgres")
    async with await psycopg.AsyncConnection.connect(
        elsewhere, password=owner.info.password, autocommit=True
    ) as admin:
        allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
        named = sql.Identifier(name)
        await admin.execute(allow.format(named, sql.SQL("false")))
        await hang_up(owner)
        try:
            yield
        finally:
            await admin.execute(allow.format(named, sql.SQL("true")))
