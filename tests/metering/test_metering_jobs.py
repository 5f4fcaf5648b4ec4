"""What runs in the background, through outages and in many processes."""

from __future__ import annotations

import pytest
from metered import Purse, rated
from test_meter import outage

from tollkeeper.base.errors import Unavailable
from tollkeeper.db import Connection, Database
from tollkeeper.metering import Meter, usage_jobs


async def test_sums_follow_what_this_process_recorded(
    database: Database, meter: Meter, purse: Purse
) -> None:
    jobs = {name: run for name, _, run in usage_jobs(database, meter)}
    await meter.settle_many([rated(purse) for _ in range(7)])
    assert await jobs["add_up_usage"]() == 7
    assert await jobs["add_up_usage"]() == 0
    await meter.charge(rated(purse))
    assert await jobs["add_up_usage"]() == 1
    assert await jobs["sweep_usage_sums"]() == 0


async def test_what_an_outage_interrupted_is_done_later(
    database: Database, meter: Meter, purse: Purse, owner: Connection
) -> None:
    jobs = {name: run for name, _, run in usage_jobs(database, meter)}
    await meter.settle_many([rated(purse) for _ in range(7)])
    async with outage(owner):
        with pytest.raises(Unavailable):
            await jobs["add_up_usage"]()
    assert await jobs["add_up_usage"]() == 7


async def test_a_sweep_does_what_another_process_left(
    database: Database, meter: Meter, purse: Purse
) -> None:
    await meter.settle_many([rated(purse) for _ in range(7)])
    async with Meter.open(database, purse.clock) as other:
        jobs = {name: run for name, _, run in usage_jobs(database, other)}
        assert await jobs["add_up_usage"]() == 0
        assert await jobs["sweep_usage_sums"]() == 7
