"""Databases that one test leaves to the next: emptied in milliseconds; making one takes longer."""

from __future__ import annotations

import time
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

# Rows that were deleted stay in the files, where they slow down whoever scans them. A database that
# has grown by so much is not used again, nor is any for ever.
_MOST_GROWTH_BYTES = 4_000_000
_MOST_USES = 100
_SIZE = "SELECT pg_database_size(current_database())"
_CATALOGS = (
    *("pg_class", "pg_attribute", "pg_attrdef", "pg_constraint", "pg_index", "pg_trigger"),
    *("pg_proc", "pg_type", "pg_namespace", "pg_rewrite", "pg_policy", "pg_db_role_setting"),
    "schema_migration",
)
_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_OWN = "relnamespace::regnamespace::text !~ '^(pg_|information_schema)'"
TABLES = f"""
SELECT relnamespace::regnamespace::text, relname FROM pg_class
WHERE {_OWN} AND relkind = 'r' AND relname <> 'schema_migration'
ORDER BY 1, 2
"""
_SEQUENCES = f"""
SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE {_OWN} AND relkind = 'S'
"""


class Databases:
    """Clones of a template, for the tests of one process. What a test has altered is dropped."""

    def __init__(self, admin_url: str, template: str, url_of: Any) -> None:
        self._admin_url = admin_url
        self._template = template
        self._url_of = url_of
        self._idle: list[str] = []
        self._uses: dict[str, int] = {}
        self._looks: dict[str, object] = {}
        self._sizes: dict[str, int] = {}
        self._empty: bytes | None = None
        self._seeds: dict[tuple[str, str], Any] = {}

    def take(self, name: str) -> str:
        """Give a clone that is as new; `name` is for one that is made."""
        if self._idle:
            return self._idle.pop()
        with psycopg.connect(self._admin_url, autocommit=True) as admin:
            admin.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    sql.Identifier(name), sql.Identifier(self._template)
                )
            )
        self._uses[name] = 0
        with self._connect(name) as connection:
            self._looks[name] = _look(connection)
            self._sizes[name] = _size(connection)
            if self._empty is None:
                self._empty, self._seeds = _wiping(connection)
        return name

    def give_back(self, name: str) -> None:
        self._uses[name] += 1
        if self._uses[name] < _MOST_USES and self._wiped(name):
            self._idle.append(name)
        else:
            self.drop(name)

    def drop(self, name: str) -> None:
        with psycopg.connect(self._admin_url, autocommit=True) as admin:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def close(self) -> None:
        for name in self._idle:
            self.drop(name)

    def _wiped(self, name: str) -> bool:
        """Empty it. False where it is not what it was, or cannot be."""
        try:
            with self._connect(name) as connection:
                while connection.execute(_OTHERS).fetchall():
                    time.sleep(0.002)
                if _look(connection) != self._looks[name] or self._empty is None:
                    return False
                if _size(connection) > self._sizes[name] + _MOST_GROWTH_BYTES:
                    return False
                connection.execute("SET session_replication_role = replica")
                connection.execute(self._empty)
                for table, rows in self._seeds.items():
                    connection.execute(
                        sql.SQL(
                            "INSERT INTO {0} SELECT * FROM jsonb_populate_recordset(NULL::{0}, %s)"
                        ).format(sql.Identifier(*table)),
                        [Jsonb(rows)],
                    )
                return True
        except psycopg.Error:
            return False

    def _connect(self, name: str) -> psycopg.Connection:
        return psycopg.connect(self._url_of(name), autocommit=True)


def _wiping(connection: psycopg.Connection) -> tuple[bytes, dict[tuple[str, str], Any]]:
    """What empties a database, and the rows that migrations left in it."""
    tables: list[tuple[str, str]] = connection.execute(TABLES.encode()).fetchall()
    deletions = [sql.SQL("DELETE FROM {}").format(sql.Identifier(*table)) for table in tables]
    statement = sql.SQL("; ").join([*deletions, sql.SQL(_SEQUENCES.strip())])
    seeds: dict[tuple[str, str], Any] = {}
    for table in tables:
        query = sql.SQL("SELECT coalesce(jsonb_agg(t), '[]') FROM {} t")
        ((rows,),) = connection.execute(query.format(sql.Identifier(*table))).fetchall()
        if rows:
            seeds[table] = rows
    return statement.as_bytes(connection), seeds


def _size(connection: psycopg.Connection) -> int:
    ((size,),) = connection.execute(_SIZE).fetchall()
    return size


def _look(connection: psycopg.Connection) -> object:
    """Whatever is altered has a newer version of its row in a catalog."""
    counts = " UNION ALL ".join(
        f"SELECT count(*), coalesce(sum(xmin::text::bigint), 0) FROM {name}" for name in _CATALOGS
    )
    return connection.execute(counts.encode()).fetchall()
