"""Sums are the records added up, however far they are (L7, M9)."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from metered import DOLLAR, GPT, PAGES, Purse, gpt_usages, open_purse, page_usages, rated

from tollkeeper import pricing
from tollkeeper.base.clock import MovableClock
from tollkeeper.base.ids import uuid7
from tollkeeper.db import Connection, Database
from tollkeeper.ledger import NewCharge
from tollkeeper.metering import Meter, sums

NIL = UUID(int=0)
EVER = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
PROJECTS = [uuid7(), uuid7(), None]


def slot_of(moment: datetime) -> datetime:
    return moment.replace(minute=moment.minute // 15 * 15, second=0, microsecond=0)


def key_of(charge: NewCharge) -> tuple[Any, ...]:
    return (
        slot_of(charge.started_at),
        charge.project_id or NIL,
        charge.key_id or NIL,
        charge.provider or "",
        charge.model or "",
        charge.operation or "",
    )


def expected(charges: list[NewCharge]) -> tuple[set[Any], set[Any]]:
    """The sums, the long way."""
    calls: dict[Any, list[int]] = defaultdict(lambda: [0, 0, 0])
    lines: dict[Any, list[Any]] = defaultdict(lambda: [0, Decimal(0), 0])
    for charge in charges:
        total = calls[key_of(charge)]
        total[0] += 1
        total[1] += charge.status >= 400
        total[2] += charge.amount
        for line in pricing.from_record(detail_of(charge)["rating"]).lines:
            found = lines[*key_of(charge), line.sku, line.unit]
            found[0] += 1
            found[1] += line.quantity
            found[2] += line.amount_nanos
    return {(*k, *v) for k, v in calls.items()}, {(*k, *v) for k, v in lines.items()}


def detail_of(charge: NewCharge) -> dict[str, Any]:
    return msgspec.json.decode(charge.detail)


async def found(connection: Connection, purse: Purse) -> tuple[set[Any], set[Any]]:
    calls = await sums.totals(connection, purse.org_id, purse.wallet_id, *EVER)
    lines = await sums.line_totals(connection, purse.org_id, purse.wallet_id, *EVER)
    fields = ("slot", "project_id", "key_id", "provider", "model", "operation")
    return (
        {(*(getattr(t, f) for f in fields), t.calls, t.failed, t.amount) for t in calls},
        {
            (*(getattr(t, f) for f in fields), t.sku, t.unit, t.lines, t.quantity, t.amount)
            for t in lines
        },
    )


calls = st.fixed_dictionaries(
    {
        "minutes": st.integers(0, 300),
        "project_id": st.sampled_from(PROJECTS),
        "operation": st.sampled_from(["chat.completions", "generate_sql", None]),
        "status": st.sampled_from([200, 200, 429, 500]),
        "sort": st.sampled_from(["gpt", "pages"]),
        "gpt": gpt_usages,
        "pages": page_usages,
    }
)
steps = st.lists(st.lists(calls, max_size=6) | st.sampled_from(["add up", "rebuild", "sweep"]))


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps)
async def test_sums_are_the_records_added_up(
    database: Database, meter: Meter, clock: MovableClock, history: list[Any]
) -> None:
    purse = await open_purse(database, clock, 100 * DOLLAR)
    wallet = (purse.org_id, purse.wallet_id)
    told: list[NewCharge] = []
    for step in history:
        if step == "add up":
            await sums.add_up(database, [wallet])
        elif step == "rebuild":
            await sums.rebuild(database, [wallet])
        elif step == "sweep":
            await sums.sweep(database)
        else:
            charges = [made(purse, call) for call in step]
            await meter.settle_many(charges)
            told += charges
        async with database.connection() as connection:
            assert await found(connection, purse) == expected(told)


def made(purse: Purse, call: dict[str, Any]) -> NewCharge:
    return rated(
        purse,
        GPT if call["sort"] == "gpt" else PAGES,
        usage=call[call["sort"]],
        started_at=purse.clock.now() - timedelta(minutes=call["minutes"]),
        project_id=call["project_id"],
        operation=call["operation"],
        status=call["status"],
    )


async def test_many_processes_add_each_record_once(
    database: Database, meter: Meter, clock: MovableClock
) -> None:
    purses = [await open_purse(database, clock) for _ in range(5)]
    wallets = [(purse.org_id, purse.wallet_id) for purse in purses]
    told: dict[UUID, list[NewCharge]] = defaultdict(list)
    chance = random.Random(7)  # noqa: S311 (no secret)

    async def spend() -> None:
        for _ in range(30):
            purse = chance.choice(purses)
            charges = [rated(purse) for _ in range(chance.randint(1, 300))]
            told[purse.wallet_id] += charges
            await meter.settle_many(charges)

    async def add(seed: int) -> None:
        for _ in range(40):
            mixed = random.Random(seed).sample(wallets, len(wallets))  # noqa: S311 (no secret)
            await sums.add_up(database, mixed)
            await asyncio.sleep(0.002)

    await asyncio.gather(spend(), spend(), *map(add, range(4)))
    await sums.sweep(database)
    async with database.connection() as connection:
        for purse in purses:
            assert await found(connection, purse) == expected(told[purse.wallet_id])


async def test_a_sweep_finds_what_a_dead_process_left(
    database: Database, meter: Meter, clock: MovableClock, owner: Connection
) -> None:
    purses = [await open_purse(database, clock) for _ in range(7)]
    for purse in purses:
        await meter.settle_many([rated(purse) for _ in range(3)])
    assert await sums.sweep(database) == 21
    assert await sums.sweep(database) == 0
    cursor = await owner.execute("SELECT sum(calls) FROM usage_sum")
    assert await cursor.fetchone() == (21,)


async def test_dropped_sums_are_made_again(
    database: Database, meter: Meter, purse: Purse, owner: Connection
) -> None:
    charges = [rated(purse, project_id=PROJECTS[0]) for _ in range(11)]
    await meter.settle_many(charges)
    await sums.sweep(database)
    await owner.execute("TRUNCATE usage_sum, usage_line_sum, usage_unpriced, usage_summed")
    async with database.connection() as connection:
        assert await found(connection, purse) == expected(charges), "the records answer alone"
    await sums.rebuild_all(database)
    async with database.connection() as connection:
        assert await found(connection, purse) == expected(charges)
    cursor = await owner.execute("SELECT sum(calls) FROM usage_sum")
    assert await cursor.fetchone() == (11,)


@pytest.mark.parametrize("usage", [{"input": 5, "image": 2}])
async def test_what_had_no_price_is_listed(
    database: Database, meter: Meter, purse: Purse, owner: Connection, usage: dict[str, int]
) -> None:
    charge = rated(purse, usage=usage)
    await meter.settle(charge)
    await meter.settle(rated(purse))
    await sums.sweep(database)
    cursor = await owner.execute("SELECT usage_id FROM usage_unpriced")
    assert await cursor.fetchall() == [(charge.usage_id,)]
