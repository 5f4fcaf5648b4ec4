"""The usage API over 10⁴, 10⁶ and 10⁷ records: the time of a page must not depend on them.

    ./dev bench history [--largest RECORDS] [--pages N]

One call is charged over HTTP; its record is then repeated inside the database, chained as the
ledger chains records, so that `verify` finds the books clean. Pages are asked for one at a time,
anywhere in the history.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import aiohttp
import msgspec
import psutil
import psycopg
import uvloop

from _report import Row, show
from _stand import Customer, populate, postgres, serving

_SIZES = (10_000, 1_000_000, 10_000_000)
_PAGE = 200
_CSV_SECONDS = 10
_BATCH = 1_000  # records per entry, as batches of that size would have left it
_STEP = timedelta(milliseconds=200)
_CHARGE = {
    "provider": "openai",
    "model": "gpt-4.1-mini",
    "usage": {"input": 1200, "output": 300},
    "requestId": "the-first",
}
_REPEAT_RECORDS = """
INSERT INTO usage_record (
    org_id, wallet_id, seq, usage_id, entry_seq, amount, balance_after, held, late, lines,
    line_seq, recorded_at, started_at, duration_ms, project_id, key_id, request_id, fingerprint,
    status, source, provider, model, operation, thread_id, detail
)
SELECT org_id, wallet_id, seq + n, gen_random_uuid(), entry_seq + 1 + (n - 1) / %(batch)s, amount,
       balance_after - n * amount, held, late, lines, line_seq + n * lines,
       recorded_at + n * %(step)s::interval, started_at, duration_ms, project_id, key_id,
       request_id || '-' || n, fingerprint, status, source, provider, model, operation,
       thread_id, detail
FROM usage_record, generate_series(1, %(records)s) AS n
WHERE org_id = %(org_id)s AND wallet_id = %(wallet_id)s AND request_id = 'the-first'
"""
_REPEAT_ENTRIES = """
INSERT INTO entry (org_id, wallet_id, seq, entry_id, kind, account, amount, balance_after,
                   posted_at)
SELECT org_id, wallet_id, seq + n, gen_random_uuid(), kind, account, %(batch)s * amount,
       balance_after + n * %(batch)s * amount, posted_at + n * %(batch)s * %(step)s::interval
FROM entry, generate_series(1, %(records)s / %(batch)s) AS n
WHERE org_id = %(org_id)s AND wallet_id = %(wallet_id)s AND kind = 'consumption'
"""
_MOVE_WALLET = """
UPDATE wallet w
SET posted = w.posted - %(records)s * u.amount, revenue = w.revenue + %(records)s * u.amount,
    entry_seq = w.entry_seq + %(records)s / %(batch)s, usage_seq = w.usage_seq + %(records)s,
    line_seq = w.line_seq + %(records)s * u.lines,
    newest_at = w.newest_at + %(records)s * %(step)s::interval
FROM usage_record u
WHERE w.org_id = %(org_id)s AND w.wallet_id = %(wallet_id)s
  AND u.org_id = w.org_id AND u.request_id = 'the-first'
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--largest", type=int, default=_SIZES[-1])
    parser.add_argument("--pages", type=int, default=200)
    options = parser.parse_args()
    sizes = [size for size in _SIZES if size <= options.largest]
    with postgres() as server:
        customers = dict(zip(sizes, populate(server.url, len(sizes)), strict=True))
        with serving(server.url) as base:
            uvloop.run(_charge(base, customers.values()))
        for size, customer in customers.items():
            print(f"writing {size:,} records", flush=True)
            _fill(server.url, customer, size)
        # A server of its own for each size: the memory of one must not be that of another.
        figures = {
            size: _measured(server.url, customer, size, options.pages)
            for size, customer in customers.items()
        }
    _report(figures)


async def _charge(base: str, customers: Iterable[Customer]) -> None:
    async with aiohttp.ClientSession(base) as session:
        for customer in customers:
            headers = {"authorization": f"Bearer {customer.key}"}
            path = "/api/v1/metering/charges"
            async with session.post(path, json=_CHARGE, headers=headers) as answer:
                if answer.status >= 300:
                    raise SystemExit(f"{answer.status} {await answer.text()}")


