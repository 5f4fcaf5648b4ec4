"""Providers' own words: read in each shape, kept once, and held against the price book's."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
from earned import GPT, ODD, call, move_to, openai_costs, publish, table

from serving import served
from tollkeeper.base.errors import InvalidRequest, Unavailable
from tollkeeper.base.setting_types import Secret
from tollkeeper.base.settings import Provider
from tollkeeper.http import Receive, Scope, Send, respond_json
from tollkeeper.margins import Bucket, desk_of, fetch, read_export
from tollkeeper.margins.model import Measure
from whole import Answer, Customer, Whole

DAY = datetime(2100, 3, 27, tzinfo=UTC)


def told(buckets: list[Bucket]) -> dict[tuple[str, str, str], int]:
    return {
        (bucket.day.isoformat(), bucket.measure.value, bucket.model): bucket.amount
        for bucket in buckets
    }


def test_openais_costs_and_usage() -> None:
    items = {"gpt-5, input": 0.06, "gpt-5, output": 1e-7, None: 2}
    costs = openai_costs((DAY, items), (DAY + timedelta(days=1), {}))
    assert told(read_export(costs.encode())) == {
        ("2100-03-27", "cost", "gpt-5"): 60_000_100,
        ("2100-03-27", "cost", ""): 2_000_000_000,
        ("2100-03-28", "cost", ""): 0,
    }
    usage = {"input_tokens": 1000, "input_cached_tokens": 800, "output_tokens": 50}
    page = {
        "data": [{"start_time": int(DAY.timestamp()), "results": [{**usage, "model": "gpt-5"}]}]
    }
    found = read_export(json.dumps([page, page]).encode(), "mine")
    assert told(found)["2100-03-27", "tokens", "gpt-5"] == 2 * 1050
    assert {bucket.provider for bucket in found} == {"mine"}


def test_anthropics_costs_are_cents_and_its_usage_is_in_parts() -> None:
    cost = {"amount": "123.45678", "currency": "USD", "model": "odd", "token_type": "output_tokens"}
    search = {"amount": "1", "currency": "USD", "cost_type": "web_search", "model": None}
    page: dict[str, Any] = {
        "data": [{"starting_at": "2100-03-27T00:00:00Z", "results": [cost, cost, search]}]
    }
    assert told(read_export(json.dumps(page).encode())) == {
        ("2100-03-27", "cost", "odd"): 2_469_135_600,
        ("2100-03-27", "cost", ""): 10_000_000,
    }
    usage = {
        "uncached_input_tokens": 1,
        "cache_read_input_tokens": 20,
        "cache_creation": {"ephemeral_1h_input_tokens": 300, "ephemeral_5m_input_tokens": 4000},
        "output_tokens": 50_000,
        "model": "odd",
    }
    page["data"][0]["results"] = [usage]
    found = told(read_export(json.dumps(page).encode()))
    assert found["2100-03-27", "tokens", "odd"] == 54_321


def test_a_table_and_its_faults() -> None:
    text = "date,provider,model,cost,tokens\n2100-03-27,up,m,1.5,7\n2100-03-27,up,m,0.25,\n"
    assert told(read_export(text.encode())) == {
        ("2100-03-27", "cost", "m"): 1_750_000_000,
        ("2100-03-27", "tokens", "m"): 7,
    }
    faulty = "date,model,cost\nyesterday,m,1\n2100-03-27,m,dear\n2100-03-27,m,Infinity\n"
    with pytest.raises(InvalidRequest) as told_of:
        read_export(faulty.encode(), "up")
    assert [fault.split(":")[0] for fault in told_of.value.faults["content"]] == [
        "line 2",
        "line 3",
        "line 4",
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"date,model\n",
        b"\xff",
        b"{",
        b'{"data": []}',
        b'{"data": [{"start_time": 99999999999999, "results": []}]}',
        openai_costs((DAY, {"m": 10**40})).encode(),
        openai_costs((DAY, {"m": 1})).replace("usd", "eur").encode(),
        openai_costs((DAY, {"m": 1})).replace('"value":1', '"value":"x"').encode(),
    ],
)
def test_what_cannot_be_read_is_said(content: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read_export(content, "openai")


async def send(whole: Whole, content: str, provider: str = "openai") -> Answer:
    body = {"content": content, "provider": provider, "reason": "monthly"}
    return await whole.operate("POST", "/provider-costs", body)


async def compared(whole: Whole, **asked: str) -> list[Any]:
    query = "&".join(f"{name}={value}" for name, value in asked.items())
    path = f"/provider-costs/comparison?from=2100-03-27&to=2100-03-30&{query}"
    return (await whole.operate("GET", path)).json["data"]


async def test_ours_and_theirs_by_day_and_model(whole: Whole, customer: Customer) -> None:
    await publish(whole)
    move_to(whole, DAY + timedelta(hours=1))
    await call(whole, customer, GPT, {"input": 2_000_000})
    await call(whole, customer, ODD, {"output": 70_000})
    items: dict[str | None, Any] = {"gpt-5-2025-08-07, input": 2.04, "gpt-9, input": 0.02}
    assert (await send(whole, openai_costs((DAY, items)))).json == {"days": 1}
    rows = await compared(whole)
    assert rows[0] == {
        "day": "2100-03-27",
        "provider": "openai",
        "model": "gpt-5",
        "ours": 2,
        "theirs": "2.04",
        "difference": "0.04",
        "differencePercent": "1.96",
        "tokensOurs": 2_000_000,
        "tokensTheirs": None,
        "beyondTolerance": False,
    }
    assert [(row["model"], row["beyondTolerance"]) for row in rows] == [
        ("gpt-5", False),
        ("gpt-9", True),
    ]
    strict = await compared(whole, tolerance="1")
    assert [row["beyondTolerance"] for row in strict] == [True, True]
    assert await compared(whole, provider="anthropic") == []


async def test_a_later_export_replaces_its_days_and_no_others(
    whole: Whole, customer: Customer
) -> None:
    await publish(whole)
    move_to(whole, DAY + timedelta(hours=1))
    await call(whole, customer, GPT, {"input": 2_000_000})
    second = DAY + timedelta(days=1)
    export = openai_costs((DAY, {"gpt-5, input": 1, "gpt-4, input": 5}), (second, {"gpt-5": 3}))
    for _ in range(2):
        await send(whole, export)
    assert [row["theirs"] for row in await compared(whole)] == [5, 1, 3]
    await send(whole, openai_costs((DAY, {None: 2})))
    rows = await compared(whole)
    assert [(row["day"], row["model"], row["ours"], row["theirs"]) for row in rows] == [
        ("2100-03-27", "", 2, 2),
        ("2100-03-28", "gpt-5", 0, 3),
    ]
    csv_rows = table(
        await whole.operate(
            "GET",
            "/provider-costs/comparison?from=2100-03-27&to=2100-03-28",
            accept="text/csv",
        )
    )
    assert [row["beyondTolerance"] for row in csv_rows] == ["false"]
    faulty = await send(whole, "date\n")
    assert faulty.status == 400
    assert "has no column model" in faulty.text


class Costs:
    """A provider that answers its costs in pages, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, list[str]], dict[str, str]]] = []
        self.status = 200

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        path, query = scope["path"], parse_qs(scope["query_string"].decode())
        said = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.asked.append((path, query, said))
        if path.endswith("/costs"):
            page = int(query.get("page", ["0"])[0])
            day = DAY + timedelta(days=page)
            answer = json.loads(openai_costs((day, {"gpt-5, input": 1.5})))
            answer |= {"has_more": page == 0, "next_page": "1" if page == 0 else None}
        elif path.endswith("/completions"):
            results = [{"input_tokens": 1, "output_tokens": 2, "model": "gpt-5"}]
            answer = {"data": [{"start_time": int(DAY.timestamp()), "results": results}]}
        elif path.endswith("/cost_report"):
            results = [{"amount": "250", "currency": "USD", "model": "odd"}]
            answer = {"data": [{"starting_at": f"{DAY:%Y-%m-%dT%H:%M:%SZ}", "results": results}]}
        else:
            results = [{"uncached_input_tokens": 9, "output_tokens": 1, "model": "odd"}]
            answer = {"data": [{"starting_at": f"{DAY:%Y-%m-%dT%H:%M:%SZ}", "results": results}]}
        await respond_json(send, self.status, json.dumps(answer).encode())


