"""A percentage is told once per period, whoever tells it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from counting import count

from tollkeeper import orgs
from tollkeeper.base.clock import MovableClock
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.db import Database
from tollkeeper.limits import Limit, LimitBook, Measure, Period, acts
from tollkeeper.limits.telling import tell_of_reached

DAY = datetime(2026, 11, 21, tzinfo=UTC)
ORG = UUID(int=7)


class Teller:
    """One organization with budgets, and what it was told of them."""

    def __init__(self, database: Database, clock: MovableClock, book: LimitBook) -> None:
        self.database = database
        self.clock = clock
        self.book = book

    async def limit(self, **said: Any) -> Limit:
        plain: dict[str, Any] = {
            "org_id": ORG,
            "limit_id": uuid7(),
            "name": "Research",
            "measure": Measure.TOKENS,
            "amount": 1_000,
            "period": Period.DAY,
            "alert_percents": (50, 80, 100),
            "created_at": DAY,
        }
        async with self.database.transaction() as tx:
            return await acts.create(tx, Limit(**{**plain, **said}))

    async def use(self, limit: Limit, used: int, **place: Any) -> None:
        start = self.book.span(limit, self.clock.now(), livemode=True).start
        place.setdefault("start", start)
        await count(self.database, ORG, limit.limit_id, used, **place)

    async def tell(self) -> int:
        return await tell_of_reached(self.database, self.book, self.clock.now())

    async def told(self) -> list[dict[str, Any]]:
        async with self.database.connection() as connection:
            found = await connection.execute("SELECT data FROM notice ORDER BY notice_id")
            return [row[0] for row in await found.fetchall()]


@pytest.fixture
async def teller(database: Database) -> AsyncIterator[Teller]:
    clock = MovableClock(DAY + timedelta(hours=10))
    async with database.transaction() as tx:
        await orgs.create_org(tx, org_id=ORG, name="Acme", now=DAY)
    async with LimitBook.open(database, clock) as book:
        yield Teller(database, clock, book)


async def test_6_each_percentage_once_and_anew_in_the_next_period(teller: Teller) -> None:
    limit = await teller.limit()
    said: list[int] = []
    for used in (499, 500, 700, 999, 1_000, 1_100):
        await teller.use(limit, used)
        said += [used] * await teller.tell()
        assert await teller.tell() == 0
    assert said == [500, 999, 1_000]
    first, *others = await teller.told()
    assert first == {
        "limitId": show_id("bud", limit.limit_id),
        "limitName": "Research",
        "percent": 50,
        "spent": 500,
        "limit": 1_000,
        "currency": "tokens",
        "subject": None,
        "resetsAt": "2026-11-22T00:00:00Z",
    }
    assert [data["percent"] for data in others] == [80, 100]
    teller.clock.advance(timedelta(days=1))
    assert await teller.tell() == 0
    await teller.use(limit, 600)
    assert await teller.tell() == 1


async def test_6_several_at_once_are_told_by_the_highest(teller: Teller) -> None:
    limit = await teller.limit()
    await teller.use(limit, 850)
    assert await teller.tell() == 1
    assert [data["percent"] for data in await teller.told()] == [80]


async def test_6_processes_that_race_tell_once(teller: Teller) -> None:
    limits = [await teller.limit(each="endUser") for _ in range(5)]
    for limit in limits:
        for subject in ("ada", "bob"):
            await teller.use(limit, 900, subject=subject)
    told = await asyncio.gather(*(teller.tell() for _ in range(4)))
    assert sum(told) == 10
    data = await teller.told()
    assert len({(one["limitId"], one["subject"]) for one in data}) == len(data) == 10


async def test_what_is_over_is_not_told_of(teller: Teller) -> None:
    limit = await teller.limit()
    await teller.use(limit, 900, start=DAY - timedelta(days=1))
    assert await teller.tell() == 0
    removed = await teller.limit()
    await teller.use(removed, 900)
    async with teller.database.transaction() as tx:
        await acts.remove(tx, ORG, removed.limit_id, DAY)
    assert await teller.tell() == 0
    silent = await teller.limit(alert_percents=())
    await teller.use(silent, 900)
    assert await teller.tell() == 0


async def test_a_raised_amount_is_told_of_again(teller: Teller) -> None:
    limit = await teller.limit()
    await teller.use(limit, 1_000)
    assert await teller.tell() == 1
    async with teller.database.transaction() as tx:
        await acts.change(tx, ORG, limit.limit_id, acts.Change(amount=4_000))
    assert await teller.tell() == 0
    await teller.use(limit, 2_000)
    assert await teller.tell() == 1
    assert [(one["percent"], one["limit"]) for one in await teller.told()] == [
        (100, 1_000),
        (50, 4_000),
    ]


async def test_amounts_near_the_largest_do_not_overflow(teller: Teller) -> None:
    limit = await teller.limit(amount=2**61, measure=Measure.COST, alert_percents=(50, 300))
    await teller.use(limit, 2**61)
    assert await teller.tell() == 1
    await teller.use(limit, 2**62 + 2**61)
    assert await teller.tell() == 1
