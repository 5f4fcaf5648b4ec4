"""A demo from its first moment to its last: people act in pauses, and call in between."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from multiprocessing.context import ForkServerProcess
from typing import Final, Self
from uuid import UUID

from msgspec import Struct

from tollkeeper import operator, orgs, pricing
from tollkeeper.app import open_app
from tollkeeper.base.clock import Clock, MovableClock
from tollkeeper.base.errors import TollkeeperError
from tollkeeper.base.ids import uuid7
from tollkeeper.base.settings import Settings
from tollkeeper.db import Database
from tollkeeper.demo import adding, lane, store, stories
from tollkeeper.demo.api import Api
from tollkeeper.demo.lane import Done
from tollkeeper.demo.model import DAY, Organization, Pays, Pipe, Wish, World
from tollkeeper.demo.stage import WHO, Stage, nice
from tollkeeper.demo.traffic import Caller
from tollkeeper.demo.world import plan
from tollkeeper.operator import Act
from tollkeeper.pricing import Book

_MOST_LANES: Final = 4
_ADDERS: Final = 2
_WEEK: Final = 7 * DAY
_WELCOME: Final = timedelta(days=30)

Told = Callable[[str, int, int], None]
"""Hears what is being done, how much of it is done, and of how much."""


class DemoRefused(TollkeeperError):
    """This database is no place for a demo"""

    code = "demo_refused"
    status = 409


class Report(Struct, frozen=True, kw_only=True):
    """What was made. `admin_keys` open the consoles of the largest organizations."""

    organizations: int
    calls: int
    since: str
    until: str
    admin_keys: dict[str, str]


async def fill(
    settings: Settings, url: str, wish: Wish, clock: Clock, told: Told, *, force: bool = False
) -> Report:
    """Fill a migrated database. Raises DemoRefused where there is a demo, or, unless forced,
    anybody else."""
    world = plan(wish)
    fast = store.hurried(url)
    async with Database.open(fast, max_size=2) as database:
        operator_key, key_id, after_job = await _prepare(settings, database, world, clock, force)
    past, limited = MovableClock(world.start), _limited(world)
    with Processes() as processes:
        callers = [
            processes.start(lane.run, fast, settings, world, mine)
            for mine in _shares(world, limited)
        ]
        adders = [
            processes.start(adding.run, fast, world, list(mine))
            for mine in _halves(len(world.organizations))
        ]
        async with open_app(settings, fast, past, with_jobs=False) as opened:
            api = Api(opened.asgi)
            stage = Stage(opened.rooms, api, past, settings, operator_key, after_job)
            play = Play(stage, world, opened.rooms.books.book)
            calls = await _play(play, limited, callers, told)
        _finish(adders, told)
    async with Database.open(url, max_size=2) as database, database.transaction() as tx:
        await orgs.revoke_operator_key(tx, key_id, clock.now())
    largest = sorted(world.organizations, key=lambda org: -sum(org.counts))[:3]
    return Report(
        organizations=len(world.organizations),
        calls=calls,
        since=world.start.isoformat(),
        until=wish.until.isoformat(),
        admin_keys={org.name: stage.keys[org.number] for org in largest},
    )


async def _prepare(
    settings: Settings, database: Database, world: World, clock: Clock, force: bool
) -> tuple[str, UUID, int]:
    """Look whether this is the place, leave a mark, and be let in as an operator."""
    if not settings.payments.sandbox:
        raise DemoRefused("A demo pays in the sandbox, which payments.sandbox has turned off")
    now = clock.now()
    async with database.transaction() as tx:
        before = await store.made_before(tx)
        if before is not None:
            at, seed = before
            raise DemoRefused(f"There is a demo here already, made {at:%Y-%m-%d} of seed {seed}")
        others = await store.count_organizations(tx)
        if others and not force:
            raise DemoRefused(
                f"There are {others} organizations here already; --yes fills the database beside"
                " them, and nothing takes a demo out again"
            )
        act = Act(who=WHO, why="Data to try with", at=now)
        wish = world.wish
        await operator.note(tx, act, "demo.fill", None, seed=str(wish.seed), calls=wish.calls)
        await pricing.install_catalogue(tx, WHO, now)
        key_id = uuid7()
        _, secret = await orgs.create_operator_key(
            tx, key_id=key_id, name="Demo", chance=os.urandom(32), now=now
        )
        return secret, key_id, await store.newest_job(tx)


async def _play(play: Play, limited: frozenset[int], callers: Sequence[Pipe], told: Told) -> int:
    calls, world = 0, play.world
    for place, (first, last) in enumerate(world.stretches):
        await play.pause(place, first, last, stories.at_pause(world, place, limited))
        for pipe in callers:
            pipe.send(place)
        for pipe in callers:
            done: Done = pipe.recv()
            calls += done.calls
            play.left |= done.left
        told("calls", calls, world.wish.calls)
    return calls


def _finish(adders: Sequence[Pipe], told: Told) -> None:
    for pipe in adders:
        pipe.send(None)
    for number, pipe in enumerate(adders, 1):
        pipe.recv()
        told("sums", number, len(adders))


class Play:
    """The acts of a demo. `left` is what each organization has to spend, as it was heard last."""

    def __init__(self, stage: Stage, world: World, book: Book) -> None:
        self.left: dict[int, int] = {}
        self._stage = stage
        self.world = world
        self._founded: list[Organization] = []
        self._costs = {
            org.number: Caller(org, world.wish.seed, book).mean_cost(world.start)
            for org in world.organizations
        }
        self._day = -1

    async def pause(
        self,
        place: int,
        first: int,
        last: int,
        happens: Sequence[tuple[stories.Story, Organization]],
    ) -> None:
        stage = self._stage
        stage.go_to(self.world.at(first) + timedelta(seconds=20))
        if place == 0:
            await stories.begin(stage, self.world)
        for org in self.world.organizations:
            if org.founded < last and org.number not in stage.keys:
                await self._found(org, first)
        for story, org in happens:
            stage.wait(30)
            await story.tell(stage, self.world, org)
        if happens:
            self.left |= await stage.balances([org for _, org in happens])
        await self._buy(first)
        await stage.work(new_day=first // DAY != self._day)
        self._day = first // DAY
        if stage.clock.now() >= self.world.at(first + 1):
            raise RuntimeError("More happened in a pause than there is time for")

    async def _found(self, org: Organization, tick: int) -> None:
        stage = self._stage
        stage.wait(20)
        await stage.found(org)
        self._founded.append(org)
        expires = (stage.clock.now() + _WELCOME).isoformat()
        await stage.operate_on(
            org, "POST", "/grants", amount=5, reason="Welcome", label="Welcome", expiresAt=expires
        )
        if org.number % 3 == 1 and tick < self.world.ticks // 2:
            await stage.ask(org, "POST", "/billing/redemptions", {"code": "LAUNCH"})
        if org.pays is Pays.ITSELF:
            await self._top_up_automatically(org)
        share = 2 if org.pays is Pays.ONCE else 1
        whole = org.calls_between(tick, self.world.ticks)
        need = self._need(org, tick, _WEEK * 3) if share == 1 else whole * self._cost(org) // share
        await stage.buy(org, nice(need))
        self.left |= await stage.balances([org])

    async def _top_up_automatically(self, org: Organization) -> None:
        days = [sum(org.counts[tick : tick + DAY]) for tick in range(0, self.world.ticks, DAY)]
        busiest = max(days) * self._cost(org)
        fortnight = 14 * sum(days) * self._cost(org) // max(1, len(days))
        amount = nice(max(busiest * 2, fortnight))
        await self._stage.ask(
            org,
            "PUT",
            "/billing/auto-top-up",
            {
                "enabled": True,
                "threshold": min(amount, nice(busiest)),
                "amount": amount,
                "monthlyCap": amount * 10,
            },
        )

    async def _buy(self, tick: int) -> None:
        """Have those buy who look at their balance, and see that it will not last."""
        for org in self._founded:
            if org.pays is not Pays.BY_HAND or org.number not in self.left:
                continue
            if self.left[org.number] < self._need(org, tick, 3 * DAY // 2):
                await self._stage.buy(org, nice(self._need(org, tick, _WEEK * 3)))
                self.left |= await self._stage.balances([org])

    def _need(self, org: Organization, tick: int, ticks: int) -> int:
        return org.calls_between(tick, tick + ticks) * self._cost(org)

    def _cost(self, org: Organization) -> int:
        return self._costs[org.number]


def _limited(world: World) -> frozenset[int]:
    """Whose calls draw on more than a balance: a few small ones, since each such call costs time
    to record."""
    there = [org for org in world.organizations if org.founded == 0 and org.pays is Pays.BY_HAND]
    chosen = sorted(there, key=lambda org: sum(org.counts))[: max(1, len(there) // 3)]
    return frozenset(org.number for org in chosen)


class Processes:
    """Those beside this one. At the end of the block they have ended, or are ended."""

    def __init__(self) -> None:
        # One process reads the code, and the others are made of it.
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([lane.__name__, adding.__name__])
        self._running: list[ForkServerProcess] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        for process in self._running:
            if kind is not None:
                process.terminate()
            process.join()

    def start(self, run: Callable[..., None], *given: object) -> Pipe:
        """Run it there with these arguments and one end of a pipe; the other is returned."""
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=run, args=(*given, theirs), daemon=True)
        process.start()
        theirs.close()
        self._running.append(process)
        return ours


def _halves(organizations: int) -> list[range]:
    return [range(first, organizations, _ADDERS) for first in range(_ADDERS)]


def _shares(world: World, limited: frozenset[int]) -> list[list[int]]:
    """Give each process organizations with about as many calls; the limited ones to one alone."""
    count = max(1, min(_MOST_LANES, os.cpu_count() or 1) - 1)
    shares: list[list[int]] = [[] for _ in range(count)]
    weights = [0] * count
    for org in sorted(world.organizations, key=lambda org: -sum(org.counts)):
        if org.number in limited:
            continue
        lightest = weights.index(min(weights))
        shares[lightest].append(org.number)
        weights[lightest] += sum(org.counts)
    return [share for share in [*shares, sorted(limited)] if share]
