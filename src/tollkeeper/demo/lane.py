"""Some of the organizations, calling: a process of its own, with one connection to the ledger."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct

from tollkeeper import ledger
from tollkeeper.base.clock import SystemClock
from tollkeeper.base.errors import TollkeeperError
from tollkeeper.base.settings import Settings
from tollkeeper.db import Connection, Database
from tollkeeper.demo import store
from tollkeeper.demo.history import History, ended, too_dear
from tollkeeper.demo.model import Organization, Pipe, World
from tollkeeper.demo.traffic import Caller, Made
from tollkeeper.ledger import ChargeOutcome, ChargeResult, NewCharge
from tollkeeper.limits import LimitBook
from tollkeeper.metering import Purse, Refusal, Rules, drawing, facts_of, refused_call
from tollkeeper.plans import PlanBook
from tollkeeper.pricing import BookKeeper

_BATCH: Final = 500


class Done(Struct, frozen=True):
    """What a lane has to say of a stretch: how many calls, and what is left to spend of each
    organization that called, by its number."""

    calls: int
    left: dict[int, int]


def run(url: str, settings: Settings, world: World, mine: Sequence[int], pipe: Pipe) -> None:
    """Call for these organizations, one stretch of `world.stretches` for each word in the pipe."""
    # Whoever started this one decides when it ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(_run(url, settings, world, [world.organizations[one] for one in mine], pipe))


async def _run(
    url: str, settings: Settings, world: World, mine: Sequence[Organization], pipe: Pipe
) -> None:
    async with Database.open(url, max_size=2) as database:
        lane = await Lane.open(database, settings, world, mine)
        for first, last in world.stretches:
            # Made while others are busy; what it costs does not depend on what they do.
            lane.make(first, last)
            pipe.recv()
            pipe.send(await lane.post(first, last))
        await lane.close()


class Lane:
    def __init__(
        self,
        connection: Connection,
        world: World,
        callers: Sequence[Caller],
        limits: LimitBook,
        plans: PlanBook,
    ) -> None:
        self._connection = connection
        self._world = world
        self._callers = callers
        self._numbers = {caller.org.org_id: caller.org.number for caller in callers}
        self._limits = limits
        self._plans = plans
        self._rules = Rules(limits, plans)
        self._made: dict[int, list[Made]] = {}

    @classmethod
    async def open(
        cls,
        database: Database,
        settings: Settings,
        world: World,
        mine: Sequence[Organization],
    ) -> Lane:
        connection = await database.dedicated()
        await ledger.prepare(connection)
        books = BookKeeper(database)
        await books.refresh()
        plans = PlanBook(database, settings.plans.default)

        def cycle(org_id: UUID, livemode: bool, at: datetime) -> tuple[datetime, datetime] | None:
            terms = plans.look_up(org_id, livemode, at)
            return None if terms is None else (terms.cycle_start, terms.cycle_end)

        limits = LimitBook(database, SystemClock(), cycle)
        callers = [Caller(org, world.wish.seed, books.book) for org in mine]
        return cls(connection, world, callers, limits, plans)

    def make(self, first: int, last: int) -> None:
        for tick in range(first, last):
            begins = self._world.at(tick)
            made = [call for caller in self._callers for call in caller.calls(tick, begins)]
            if made:
                self._made[tick] = made

    async def post(self, first: int, last: int) -> Done:
        """Charge what was made of these ticks, as of their own times."""
        await self._plans.refresh()
        await self._limits.refresh()
        ticks = [self._made.pop(tick, []) for tick in range(first, last)]
        calls, left = sum(map(len, ticks)), dict[int, int]()
        if calls:
            simple = await self._write_down(ticks, self._world.at(last), left)
            for made in ticks:
                await self._charge([one for one in made if one.call.org_id not in simple], left)
        return Done(calls, left)

    async def close(self) -> None:
        await self._connection.close()

    async def _write_down(
        self, ticks: Sequence[Sequence[Made]], until: datetime, left: dict[int, int]
    ) -> set[UUID]:
        """Write down the calls of whoever has only a balance to heed, and say whose they are."""
        ours = {one.call.org_id: one.call for made in ticks for one in made}
        free = [
            (call.org_id, call.wallet_id)
            for call in ours.values()
            if not self._rules.concern(facts_of(call), call.started_at)
        ]
        async with self._connection.transaction():
            purses = [
                History(purse)
                for purse in await store.lock(self._connection, free)
                if not purse.frozen
                and (purse.next_expiry_at is None or purse.next_expiry_at > until)
            ]
            histories = {one.purse.org_id: one for one in purses}
            for made in ticks:
                for one in sorted(made, key=_end):
                    history = histories.get(one.call.org_id)
                    if history is not None:
                        history.add(one)
                for history in purses:
                    history.close_entry()
            await store.write(
                self._connection,
                [record for history in purses for record in history.records],
                [entry for history in purses for entry in history.entries],
                [history.purse for history in purses],
            )
        for history in purses:
            left[self._numbers[history.purse.org_id]] = history.purse.spendable
        return set(histories)

    async def _charge(self, made: Sequence[Made], left: dict[int, int]) -> None:
        for start in range(0, len(made), _BATCH):
            await self._charge_batch(made[start : start + _BATCH], left)

    async def _charge_batch(self, made: Sequence[Made], left: dict[int, int]) -> None:
        now = max(map(_end, made))
        charges = [self._subject(one) for one in made]
        results = await ledger.charge(self._connection, charges, now)
        refused: list[NewCharge] = []
        for one, charge, result in zip(made, charges, results, strict=True):
            left[self._numbers[charge.org_id]] = result.spendable
            if result.outcome is not ChargeOutcome.POSTED:
                refused.append(refused_call(one.call, self._refusal(one, charge, result)))
        if refused:
            await ledger.settle(self._connection, refused, now)

    def _subject(self, made: Made) -> NewCharge:
        """Give the charge with what it draws of limits and of what plans include."""
        if made.rating is None or made.version is None:
            return made.charge
        facts = facts_of(made.call)
        if not self._rules.concern(facts, made.call.started_at):
            return made.charge
        draws = self._rules.draws_of(
            facts,
            made.rating,
            version=made.version,
            operation=made.call.operation,
            purse=Purse(made.call.wallet_id),
            at=made.call.started_at,
        )
        return drawing(made.charge, draws)

    def _refusal(self, made: Made, charge: NewCharge, result: ChargeResult) -> TollkeeperError:
        refused = Refusal(
            facts=facts_of(made.call),
            purse=Purse(charge.wallet_id),
            at=charge.started_at,
            required=charge.amount,
            top_up_url=None,
        )
        return self._rules.refuse(result, refused) or too_dear(charge, result.spendable)


def _end(made: Made) -> datetime:
    return ended(made.charge)
