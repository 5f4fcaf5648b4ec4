"""Every limit there is, in the memory of one process: what applies to a call costs no query.

A process asks about every second which limits changed, as it does of keys. It never waits for the
answer: what it knows may be a second old, and counters hold whatever it knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final, Self
from uuid import UUID

import structlog

from tollkeeper.base.clock import Clock
from tollkeeper.base.errors import TollkeeperError
from tollkeeper.base.tasks import end_tasks
from tollkeeper.db import Database
from tollkeeper.ledger import Draw
from tollkeeper.limits import store
from tollkeeper.limits.model import Facts, Limit
from tollkeeper.limits.periods import Span
from tollkeeper.limits.refusing import refuse, refuse_unknown
from tollkeeper.limits.watch import Cycle, Watch

_POLL_SECONDS: Final = 0.75
# A change is visible later than the moment it notes.
_OVERLAP_SECONDS: Final = 30

_log = structlog.stdlib.get_logger(__name__)


class Shelf:
    """The limits of one organization; those that name a key or a person stand under it."""

    def __init__(self, watches: Iterable[Watch]) -> None:
        self.keys: dict[UUID, list[Watch]] = {}
        self.end_users: dict[str, list[Watch]] = {}
        self.projects: dict[UUID, list[Watch]] = {}
        self.others: list[Watch] = []
        for watch in watches:
            limit = watch.limit
            if limit.key_id is not None:
                self.keys.setdefault(limit.key_id, []).append(watch)
            elif limit.end_user is not None:
                self.end_users.setdefault(limit.end_user, []).append(watch)
            elif limit.project_id is not None:
                self.projects.setdefault(limit.project_id, []).append(watch)
            else:
                self.others.append(watch)

    def near(self, facts: Facts) -> list[Watch]:
        """Those that may concern a call."""
        found = self.others
        if self.projects and facts.project_id is not None:
            found = found + self.projects.get(facts.project_id, [])
        if self.end_users and facts.end_user is not None:
            found = found + self.end_users.get(facts.end_user, [])
        if self.keys and facts.key_id is not None:
            found = found + self.keys.get(facts.key_id, [])
        return found


class LimitBook:
    """One per process. `LimitBook.open` also runs its polling."""

    def __init__(self, database: Database, clock: Clock, cycle: Cycle | None = None) -> None:
        self._database = database
        self._clock = clock
        self._cycle = cycle
        self._polled_at: datetime | None = None
        # Removed ones too: a call that one stopped says by what.
        self._known: dict[UUID, Watch] = {}
        self._of_org: dict[UUID, dict[UUID, Watch]] = {}
        self._shelves: dict[UUID, Shelf] = {}
        self._refreshing = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def open(
        cls, database: Database, clock: Clock, cycle: Cycle | None = None
    ) -> AsyncGenerator[Self]:
        book = cls(database, clock, cycle)
        await book.refresh()
        watching = asyncio.create_task(book._watch())
        try:
            yield book
        finally:
            await end_tasks(watching)

    async def refresh(self) -> None:
        """Learn what has changed. Polling does it; whoever changed something need not wait."""
        async with self._refreshing:
            async with self._database.connection() as connection:
                asked_at, changed = await store.changed_since(
                    connection, self._polled_at, _OVERLAP_SECONDS
                )
            self.learn(changed)
            self._polled_at = asked_at

    def limit(self, org_id: UUID) -> bool:
        """Say whether anything of an organization is limited."""
        return org_id in self._shelves

    def draws(self, facts: Facts, at: datetime, tokens: int) -> tuple[Draw, ...]:
        """Say what a call takes of which counters. `tokens`: how many it is at most, or was."""
        shelf = self._shelves.get(facts.org_id)
        if shelf is None:
            return ()
        taken = [watch.draw(facts, at, tokens) for watch in shelf.near(facts)]
        return tuple(draw for draw in taken if draw is not None)

    def refusal(
        self,
        limit_id: UUID,
        *,
        required: int,
        room: int,
        affordable_max_tokens: int | None = None,
        top_up_url: str | None = None,
        livemode: bool = True,
    ) -> TollkeeperError:
        """Make the error for a call that needed `required` units of a limit and found `room`."""
        watch = self._known.get(limit_id)
        if watch is None:
            return refuse_unknown(limit_id)
        now = self._clock.now()
        return refuse(
            watch.limit,
            watch.span(now, livemode=livemode),
            now=now,
            required=required,
            room=room,
            affordable_max_tokens=affordable_max_tokens,
            top_up_url=top_up_url,
        )

    def find(self, limit_id: UUID) -> Limit | None:
        """Give a limit by its id, also one that was removed lately."""
        watch = self._known.get(limit_id)
        return None if watch is None else watch.limit

    def span(self, limit: Limit, at: datetime, *, livemode: bool) -> Span:
        """Give the period of a limit, in the form it was read in, at a moment."""
        return Watch(limit, self._cycle).span(at, livemode=livemode)

    def learn(self, changed: Iterable[Limit]) -> None:
        """Take in limits that are new, changed or removed."""
        touched: set[UUID] = set()
        for limit in changed:
            known = self._known.get(limit.limit_id)
            if known is not None and known.limit == limit:
                continue
            watch = self._known[limit.limit_id] = Watch(limit, self._cycle)
            touched.add(limit.org_id)
            within = self._of_org.setdefault(limit.org_id, {})
            if limit.deleted_at is None:
                within[limit.limit_id] = watch
            else:
                within.pop(limit.limit_id, None)
        for org_id in touched:
            within = self._of_org[org_id]
            if within:
                self._shelves[org_id] = Shelf(within.values())
            else:
                self._shelves.pop(org_id, None)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            try:
                await self.refresh()
            except Exception as error:  # noqa: BLE001 (whatever it was, the next try may succeed)
                _log.warning("limits_not_polled", reason=str(error))
