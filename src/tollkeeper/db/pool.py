"""Connections in the application's role, for everyone who reads or writes."""

from __future__ import annotations

import select
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, Self

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool

from tollkeeper.base.errors import Unavailable

Connection = AsyncConnection[TupleRow]

APPLICATION_ROLE: Final = "tollkeeper_app"

# A caller waits this long for a free connection: longer than a restart of the server takes,
# shorter than the patience of an HTTP client.
_WAIT_SECONDS: Final = 10.0
_CONNECT_SECONDS: Final = 10
# Jobs are in the schema `queue`, whose functions name their tables without it.
_SESSION: Final = f"-c role={APPLICATION_ROLE} -c timezone=UTC -c search_path=public,queue"
# psycopg's own default, stated because the hot path depends on it: a statement that is run
# this often on one connection is prepared there.
_PREPARE_AFTER: Final = 5

# SQLSTATE classes and codes of a server that is absent, full, stopping, or not the primary.
_OUTAGE_CLASSES: Final = ("08", "53")
_OUTAGE_STATES: Final = ("57P01", "57P02", "57P03", "25006")


class Database:
    """A pool of connections to one database, each in the role `tollkeeper_app` and in UTC."""

    def __init__(self, url: str, pool: AsyncConnectionPool[Connection]) -> None:
        self.url = url
        self._pool = pool

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, *, min_size: int = 1, max_size: int = 10) -> AsyncGenerator[Self]:
        """Connect, or raise Unavailable with the server's own words."""
        # One connection beforehand: a pool that cannot connect only says that it timed out.
        try:
            probe = await AsyncConnection[TupleRow].connect(**_parameters(url))
        except psycopg.OperationalError as error:
            raise Unavailable(f"The database does not answer: {error}") from error
        await probe.close()

        async def check(connection: Connection) -> None:
            await _replace_stale(pool, connection)

        pool = AsyncConnectionPool[Connection](
            kwargs=_parameters(url),
            min_size=min_size,
            max_size=max_size,
            timeout=_WAIT_SECONDS,
            check=check,
            open=False,
        )
        async with pool:
            yield cls(url, pool)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Connection]:
        """One transaction: committed at the end of the block, rolled back when it raises."""
        with _outages_named():
            async with self._pool.connection() as connection, connection.transaction():
                yield connection

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[Connection]:
        """Lend a connection on which each statement commits by itself."""
        with _outages_named():
            async with self._pool.connection() as connection:
                yield connection

    @property
    def parameters(self) -> dict[str, Any]:
        """How to connect as this pool does, for a library that keeps connections of its own."""
        return _parameters(self.url)

    async def dedicated(self) -> Connection:
        """Open an autocommit connection of the caller's own, which the caller closes."""
        with _outages_named():
            return await AsyncConnection[TupleRow].connect(**_parameters(self.url))


def unavailable(error: BaseException) -> Unavailable | None:
    """Return what a customer is told if `error` means that the database does not answer.

    The outcome of a commit that failed this way is not known: ask again with the same id.
    """
    if isinstance(error, Unavailable):
        return error
    if not isinstance(error, psycopg.Error):
        return None
    state = error.sqlstate or ""
    lost = isinstance(error, psycopg.OperationalError) and not state
    if lost or state.startswith(_OUTAGE_CLASSES) or state in _OUTAGE_STATES:
        # The driver's words name hosts and paths: they are for the log, as the cause.
        return Unavailable("The database does not answer just now")
    return None


@contextmanager
def _outages_named() -> Generator[None]:
    try:
        yield
    except psycopg.Error as error:
        outage = unavailable(error)
        if outage is None:
            raise
        raise outage from error


def _parameters(url: str) -> dict[str, Any]:
    given: dict[str, Any] = dict(conninfo_to_dict(url))
    options = str(given.get("options") or "")
    return {
        "application_name": "tollkeeper",
        "connect_timeout": _CONNECT_SECONDS,
        **given,
        # As options of the start-up packet they cost no round trip, and RESET returns to them.
        "options": f"{options} {_SESSION}".strip(),
        "autocommit": True,
        "prepare_threshold": _PREPARE_AFTER,
    }


async def _replace_stale(pool: AsyncConnectionPool[Connection], connection: Connection) -> None:
    # An idle connection has nothing to say: if it is readable, the server has hung up. This
    # costs no round trip, which the pool's own check would at every use.
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if not poll.poll(0):
        return
    try:
        await AsyncConnectionPool.check_connection(connection)
    except psycopg.Error:
        # The others are as stale as this one; the pool would find out one by one, waiting
        # longer after each.
        await pool.drain()
        raise
