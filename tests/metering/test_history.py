"""`GET /billing/usage-history` (V4): by cursor, and nothing lost while usage arrives (M11)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from metered import DOLLAR, Purse, open_purse, rated
from shop import Customer, Shop

from tollkeeper.base.clock import MovableClock
from tollkeeper.base.ids import uuid7
from tollkeeper.db import Connection, Database
from tollkeeper.metering import Meter
from tollkeeper.metering.billing import store, windows
from tollkeeper.metering.billing.store import Head

PATH = "/billing/usage-history"
FEW = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


async def spend(shop: Shop, purse: Purse, calls: int) -> None:
    for number in range(calls):
        shop.clock.advance(timedelta(seconds=1))
        await shop.meter.settle(rated(purse, request_id=f"r-{shop.clock.now():%H%M%S}-{number}"))


async def test_json_is_v1s_rows_oldest_first(shop: Shop, customer: Customer) -> None:
    await spend(shop, customer.purse, 3)
    reply = await shop.get(PATH, customer.admin)
    usage = (await shop.get("/billing/usage?sortOrder=asc", customer.admin)).json
    assert reply.status == 200
    assert reply.json == {"data": usage["data"], "nextCursor": None}
    assert list(reply.json["data"][0]) == [
        "timestamp",
        "sku",
        "units",
        "pricePerUnitUsd",
        "amount",
        "currency",
        "notes",
        "inferenceDetails",
    ]


async def test_csv_says_the_next_cursor_in_a_header(shop: Shop, customer: Customer) -> None:
    await spend(shop, customer.purse, 6)
    reply = await shop.get(f"{PATH}?pageSize=10", customer.admin, accept="text/csv")
    assert reply.status == 200
    assert reply.body.count(b"\r\n") == 11
    assert reply.body.startswith(b"timestamp,sku,units,pricePerUnitUsd,amount,currency,notes,inf")
    named = "attachment; filename=billing-usage-history-20261120T120006000Z.csv"
    assert reply.headers["content-disposition"] == named
    cursor = reply.headers["x-next-cursor"]
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,512}", cursor)
    last = await shop.get(f"{PATH}?cursor={cursor}", customer.admin, accept="text/csv")
    assert last.body.count(b"\r\n") == 3
    assert "x-next-cursor" not in last.headers


async def test_pages_are_stable_while_usage_arrives(shop: Shop, customer: Customer) -> None:
    await spend(shop, customer.purse, 8)
    whole = (await shop.get(PATH, customer.admin)).json["data"]
    page = (await shop.get(f"{PATH}?pageSize=10", customer.admin)).json
    await spend(shop, customer.purse, 8)
    again = (await shop.get(f"{PATH}?cursor={page['nextCursor']}", customer.admin)).json
    assert page["data"] + again["data"] == whole
    assert again["nextCursor"] is None, "the first page fixed the end"
    repeated = (await shop.get(f"{PATH}?cursor={page['nextCursor']}", customer.admin)).json
    assert repeated == again


async def test_a_window_is_half_open(shop: Shop, customer: Customer) -> None:
    await spend(shop, customer.purse, 3)  # at :01, :02, :03

    async def moments(query: str) -> list[str]:
        reply = await shop.get(f"{PATH}?{query}", customer.admin)
        assert reply.status == 200, reply.body
        return [row["timestamp"][-3:-1] for row in reply.json["data"]][::2]

    start, end = "startTimestamp=2026-11-20T12:00", "endTimestamp=2026-11-20T12:00"
    assert await moments(f"{start}:01Z&{end}:03Z") == ["01", "02"]
    assert await moments(f"{start}:03Z") == ["03"]
    assert await moments(f"{end}:01Z") == []


async def test_a_cursor_is_sent_alone_and_only_by_its_owner(shop: Shop, customer: Customer) -> None:
    await spend(shop, customer.purse, 6)
    cursor = (await shop.get(f"{PATH}?pageSize=10", customer.admin)).json["nextCursor"]
    for query in (
        f"cursor={cursor}&pageSize=10",
        f"cursor={cursor}&currency=USD",
        f"cursor={cursor}&startTimestamp=2026-11-20T12:00:00Z",
        f"cursor={cursor[:-1]}",
        f"cursor={'A' if cursor[0] != 'A' else 'B'}{cursor[1:]}",
        f"cursor={'x' * 513}",
        "cursor=%2F",
        "cursor=",
    ):
        reply = await shop.get(f"{PATH}?{query}", customer.admin)
        assert (reply.status, "cursor" in reply.json["details"]) == (400, True), query
    other = await shop.customer()
    for key in (other.admin, customer.test_admin):
        assert (await shop.get(f"{PATH}?cursor={cursor}", key)).status == 400


async def test_faults(shop: Shop, customer: Customer) -> None:
    for query in (
        "pageSize=9",
        "pageSize=1001",
        "limit=10",
        "currency=XYZ",
        "startTimestamp=now",
        "startTimestamp=2026-11-20T12:00:00Z&endTimestamp=2026-11-20T12:00:00Z",
    ):
        assert (await shop.get(f"{PATH}?{query}", customer.admin)).status == 400, query
    assert (await shop.get(PATH, customer.inference)).status == 401


async def test_an_organization_without_usage(shop: Shop) -> None:
    customer = await shop.customer(0)
    assert (await shop.get(PATH, customer.admin)).json == {"data": [], "nextCursor": None}
    usage = (await shop.get("/billing/usage", customer.admin)).json
    assert usage["pagination"] == {"limit": 200, "page": 1, "total": 0, "totalPages": 0}


# Calls on three wallets; a step may go back in time, as the clock of another process may.
steps = st.lists(st.tuples(st.integers(0, 2), st.integers(-3, 5), st.integers(0, 3)), max_size=25)


@FEW
@given(before=steps, during=st.lists(steps, max_size=6), size=st.integers(1, 7))
async def test_every_line_once_in_order(
    database: Database,
    meter: Meter,
    clock: MovableClock,
    before: list[Any],
    during: list[list[Any]],
    size: int,
) -> None:
    org_id = uuid7()
    purses = [
        await open_purse(database, clock, DOLLAR, org_id=org_id, currency=currency)
        for currency in ("USD", "DIEM", "VCU")
    ]

    async def call(steps: list[Any]) -> None:
        for whose, seconds, kinds in steps:
            clock.advance(timedelta(seconds=seconds))
            units = ("input", "cache_read", "output")[:kinds]
            await meter.settle(rated(purses[whose], usage=dict.fromkeys(units, 5)))

    await call(before)
    async with database.connection() as connection:
        heads = await store.heads(connection, org_id, livemode=False, currency=None)
        opened = await windows.open_windows(connection, org_id, heads, None, None)
        expected = [lines async for lines in _all(connection, org_id, heads)]
        rest, read = opened, list[Any]()
        while any(window.size for window in rest):
            shown = await windows.read(connection, org_id, rest, size)
            assert sum(len(lines.places) for lines in shown) <= size
            rest = windows.after(rest, shown)
            read += [(*lines.order, place) for lines in shown for place in lines.places]
            if during:
                await call(during.pop())
    assert read == sorted(expected)


async def _all(connection: Connection, org_id: UUID, heads: list[Head]) -> AsyncIterator[Any]:
    for head in heads:
        for row in await store.lines(connection, org_id, head, 1, head.lines):
            for place in range(row.lines):
                yield row.recorded_at, head.wallet_id, row.line_seq, place
