"""`GET /billing/usage` (V1), field by field, and its pages against a plain list (M10)."""

from __future__ import annotations

import csv
import io
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from metered import DOLLAR, PAGES, Purse, gpt_usages, open_purse, rated
from shop import Customer, Shop

from tollkeeper import pricing
from tollkeeper.base.clock import MovableClock
from tollkeeper.base.ids import uuid7
from tollkeeper.db import Database
from tollkeeper.metering import Meter
from tollkeeper.metering.billing.lines import UsageRow
from tollkeeper.metering.billing.usage import Query, read_page
from tollkeeper.orgs import Caller, KeyKind

GOLDEN_JSON = (
    b'{"data":['
    b'{"timestamp":"2026-11-20T12:00:05Z","sku":"generate_sql-second","units":1.508333333,'
    b'"pricePerUnitUsd":0.001,"amount":-0.001508333,"currency":"USD","notes":"ask",'
    b'"inferenceDetails":{"requestId":"r-2","inferenceExecutionTime":null,"promptTokens":null,'
    b'"completionTokens":null}},'
    b'{"timestamp":"2026-11-20T12:00:05Z","sku":"generate_sql-request","units":1,'
    b'"pricePerUnitUsd":0.02,"amount":-0.02,"currency":"USD","notes":"ask",'
    b'"inferenceDetails":{"requestId":"r-2","inferenceExecutionTime":null,"promptTokens":null,'
    b'"completionTokens":null}},'
    b'{"timestamp":"2026-11-20T12:00:00Z","sku":"gpt-5-llm-output-mtoken","units":0.000227,'
    b'"pricePerUnitUsd":10,"amount":-0.00227,"currency":"USD","notes":"API Inference",'
    b'"inferenceDetails":{"requestId":"chatcmpl-1","inferenceExecutionTime":2964,'
    b'"promptTokens":439,"completionTokens":227}},'
    b'{"timestamp":"2026-11-20T12:00:00Z","sku":"gpt-5-llm-cache-read-mtoken","units":0.0001,'
    b'"pricePerUnitUsd":0.125,"amount":-0.0000125,"currency":"USD","notes":"API Inference",'
    b'"inferenceDetails":{"requestId":"chatcmpl-1","inferenceExecutionTime":2964,'
    b'"promptTokens":439,"completionTokens":227}},'
    b'{"timestamp":"2026-11-20T12:00:00Z","sku":"gpt-5-llm-input-mtoken","units":0.000339,'
    b'"pricePerUnitUsd":1.25,"amount":-0.00042375,"currency":"USD","notes":"API Inference",'
    b'"inferenceDetails":{"requestId":"chatcmpl-1","inferenceExecutionTime":2964,'
    b'"promptTokens":439,"completionTokens":227}}'
    b'],"pagination":{"limit":200,"page":1,"total":5,"totalPages":1}}'
)
GOLDEN_CSV = """\
timestamp,sku,units,pricePerUnitUsd,amount,currency,notes,inferenceDetails.requestId,\
inferenceDetails.inferenceExecutionTime,inferenceDetails.promptTokens,\
inferenceDetails.completionTokens
2026-11-20T12:00:00Z,gpt-5-llm-input-mtoken,0.000339,1.25,-0.00042375,USD,API Inference,\
chatcmpl-1,2964,439,227
2026-11-20T12:00:00Z,gpt-5-llm-cache-read-mtoken,0.0001,0.125,-0.0000125,USD,API Inference,\
chatcmpl-1,2964,439,227
2026-11-20T12:00:00Z,gpt-5-llm-output-mtoken,0.000227,10,-0.00227,USD,API Inference,\
chatcmpl-1,2964,439,227
2026-11-20T12:00:05Z,generate_sql-request,1,0.02,-0.02,USD,ask,r-2,,,
"""


@pytest.fixture
async def used(shop: Shop, customer: Customer) -> Customer:
    """A customer with a call to a model, one that failed, and one of an operation of its own."""
    tokens = {"input": 339, "cache_read": 100, "output": 227}
    charge = rated(customer.purse, usage=tokens, request_id="chatcmpl-1", duration_ms=2964)
    await shop.meter.settle(charge)
    failed = rated(customer.purse, usage={}, status=500, source="none")
    await shop.meter.settle(failed)
    shop.clock.advance(timedelta(seconds=5))
    usage = {"request": 1, "second": Decimal("90.5")}
    own = rated(customer.purse, PAGES, usage=usage, request_id="r-2", operation="ask")
    await shop.meter.settle(own)
    return customer


async def test_json_field_by_field(shop: Shop, used: Customer) -> None:
    reply = await shop.get("/billing/usage", used.admin)
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert reply.body == GOLDEN_JSON