@asynccontextmanager
async def provider() -> AsyncGenerator[tuple[Costs, str]]:
    costs = Costs()
    async with served(costs) as url:
        yield costs, url.removesuffix("/api/v1")


async def test_a_provider_is_asked_page_by_page() -> None:
    async with provider() as (costs, url):
        said = Provider(kind="openai", base_url=f"{url}/v1", admin_key=Secret("sk-admin"))
        found = await fetch(desk_of("openai", said), DAY.date(), date(2100, 3, 29))
        assert told(found) == {
            ("2100-03-27", "cost", ""): 0,
            ("2100-03-28", "cost", ""): 0,
            ("2100-03-27", "cost", "gpt-5"): 1_500_000_000,
            ("2100-03-28", "cost", "gpt-5"): 1_500_000_000,
            ("2100-03-27", "tokens", ""): 0,
            ("2100-03-27", "tokens", "gpt-5"): 3,
        }
        path, query, headers = costs.asked[0]
        assert path == "/v1/organization/costs"
        assert query["start_time"] == [str(int(DAY.timestamp()))]
        assert headers["authorization"] == "Bearer sk-admin"
        other = Provider(kind="anthropic", base_url=f"{url}/v1", admin_key=Secret("sk-ant"))
        cents = told(await fetch(desk_of("mine", other), DAY.date(), date(2100, 3, 28)))
        assert cents["2100-03-27", Measure.COST, "odd"] == 2_500_000_000
        assert cents["2100-03-27", Measure.TOKENS, "odd"] == 10
        assert costs.asked[-1][2]["x-api-key"] == "sk-ant"
        costs.status = 401
        with pytest.raises(Unavailable, match="answered 401"):
            await fetch(desk_of("mine", other), DAY.date(), date(2100, 3, 28))


def test_who_cannot_be_asked() -> None:
    for said in (None, Provider(kind="sandbox"), Provider(kind="openai")):
        with pytest.raises(InvalidRequest):
            desk_of("up", said)
