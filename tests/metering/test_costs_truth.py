"""Whatever is asked of the sums is what the records say (L7), by a plainer way to add them up."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from metered import DOLLAR, GPT, PAGES, Purse, open_purse, rated

from tollkeeper import pricing
from tollkeeper.base.clock import MovableClock
from tollkeeper.base.ids import uuid7
from tollkeeper.db import Connection, Database
from tollkeeper.ledger import NewCharge
from tollkeeper.metering import Meter, rerate, sums
from tollkeeper.metering.analytics.costs import Cost, CostQuery, Costs
from tollkeeper.orgs import (
    KeyKind,
    Member,
    NewKey,
    Role,
    create_key,
    create_member,
    create_org,
    create_project,
)
from tollkeeper.pricing import Book, Rate, seal

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
]
# About when clocks change in some of them, and an ordinary day.
MOMENTS = [
    datetime(2026, 9, 26, 14, tzinfo=UTC),
    datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2026, 11, 1, 6, tzinfo=UTC),
    datetime(2026, 11, 20, 12, tzinfo=UTC),
]
WITH_IMAGES = seal(
    pricing.PriceVersion(
        provider="openai",
        model="gpt-5",
        effective_from=GPT.effective_from + timedelta(days=1),
        source="a test",
        rates={**GPT.rates, "image": Rate(40_000_000, 1)},
    )
)
EVERY = 10**9


@dataclass(frozen=True)
class Told:
    """A call, or what rating it again charged, as whoever made it knows."""

    at: datetime
    currency: str
    said: dict[str, str | None]
    calls: int
    failed: int
    amount: int
    lines: list[tuple[str, str, Decimal, int]]


class World:
    """One organization's calls, as its makers know them. No dataclass: failures would print it."""

    def __init__(self, database: Database, org_id: UUID) -> None:
        self.database = database
        self.org_id = org_id
        self.wallets: list[tuple[UUID, UUID]] = []
        self.told: list[Told] = []
        self.members: dict[str, str | None] = {}


@pytest.fixture
async def world(database: Database, owner: Connection) -> World:
    clock = MovableClock(MOMENTS[0] - timedelta(hours=5))
    chance = random.Random(20)  # noqa: S311 (no secret)
    org_id, project_ids = uuid7(), [uuid7(), uuid7()]
    made = World(database, org_id)
    async with database.transaction() as tx:
        await create_org(tx, org_id=org_id, name="Acme", now=clock.now())
        for project_id in project_ids:
            name = project_id.hex
            await create_project(
                tx, org_id=org_id, project_id=project_id, name=name, now=clock.now()
            )
        for number in range(4):
            new = NewKey(
                org_id=org_id,
                key_id=uuid7(),
                project_id=project_ids[number % 2],
                name="a key",
                kind=KeyKind.ADMIN,
                livemode=False,
            )
            await create_key(tx, new, chance=bytes([number]) * 32, now=clock.now())
            made.members[str(new.key_id)] = None
        member_id = uuid7()
        member = Member(
            org_id=org_id,
            member_id=member_id,
            name="Ada",
            email="ada@example.com",
            role=Role.OWNER,
            created_at=clock.now(),
        )
        await create_member(tx, member)
    for key_id in list(made.members)[:2]:
        made.members[key_id] = str(member_id)
        await owner.execute(
            "UPDATE api_key SET member_id = %s WHERE key_id = %s", (member_id, key_id)
        )
    async with Meter.open(database, clock) as meter:
        purses = [
            (await open_purse(database, clock, 1000 * DOLLAR, org_id=org_id, currency=code), code)
            for code in ("USD", "DIEM")
        ]
        made.wallets = [(org_id, purse.wallet_id) for purse, _ in purses]
        for moment in MOMENTS:
            clock.advance(moment - timedelta(hours=4) - clock.now())
            for step in range(10):
                clock.advance(timedelta(minutes=chance.randint(1, 55)))
                purse, currency = purses[chance.random() < 0.3]
                charges = [call(purse, chance, made, project_ids) for _ in range(9)]
                await meter.settle_many(charges)
                made.told += [tell(charge, currency) for charge in charges]
                if step % 3 == 0:
                    await sums.add_up(database, made.wallets)
                for charge in charges[:3]:
                    await rerated(made, charge, currency, clock.now())
    return made


