"""Says when an allowance is used up: once per cycle and consumable, whoever notices first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final, NamedTuple
from uuid import UUID

from tollkeeper.base.clock import Clock
from tollkeeper.db import Database
from tollkeeper.notifications import AllowanceExhausted, notify
from tollkeeper.plans import store
from tollkeeper.plans.book import PlanBook
from tollkeeper.plans.drawing import consumable_of
from tollkeeper.plans.terms import Terms

_LOOK_SECONDS: Final = 2.0
_SWEEP_SECONDS: Final = 60.0
_MOST: Final = 2_000


class Chore(NamedTuple):
    name: str
    every_seconds: float
    run: Callable[[], Awaitable[int]]


def allowance_chores(database: Database, clock: Clock, book: PlanBook) -> list[Chore]:
    """Look at those whose calls this process has priced; what a crash forgets, the sweep finds."""

    async def look() -> int:
        return await tell_of(database, clock, book, book.take_asked())

    async def sweep() -> int:
        async with database.connection() as connection:
            all_of_them = await store.with_untold_counters(connection)
        return await tell_of(database, clock, book, all_of_them)

    return [
        Chore("look_at_allowances", _LOOK_SECONDS, look),
        Chore("sweep_allowances", _SWEEP_SECONDS, sweep),
    ]


async def tell_of(
    database: Database, clock: Clock, book: PlanBook, among: Iterable[tuple[UUID, bool]]
) -> int:
    """Tell these organizations what they have used up. Returns how many notices there were."""
    now = clock.now()
    found = [terms for who in among if (terms := book.look_up(*who, now)) is not None]
    told = 0
    for start in range(0, len(found), _MOST):
        part = found[start : start + _MOST]
        told += await _tell(database, clock, {(one.org_id, one.livemode): one for one in part})
    return told


async def _tell(database: Database, clock: Clock, found: dict[tuple[UUID, bool], Terms]) -> int:
    asked = [
        (terms.org_id, limit_id, terms.livemode, terms.cycle_start, one.included)
        for terms in found.values()
        for one, limit_id in zip(terms.consumables, terms.limit_ids, strict=True)
        if one.included
    ]
    async with database.connection() as connection:
        used_up = await store.used_up(connection, asked)
    told = 0
    for org_id, livemode, limit_id in used_up:
        terms = found[org_id, livemode]
        one = consumable_of(terms, limit_id)
        async with database.transaction() as tx:
            first = await store.note_told(tx, org_id, limit_id, terms.livemode, terms.cycle_start)
            if not first or one is None:
                continue
            event = AllowanceExhausted(
                allowance=f"{one.included:,} {one.name}", period_end=terms.cycle_end
            )
            await notify(tx, org_id, event, now=clock.now(), livemode=terms.livemode)
            told += 1
    return told
