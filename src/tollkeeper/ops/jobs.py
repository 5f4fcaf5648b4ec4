"""Work that repeats in the background, in every process that serves and in `tollkeeper worker`.

Each job is safe to run from many processes at once: what one has done, the others find done.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from tollkeeper.base.tasks import end_tasks

# A job is late when it has not succeeded for this many of its intervals, and this long besides:
# a slow run or one failed try is no reason to take the process out of service.
_LATE_INTERVALS: Final = 3
_LATE_SECONDS: Final = 30.0
# Processes started together would otherwise all come at the same moment, for ever.
_SPREAD: Final = 0.1

_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """Something to do every so many seconds. `run` says how much it did."""

    name: str
    every_seconds: float
    run: Callable[[], Awaitable[int]]


Told = Callable[[str, Exception | None], None]


class Jobs:
    """Runs jobs for as long as the block of `running` lasts, and knows which are late."""

    def __init__(self, jobs: Iterable[Job], told: Told) -> None:
        """`told` hears of each run: the job's name, and what it failed with if it did."""
        self.all = tuple(jobs)
        self._told = told
        self._succeeded_at: dict[str, float] = {}

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Cancelled at the end of the block, wherever they are: their statements are atomic."""
        now = time.monotonic()
        self._succeeded_at = {job.name: now for job in self.all}
        tasks = [asyncio.create_task(self._repeat(job), name=job.name) for job in self.all]
        try:
            yield
        finally:
            await end_tasks(*tasks)

    def late(self) -> list[str]:
        """Names of jobs that should have succeeded long ago."""
        now = time.monotonic()
        return [
            job.name
            for job in self.all
            if now - self._succeeded_at.get(job.name, now)
            > job.every_seconds * _LATE_INTERVALS + _LATE_SECONDS
        ]

    async def _repeat(self, job: Job) -> None:
        await asyncio.sleep(random.uniform(0, job.every_seconds * _SPREAD))  # noqa: S311 (no secret)
        while True:
            await self._run_once(job)
            spread = 1 + random.uniform(-_SPREAD, _SPREAD)  # noqa: S311 (no secret)
            await asyncio.sleep(job.every_seconds * spread)

    async def _run_once(self, job: Job) -> None:
        failure: Exception | None = None
        try:
            done = await job.run()
            self._succeeded_at[job.name] = time.monotonic()
            if done:
                _log.debug("job_done", job=job.name, done=done)
        except Exception as error:  # noqa: BLE001 (whatever it was, the next run may succeed)
            failure = error
            _log.warning("job_failed", job=job.name, reason=str(error) or type(error).__name__)
        self._told(job.name, failure)
