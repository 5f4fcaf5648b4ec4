"""One connection on which the items of one kind travel together, through whatever happens to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

import structlog

from tollkeeper import ledger
from tollkeeper.base.errors import Unavailable
from tollkeeper.db import Connection, Database
from tollkeeper.metering.store import is_outage

Item = TypeVar("Item")
Result = TypeVar("Result")

# A client that asks for money waits this long for an absent database before it hears 503.
IMPATIENT_SECONDS: Final = 2.0
# A statement gets this long on top: more than any batch takes, less than a client's patience with
# a silent network. What nobody waits for, and lists, get more.
IMPATIENT_STATEMENT_SECONDS: Final = 5.0
_STATEMENT_SECONDS: Final = 30.0
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0
# Beyond so many waiting items, more would only be answered when nobody listens any more.
MOST_WAITING: Final = 50_000

_log = structlog.stdlib.get_logger(__name__)


class Lane(Generic[Item, Result]):
    """Sends batches over a connection of its own, and again when the connection is lost.

    `run` must be safe to repeat: the same items with the same ids give the same answers. `patience`
    is how many seconds an outage may last before callers hear Unavailable; None waits until the
    lane is stopped, and `given_up` hears of what was not sent then. An item that the database
    refuses fails alone: its neighbours are sent again without it.
    """

    def __init__(
        self,
        database: Database,
        run: Callable[[Connection, Sequence[Item], bool], Awaitable[Sequence[Result]]],
        *,
        patience: float | None,
        given_up: Callable[[Sequence[Item]], None] | None = None,
        statement_seconds: float = _STATEMENT_SECONDS,
    ) -> None:
        self._database = database
        self._run = run
        self._patience = patience
        self._given_up = given_up
        self._statement_seconds = statement_seconds
        self._connection: Connection | None = None
        self._down_since: float | None = None
        self._stop_at: float | None = None
        self._batcher = ledger.Batcher[Item, Result | Exception](self._send)

    async def submit(self, item: Item) -> Result:
        """Send one item with whatever else is waiting. Raises Unavailable, or the item's fault."""
        result = await self.put(item)
        if isinstance(result, Exception):
            raise result
        return result

    def put(self, item: Item) -> asyncio.Future[Result | Exception]:
        """Queue one item; its result, or its fault, is in the future. Raises Unavailable."""
        if self._batcher.waiting >= MOST_WAITING:
            raise Unavailable("Too many requests wait for the database")
        return self._batcher.submit(item)

    def submit_unheard(self, item: Item) -> None:
        """Send an item whose answer nobody waits for. It is dropped when too many are waiting."""
        if self._batcher.waiting < MOST_WAITING:
            self._batcher.submit(item)

    @property
    def waiting(self) -> int:
        return self._batcher.waiting

    async def drain(self, grace_seconds: float) -> None:
        """Wait until all that was submitted is answered: Unavailable, when the grace is over."""
        self._stop_at = asyncio.get_running_loop().time() + grace_seconds
        await self._batcher.drain()

    async def close(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.close()

    async def _send(self, items: Sequence[Item]) -> list[Result | Exception]:
        pause = _FIRST_PAUSE
        repeated = False
        while True:
            try:
                results = await self._send_apart(items, repeated)
            except Exception as error:
                if not is_outage(error):
                    raise
                await self._hang_up()
                repeated = True
                if not self._worth_waiting(error):
                    if self._given_up is not None:
                        self._given_up(items)
                    return [Unavailable("The database does not answer")] * len(items)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                self._down_since = None
                return results

    async def _send_apart(self, items: Sequence[Item], repeated: bool) -> list[Result | Exception]:
        """Send all at once; when an item is refused, by halves, until it stands alone."""
        try:
            # As long as it takes to connect and to run; the outcome of what is cut off is unknown.
            async with asyncio.timeout(self._statement_seconds):
                connection = self._connection or await self._connect()
                return [*await self._run(connection, items, repeated)]
        except Exception as error:
            if is_outage(error):
                raise
            if len(items) == 1:
                return [error]
        middle = len(items) // 2
        first = await self._send_apart(items[:middle], repeated)
        return [*first, *await self._send_apart(items[middle:], repeated)]

    async def _connect(self) -> Connection:
        self._connection = await self._database.dedicated()
        await ledger.prepare(self._connection)
        return self._connection

    async def _hang_up(self) -> None:
        try:
            await self.close()
        except Exception as error:  # noqa: BLE001 (it is gone either way)
            _log.debug("connection_not_closed", reason=str(error))

    def _worth_waiting(self, error: BaseException) -> bool:
        now = asyncio.get_running_loop().time()
        if self._down_since is None:
            self._down_since = now
            _log.warning("metering_database_lost", reason=str(error))
        if self._stop_at is not None and now >= self._stop_at:
            return False
        return self._patience is None or now < self._down_since + self._patience
