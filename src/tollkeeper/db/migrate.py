"""Forward-only migrations: each file once, in order, each in a transaction of its own."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, LiteralString, cast

import psycopg
from psycopg import AsyncConnection, errors, sql
from psycopg.rows import TupleRow

from tollkeeper.db.included import with_included
from tollkeeper.db.pool import APPLICATION_ROLE

MIGRATIONS: Final = Path(__file__).parent / "migrations"

_NAME: Final = re.compile(r"\d{4}_[a-z0-9_]+\.sql")
# Any number serves that no other program on the server is likely to lock.
_ADVISORY_LOCK: Final = 7_106_211_948_276_003
_ROLE_ATTEMPTS: Final = 5

_CREATE_TABLE: Final = """
CREATE TABLE IF NOT EXISTS schema_migration (
    name text PRIMARY KEY,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""
_READ_APPLIED: Final = "SELECT name, sha256 FROM schema_migration ORDER BY name"
_RECORD: Final = "INSERT INTO schema_migration (name, sha256) VALUES (%s, %s)"


class MigrationError(Exception):
    """The database and the code do not fit together, or a migration failed."""


@dataclass(frozen=True, slots=True)
class Migration:
    name: str
    text: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def read_migrations(directory: Path = MIGRATIONS) -> list[Migration]:
    """Read them in order. Raises MigrationError for a name that is not `NNNN_what.sql`."""
    found = [
        Migration(path.name, path.read_text("utf-8")) for path in sorted(directory.glob("*.sql"))
    ]
    numbers = [migration.name[:4] for migration in found]
    for migration in found:
        if not _NAME.fullmatch(migration.name):
            raise MigrationError(f"{migration.name}: a migration is named NNNN_what_it_does.sql")
        if numbers.count(migration.name[:4]) > 1:
            raise MigrationError(f"{migration.name}: two migrations have the same number")
    return found


async def migrate(url: str, *, directory: Path = MIGRATIONS) -> list[str]:
    """Bring the database to the newest schema and return the names that were applied.

    Safe to run from many processes at once: one works, the others wait and find nothing to do.
    Raises MigrationError when an applied file was edited, when the database is newer than this
    code, or when a statement fails; the files before it stay applied.
    """
    migrations = read_migrations(directory)
    async with await AsyncConnection[TupleRow].connect(
        url, autocommit=True, application_name="tollkeeper migrate"
    ) as connection:
        await connection.execute("SET timezone = 'UTC'")
        await connection.execute("SET client_min_messages = warning")
        # The session's end releases the lock, however the session ends.
        await connection.execute("SELECT pg_advisory_lock(%s)", (_ADVISORY_LOCK,))
        await prepare_role(connection)
        await connection.execute(_CREATE_TABLE)
        await connection.execute(_grant("SELECT ON schema_migration"))
        applied = await (await connection.execute(_READ_APPLIED)).fetchall()
        pending = select_pending(migrations, applied)
        for migration in pending:
            await _apply(connection, migration)
    return [migration.name for migration in pending]


async def pending_migrations(url: str, *, directory: Path = MIGRATIONS) -> list[str]:
    """Return the names that `migrate` would apply. Raises MigrationError as it would."""
    async with await AsyncConnection[TupleRow].connect(url, autocommit=True) as connection:
        applied = await _read_applied(connection)
    return [migration.name for migration in select_pending(read_migrations(directory), applied)]


async def pending_on(
    connection: AsyncConnection[TupleRow], *, directory: Path = MIGRATIONS
) -> list[str]:
    """Return what a process at work lacks; the application's role may ask.

    A database that is newer lacks nothing: migrations let the version before them go on working.
    """
    migrations = read_migrations(directory)
    known = {migration.name for migration in migrations}
    applied = [row for row in await _read_applied(connection) if row[0] in known]
    return [migration.name for migration in select_pending(migrations, applied)]


async def _read_applied(connection: AsyncConnection[TupleRow]) -> list[tuple[str, str]]:
    found = await connection.execute("SELECT to_regclass('schema_migration') IS NOT NULL")
    if await found.fetchone() == (False,):
        return []
    rows = await (await connection.execute(_READ_APPLIED)).fetchall()
    return [(name, sha256) for name, sha256 in rows]


def select_pending(
    migrations: list[Migration], applied: Iterable[tuple[str, str]]
) -> list[Migration]:
    """Return what is still to be applied, or raise MigrationError if the two do not fit."""
    known = {migration.name: migration for migration in migrations}
    done = dict(applied)
    for name, sha256 in done.items():
        if name not in known:
            raise MigrationError(
                f"The database has the migration {name}, which this version does not know: it"
                " was made by a newer version. Run that one, or restore a backup."
            )
        if known[name].sha256 != sha256:
            raise MigrationError(
                f"{name} was edited after it had been applied. Put it back as it was, and write"
                " the change as a new migration."
            )
    pending = [migration for migration in migrations if migration.name not in done]
    newest = max(done, default="")
    for migration in pending:
        if migration.name < newest:
            raise MigrationError(
                f"{migration.name} comes before {newest}, which is already applied. Give it the"
                " next free number."
            )
    return pending


async def prepare_role(connection: AsyncConnection[TupleRow]) -> None:
    """Create the application's role if the server lacks it, and let this user take it on.

    A role belongs to the whole server, so runners in other databases may do the same at the
    same moment; whoever comes second sees a duplicate or a concurrent update and looks again.
    """
    for attempt in range(_ROLE_ATTEMPTS):
        try:
            async with connection.transaction():
                await _create_role(connection)
        except (errors.DuplicateObject, errors.UniqueViolation, errors.InternalError_):
            if attempt == _ROLE_ATTEMPTS - 1:
                raise
        except errors.InsufficientPrivilege as error:
            raise MigrationError(
                f"This database user may not create the role {APPLICATION_ROLE} or grant it."
                f" Let an administrator run: CREATE ROLE {APPLICATION_ROLE} NOLOGIN;"
                f" GRANT {APPLICATION_ROLE} TO <this user>;"
            ) from error
        else:
            return


async def _create_role(connection: AsyncConnection[TupleRow]) -> None:
    role = sql.Identifier(APPLICATION_ROLE)
    found = await connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (APPLICATION_ROLE,))
    if await found.fetchone() is None:
        await connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(role))
    # A superuser may take on any role, yet a later restore under a lesser owner needs the grant.
    member = await connection.execute(
        """
        SELECT FROM pg_auth_members
        WHERE roleid = %s::regrole AND member = current_user::regrole AND set_option
        """,
        (APPLICATION_ROLE,),
    )
    if await member.fetchone() is None:
        await connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(role))
    await connection.execute(_grant("USAGE ON SCHEMA public"))


def _grant(what: LiteralString) -> sql.Composed:
    return sql.SQL("GRANT {} TO {}").format(sql.SQL(what), sql.Identifier(APPLICATION_ROLE))


async def _apply(connection: AsyncConnection[TupleRow], migration: Migration) -> None:
    try:
        async with connection.transaction():
            # A migration that has to wait for traffic gives up before traffic waits for it.
            await connection.execute("SET LOCAL lock_timeout = '4s'")
            await connection.execute("SET LOCAL statement_timeout = '30s'")
            # Our own files and a library's; the type guards against texts built from input.
            await connection.execute(cast("LiteralString", with_included(migration.text)))
            await connection.execute(_RECORD, (migration.name, migration.sha256))
    except psycopg.Error as error:
        raise MigrationError(f"{migration.name}: {error}") from error