async def test_csv_field_by_field(shop: Shop, used: Customer) -> None:
    path = "/billing/usage?limit=4&sortOrder=asc"
    reply = await shop.get(path, used.admin, accept="text/csv")
    assert reply.status == 200
    assert reply.body.decode().replace("\r\n", "\n") == GOLDEN_CSV
    assert reply.headers["content-type"] == "text/csv; charset=utf-8"
    assert reply.headers["content-disposition"] == "attachment; filename=billing_usage.csv"
    said = {k[len("x-pagination-") :]: v for k, v in reply.headers.items() if "pagination" in k}
    assert said == {"limit": "4", "page": "1", "total": "5", "total-pages": "2"}


async def test_pages_go_on(shop: Shop, used: Customer) -> None:
    first = (await shop.get("/billing/usage?limit=2&page=1", used.admin)).json
    second = (await shop.get("/billing/usage?limit=2&page=2", used.admin)).json
    third = (await shop.get("/billing/usage?limit=2&page=3", used.admin)).json
    beyond = (await shop.get("/billing/usage?limit=2&page=4", used.admin)).json
    whole = (await shop.get("/billing/usage", used.admin)).json
    assert first["data"] + second["data"] + third["data"] == whole["data"]
    assert third["pagination"] == {"limit": 2, "page": 3, "total": 5, "totalPages": 3}
    assert beyond["data"] == []


async def test_dates_are_inclusive(shop: Shop, used: Customer) -> None:
    async def total(query: str) -> int:
        reply = await shop.get(f"/billing/usage?{query}", used.admin)
        assert reply.status == 200, reply.body
        return reply.json["pagination"]["total"]

    assert await total("startDate=2026-11-20T12:00:00.000Z") == 5
    assert await total("startDate=2026-11-20T12:00:00.000001Z") == 2
    assert await total("endDate=2026-11-20T12:00:00Z") == 3
    assert await total("endDate=2026-11-20T12:00:05Z") == 5
    assert await total("endDate=2026-11-20T11:59:59.999Z") == 0
    assert await total("startDate=2026-11-20&endDate=2026-11-20") == 5, "a date is a whole day"
    assert await total("endDate=2026-11-19") == 0
    assert await total("startDate=2026-11-20T13:00:00%2B01:00") == 5
    assert await total("startDate=2026-11-20T12:00:05Z&endDate=2026-11-20T12:00:05Z") == 2


async def test_only_admin_keys_read(shop: Shop, used: Customer) -> None:
    reply = await shop.get("/billing/usage", used.inference)
    assert (reply.status, reply.json["code"]) == (401, "admin_key_required")
    for key in (None, "tk_live_nobody", shop.operator):
        assert (await shop.get("/billing/usage", key)).status == 401


async def test_test_keys_see_test_usage(shop: Shop, used: Customer) -> None:
    assert (await shop.get("/billing/usage", used.test_admin)).json["data"] == []
    await shop.meter.settle(rated(used.test_purse))
    assert (await shop.get("/billing/usage", used.test_admin)).json["pagination"]["total"] == 2
    assert (await shop.get("/billing/usage", used.admin)).json["pagination"]["total"] == 5


async def test_all_faults_at_once(shop: Shop, used: Customer) -> None:
    query = "currency=XYZ&startDate=yesterday&endDate=1066-10-14"
    reply = await shop.get(f"/billing/usage?{query}", used.admin)
    assert reply.status == 400
    assert reply.json["details"].keys() == {"_errors", "currency", "startDate", "endDate"}
    query = "limit=501&page=0&sortOrder=up&curency=USD"
    reply = await shop.get(f"/billing/usage?{query}", used.admin)
    assert reply.status == 400
    assert reply.json["details"].keys() == {"_errors", "limit", "page", "sortOrder", "curency"}
    for query in (
        "limit=0",
        "limit=1.5",
        "page=-1",
        "startDate=2026-11-21&endDate=2026-11-20",
        "startDate=",
        "startDate=2026-11-20T12:00:00%00Z",
        "page=1&page=2",
    ):
        assert (await shop.get(f"/billing/usage?{query}", used.admin)).status == 400, query
    assert (await shop.get(f"/billing/usage?page={10**30}", used.admin)).status in (200, 400)


async def test_a_currency_is_a_wallet_of_its_own(
    shop: Shop, used: Customer, database: Database
) -> None:
    diem = await open_purse(
        database, shop.clock, DOLLAR, org_id=used.org_id, livemode=True, currency="DIEM"
    )
    shop.settings.currencies["DIEM"] = shop.settings.currencies["USD"]
    await shop.meter.settle(rated(diem))
    reply = await shop.get("/billing/usage?currency=DIEM", used.admin)
    assert {row["currency"] for row in reply.json["data"]} == {"DIEM"}
    assert reply.json["pagination"]["total"] == 2
    reply = await shop.get("/billing/usage", used.admin)
    assert reply.json["pagination"]["total"] == 7
    assert [row["currency"] for row in reply.json["data"]].count("USD") == 5


