"""Calls under way. Each is a task of the server's own, which its client's leaving cannot end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from tollkeeper.gateway.errors import Stopping

# What is left of the grace for settling the calls that had to be cut.
_SETTLING_SECONDS: Final = 5.0
_SAID: Final = "This server is being stopped; please try again"


class Flights:
    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._reading: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._cutting = False

    @property
    def running(self) -> int:
        return len(self._tasks)

    def check_open(self) -> None:
        """Raises Stopping once the server takes no new calls."""
        if self._closed:
            raise Stopping(_SAID)

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def cuttable(self) -> Cuttable:
        """Mark the part of a call that waits for a provider: a stop ends it with Stopping."""
        return Cuttable(self)

    @property
    def cutting(self) -> bool:
        return self._cutting

    @property
    def reading(self) -> set[asyncio.Task[Any]]:
        return self._reading

    async def drain(self, grace_seconds: float) -> int:
        """Take no new calls, and wait for those under way; return how many were given up.

        Shortly before the end of the grace, those that still read from a provider are told to
        settle what they have. What is given up after it leaves a hold that expires.
        """
        self._closed = True
        margin = min(_SETTLING_SECONDS, grace_seconds / 2)
        await self._wait(grace_seconds - margin)
        self._cutting = True
        for task in tuple(self._reading):
            task.cancel()
        await self._wait(margin)
        return len(self._tasks)

    async def _wait(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        # A call that ends may have begun something else, such as giving its hold back.
        while self._tasks and (left := deadline - loop.time()) > 0:
            await asyncio.wait(self._tasks, timeout=left)


class Cuttable:
    """Not a generator: it is entered on every call."""

    __slots__ = ("_flights", "_task")

    def __init__(self, flights: Flights) -> None:
        self._flights = flights
        self._task: asyncio.Task[Any] | None = None

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        if self._task is None or self._flights.cutting:
            raise Stopping(_SAID)
        self._flights.reading.add(self._task)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._task is None:
            return
        self._flights.reading.discard(self._task)
        cancelled = kind is not None and issubclass(kind, asyncio.CancelledError)
        if cancelled and self._flights.cutting and self._task.uncancel() == 0:
            raise Stopping(_SAID) from None
