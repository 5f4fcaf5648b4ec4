"""Who tells of a percentage that is reached: a chore in every process, by level, not by event.

What stands in a counter is compared with what was told of it, and the notice commits with the
word that it was told; so a crash forgets nothing, and processes that race say it once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final, NamedTuple

from tollkeeper.base.clock import Clock
from tollkeeper.base.ids import show_id
from tollkeeper.db import Database
from tollkeeper.limits import store
from tollkeeper.limits.book import LimitBook
from tollkeeper.limits.model import Limit, Measure
from tollkeeper.limits.periods import Span
from tollkeeper.limits.refusing import CURRENCY
from tollkeeper.limits.shapes import shown
from tollkeeper.limits.store import Reached
from tollkeeper.notifications import UsageLimitReached, notify

_TELL_SECONDS: Final = 2.0
_AT_ONCE: Final = 500


class Chore(NamedTuple):
    name: str
    every_seconds: float
    run: Callable[[], Awaitable[int]]


def limit_chores(database: Database, clock: Clock, book: LimitBook) -> list[Chore]:
    async def tell() -> int:
        return await tell_of_reached(database, book, clock.now())

    return [Chore("tell_of_budgets", _TELL_SECONDS, tell)]


async def tell_of_reached(database: Database, book: LimitBook, now: datetime) -> int:
    """Tell of each percentage that was reached since; of several at once the highest. Returns how
    many notices there were."""
    async with database.connection() as connection:
        found = await store.find_reached(connection, _AT_ONCE)
    told = 0
    for reached in found:
        span = book.span(reached.limit, now, livemode=reached.counter.livemode)
        async with database.transaction() as tx:
            if await store.write_told(tx, reached) and _is_news(reached, span):
                await notify(
                    tx,
                    reached.limit.org_id,
                    _event(reached, span),
                    now=now,
                    livemode=reached.counter.livemode,
                )
                told += 1
    return told


def _is_news(reached: Reached, span: Span) -> bool:
    """A period that is over is not told of, nor that a raised amount is further away again."""
    counter = reached.counter
    return counter.period_start >= span.start and reached.percent > counter.told_percent


def _event(reached: Reached, span: Span) -> UsageLimitReached:
    limit, counter = reached.limit, reached.counter
    return UsageLimitReached(
        limit_id=show_id("bud", limit.limit_id),
        limit_name=limit.name,
        percent=reached.percent,
        spent=shown(limit, counter.used),
        limit=shown(limit, limit.amount),
        currency=_unit(limit),
        subject=counter.subject or None,
        resets_at=span.end,
    )


def _unit(limit: Limit) -> str:
    return CURRENCY if limit.measure is Measure.COST else limit.measure.value
