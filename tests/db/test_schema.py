"""The schema that people read is the schema that migrations make."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import LiteralString, cast

import psycopg
import pytest

from tollkeeper.db import Connection
from tollkeeper.db.migrate import MIGRATIONS, prepare_role, read_migrations

SCHEMA = MIGRATIONS.with_name("schema.sql")
SQUAWK = Path(sys.executable).with_name("squawk")

# Rules of squawk that do not apply here, each with its reason.
EXCLUDED = {
    "require-lock-timeout": "the runner sets it around every file",
    "require-statement-timeout": "the runner sets it around every file",
    "prefer-robust-stmts": "the runner applies a file in one transaction, once",
    "prefer-bigint-over-smallint": "a status or a priority is small by its nature",
    "prefer-bigint-over-int": "a duration in milliseconds or a rate per minute fits; counts do not",
}

# What tells two databases apart, as text, whatever order the columns were added in.
CATALOG: dict[str, LiteralString] = {
    "tables": """
        SELECT relname, relkind::text, relpersistence::text, reloptions, relrowsecurity,
               pg_get_partkeydef(oid), pg_get_expr(relpartbound, oid)
        FROM pg_class WHERE relnamespace = 'public'::regnamespace
    """,
    "columns": """
        SELECT attrelid::regclass::text, attname, format_type(atttypid, atttypmod), attnotnull,
               attidentity::text, attgenerated::text, attcollation::regcollation::text,
               pg_get_expr(adbin, adrelid)
        FROM pg_attribute
        JOIN pg_class ON pg_class.oid = attrelid
        LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped
    """,
    "constraints": """
        SELECT conrelid::regclass::text, conname, contype::text, convalidated,
               pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    """,
    "indexes": """
        SELECT indexrelid::regclass::text, indisvalid, pg_get_indexdef(indexrelid)
        FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
        WHERE relnamespace = 'public'::regnamespace
    """,
    "triggers": """
        SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(pg_trigger.oid)
        FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
        WHERE NOT tgisinternal AND relnamespace = 'public'::regnamespace
    """,
    "functions": """
        SELECT oid::regprocedure::text, pg_get_functiondef(oid)
        FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    """,
    "views": """
        SELECT oid::regclass::text, pg_get_viewdef(oid)
        FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('v', 'm')
    """,
    "types": """
        SELECT oid::regtype::text, typtype::text,
               ARRAY(SELECT enumlabel::text FROM pg_enum
                     WHERE enumtypid = pg_type.oid ORDER BY enumsortorder)
        FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype IN ('e', 'd', 'r')
    """,
    "sequences": """
        SELECT seqrelid::regclass::text, seqtypid::regtype::text, seqstart, seqincrement, seqmax
        FROM pg_sequence JOIN pg_class ON pg_class.oid = seqrelid
        WHERE relnamespace = 'public'::regnamespace
    """,
    "grants": """
        SELECT relname, '' AS column, grantor::regrole::text, grantee::regrole::text,
               privilege_type, is_grantable
        FROM pg_class, aclexplode(relacl) WHERE relnamespace = 'public'::regnamespace
        UNION ALL
        SELECT attrelid::regclass::text, attname, grantor::regrole::text, grantee::regrole::text,
               privilege_type, is_grantable
        FROM pg_attribute, aclexplode(attacl)
        WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)
        UNION ALL
        SELECT oid::regprocedure::text, '', grantor::regrole::text, grantee::regrole::text,
               privilege_type, is_grantable
        FROM pg_proc, aclexplode(proacl) WHERE pronamespace = 'public'::regnamespace
    """,
    "extensions": "SELECT extname, extversion FROM pg_extension",
}


def describe(url: str, query: LiteralString) -> list[str]:
    with psycopg.connect(url) as connection:
        return sorted(str(row) for row in connection.execute(query))


@pytest.fixture
async def read_schema_url(empty_database_url: str) -> str:
    """A database that was made from schema.sql alone."""
    async with await psycopg.AsyncConnection.connect(
        empty_database_url, autocommit=True
    ) as connection:
        await prepare_role(connection)
        await connection.execute(cast("LiteralString", SCHEMA.read_text("utf-8")))
    return empty_database_url


async def test_schema_sql_says_what_migrations_make(
    shared_database_url: str, read_schema_url: str
) -> None:
    differences: list[str] = []
    for part, query in CATALOG.items():
        migrated, read = describe(shared_database_url, query), describe(read_schema_url, query)
        differences += [f"{part}: only in migrations: {row}" for row in migrated if row not in read]
        differences += [f"{part}: only in schema.sql: {row}" for row in read if row not in migrated]
    assert not differences, "\n".join(differences)


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE extra (id int)",
        "ALTER TABLE schema_migration ADD COLUMN extra int",
        "ALTER TABLE schema_migration ALTER COLUMN sha256 DROP NOT NULL",
        "ALTER TABLE schema_migration ALTER COLUMN applied_at SET DEFAULT '2026-01-01'",
        "ALTER TABLE schema_migration ADD CONSTRAINT extra CHECK (name <> '')",
        "CREATE INDEX extra ON schema_migration (sha256)",
        "GRANT DELETE ON schema_migration TO tollkeeper_app",
        "GRANT UPDATE (name) ON schema_migration TO tollkeeper_app",
        "CREATE FUNCTION extra() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ],
)
async def test_the_comparison_sees(
    database_url: str, owner: Connection, change: LiteralString
) -> None:
    before = {part: describe(database_url, query) for part, query in CATALOG.items()}
    await owner.execute(change)
    assert before != {part: describe(database_url, query) for part, query in CATALOG.items()}


def test_migrations_are_named_in_an_unbroken_row() -> None:
    numbers = [int(migration.name[:4]) for migration in read_migrations()]
    assert numbers == list(range(1, len(numbers) + 1))
    others = [path.name for path in MIGRATIONS.iterdir() if path.suffix != ".sql"]
    assert others == []


@pytest.mark.parametrize("path", sorted(MIGRATIONS.glob("*.sql")), ids=lambda path: path.name)
def test_migrations_cannot_hurt(path: Path) -> None:
    done = subprocess.run(
        [
            SQUAWK,
            "--pg-version=16.0",
            "--assume-in-transaction",
            *(f"--exclude={rule}" for rule in EXCLUDED),
            path,
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_application_may_not_rewrite_history(shared_database_url: str) -> None:
    with psycopg.connect(shared_database_url) as connection:
        granted = connection.execute(
            """
            SELECT table_name, privilege_type FROM information_schema.role_table_grants
            WHERE grantee = 'tollkeeper_app' AND table_name = ANY(%s)
              AND privilege_type NOT IN ('SELECT', 'INSERT')
            """,
            (["entry", "lot", "usage_record", "schema_migration"],),
        ).fetchall()
    assert granted == []


def test_the_readable_whole_has_no_leftovers_of_migrations() -> None:
    text = SCHEMA.read_text("utf-8")
    assert not re.search(r"^\s*(ALTER|DROP)\s", text, re.MULTILINE | re.IGNORECASE)
