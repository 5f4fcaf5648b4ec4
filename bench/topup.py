"""Auto top-up: what it costs those who settle, and how soon it charges.

    ./dev bench topup [--calls N] [--falls N] [--rounds N]

First the same settlements by turns with nobody's auto top-up on and with everybody's, the looks at
balances running beside them as in the server. Then balances fall below their thresholds one after
another, and the time from the settlement's answer to the credit in the balance is taken: look,
order, job, charge over HTTP, credit.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final

from msgspec import Raw

from _report import Row, middle, show
from _shop import fake_stripe, keep_card, open_shop
from _stand import Customer, populate, postgres
from tollkeeper import credits, jobs, ledger  # noqa: A004 (the room's name)
from tollkeeper.base.clock import SystemClock
from tollkeeper.base.ids import uuid7
from tollkeeper.base.settings import Stripe
from tollkeeper.credits import TopUps
from tollkeeper.credits.topping_up import acts
from tollkeeper.credits.topping_up.model import TopUp
from tollkeeper.jobs import Handler
from tollkeeper.ledger import NewCharge
from tollkeeper.metering import Meter
from tollkeeper.notifications.model import FAN_OUT
from tollkeeper.orgs import By

_DOLLAR: Final = 1_000_000_000
_CUSTOMERS: Final = 200
_TOGETHER: Final = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=40_000)
    parser.add_argument("--falls", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    with postgres() as server, fake_stripe() as stripe:
        made = populate(server.url, _CUSTOMERS)
        rows, latencies = asyncio.run(_run(server.url, stripe, made, options))
    rates = {name: middle([float(str(row[name])) for row in rows]) for name in rows[0]}
    latencies.sort()
    p95 = latencies[len(latencies) * 95 // 100]
    show(
        "topup",
        [*rows, {"fall to credit p50 ms": middle(latencies) * 1000, "p95 ms": p95 * 1000}],
        [
            ("settlements with/without", rates["with/s"] / rates["without/s"], ">= 0.95"),
            ("fall to credit p95, s", p95, "<= 1"),
        ],
    )


async def _run(
    url: str, stripe: Stripe, made: Sequence[Customer], options: argparse.Namespace
) -> tuple[list[Row], list[float]]:
    clock = SystemClock()
    async with open_shop(url, stripe, 20) as top_ups:
        database = top_ups.shop.till.database
        for customer in made:
            await keep_card(top_ups.shop.till, customer.org_id)
        async with Meter.open(database, clock) as meter:
            rows: list[Row] = []
            turns = [("without/s", False), ("with/s", True)]
            for _ in range(options.rounds):
                row: Row = {}
                turns.reverse()  # who comes second finds a larger table
                for name, on in turns:
                    for customer in made:
                        await _set(top_ups, customer, enabled=on)
                    async with _looking(top_ups, meter):
                        row[name] = await _settle(meter, made, options.calls)
                rows.append(row)
            for customer in made:
                await _set(top_ups, customer, enabled=True)  # whoever's turn was the last
            async with _looking(top_ups, meter):
                latencies = [
                    await _fall(top_ups, meter, customer) for customer in made[: options.falls]
                ]
    return rows, latencies


@asynccontextmanager
async def _looking(top_ups: TopUps, meter: Meter) -> AsyncGenerator[None]:
    """The chores and the jobs that the server has beside its calls."""
    chores = credits.top_up_chores(top_ups, meter.take_moved)

    async def repeat(seconds: float, run: object) -> None:
        while True:
            await run()  # pyright: ignore[reportCallIssue, reportGeneralTypeIssues] (a chore)
            await asyncio.sleep(seconds)

    tasks = [asyncio.create_task(repeat(chore.every_seconds, chore.run)) for chore in chores]

    async def tell_nobody(**_: object) -> None:
        """Notices are written; here nobody hears of them."""

    handlers = [*credits.top_up_jobs(top_ups), Handler(FAN_OUT, tell_nobody)]
    async with jobs.working(top_ups.shop.till.database, handlers, []):
        yield
        for task in tasks:
            task.cancel()


async def _settle(meter: Meter, made: Sequence[Customer], calls: int) -> float:
    gate = asyncio.Semaphore(_TOGETHER)

    async def one(turn: int) -> None:
        async with gate:
            await meter.settle(_charge(made[turn % len(made)], 1_000))

    began = time.perf_counter()
    await asyncio.gather(*map(one, range(calls)))
    return calls / (time.perf_counter() - began)


async def _fall(top_ups: TopUps, meter: Meter, customer: Customer) -> float:
    """Take a balance below its threshold. Returns the seconds until it has its credit."""
    database = top_ups.shop.till.database
    async with database.connection() as connection:
        before = await ledger.find_wallet(connection, customer.org_id, customer.wallet_id)
    await meter.settle(_charge(customer, before.available - _DOLLAR))
    began = time.perf_counter()
    while True:
        async with database.connection() as connection:
            wallet = await ledger.find_wallet(connection, customer.org_id, customer.wallet_id)
        if wallet.available > 40 * _DOLLAR:
            return time.perf_counter() - began
        await asyncio.sleep(0.005)


def _charge(customer: Customer, nanos: int) -> NewCharge:
    return NewCharge(
        org_id=customer.org_id,
        wallet_id=customer.wallet_id,
        usage_id=uuid7(),
        amount=nanos,
        lines=0,
        started_at=datetime.now(UTC),
        status=200,
        source="provider",
        detail=Raw(b"{}"),
    )


async def _set(top_ups: TopUps, customer: Customer, *, enabled: bool) -> None:
    wanted = TopUp(
        org_id=customer.org_id,
        wallet_id=customer.wallet_id,
        livemode=False,
        currency="USD",
        enabled=enabled,
        threshold_nanos=25 * _DOLLAR,
        amount_nanos=50 * _DOLLAR,
        target_nanos=None,
        monthly_cap_nanos=200 * _DOLLAR,
        method_id=None,
        failures=0,
        suspended_reason=None,
        not_before=None,
        last_failure=None,
        last_failure_at=None,
    )
    async with top_ups.shop.till.database.transaction() as tx:
        await acts.save(tx, top_ups, wanted, by=By(who="bench"), said=None, now=datetime.now(UTC))


if __name__ == "__main__":
    main()