def _fill(url: str, customer: Customer, records: int) -> None:
    values = {
        "org_id": customer.org_id,
        "wallet_id": customer.wallet_id,
        "records": records,
        "batch": _BATCH,
        "step": _STEP,
    }
    with psycopg.connect(url) as connection:
        for statement in (_REPEAT_RECORDS, _REPEAT_ENTRIES, _MOVE_WALLET):
            connection.execute(statement, values)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE usage_record")


def _measured(url: str, customer: Customer, size: int, pages: int) -> dict[str, float]:
    with serving(url) as base:
        before = _memory_of_servers()
        figures = uvloop.run(_ask(base, customer, size, pages))
        figures["memory MiB grown"] = max(0.0, _memory_of_servers() - before)
        return figures


async def _ask(base: str, customer: Customer, size: int, pages: int) -> dict[str, float]:
    headers = {"authorization": f"Bearer {customer.key}"}
    async with aiohttp.ClientSession(base, headers=headers) as session:
        figures = {
            "V1 p95 ms": _p95([t async for t in _usage_pages(session, size, pages)]),
            "V4 p95 ms": _p95([t async for t in _history_pages(session, pages)]),
            "balance p95 ms": _p95([t async for t in _balances(session, pages)]),
        }
        figures["CSV rows/s"] = await _csv(session)
        return figures


async def _usage_pages(
    session: aiohttp.ClientSession, size: int, pages: int
) -> AsyncIterator[float]:
    chance = random.Random(size)  # noqa: S311 (any page will do)
    now = datetime.now(UTC)
    for number in range(pages):
        query = {
            "limit": str(_PAGE),
            "page": str(chance.randint(1, 2 * size // _PAGE)),
            "sortOrder": ("asc", "desc")[number % 2],
        }
        if number % 3 == 0:  # every third asks for a time window
            query |= {
                "startDate": (now + size * _STEP * 0.25).isoformat(),
                "endDate": (now + size * _STEP * 0.75).isoformat(),
                "page": "1",
            }
        yield await _timed(session, "/api/v1/billing/usage", query)


async def _history_pages(session: aiohttp.ClientSession, pages: int) -> AsyncIterator[float]:
    query = {"pageSize": str(_PAGE)}
    for _ in range(pages):
        began = time.perf_counter()
        async with session.get("/api/v1/billing/usage-history", params=query) as answer:
            page = msgspec.json.decode(await answer.read())
        yield time.perf_counter() - began
        query = {"cursor": page["nextCursor"]} if page["nextCursor"] else query


async def _balances(session: aiohttp.ClientSession, pages: int) -> AsyncIterator[float]:
    for _ in range(pages):
        yield await _timed(session, "/api/v1/billing/balance", {})


async def _timed(session: aiohttp.ClientSession, path: str, query: Mapping[str, str]) -> float:
    began = time.perf_counter()
    async with session.get(path, params=query) as answer:
        body = await answer.read()
    if answer.status != 200:
        raise SystemExit(f"{answer.status} {body[:500]!r}")
    return time.perf_counter() - began


async def _csv(session: aiohttp.ClientSession) -> float:
    """Export as CSV by the list that is streamed whole; stop after some seconds."""
    began, rows = time.perf_counter(), 0
    headers = {"accept": "text/csv"}
    async with session.get("/api/v1/billing/usage-records", headers=headers) as answer:
        async for chunk in answer.content.iter_any():
            rows += chunk.count(b"\n")
            if time.perf_counter() - began > _CSV_SECONDS:
                break
    return rows / (time.perf_counter() - began)


def _p95(seconds: Sequence[float]) -> float:
    return sorted(seconds)[int(0.95 * len(seconds))] * 1000


def _memory_of_servers() -> float:
    """Resident memory of the processes that this one started, in MiB."""
    return (
        sum(
            child.memory_info().rss
            for child in psutil.Process().children(True)
            if "tollkeeper" in " ".join(child.cmdline())
        )
        / 2**20
    )


def _report(figures: Mapping[int, Mapping[str, float]]) -> None:
    rows: list[Row] = [{"records": size, **row} for size, row in figures.items()]
    smallest, largest = min(figures), max(figures)
    goals = [
        (f"{name}, largest per smallest", figures[largest][name] / figures[smallest][name], "≤ 1.5")
        for name in ("V1 p95 ms", "V4 p95 ms", "balance p95 ms")
    ]
    goals.append(("CSV rows/s", figures[largest]["CSV rows/s"], "≥ 50,000"))
    show("history", rows, goals)


if __name__ == "__main__":
    main()
