"""The console's pages over 10⁷ usage records: the server's time, and what a browser makes of them.

    ./dev bench console [--records N] [--asks N] [--rows N] [--keep DIR]

Every page of the menus of a customer and of the staff is asked for one at a time, and the log and
costs with what they are usually narrowed to; those of the menus are then opened in Chromium with an
empty cache: when something is seen first, and how much came over the wire. The usage logs are read
page after page, and the pages near the end are held beside those at the beginning. At last calls
are charged while Credits is open. `--keep DIR` leaves the database there, and finds it there the
next time; `--only TEXT` asks for the pages with that in their names, and for nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import time
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
from _visitors import (
    customer_pages,
    customer_signed_in,
    exports,
    link_of,
    seconds_of,
    staff_pages,
    staff_signed_in,
)
from tollkeeper.db import migrate

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
    parser.add_argument("--only", default="")
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
        customer_signed_in(url, base, customer) as visitor,
        staff_signed_in(url, base) as staff,
        async_playwright() as playwright,
    ):
        chromium = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        asks = (
            (visitor, await customer_pages(visitor, base), True),
            (visitor, exports(), False),
            (staff, await staff_pages(staff, base, customer), True),
        )
        rows: list[Row] = []
        for session, pages, whole in asks:
            context = await chromium.new_context()
            await context.add_cookies(
                [
                    {"name": one.key, "value": one.value, "url": f"{base}/console/"}
                    for one in session.cookie_jar
                ]
            )
            for name, path in pages.items():
                if options.only in name:
                    row = await _time(session, base + path, options.asks, whole=whole)
                    seen = await _paint(context, base + path) if ":" not in name else {}
                    rows.append({"page": name, **row, **seen})
        verdicts = _judge(rows)
        if not options.only:
            early, late = await _scroll(visitor, base, options.rows)
            context = await chromium.new_context()
            await (await context.new_page()).goto(await link_of(url, base, customer))
            lag = await _live(context, base, customer)
            verdicts += [
                (f"usage logs after {options.rows:,} rows / at the first", late / early, "≤ 1.2"),
                ("balance shown after a call, p95 s", lag, "≤ 1"),
            ]
        await chromium.close()
    return rows, verdicts


def _judge(rows: list[Row]) -> list[tuple[str, float, str]]:
    menu = [row for row in rows if "paint" in row]
    return [
        ("slowest page or question, p95 ms", _most(rows, "p95 ms"), "≤ 50"),
        ("slowest page of the menus, p95 ms", _most(menu, "p95 ms"), "≤ 50"),
        ("latest first contentful paint, ms", _most(menu, "paint"), "≤ 500"),
        ("largest transfer, KB", _most(menu, "KB"), "≤ 200"),
    ]


def _most(rows: list[Row], name: str) -> float:
    return max((_figure(row, name) for row in rows), default=0.0)


async def _time(session: aiohttp.ClientSession, url: str, asks: int, *, whole: bool) -> Row:
    """How long it takes, the first time and then, when it has been asked for before."""
    first = await seconds_of(session, url, whole=whole)
    seconds = [await seconds_of(session, url, whole=whole) for _ in range(asks)]
    return {
        "first ms": round(first * 1000, 1),
        "p50 ms": round(quantile(seconds, 0.5) * 1000, 1),
        "p95 ms": round(quantile(seconds, _P95) * 1000, 1),
    }


def _figure(row: Row, name: str) -> float:
    found = row[name]
    if not isinstance(found, (int, float)):
        raise TypeError(name)
    return float(found)


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
