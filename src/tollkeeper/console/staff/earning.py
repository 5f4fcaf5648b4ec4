"""What was earned: months of revenue, and the margin of the last days. Worked out from the books,
which takes a while where there are many, so an answer is good for some minutes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from tollkeeper import credits, margins, orgs  # noqa: A004 (the room's name)
from tollkeeper.base.clock import Clock
from tollkeeper.base.ids import read_id
from tollkeeper.base.settings import Settings
from tollkeeper.console.staff.mode import Mode
from tollkeeper.credits import RevenueMonth
from tollkeeper.db import Database
from tollkeeper.margins import MarginOut, Window

MARGIN_DAYS: Final = 7
_MONTHS: Final = 3
_TOP: Final = 10
_GOOD_FOR: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Earned:
    """Months newest first. The margin is of the whole days of UTC before today, of live calls."""

    months: Sequence[RevenueMonth]
    margin: MarginOut | None
    customers: Sequence[tuple[UUID, str, MarginOut]]
    worked_out_at: datetime


class Earning:
    """Works it out once for all who ask, and again when it is old."""

    def __init__(self, database: Database, clock: Clock, settings: Settings) -> None:
        self._database = database
        self._clock = clock
        self._source = margins.source_of(settings, database)
        self._busy = asyncio.Lock()
        self._known: dict[Mode, Earned] = {}

    async def read(self, mode: Mode) -> Earned:
        async with self._busy:
            now = self._clock.now().astimezone(UTC)
            known = self._known.get(mode)
            if known is None or not timedelta() <= now - known.worked_out_at < _GOOD_FOR:
                known = self._known[mode] = await self._work_out(now, mode)
            return known

    async def _work_out(self, now: datetime, mode: Mode) -> Earned:
        first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        begins = first
        for _ in range(_MONTHS - 1):
            begins = (begins - timedelta(days=1)).replace(day=1)
        moments = credits.months_of(begins, first)
        found = await credits.revenue(self._database, moments, livemode=mode == "live")
        months = credits.revenue_rows(moments, found, now)
        rows, total = await self._margins(now) if mode == "live" else ([], None)
        return Earned(
            months=sorted(months, key=lambda one: one.month, reverse=True),
            margin=total,
            customers=await self._name(rows),
            worked_out_at=now,
        )

    async def _margins(self, now: datetime) -> tuple[list[MarginOut], MarginOut]:
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        window = Window(since=today - timedelta(days=MARGIN_DAYS), until=today)
        return await margins.report(self._source, window, "organization")

    async def _name(self, rows: Sequence[MarginOut]) -> list[tuple[UUID, str, MarginOut]]:
        top = sorted(rows, key=lambda row: -row.charged.nanos)[:_TOP]
        ids = [read_id("org", row.key) for row in top]
        async with self._database.connection() as connection:
            names = await orgs.names_of_orgs(connection, ids)
        return [(org_id, names.get(org_id, ""), row) for org_id, row in zip(ids, top, strict=True)]