def call(purse: Purse, chance: random.Random, world: World, projects: list[UUID]) -> NewCharge:
    late = timedelta(seconds=chance.choice([0, 1, 59, 600, 3000, 3600, 3601, 86_400, 10**6]))
    tags = {"team": chance.choice(["a", "b", ""]), "env": "live"}
    usage = {"input": chance.randint(0, 9999), "output": chance.randint(0, 999)}
    if chance.random() < 0.2:
        usage["image"] = 2
    pages = chance.random() < 0.2
    return rated(
        purse,
        PAGES if pages else GPT,
        usage={"request": 1, "second": Decimal("1.5")} if pages else usage,
        started_at=purse.clock.now() - late + timedelta(seconds=chance.choice([0, 0, 5])),
        project_id=chance.choice([*projects, None]),
        key_id=UUID(chance.choice(list(world.members))),
        operation=chance.choice(["chat", "embed", None]),
        status=chance.choice([200, 200, 500]),
        end_user=chance.choice(["u1", "u2", None]),
        tags={name: tags[name] for name in tags if chance.random() < 0.7},
    )


def tell(charge: NewCharge, currency: str) -> Told:
    detail: Any = msgspec.json.decode(charge.detail)
    return Told(
        charge.started_at,
        currency,
        {
            "project": show(charge.project_id),
            "apiKey": show(charge.key_id),
            "provider": charge.provider,
            "model": charge.model,
            "operation": charge.operation,
            "endUser": detail.get("endUser"),
            **{f"tag:{name}": value for name, value in detail.get("tags", {}).items()},
        },
        1,
        int(charge.status >= 400),
        charge.amount,
        [
            (line.sku, line.unit, Decimal(line.quantity), line.amount_nanos)
            for line in pricing.from_record(detail["rating"]).lines
        ],
    )


async def rerated(world: World, charge: NewCharge, currency: str, now: datetime) -> None:
    async with world.database.transaction() as tx:
        book = Book([GPT, WITH_IMAGES, PAGES])
        entry = await rerate(tx, charge.org_id, charge.usage_id, book, actor="us", now=now)
    if entry is not None:
        first = tell(charge, currency)
        line = ("gpt-5-image-unit", "image", Decimal(2), -entry.amount)
        world.told.append(Told(first.at, currency, first.said, 0, 0, -entry.amount, [line]))


def show(value: UUID | None) -> str | None:
    return None if value is None else str(value)


def labels(query: CostQuery) -> Callable[[datetime], object]:
    """Say which row a moment belongs to, from what its clock shows."""
    if query.granularity == "hour":
        return hours(query)

    def label(at: datetime) -> object:
        local = at.astimezone(query.zone)
        match query.granularity:
            case "minute":
                return at.replace(second=0, microsecond=0)
            case "day":
                return local.date()
            case "week":
                return local.isocalendar()[:2]
            case "month":
                return local.year, local.month
            case "year":
                return local.year
            case _:
                return None

    return label


def hours(query: CostQuery) -> Callable[[datetime], int]:
    """Walk minute by minute: an hour begins when the clock shows another, or shows it again."""
    numbers: dict[datetime, int] = {}
    at = query.start.replace(second=0, microsecond=0)
    before, number = at.astimezone(query.zone), 0
    while at < query.end:
        shown = at.astimezone(query.zone)
        other = shown.replace(minute=0, tzinfo=None) != before.replace(minute=0, tzinfo=None)
        number += other or (shown.minute == 0 and at > query.start)
        numbers[at] = number
        before, at = shown, at + timedelta(minutes=1)
    return lambda moment: numbers[moment.replace(second=0, microsecond=0)]


def expected(world: World, query: CostQuery) -> dict[Any, list[Any]]:
    """Add the calls up, the long way."""
    label = labels(query)
    rows: dict[Any, list[Any]] = defaultdict(lambda: [0, 0, Decimal(0), 0])
    for told in world.told:
        if not query.start <= told.at < query.end:
            continue
        if query.currency not in (None, told.currency):
            continue
        key = told.said["apiKey"]
        said = {**told.said, "member": world.members[key] if key else None}
        counted: list[tuple[dict[str, Any], Any]] = [
            (said, (told.calls, told.failed, Decimal(0), told.amount))
        ]
        if query.lines:
            counted = [
                ({**said, "sku": sku, "unit": unit}, (1, 0, quantity, amount))
                for sku, unit, quantity, amount in told.lines
            ]
        for one, numbers in counted:
            if all(one.get(name) in wanted for name, wanted in query.filters.items()):
                group = tuple(one.get(name) for name in query.groups)
                row = rows[label(told.at), told.currency, group]
                row[:] = [a + b for a, b in zip(row, numbers, strict=True)]
    return {key: row for key, row in rows.items() if row[0] or row[3]}


async def answered(world: World, query: CostQuery, limit: int) -> list[Cost]:
    costs = Costs(org_id=world.org_id, livemode=False, query=query, most_records=EVERY)
    found: list[Cost] = []
    async with world.database.connection() as connection:
        more = True
        while more:
            page, more = await costs.page(connection, found[-1].order if found else None, limit)
            assert len(page) == limit or not more
            found += page
    return found


