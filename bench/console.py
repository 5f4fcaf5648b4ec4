"""The console's pages over 10⁷ usage records: the server's time, and what a browser makes of them.

    ./dev bench console [--records N] [--asks N] [--rows N] [--keep DIR]

Every page of the menu is asked for one at a time, then opened in Chromium with an empty cache: when
something is seen first, and how much came over the wire. The usage logs are read page after page,
and the pages near the end are held beside those at the beginning. At last calls are charged while
Credits is open. `--keep DIR` leaves the database there, and finds it there the next time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import secrets
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import psycopg
import uvloop
from playwright.async_api import BrowserContext, Page, async_playwright

from _records import add_up, charge, fill, quantile
from _report import Row, show
from _stand import Customer, populate, postgres, serving
from tollkeeper.console import Pass, make_link
from tollkeeper.db import Database, migrate
from tollkeeper.orgs import Role

_P95 = 0.95
_PAGE_ROWS = 50
_SOME = 100
_CHARGES = 20
_CHIP = "[data-live-balance]"
_CHARGE = {"provider": "openai", "model": "gpt-4.1-mini", "usage": {"input": 1000000}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--asks", type=int, default=40)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    with postgres(options.keep) as server:
        customer = _prepare(server.url, options.records, options.keep)
        with serving(server.url) as base:
            rows, verdicts = uvloop.run(_look(server.url, base, customer, options))
    print(f"{options.records:,} records; load average {os.getloadavg()[0]:.1f}")
    show("console", rows, verdicts)


def _prepare(url: str, records: int, kept: Path | None) -> Customer:
    note = None if kept is None else kept / "customer.json"
    if note is not None and note.exists():
        known = json.loads(note.read_text("utf-8"))
        asyncio.run(migrate(url))
        return Customer(UUID(known["org_id"]), UUID(known["wallet_id"]), known["key"])
    (customer,) = populate(url, 1)
    with serving(url) as base:
        uvloop.run(charge(base, customer))
    fill(url, customer, records)
    uvloop.run(add_up(url))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    if note is not None:
        said = {"org_id": str(customer.org_id), "wallet_id": str(customer.wallet_id)}
        note.write_text(json.dumps(said | {"key": customer.key}), "utf-8")
    return customer


async def _look(
    url: str, base: str, customer: Customer, options: argparse.Namespace
) -> tuple[list[Row], list[tuple[str, float, str]]]:
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session,
        async_playwright() as playwright,
    ):
        async with session.get(await _link(url, base, customer)) as home:
            paths = sorted(set(re.findall(r'href="(/console/[a-z/-]+)"', await home.text())))
        rows: list[Row] = []
        chromium = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        context = await chromium.new_context()
        await (await context.new_page()).goto(await _link(url, base, customer))
        for path in paths:
            seconds = [await _ask(session, base + path) for _ in range(options.asks)]
            rows.append(
                {
                    "page": path.removeprefix("/console/"),
                    "p50 ms": round(quantile(seconds, 0.5) * 1000, 1),
                    "p95 ms": round(quantile(seconds, _P95) * 1000, 1),
                    **await _paint(context, base + path),
                }
            )
        early, late = await _scroll(session, base, options.rows)
        lag = await _live(context, base, customer)
        await chromium.close()
    return rows, [
        ("slowest page, p95 ms", max(_figure(row, "p95 ms") for row in rows), "≤ 50"),
        ("latest first contentful paint, ms", max(_figure(row, "paint") for row in rows), "≤ 500"),
        ("largest transfer, KB", max(_figure(row, "KB") for row in rows), "≤ 200"),
        (f"usage logs after {options.rows:,} rows / at the first", late / early, "≤ 1.2"),
        ("balance shown after a call, p95 s", lag, "≤ 1"),
    ]


def _figure(row: Row, name: str) -> float:
    found = row[name]
    if not isinstance(found, (int, float)):
        raise TypeError(name)
    return float(found)


async def _link(url: str, base: str, customer: Customer) -> str:
    where = Pass(org_id=customer.org_id, role=Role.OWNER, livemode=False)
    async with Database.open(url) as database, database.transaction() as tx:
        chance, now = secrets.token_bytes(32), datetime.now(UTC)
        return (await make_link(tx, where, base, chance=chance, now=now)).url


async def _ask(session: aiohttp.ClientSession, url: str) -> float:
    began = time.perf_counter()
    async with session.get(url) as answer:
        await answer.read()
        if answer.status != 200:
            raise SystemExit(f"{url}: {answer.status}")
    return time.perf_counter() - began


async def _paint(context: BrowserContext, url: str) -> Row:
    """Open a page as somebody who was never here: first contentful paint in ms, kilobytes."""
    page = await context.new_page()
    wire: Any = await context.new_cdp_session(page)
    received: list[float] = []
    await wire.send("Network.enable")
    await wire.send("Network.setCacheDisabled", {"cacheDisabled": True})

    def note(event: dict[str, Any]) -> None:
        received.append(event["encodedDataLength"])

    wire.on("Network.loadingFinished", note)
    await page.goto(url, wait_until="load")
    await page.wait_for_timeout(200)
    paint = await page.evaluate(
        "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
    )
    await page.close()
    return {"paint": round(paint, 1), "KB": round(sum(received) / 1000, 1)}


async def _scroll(session: aiohttp.ClientSession, base: str, rows: int) -> tuple[float, float]:
    """Read page after page; the median of the first hundred, and of the last."""
    path, seconds = "/console/usage", list[float]()
    for _ in range(rows // _PAGE_ROWS):
        began = time.perf_counter()
        async with session.get(base + path) as answer:
            text = await answer.text()
        seconds.append(time.perf_counter() - began)
        older = re.search(r'href="(/console/usage\?[^"]*before=[^"]+)"', text)
        if older is None:
            break
        path = older[1].replace("&amp;", "&")
    some = min(_SOME, max(1, len(seconds) // 2))
    return quantile(seconds[:some], 0.5), quantile(seconds[-some:], 0.5)


async def _live(context: BrowserContext, base: str, customer: Customer) -> float:
    """Charge while Credits is open; how long until the amount there has changed."""
    page = await context.new_page()
    await page.goto(f"{base}/console/credits")
    await page.wait_for_timeout(1000)
    headers = {"authorization": f"Bearer {customer.key}"}
    async with aiohttp.ClientSession(base, headers=headers) as session:
        lags = [
            await _charge_and_see(page, session, f"{time.time_ns()}-{number}")
            for number in range(_CHARGES)
        ]
    await page.close()
    return quantile(lags, _P95)


async def _charge_and_see(page: Page, session: aiohttp.ClientSession, request_id: str) -> float:
    before = await page.locator(_CHIP).first.inner_text()
    body = _CHARGE | {"requestId": request_id}
    async with session.post("/api/v1/metering/charges", json=body) as answer:
        await answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{answer.status} {await answer.text()}")
    began = time.perf_counter()
    changed = "([one, before]) => document.querySelector(one)?.innerText !== before"
    await page.wait_for_function(changed, arg=[_CHIP, before], timeout=10_000)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
