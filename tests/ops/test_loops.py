"""Background jobs: again and again, whatever one of them does."""

from __future__ import annotations

import asyncio
from unittest.mock import patch

from tollkeeper.ops.jobs import Job, Jobs


class Told:
    def __init__(self) -> None:
        self.runs: list[tuple[str, bool]] = []
        self._news = asyncio.Event()

    def __call__(self, name: str, failure: Exception | None) -> None:
        self.runs.append((name, failure is None))
        self._news.set()

    async def until(self, wanted: tuple[str, bool], times: int) -> None:
        async with asyncio.timeout(5):
            while self.runs.count(wanted) < times:
                self._news.clear()
                await self._news.wait()


async def nothing() -> int:
    return 0


async def broken() -> int:
    raise OSError("no room")


async def test_each_runs_again_and_a_failure_stops_neither_it_nor_the_others() -> None:
    told = Told()
    jobs = Jobs([Job("works", 0.01, nothing), Job("fails", 0.01, broken)], told)
    async with jobs.running():
        await told.until(("works", True), 3)
        await told.until(("fails", False), 3)
    count = len(told.runs)
    await asyncio.sleep(0.05)
    assert len(told.runs) == count, "they ran on after the end"
    assert ("works", False) not in told.runs


async def test_a_job_is_late_when_it_has_not_succeeded_for_long() -> None:
    told = Told()
    jobs = Jobs([Job("works", 0.01, nothing), Job("fails", 0.01, broken)], told)
    assert jobs.late() == []
    with patch("tollkeeper.ops.jobs._LATE_SECONDS", 0.2):
        async with jobs.running():
            assert jobs.late() == []
            await asyncio.sleep(0.4)
            assert jobs.late() == ["fails"]