@pytest.mark.parametrize("text", ["=1+1", "@SUM(A1)", "+1", "-1", "\t=1", "=cmd|' /C calc'!A0"])
async def test_no_cell_is_a_formula(shop: Shop, customer: Customer, text: str) -> None:
    await shop.meter.settle(rated(customer.purse, request_id=text, notes=text))
    reply = await shop.get("/billing/usage", customer.admin, accept="text/csv")
    for row in list(csv.reader(io.StringIO(reply.body.decode())))[1:]:
        for cell in row:
            plain = cell.lstrip("+-").replace(".", "").isdigit()
            assert plain or cell[:1] not in ("=", "+", "-", "@", "\t"), cell


async def test_every_number_is_plain(shop: Shop, customer: Customer) -> None:
    """Neither the smallest nor the largest of them is written with an exponent."""
    for usage in ({"input": 1}, {"input": 10**15}, {"output": 999_999_999_999}):
        await shop.meter.settle(rated(customer.purse, usage=usage))
    reply = await shop.get("/billing/usage", customer.admin)
    numbers = reply.body.decode().replace('"', " ")
    assert "e-" not in numbers.replace("cache-read", "")
    assert "E+" not in numbers
    assert b'"units":0.000001,' in reply.body
    assert b'"amount":-0.00000125,' in reply.body
    assert b'"units":1000000000,' in reply.body


# What is compared with a plain list: wallets, calls with a pause before each, and questions.
history = st.lists(
    st.tuples(
        st.integers(0, 2),  # whose
        st.sampled_from([0, 0, 1, 1, 1000, 3_600_000_000]),  # microseconds later
        gpt_usages,
    ),
    max_size=30,
)
questions = st.lists(
    st.fixed_dictionaries(
        {
            "limit": st.integers(1, 12),
            "page": st.integers(1, 6),
            "descending": st.booleans(),
            "start": st.none() | st.integers(0, 30),
            "end": st.none() | st.integers(0, 30),
            "currency": st.sampled_from([None, None, "USD", "DIEM"]),
        }
    ),
    min_size=1,
    max_size=12,
)

Told = tuple[datetime, Purse, pricing.Line]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(history=history, questions=questions)
async def test_pages_are_those_of_a_plain_list(
    database: Database,
    meter: Meter,
    clock: MovableClock,
    history: list[Any],
    questions: list[dict[str, Any]],
) -> None:
    org_id = uuid7()
    purses = {
        currency: await open_purse(database, clock, org_id=org_id, currency=currency)
        for currency in ("USD", "DIEM", "VCU")
    }
    told: list[Told] = []
    moments = [clock.now()]
    for whose, later, usage in history:
        clock.advance(timedelta(microseconds=later))
        purse = purses[("USD", "DIEM", "VCU")[whose]]
        charge = rated(purse, usage=usage, request_id=f"r-{len(told)}")
        await meter.settle(charge)
        moments.append(clock.now())
        lines = pricing.from_record(_detail(charge)["rating"]).lines
        told += [(clock.now(), purse, line) for line in lines]
    caller = _caller(org_id)
    for question in questions:
        query = _query(question, moments)
        page = await read_page(database, caller, query)
        expected = _expected(told, purses, query)
        assert page.pagination.total == len(expected)
        first = (query.page - 1) * query.limit
        assert [_plain(row) for row in page.data] == expected[first : first + query.limit]


def _detail(charge: Any) -> dict[str, Any]:
    import msgspec

    return msgspec.json.decode(charge.detail)


def _query(question: dict[str, Any], moments: list[datetime]) -> Query:
    def moment(place: int | None, later: int) -> datetime | None:
        if place is None:
            return None
        return moments[min(place, len(moments) - 1)] + timedelta(microseconds=later)

    return Query(
        currency=question["currency"],
        start=moment(question["start"], 0),
        end=moment(question["end"], 1),
        limit=question["limit"],
        page=question["page"],
        descending=question["descending"],
    )


def _expected(told: list[Told], purses: dict[str, Purse], query: Query) -> list[Any]:
    currency_of = {purse.wallet_id: currency for currency, purse in purses.items()}
    rows = [
        (at, line.sku, line.quantity, line.amount_nanos, currency_of[purse.wallet_id])
        for at, purse, line in sorted(told, key=lambda one: (one[0], one[1].wallet_id))
        if (query.start is None or at >= query.start)
        and (query.end is None or at < query.end)
        and query.currency in (None, currency_of[purse.wallet_id])
    ]
    return rows[::-1] if query.descending else rows


def _plain(row: UsageRow) -> Any:
    quantity = Decimal(row.units.nanos) / 1000  # prices here are for a million
    return row.timestamp, row.sku, quantity, -row.amount.nanos, row.currency


def _caller(org_id: Any) -> Caller:
    return Caller(
        key_id=uuid7(),
        org_id=org_id,
        project_id=uuid7(),
        kind=KeyKind.ADMIN,
        livemode=False,
        name="a key",
        clamp=False,
    )
