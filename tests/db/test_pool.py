"""Connections: the role they have, where transactions end, and what an outage looks like."""

from __future__ import annotations

import psycopg
import pytest

from tollkeeper.base.errors import Unavailable
from tollkeeper.db import Connection, Database, EmbeddedServer

WHO = "SELECT current_user, session_user, current_setting('timezone')"


async def test_every_connection_is_the_application_in_utc(database: Database) -> None:
    expected = ("tollkeeper_app", "tollkeeper", "UTC")
    async with database.transaction() as tx:
        assert await (await tx.execute(WHO)).fetchone() == expected
    async with database.connection() as connection:
        assert await (await connection.execute(WHO)).fetchone() == expected
        await connection.execute("RESET ALL")
        assert await (await connection.execute(WHO)).fetchone() == expected
    async with await database.dedicated() as connection:
        assert await (await connection.execute(WHO)).fetchone() == expected


async def test_a_transaction_commits_at_its_end_and_only_there(
    database: Database, owner: Connection
) -> None:
    await owner.execute("CREATE TABLE note (text text)")
    await owner.execute("GRANT ALL ON note TO tollkeeper_app")
    async with database.transaction() as tx:
        await tx.execute("INSERT INTO note VALUES ('kept')")
        assert await (await owner.execute("SELECT FROM note")).fetchone() is None
    with pytest.raises(ZeroDivisionError):
        async with database.transaction() as tx:
            await tx.execute("INSERT INTO note VALUES ('undone')")
            raise ZeroDivisionError
    assert await (await owner.execute("SELECT text FROM note")).fetchall() == [("kept",)]


async def test_the_pool_outlives_the_death_of_its_connections(
    database: Database, owner: Connection
) -> None:
    async with database.connection() as connection:
        await connection.execute("SELECT 1")
    await owner.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    async with database.transaction() as tx:
        assert await (await tx.execute("SELECT 1")).fetchone() == (1,)


async def test_a_connection_that_breaks_in_use_is_an_outage(
    database: Database, owner: Connection
) -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        async with database.transaction() as tx:
            pid = tx.info.backend_pid
            await owner.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
            await tx.execute("SELECT 1")
    async with database.transaction() as tx:
        assert await (await tx.execute("SELECT 1")).fetchone() == (1,)


async def test_a_fault_of_ours_is_not_an_outage(database: Database) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable):
        async with database.transaction() as tx:
            await tx.execute("SELECT FROM nothing_of_this_name")


async def test_an_absent_server_is_an_outage_with_its_reason(server: EmbeddedServer) -> None:
    with pytest.raises(Unavailable, match='database "no_such_database" does not exist'):
        async with Database.open(server.url_of("no_such_database")):
            pass
