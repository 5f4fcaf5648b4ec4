"""Every cut, at every grain, counts each record once, whoever adds up; lines come to their call."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta

import pytest
from metered import START, Purse, rated

from tollkeeper.base.clock import MovableClock
from tollkeeper.base.ids import uuid7
from tollkeeper.db import Connection, Database
from tollkeeper.ledger import Draw, NewCharge
from tollkeeper.metering import Meter, sums
from tollkeeper.metering.analytics import store as analytics
from tollkeeper.metering.analytics.store import Question
from tollkeeper.metering.record import drawing
from tollkeeper.metering.store import add_up


async def check(owner: Connection, told: list[NewCharge]) -> None:
    """Each call has two lines and one tag, so that every cut has all of it."""
    found = await (
        await owner.execute(
            "SELECT cut, grain, sum(calls)::bigint, sum(amount)::bigint"
            " FROM usage_rollup GROUP BY 1, 2"
        )
    ).fetchall()
    amount, calls = sum(charge.amount for charge in told), len(told)
    fine, own = {"hour", "day", "month"}, {"quarter", "hour", "day", "month"}
    wanted = {(cut, grain): calls for cut in ("call", "key", "model") for grain in fine}
    wanted |= {(cut, grain): calls for cut in ("endUser", "tag") for grain in own}
    wanted |= {("sku", grain): 2 * calls for grain in fine}
    wanted |= {(c, grain): 2 * calls for c in ("keyUnit", "line") for grain in ("day", "month")}
    assert {(cut, grain): count for cut, grain, count, _ in found} == wanted
    assert {total for *_, total in found} == {amount}


def charges(purse: Purse, count: int) -> list[NewCharge]:
    return [
        rated(
            purse,
            usage={"input": 100 + number, "output": number + 1},
            started_at=START - timedelta(minutes=number % 50),
            end_user=f"user-{number % 7}",
            tags={"team": str(number % 3)},
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("ending", ["commit", "roll back"])
async def test_who_finds_another_adding_up_leaves_it_to_him(
    database: Database, meter: Meter, purse: Purse, owner: Connection, ending: str
) -> None:
    told, wallet = charges(purse, 60), (purse.org_id, purse.wallet_id)
    await meter.settle_many(told[:20])
    await sums.add_up(database, [wallet])
    await meter.settle_many(told[20:])
    async with database.connection() as one, database.connection() as other:
        await other.execute("SET lock_timeout = '5s'")
        async with one.transaction(force_rollback=ending == "roll back"):
            assert await add_up(one, [wallet], 30) == (30, True)
            assert await add_up(other, [wallet], 1_000) == (0, False)
        assert (await add_up(other, [wallet], 1_000))[0] == (10 if ending == "commit" else 40)
    await check(owner, told)


async def test_servers_that_add_up_at_once_count_each_record_once(
    database: Database, meter: Meter, purse: Purse, owner: Connection
) -> None:
    told, wallet = charges(purse, 600), (purse.org_id, purse.wallet_id)
    spent = asyncio.Event()

    async def add(seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311 (no secret)
        async with Database.open(database.url, max_size=1) as server:
            while not spent.is_set():
                async with server.connection() as connection:
                    await add_up(connection, [wallet], chance.randint(1, 90))

    async def spend() -> None:
        for start in range(0, len(told), 40):
            await meter.settle_many(told[start : start + 40])
        spent.set()

    await asyncio.gather(spend(), *map(add, range(3)))
    await sums.sweep(database)
    await check(owner, told)


async def test_what_allowances_paid_is_in_no_sum(
    database: Database, meter: Meter, purse: Purse, clock: MovableClock, owner: Connection
) -> None:
    told: list[NewCharge] = []
    limit_id = uuid7()
    for number, charge in enumerate(charges(purse, 40)):
        # The allowance covers the first line; it ends amid one of them, and then pays nothing.
        allowance = Draw(
            limit_id=limit_id,
            livemode=False,
            period_start=datetime(2026, 11, 1, tzinfo=UTC),
            ceiling=2_050,
            amount=100 + number,
            covers=(100 + number) * 1_250,
            lines=(0,),
        )
        told.append(drawing(charge, (allowance,)))
    await meter.settle_many(told)
    cursor = await owner.execute("SELECT sum(amount)::bigint FROM usage_record")
    ((paid,),) = await cursor.fetchall()
    rated_at = sum(charge.amount for charge in told)
    assert paid == rated_at - 2_050 * 1_250
    whole = [clock.now() - timedelta(days=40), clock.now() + timedelta(days=1)]
    for summed in (False, True):
        if summed:
            await sums.sweep(database)
        async with database.transaction() as tx:
            await analytics.see_one_moment(tx)
            for lines, groups in (
                (False, ()),
                (False, ("endUser",)),
                (True, ("sku", "unit")),
                (True, ("apiKey", "sku", "unit")),
            ):
                asked = Question(
                    org_id=purse.org_id,
                    wallet_id=purse.wallet_id,
                    bounds=whole,
                    groups=groups,
                    filters={},
                    lines=lines,
                )
                found = await analytics.sums(tx, asked, 0 if summed else 1_000)
                assert sum(one.amount for one in found) == paid, groups