def check(world: World, query: CostQuery, found: list[Cost]) -> None:
    label = labels(query)
    orders = [row.order for row in found]
    assert orders == sorted(set(orders))
    assert all(query.start <= row.start < row.end <= query.end for row in found)
    rows: dict[Any, list[Any]] = {}
    for row in found:
        key = (label(row.start), row.currency, row.group)
        assert key not in rows
        rows[key] = [row.calls, row.failed or 0, row.quantity or Decimal(0), row.amount]
    wanted = expected(world, query)
    if "sku" not in query.groups:
        wanted = {key: [row[0], row[1], Decimal(0), row[3]] for key, row in wanted.items()}
    assert {key: row for key, row in rows.items() if row[0] or row[3]} == wanted
    if query.fill:
        groups = {key[1:] for key in rows}
        assert len(rows) == len(groups) * len({key[0] for key in rows})


dimensions = [
    "project", "apiKey", "member", "model", "provider", "operation", "endUser", "sku",
    "tag:team", "tag:env", "tag:none",
]  # fmt: skip
values = {
    "model": ["gpt-5", "generate_sql", "none"],
    "endUser": ["u1", "u2"],
    "operation": ["chat"],
    "tag:team": ["a", ""],
    "tag:env": ["live"],
    "sku": ["gpt-5-llm-input-mtoken", "gpt-5-image-unit"],
}


@st.composite
def queries(draw: st.DrawFn) -> CostQuery:
    granularity: Any = draw(
        st.sampled_from([None, "minute", "hour", "hour", "day", "day", "week", "month", "year"])
    )
    most = {"minute": 300, "hour": 60 * 24 * 6}.get(granularity, 60 * 24 * 60)
    start = draw(st.sampled_from(MOMENTS)) + timedelta(
        minutes=draw(st.integers(-300, 300)), seconds=draw(st.sampled_from([0, 0, 0, 0, 17]))
    )
    if draw(st.booleans()):
        start = start.replace(minute=0, second=0)
    length = timedelta(minutes=draw(st.integers(1, most)))
    if granularity in ("day", "week", "month", "year", None) and draw(st.booleans()):
        start -= timedelta(days=draw(st.integers(0, 60)))
        length += timedelta(days=60)
    names = draw(st.lists(st.sampled_from(sorted(values)), unique=True, max_size=2))
    return CostQuery(
        start=start,
        end=start + length,
        granularity=granularity,
        zone=ZoneInfo(draw(st.sampled_from(ZONES))),
        groups=tuple(draw(st.lists(st.sampled_from(dimensions), unique=True, max_size=3))),
        filters={
            name: tuple(draw(st.lists(st.sampled_from(values[name]), unique=True, min_size=1)))
            for name in names
        },
        currency=draw(st.sampled_from([None, None, "USD"])),
        fill=draw(st.booleans()),
    )


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(queries(), st.sampled_from(["", "", "", "add up", "rebuild"]), st.integers(7, 300))
async def test_every_answer_is_what_the_records_say(
    world: World, query: CostQuery, act: str, limit: int
) -> None:
    if act == "add up":
        await sums.sweep(world.database)
    elif act == "rebuild":
        await sums.rebuild(world.database, world.wallets)
    check(world, query, await answered(world, query, limit))


@pytest.mark.parametrize("ends", [("u1",), ("u2", None), ("u1", "u2", "nobody"), ("",)])
async def test_a_few_end_users_cost_what_their_calls_did(
    world: World, ends: tuple[str | None, ...]
) -> None:
    await sums.sweep(world.database)
    units: tuple[Any, ...] = ("hour", "day", "month", None)
    for zone, granularity in product(("UTC", "Asia/Kathmandu", "Australia/Lord_Howe"), units):
        query = CostQuery(
            start=MOMENTS[0] - timedelta(hours=8, minutes=15),
            end=MOMENTS[-1] + timedelta(days=1, minutes=45),
            granularity=granularity,
            zone=ZoneInfo(zone),
            groups=("endUser",),
            filters={"endUser": ends},
        )
        found = await answered(world, query, 300)
        check(world, query, found)
        assert bool(found) == (ends != ("",))


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(query=queries())
async def test_dropped_rollups_change_no_answer(
    world: World, owner: Connection, query: CostQuery
) -> None:
    before = await answered(world, query, 100)
    await owner.execute(
        "TRUNCATE usage_sum, usage_line_sum, usage_unpriced, usage_rollup, usage_stray,"
        " usage_summed"
    )
    check(world, query, before)
    assert await answered(world, query, 100) == before
    await sums.sweep(world.database)
    assert await answered(world, query, 100) == before
