"""Downloads hold what the lists hold, window by window; a reader who leaves ends the work."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import quote
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from exported import (
    START,
    call,
    calls_each_hour,
    count_entries,
    grant,
    invoice,
    move_to,
    ndjson,
    table,
)

from tollkeeper import metering
from tollkeeper.db import Database
from tollkeeper.exports import BOOKS, Book, Window
from tollkeeper.exports.books import Pages
from whole import Answer, Customer, Whole, whole_served


async def ask(
    whole: Whole, customer: Customer, path: str, mode: str = "live", **asked: str
) -> Answer:
    query = "&".join(f"{name.rstrip('_')}={quote(value)}" for name, value in asked.items())
    return await whole.ask("GET", f"/billing/{path}?{query}", customer.keys[f"{mode} ADMIN"])


async def listed(whole: Whole, customer: Customer, path: str, **asked: str) -> list[Any]:
    return (await ask(whole, customer, path, limit="500", **asked)).json["data"]


async def test_a_download_holds_what_the_lists_hold(whole: Whole, customer: Customer) -> None:
    await calls_each_hour(whole, customer, 5)
    await call(whole, customer, livemode=False, request_id="a test")
    await grant(whole, customer, "a gift")
    for cause in ("purchase:1", "purchase:2"):
        await invoice(whole, customer.org_id, cause)

    usage = ndjson(await ask(whole, customer, "exports/usage", format="ndjson"))
    rows = await listed(whole, customer, "usage", sortOrder="asc")
    assert len(rows) == 10
    for row, shown in zip(usage, rows, strict=True):
        assert (
            row.items()
            >= {name: value for name, value in shown.items() if name != "inferenceDetails"}.items()
        )
    assert Counter(row["line"] for row in usage) == {1: 5, 2: 5}
    assert len({row["usageId"] for row in usage}) == 5
    assert {row["model"] for row in usage} == {"gpt-5"}
    tests = ndjson(await ask(whole, customer, "exports/usage", "test", format="ndjson"))
    assert [row["inferenceDetails.requestId"] for row in tests] == ["a test", "a test"]

    entries = ndjson(await ask(whole, customer, "exports/entries", format="ndjson"))
    shown = (await listed(whole, customer, "entries"))[::-1]
    assert [row["kind"] for row in entries] == ["consumption"] * 5 + ["grant"]
    for row, same in zip(entries, shown, strict=True):
        assert row.items() >= same.items()
    assert "actor" not in entries[0]

    issued = ndjson(await ask(whole, customer, "exports/invoices", format="ndjson"))
    documents = (await listed(whole, customer, "invoices"))[::-1]
    assert issued == [{"organizationId": customer.id, **document} for document in documents]


async def test_csv_says_the_same_and_is_no_formula(whole: Whole, customer: Customer) -> None:
    await call(whole, customer, operation='=HYPERLINK("x")', request_id="@cmd")
    await grant(whole, customer, "+1+1")
    answer = await ask(whole, customer, "exports/usage")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == "attachment; filename=usage.csv"
    first = table(answer)[0]
    assert first["operation"] == '\'=HYPERLINK("x")'
    assert first["inferenceDetails.requestId"] == "'@cmd"
    assert (first["units"], first["amount"]) == ("0.001", "-0.00125")
    assert first["timestamp"] == "2100-03-26T12:00:00Z"
    assert table(await ask(whole, customer, "exports/entries"))[-1]["reason"] == "'+1+1"
    empty = await ask(whole, customer, "exports/invoices")
    assert empty.text.startswith("organizationId,id,number,type")
    assert not table(empty)


async def test_days_of_any_length_neither_lose_nor_repeat_a_row(
    whole: Whole, customer: Customer
) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    move_to(whole, datetime(2100, 3, 27, tzinfo=berlin))
    await calls_each_hour(whole, customer, 71)
    days = [datetime(2100, 3, day, tzinfo=berlin).isoformat() for day in (27, 28, 29, 30)]
    for book, per_call in (("usage", 2), ("entries", 1)):
        found = [
            ndjson(
                await ask(whole, customer, f"exports/{book}", from_=start, to=end, format="ndjson")
            )
            for start, end in pairwise(days)
        ]
        assert [len(rows) // per_call for rows in found] == [24, 23, 24]
        everything = ndjson(await ask(whole, customer, f"exports/{book}", format="ndjson"))
        assert [row for rows in found for row in rows] == everything


async def test_a_window_begins_with_its_first_moment(whole: Whole, customer: Customer) -> None:
    await calls_each_hour(whole, customer, 3)
    second = (START + timedelta(hours=1)).isoformat()
    for book in ("usage", "entries"):
        before = table(await ask(whole, customer, f"exports/{book}", to=second))
        after = table(await ask(whole, customer, f"exports/{book}", from_=second))
        assert len(after) == 2 * len(before)
    faulty = await ask(whole, customer, "exports/usage", from_=second, to=second)
    assert (faulty.status, faulty.json["details"]) == (
        400,
        {"_errors": [], "to": {"_errors": ["must be after from"]}},
    )
    naive = await ask(whole, customer, "exports/usage", from_="2100-03-26T12:00:00", format="xml")
    assert naive.status == 400
    assert (await ask(whole, customer, "exports/secrets")).status == 404
    key = customer.keys["live INFERENCE"]
    assert (await whole.ask("GET", "/billing/exports/usage", key)).status in (401, 403)


async def test_an_operator_reads_one_or_all(whole: Whole, customer: Customer) -> None:
    other = await whole.customer()
    for one in (customer, other):
        await call(whole, one)
        await call(whole, one, livemode=False)
        await invoice(whole, one.org_id, "purchase:1")
    usage = ndjson(await whole.operate("GET", "/exports/usage?format=ndjson"))
    counted = Counter((row["organizationId"], row["livemode"]) for row in usage)
    assert counted == dict.fromkeys(
        [(one.id, live) for one in (customer, other) for live in (True, False)], 2
    )
    one = table(await whole.operate("GET", f"/exports/entries?organizationId={other.id}"))
    assert len(one) == await count_entries(whole, other.org_id)
    assert {row["account"] for row in one} == {"revenue", "promotional"}
    assert len(table(await whole.operate("GET", "/exports/invoices"))) == 2
    unknown = f"/exports/usage?organizationId=org_{'0' * 32}"
    assert (await whole.operate("GET", unknown)).status == 404


async def test_what_arrives_meanwhile_is_left_for_the_next(
    whole: Whole, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tollkeeper.metering.billing.export._PAGE", 3)
    monkeypatch.setattr("tollkeeper.exports.books._PAGE", 2)
    await calls_each_hour(whole, customer, 6)
    pages = metering.usage_pages(whole.database, customer.org_id, livemode=True)
    window = Window(start=None, end=None, livemode=True)
    entries = BOOKS["entries"].pages(whole.database, customer.org_id, window)
    first, posted = await anext(pages), await anext(entries)
    await calls_each_hour(whole, customer, 2)
    rows = [*first, *[row async for page in pages for row in page]]
    assert len(rows) == 12
    assert len({(row[1], row[2]) for row in rows}) == 12
    assert len([*posted, *[row async for page in entries for row in page]]) == 6


async def test_a_reader_who_leaves_ends_the_work(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = asyncio.Event()

    async def endless(database: Database, org_id: UUID, window: Window) -> Pages:
        del database, window
        try:
            while True:
                yield [(str(org_id),)] * 1000
                await asyncio.sleep(0)
        finally:
            ended.set()

    monkeypatch.setitem(BOOKS, "usage", Book(columns=("organizationId",), pages=endless))
    async with whole_served(database_url) as whole:
        customer = await whole.customer()
        said = {"authorization": f"Bearer {customer.keys['live ADMIN']}"}
        url = f"{whole.url}/api/v1/billing/exports/usage"
        async with whole._session.get(url, headers=said) as answer:
            assert (await answer.content.readline()).strip() == b"organizationId"
            answer.close()
        await asyncio.wait_for(ended.wait(), 10)
