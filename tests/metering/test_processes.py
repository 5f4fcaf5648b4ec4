"""The same calls from several meters and several processes are charged once each (L5, M2)."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

from metered import DOLLAR, Purse, rated
from spender import CALLS, COST
from test_meter import balance, hang_up

from tollkeeper import ledger
from tollkeeper.base.clock import MovableClock
from tollkeeper.base.ids import named_uuid
from tollkeeper.db import Connection, Database
from tollkeeper.ledger import ChargeOutcome, ChargeResult, HoldOutcome
from tollkeeper.metering import Meter

SPENDER = Path(__file__).with_name("spender.py")


async def test_several_meters(database: Database, purse: Purse) -> None:
    charges = [rated(purse, usage_id=named_uuid(purse.org_id, str(n))) for n in range(300)]
    async with AsyncExitStack() as stack:
        meters = [
            await stack.enter_async_context(Meter.open(database, purse.clock)) for _ in range(4)
        ]
        alone = [meter.settle(charge) for meter in meters for charge in charges]
        lists = [meter.settle_many(charges) for meter in meters]
        results = await asyncio.gather(*alone)
        listed = [result for part in await asyncio.gather(*lists) for result in part]
    posted = [r for r in (*results, *listed) if isinstance(r, ChargeResult)]
    assert len(posted) == 8 * 300
    assert sum(r.outcome is ChargeOutcome.POSTED for r in posted) == 300
    assert await balance(database, purse) == (100 * DOLLAR - 300 * 3_250_000, 0)


async def test_the_hard_stop_from_several_meters(database: Database, purse: Purse) -> None:
    """200 holds at once on a wallet that can pay 37 of them."""
    price = 100 * DOLLAR // 37
    async with AsyncExitStack() as stack:
        meters = [
            await stack.enter_async_context(Meter.open(database, purse.clock)) for _ in range(4)
        ]
        results = await asyncio.gather(*(meters[n % 4].hold(purse.hold(price)) for n in range(200)))
    assert [result.outcome for result in results].count(HoldOutcome.PLACED) == 37
    assert (await balance(database, purse))[1] == 37 * price


async def test_several_processes_and_cut_connections(
    database: Database, database_url: str, purse: Purse, owner: Connection
) -> None:
    names = (database_url, str(purse.org_id), str(purse.wallet_id))
    environment = {**os.environ, "PYTHONPATH": str(SPENDER.parents[2] / "src")}
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, SPENDER, *names, str(seed)),
            stdout=asyncio.subprocess.PIPE,
            env=environment,
        )
        for seed in range(4)
    ]
    cutting = asyncio.create_task(cut(owner))
    told = [(await process.communicate())[0] for process in processes]
    cutting.cancel()
    assert [process.returncode for process in processes] == [0] * 4
    assert await balance(database, purse) == (100 * DOLLAR - CALLS * COST, 0)
    # A charge whose answer was lost with its connection was told as `exists`.
    assert sum(int(text.split()[-1]) for text in told) <= CALLS
    async with database.connection() as connection:
        now = purse.clock.now() + timedelta(days=365)
        assert [finding async for finding in ledger.verify(connection, MovableClock(now))] == []


async def cut(owner: Connection) -> None:
    while True:
        await asyncio.sleep(0.3)
        await hang_up(owner)
