"""Calls under way. Each is a task of the server's own, which its client's leaving cannot end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
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

    @contextmanager
    def cuttable(self) -> Generator[None]:
        """Mark the part of a call that waits for a provider: a stop ends it with Stopping."""
        task = asyncio.current_task()
        if task is None or self._cutting:
            raise Stopping(_SAID)
        self._reading.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if not self._cutting or task.uncancel() > 0:
                raise
            raise Stopping(_SAID) from None
        finally:
            self._reading.discard(task)

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
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
