"""`GET /billing/usage-records` (W4): the log, its filters, one call in full (M12)."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from metered import DOLLAR, GPT, PAGES, open_purse, rated
from shop import Customer, Shop

from tollkeeper.base.clock import MovableClock
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.db import Connection, Database
from tollkeeper.metering import Meter
from tollkeeper.metering.billing import spans, store
from tollkeeper.metering.billing.spans import Span

PATH = "/billing/usage-records"


async def listed(shop: Shop, key: str, query: str = "") -> list[dict[str, Any]]:
    reply = await shop.get(f"{PATH}?{query}", key)
    assert reply.status == 200, reply.body
    assert reply.json["nextCursor"] is None
    return reply.json["data"]


async def test_a_record_field_by_field(shop: Shop, customer: Customer) -> None:
    charge = rated(
        customer.purse,
        usage={"input": 1000, "output": 200},
        operation="chat.completions",
        input="Hello",
        project_id=customer.project_id,
        key_id=customer.key_ids[customer.admin],
        thread_id="t-1",
        request_id="r-1",
        end_user="ada",
        tags={"team": "data"},
        started_at=shop.clock.now() - timedelta(seconds=3),
        duration_ms=2900,
    )
    await shop.meter.settle(charge)
    (record,) = await listed(shop, customer.admin)
    assert record == {
        "id": show_id("use", charge.usage_id),
        "timestamp": "2026-11-20T11:59:57Z",
        "recordedAt": "2026-11-20T12:00:00Z",
        "operation": "chat.completions",
        "input": "Hello",
        "projectId": show_id("prj", customer.project_id),
        "threadId": "t-1",
        "cost": 0.00325,
        "currency": "USD",
        "balanceAfter": 99.99675,
        "status": 200,
        "durationMs": 2900,
        "keyId": show_id("key", customer.key_ids[customer.admin]),
        "provider": "openai",
        "model": "gpt-5",
        "source": "provider",
        "requestId": "r-1",
        "endUser": "ada",
        "tags": {"team": "data"},
        "late": False,
        "error": None,
    }


async def test_one_call_in_full(shop: Shop, customer: Customer) -> None:
    charge = rated(
        customer.purse,
        usage={"input": 1000, "output": 200, "image": 1},
        response_id="chatcmpl-1",
        usage_said={"prompt_tokens": 1000},
        source="partial",
    )
    await shop.meter.settle(charge)
    path = f"{PATH}/{show_id('use', charge.usage_id)}"
    record = (await shop.get(path, customer.admin)).json
    assert record["lines"] == [
        {
            "sku": "gpt-5-llm-input-mtoken",
            "unit": "input",
            "quantity": "1000",
            "per": 1_000_000,
            "price": 1.25,
            "listPrice": 1.25,
            "amount": 0.00125,
        },
        {
            "sku": "gpt-5-llm-output-mtoken",
            "unit": "output",
            "quantity": "200",
            "per": 1_000_000,
            "price": 10,
            "listPrice": 10,
            "amount": 0.002,
        },
    ]
    assert record["formula"] == (
        "gpt-5-llm-input-mtoken: 1000 x 1.25 / 1000000 = 0.00125\n"
        "gpt-5-llm-output-mtoken: 200 x 10 / 1000000 = 0.002\n"
        "image: 1 without a price\n"
        "= 0.00325"
    )
    assert record["priceVersion"] == {
        "id": str(GPT.id),
        "provider": "openai",
        "model": "gpt-5",
        "effectiveFrom": "2026-01-01T00:00:00Z",
        "source": "a test",
    }
    assert (record["unpriced"], record["source"]) == ({"image": "1"}, "partial")
    assert (record["usage"], record["responseId"]) == ({"prompt_tokens": 1000}, "chatcmpl-1")
    for key, status in ((customer.test_admin, 404), (customer.inference, 401)):
        assert (await shop.get(path, key)).status == status
    other = await shop.customer()
    assert (await shop.get(path, other.admin)).status == 404
    for name in ("use_1", "nothing", "use_" + "0" * 32):
        assert (await shop.get(f"{PATH}/{name}", customer.admin)).status == 404


@pytest.fixture
async def busy(shop: Shop, customer: Customer) -> Customer:
    """Seven calls of different kinds, one second apart."""
    kinds: list[dict[str, Any]] = [
        {"operation": "ask", "thread_id": "t-1"},
        {"operation": "ask", "status": 500, "source": "none", "usage": {}},
        {"operation": "chat", "thread_id": "t-2", "project_id": customer.project_id},
        {"operation": "chat", "status": 429, "source": "none", "usage": {}},
        {"operation": "chat", "key_id": customer.key_ids[customer.admin]},
        {"operation": "ask", "thread_id": "t-1", "status": 201},
        {"operation": "generate_sql", "version": PAGES, "usage": {"request": 1}},
    ]
    for number, kind in enumerate(kinds):
        shop.clock.advance(timedelta(seconds=1))
        await shop.meter.settle(rated(customer.purse, request_id=str(number), **kind))
    return customer


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "6543210"),
        ("status=success", "65420"),
        ("status=error", "31"),
        ("status=500", "1"),
        ("status=404", ""),
        ("operation=ask", "510"),
        ("operation=ask&status=success", "50"),
        ("threadId=t-1", "50"),
        ("threadId=t-1&status=201", "5"),
        ("threadId=t-9", ""),
        ("model=generate_sql", "6"),
        ("start=2026-11-20T12:00:05Z", "654"),
        ("end=2026-11-20T12:00:02Z", "10"),
        ("start=2026-11-20T12:00:02Z&end=2026-11-20T12:00:04Z&status=success", "2"),
        ("start=2026-11-20&end=2026-11-20", "6543210"),
        ("end=2026-11-19", ""),
        ("currency=USD", "6543210"),
    ],
)
async def test_filters(shop: Shop, busy: Customer, query: str, expected: str) -> None:
    found = await listed(shop, busy.admin, query)
    assert "".join(record["requestId"] for record in found) == expected
    paged: list[str] = []
    cursor = ""
    for _ in range(12):
        reply = await shop.get(f"{PATH}?{query}&limit=2{cursor}", busy.admin)
        assert reply.status == 200, reply.body
        paged += [record["requestId"] for record in reply.json["data"]]
        if reply.json["nextCursor"] is None:
            break
        cursor = f"&cursor={reply.json['nextCursor']}"
    assert "".join(paged) == expected
    reply = await shop.get(f"{PATH}?{query}", busy.admin, accept="text/csv")
    rows = list(csv.DictReader(io.StringIO(reply.body.decode())))
    assert "".join(row["requestId"] for row in rows) == expected


async def test_csv_says_what_json_says(shop: Shop, busy: Customer) -> None:
    shop.clock.advance(timedelta(microseconds=120_000))
    said: dict[str, Any] = {
        "input": 'a, "b"',
        "end_user": "ada",
        "tags": {"a": "b"},
        "duration_ms": 7,
    }
    started = shop.clock.now() - timedelta(microseconds=1)
    await shop.meter.settle(rated(busy.purse, started_at=started, error="no", **said))
    await shop.meter.settle(busy.purse.charge(200 * DOLLAR))
    reply = await shop.get(PATH, busy.admin, accept="text/csv")
    rows = list(csv.DictReader(io.StringIO(reply.body.decode())))
    text = (await shop.get(PATH, busy.admin)).body
    records = json.loads(text, parse_float=str, parse_int=str)["data"]
    assert len(rows) == len(records) == 9
    for row, record in zip(rows, records, strict=True):
        assert {name: cell_of(value) for name, value in record.items()} == row


def cell_of(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return json.dumps(value)
    return "" if value is None else str(value)


async def test_filters_by_id(shop: Shop, busy: Customer) -> None:
    project, key = busy.project_id, busy.key_ids[busy.admin]
    found = await listed(shop, busy.admin, f"projectId={show_id('prj', project)}")
    assert [record["requestId"] for record in found] == ["2"]
    found = await listed(shop, busy.admin, f"keyId={show_id('key', key)}")
    assert [record["requestId"] for record in found] == ["4"]
    reply = await shop.get(f"{PATH}?projectId=2&keyId=prj_1&currency=XYZ&status=7", busy.admin)
    assert reply.status == 400
    assert reply.json["details"].keys() >= {"_errors", "status"}


async def test_a_cursor_belongs_to_its_filters(shop: Shop, busy: Customer) -> None:
    cursor = (await shop.get(f"{PATH}?limit=2", busy.admin)).json["nextCursor"]
    for query, key in (
        (f"cursor={cursor}&status=error", busy.admin),
        (f"cursor={cursor}", busy.test_admin),
        (f"cursor={cursor}x", busy.admin),
    ):
        assert (await shop.get(f"{PATH}?{query}", key)).status == 400, query


async def test_a_page_of_csv_says_its_cursor(shop: Shop, busy: Customer) -> None:
    reply = await shop.get(f"{PATH}?limit=3", busy.admin, accept="text/csv")
    assert reply.body.count(b"\r\n") == 4
    assert reply.headers["content-disposition"] == "attachment; filename=usage_records.csv"
    cursor = reply.headers["x-next-cursor"]
    rest = await shop.get(f"{PATH}?cursor={cursor}", busy.admin, accept="text/csv")
    assert rest.body.count(b"\r\n") == 5


@pytest.mark.parametrize("text", ["=1+1", "@x", "+a", "-a", "\r=1", '=HYPERLINK("x")'])
async def test_no_cell_is_a_formula(shop: Shop, customer: Customer, text: str) -> None:
    said = dict.fromkeys(("input", "operation", "thread_id", "request_id", "end_user"), text)
    charge = rated(customer.purse, **said, tags={text: text}, error=text)
    await shop.meter.settle(charge)
    reply = await shop.get(PATH, customer.admin, accept="text/csv")
    (row,) = csv.DictReader(io.StringIO(reply.body.decode(), newline=""))
    for name in ("input", "operation", "threadId", "requestId", "endUser", "error"):
        assert row[name] == f"'{text}", name
    assert row["tags"].startswith("{")


async def test_a_long_log_is_streamed_whole(shop: Shop, customer: Customer) -> None:
    await shop.meter.settle_many([rated(customer.purse, request_id=str(n)) for n in range(3500)])
    reply = await shop.get(PATH, customer.admin, accept="text/csv")
    rows = list(csv.DictReader(io.StringIO(reply.body.decode())))
    assert [row["requestId"] for row in rows] == [str(n) for n in reversed(range(3500))]


steps = st.lists(
    st.tuples(st.integers(0, 2), st.integers(-3, 5), st.sampled_from("abc")), max_size=25
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    before=steps,
    during=st.lists(steps, max_size=5),
    size=st.integers(1, 5),
    pace=st.tuples(st.integers(1, 4), st.sampled_from([0, 60])),
    operation=st.none() | st.sampled_from("abc"),
)
@example(
    before=[(1, 1, "a"), (0, 4, "a"), (0, 1, "b"), (0, 1, "b"), (0, 1, "b")],
    during=[],
    size=1,
    pace=(1, 60),
    operation="a",
)
@example(
    before=[(0, 1, "a"), (1, 0, "a"), (1, 0, "b")],
    during=[],
    size=2,
    pace=(1, 0),
    operation="a",
)
async def test_every_record_once_in_order(
    database: Database,
    meter: Meter,
    clock: MovableClock,
    monkeypatch: pytest.MonkeyPatch,
    before: list[Any],
    during: list[list[Any]],
    size: int,
    pace: tuple[int, float],
    operation: str | None,
) -> None:
    """Also where a page looks at a few records only, on several wallets, while more arrive."""
    step, patience = pace
    monkeypatch.setattr(spans, "_STEP", step)
    monkeypatch.setattr(spans, "_MOST", 2 * step)
    monkeypatch.setattr(spans, "_PATIENCE_SECONDS", patience)
    org_id = uuid7()
    purses = [
        await open_purse(database, clock, DOLLAR, org_id=org_id, currency=currency)
        for currency in ("USD", "DIEM", "VCU")
    ]
    told: list[Any] = []

    async def call(steps: list[Any]) -> None:
        for whose, seconds, kind in steps:
            clock.advance(timedelta(seconds=seconds))
            charge = rated(purses[whose], operation=kind, usage={"input": 1})
            await meter.settle(charge)
            told.append((charge.usage_id, kind))

    await call(before)
    wanted = [usage_id for usage_id, kind in told if operation in (None, kind)]
    filters = {} if operation is None else {"operation": operation}
    async with database.connection() as connection:
        rest = await _open(connection, org_id)
        read: list[Any] = []
        for _ in range(300):
            if all(span.empty for span in rest):
                break
            found, rest = await spans.walk(
                connection, org_id, rest, filters, size, store.records_down
            )
            assert len(found) <= size
            read += [
                (row.recorded_at, head.wallet_id, row.seq, row.usage_id) for head, row in found
            ]
            if during:
                await call(during.pop())
    assert all(span.empty for span in rest)
    assert sorted(usage_id for *_, usage_id in read) == sorted(wanted)
    assert read == sorted(read, reverse=True)


async def _open(connection: Connection, org_id: Any) -> list[Span]:
    heads = await store.heads(connection, org_id, livemode=False, currency=None)
    return await spans.open_spans(connection, org_id, heads, None, None)
