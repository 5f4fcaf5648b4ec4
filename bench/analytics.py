"""Costs and usage analytics over 90 days of 10⁷ records, and how far the sums lag behind.

    ./dev bench analytics [--records N] [--asks N] [--seconds N]

One call is charged over HTTP; its record is then repeated inside the database with other models,
keys, projects, end users and tags, spread over 90 days, and added up. Answers are asked for over
HTTP, one at a time. Then 10,000 records a second arrive, while the sums are kept up as a server
keeps them.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time

import aiohttp
import psycopg
import uvloop

from _records import DAYS, MOVE, REPEAT, add_up, charge, fill, quantile
from _report import Row, show
from _stand import Customer, populate, postgres, serving
from tollkeeper.db import Database
from tollkeeper.metering import sums

_RATE = 10_000
_TICK_SECONDS = 0.1
_ADD_UP_SECONDS = 1.0  # as metering.jobs has it
_LEAST_ASKS = 5
_P95 = 0.95
_ASKS = {
    "V3, 90 days": "usage-analytics?lookback=90d",
    "total": "costs?{span}",
    "day, UTC, by model": "costs?{span}&granularity=day&groupBy=model&limit=1000",
    "day, New York, by model": "costs?{span}&granularity=day&groupBy=model&limit=1000"
    "&timezone=America/New_York",
    "day, India, by key": "costs?{span}&granularity=day&groupBy=apiKey&limit=2000"
    "&timezone=Asia/Kolkata",
    "hour, Berlin, by model": "costs?{span}&granularity=hour&groupBy=model&timezone=Europe/Berlin",
    "week, by SKU": "costs?{span}&granularity=week&groupBy=sku&limit=1000",
    "day, by team": "costs?{span}&granularity=day&groupBy=tag:team&limit=1000",
    "month, by end user": "costs?{span}&granularity=month&groupBy=endUser&limit=2000",
    "week, by project, key, model": "costs?{span}&granularity=week&limit=2500"
    "&groupBy=project,apiKey,model",
    "forecast": "forecast",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--asks", type=int, default=40)
    parser.add_argument("--seconds", type=int, default=20)
    options = parser.parse_args()
    with postgres() as server:
        (customer,) = populate(server.url, 1)
        with serving(server.url) as base:
            uvloop.run(charge(base, customer))
        fill(server.url, customer, options.records)
        per_second = uvloop.run(add_up(server.url)) or 1.0
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
        with serving(server.url) as base:
            figures = uvloop.run(_ask(base, customer, max(options.asks, _LEAST_ASKS)))
        lags = uvloop.run(_arrive(server.url, customer, options.records, options.seconds))
    rows: list[Row] = [
        {
            "answer": name,
            **{f"p{share:.0%}"[:-1] + " ms": round(ms, 1) for share, ms in one.items()},
        }
        for name, one in figures.items()
    ]
    print(f"{options.records:,} records; load average {os.getloadavg()[0]:.1f}")
    show(
        "analytics",
        rows,
        [
            (
                "slowest p95, ms",
                max(one[_P95] for one in figures.values()),
                "≤ 50 at 10,000,000 records",
            ),
            ("records added up per second", per_second, "≥ 10,000"),
            ("lag of the sums at 10,000 records/s, p99 s", quantile(lags, 0.99), "≤ 2"),
        ],
    )


async def _ask(base: str, customer: Customer, times: int) -> dict[str, dict[float, float]]:
    span = f"start={time.strftime('%Y-%m-%d', time.gmtime(time.time() - DAYS * 86_400))}"
    headers = {"authorization": f"Bearer {customer.key}"}
    figures: dict[str, dict[float, float]] = {}
    async with aiohttp.ClientSession(base, headers=headers) as session:
        for name, path in _ASKS.items():
            seconds: list[float] = []
            for _ in range(times):
                began = time.perf_counter()
                async with session.get("/api/v1/billing/" + path.format(span=span)) as answer:
                    body = await answer.read()
                if answer.status != 200:
                    raise SystemExit(f"{name}: {answer.status} {body[:500]!r}")
                seconds.append(time.perf_counter() - began)
            figures[name] = {p: quantile(seconds, p) * 1000 for p in (0.5, _P95)}
    return figures


async def _arrive(url: str, customer: Customer, records: int, seconds: int) -> list[float]:
    """Have records arrive, and note for each tick of them how long the sums took to have it."""
    wallet = (customer.org_id, customer.wallet_id)
    waiting: list[tuple[int, float]] = []
    lags: list[float] = []
    ended = asyncio.Event()

    async def arrive(database: Database) -> None:
        last, began = records, time.perf_counter()
        while (elapsed := time.perf_counter() - began) < seconds:
            due = records + int(elapsed * _RATE)
            values = {"org_id": wallet[0], "wallet_id": wallet[1], "first": last + 1, "last": due}
            async with database.transaction() as tx:
                await tx.execute(REPEAT.encode(), {**values, "span": None, "step": None})
                await tx.execute(MOVE.encode(), values)
            last = due
            waiting.append((due, time.perf_counter()))
            await asyncio.sleep(_TICK_SECONDS)
        ended.set()

    async def add_up(database: Database) -> None:
        while not (ended.is_set() and not waiting):
            await asyncio.sleep(_ADD_UP_SECONDS)
            upto = waiting[-1][0] if waiting else 0
            await sums.add_up(database, [wallet])
            now = time.perf_counter()
            while waiting and waiting[0][0] <= upto:
                lags.append(now - waiting.pop(0)[1])

    async with Database.open(url) as database:
        await asyncio.gather(arrive(database), add_up(database))
    return lags


if __name__ == "__main__":
    main()
