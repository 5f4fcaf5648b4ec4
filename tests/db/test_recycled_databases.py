"""A database that a test has used is as new for the next one, or gone."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest

from recycling import TABLES, Databases
from tollkeeper.db import EmbeddedServer


@pytest.fixture
def pool(server: EmbeddedServer, template: str) -> Iterator[Databases]:
    made = Databases(server.url_of("postgres"), template, server.url_of)
    yield made
    made.close()


def dump(connection: psycopg.Connection) -> list[object]:
    """Every row of every table."""
    found = connection.execute(TABLES.encode()).fetchall()
    return [
        (schema, name, connection.execute(f'SELECT * FROM {schema}."{name}"'.encode()).fetchall())
        for schema, name in found
    ]


def test_what_a_test_has_written_is_gone(server: EmbeddedServer, pool: Databases) -> None:
    name = pool.take(f"test_{uuid4().hex}")
    with psycopg.connect(server.url_of(name), autocommit=True) as connection:
        fresh = dump(connection)
        connection.execute("INSERT INTO organization VALUES (gen_random_uuid(), 'Acme', now())")
        connection.execute("SET search_path = queue, public")
        connection.execute(
            "INSERT INTO queue.procrastinate_jobs (queue_name, task_name, priority, args)"
            " VALUES ('a queue', 'a task', 0, '{}')"
        )
        # It was forgotten to be closed.
        pool.give_back(name)
        assert connection.closed or not connection.broken
    assert pool.take("test_unused") == name
    with psycopg.connect(server.url_of(name), autocommit=True) as connection:
        assert dump(connection) == fresh
    pool.give_back(name)


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE wallet DROP CONSTRAINT wallet_hard_stop",
        "GRANT DELETE ON entry TO tollkeeper_app",
        "CREATE INDEX extra ON entry (amount)",
        "CREATE TABLE other (x int)",
        "ALTER DATABASE {name} SET jit = off",
    ],
)
def test_a_database_that_was_altered_is_dropped(
    server: EmbeddedServer, pool: Databases, change: str
) -> None:
    name = pool.take(f"test_{uuid4().hex}")
    with psycopg.connect(server.url_of(name), autocommit=True) as connection:
        connection.execute(change.format(name=name).encode())
    pool.give_back(name)
    another = f"test_{uuid4().hex}"
    assert pool.take(another) == another
    pool.give_back(another)
