"""What repeats so that no job is left behind; safe in every process at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from tollkeeper.db import Database
from tollkeeper.jobs import store
from tollkeeper.jobs.worker import Pace

# A name, how many seconds lie between two runs, and what to run; it says how much it did.
Repeated = tuple[str, float, Callable[[], Awaitable[int]]]

_RESCUE_SECONDS: Final = 5.0
_FORGET_SECONDS: Final = 600.0
_FAILED_KEPT_DAYS: Final = 90

_log = structlog.stdlib.get_logger(__name__)


def job_upkeep(database: Database, pace: Pace | None = None) -> list[Repeated]:
    """Free the jobs of workers that died, and forget failed ones after 90 days."""
    silent_seconds = (pace or Pace()).silent_seconds

    async def rescue() -> int:
        async with database.connection() as connection:
            freed = await store.free_stalled(connection, silent_seconds)
        if freed:
            _log.warning("jobs_of_dead_workers_freed", jobs=freed)
        return len(freed)

    async def forget() -> int:
        async with database.connection() as connection:
            return await store.forget_failed(connection, _FAILED_KEPT_DAYS)

    return [
        ("rescue_jobs", _RESCUE_SECONDS, rescue),
        ("forget_failed_jobs", _FORGET_SECONDS, forget),
    ]
