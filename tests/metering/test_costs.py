"""`GET /billing/costs`, `/billing/forecast` and the alert of a spike, as customers meet them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import msgspec
import pytest
from metered import rated
from msgspec.structs import replace as replace_struct
from shop import Customer, Shop

from tollkeeper.base.errors import InvalidRequest
from tollkeeper.base.ids import show_id
from tollkeeper.base.settings import Analytics, Settings
from tollkeeper.db import Connection
from tollkeeper.metering import SpikeWatch, read_tag, usage_jobs, write_tag
from tollkeeper.metering.analytics import costs
from tollkeeper.metering.analytics.costs import Cost, CostQuery, Costs

COSTS = "/billing/costs?"


async def spend(shop: Shop, customer: Customer, hours: float, tokens: int, **said: Any) -> None:
    started_at = shop.clock.now() - timedelta(hours=hours)
    usage = {"input": tokens}
    await shop.meter.settle(rated(customer.purse, usage=usage, started_at=started_at, **said))


async def rows(shop: Shop, customer: Customer, query: str, key: str = "") -> list[dict[str, Any]]:
    reply = await shop.get(COSTS + query, key or customer.admin)
    assert reply.status == 200, reply.body
    return reply.json["data"]


async def test_costs_by_day_and_team(shop: Shop, customer: Customer) -> None:
    key_id = customer.key_ids[customer.admin]
    await spend(shop, customer, 1, 800_000, key_id=key_id, tags={"team": "a"}, end_user="u1")
    await spend(shop, customer, 2, 400_000, tags={"team": "a"})
    await spend(shop, customer, 30, 80_000, status=500)
    # Noon of the 20th by UTC is half past five in the afternoon in India.
    found = await rows(
        shop, customer, "granularity=day&timezone=Asia/Kolkata&groupBy=tag:team&start=2026-11-19"
    )
    assert found == [
        {
            "start": "2026-11-18T18:30:00Z",
            "end": "2026-11-19T18:30:00Z",
            "group": {"tag:team": None},
            "calls": 1,
            "failed": 1,
            "cost": 0.1,
            "currency": "USD",
            "unit": None,
            "units": None,
        },
        {
            "start": "2026-11-19T18:30:00Z",
            "end": "2026-11-20T12:00:00Z",
            "group": {"tag:team": "a"},
            "calls": 2,
            "failed": 0,
            "cost": 1.5,
            "currency": "USD",
            "unit": None,
            "units": None,
        },
    ]
    (by_sku,) = await rows(shop, customer, "groupBy=sku,apiKey&endUser=u1&start=2026-11-20")
    assert by_sku["group"] == {
        "sku": "gpt-5-llm-input-mtoken",
        "apiKey": show_id("key", key_id),
    }
    assert (by_sku["units"], by_sku["unit"], by_sku["failed"]) == (800_000, "input", None)
    (whole,) = await rows(shop, customer, f"apiKey={show_id('key', key_id)}&tag=team:a")
    assert (whole["cost"], whole["group"]) == (1, {})
    assert await rows(shop, customer, "", customer.test_admin) == []
    days = await rows(shop, customer, "granularity=day&start=2026-11-01&fill=true&limit=500")
    assert len(days) == 20
    assert [day["cost"] for day in days[-3:]] == [0, 0.1, 1.5]
    minutes = await rows(shop, customer, "granularity=minute&start=2026-11-20T10:00:00Z")
    assert [row["start"] for row in minutes] == ["2026-11-20T10:00:00Z", "2026-11-20T11:00:00Z"]


async def test_pages_and_csv_are_the_same_rows(shop: Shop, customer: Customer) -> None:
    for hours in range(25):
        await spend(shop, customer, hours + 0.25, 8_000, operation=f"op{hours % 3}")
    query = "granularity=hour&groupBy=operation&timezone=Europe/Berlin&start=2026-11-19"
    whole = await rows(shop, customer, query)
    assert len(whole) == 25
    cursor, paged = "", list[Any]()
    while cursor is not None:
        reply = await shop.get(f"{COSTS}{query}&limit=4{cursor}", customer.admin)
        paged += reply.json["data"]
        following = reply.json["nextCursor"]
        cursor = None if following is None else f"&cursor={following}"
    assert paged == whole
    csv = await shop.get(COSTS + query, customer.admin, accept="text/csv")
    lines = csv.body.decode().splitlines()
    assert lines[0] == "start,end,operation,calls,failed,cost,currency"
    assert lines[1] == "2026-11-19T11:00:00Z,2026-11-19T12:00:00Z,op0,1,0,0.01,USD"
    assert len(lines) == 26


async def test_a_tag_with_a_colon_in_its_name_is_found(shop: Shop, customer: Customer) -> None:
    for number, tags in enumerate([{"a:b": "x"}, {"a": "b:x"}, {"c\\d": ":"}]):
        await spend(shop, customer, number + 1, 8_000 * (number + 1), tags=tags)
    for said, cost in ((r"a\:b:x", 0.01), ("a:b:x", 0.02), (r"c\d::", 0.03), (r"c\\d::", 0.03)):
        (row,) = await rows(shop, customer, f"tag={quote(said)}")
        assert row["cost"] == cost, said
    assert await rows(shop, customer, f"tag={quote('a:b')}") == []


@pytest.mark.parametrize("name", ["team", "a:b", "a\\b", "a\\", "\\:", "::", "a\\\\:"])
def test_a_tag_is_read_as_it_is_written(name: str) -> None:
    for value in ("x", "", ":", "so:\\u"):
        assert read_tag(write_tag(name, value)) == (name, value)


async def test_no_more_rows_of_nothing_are_made_than_a_page_shows(
    shop: Shop, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour of a month for each of many end users would stop the process for seconds."""
    for number in range(40):
        await spend(shop, customer, number * 3 + 0.5, 8_000, end_user=f"u{number}")
    made: list[str] = []

    def counted(row: Cost, **changes: Any) -> Cost:
        made.append("row")
        return replace_struct(row, **changes)

    monkeypatch.setattr(costs, "replace", counted)
    query = "granularity=hour&groupBy=endUser&fill=true&start=2026-11-20T00:00:00Z"
    whole = await rows(shop, customer, f"{query}&limit=500")
    users = sorted({row["group"]["endUser"] for row in whole})
    starts = sorted({row["start"] for row in whole})
    assert [(row["start"], row["group"]["endUser"]) for row in whole] == [
        (start, user) for start in starts for user in users
    ]
    assert (len(starts), len(users)) == (12, 4)
    month = query.replace("2026-11-20", "2026-10-22")
    cursor, paged = "", list[Any]()
    for _ in range(9):
        made.clear()
        reply = await shop.get(f"{COSTS}{month}&limit=10{cursor}", customer.admin)
        paged += reply.json["data"]
        assert len(made) <= 40 + 12, "those before the page in its first hour, and its own"
        cursor = f"&cursor={reply.json['nextCursor']}"
    assert paged == (await rows(shop, customer, f"{month}&limit=90"))


async def test_faults_of_costs_are_named(shop: Shop, customer: Customer) -> None:
    for query, fault in (
        ("granularity=fortnight", "granularity"),
        ("timezone=Mars/Olympus", "timezone"),
        ("timezone=../../etc/passwd", "timezone"),
        ("groupBy=colour", "groupBy"),
        ("groupBy=tag:", "groupBy"),
        ("groupBy=project,model,sku,tag:a,tag:b,tag:c", "groupBy"),
        ("project=abc", "project"),
        ("tag=team", "tag"),
        ("currency=EUR", "currency"),
        ("start=yesterday", "start"),
        ("start=2026-11-02&end=2026-11-01T00:00:00Z", "end"),
        ("granularity=minute&start=2020-01-01", "granularity"),
        ("cursor=abc", "cursor"),
    ):
        reply = await shop.get(COSTS + query, customer.admin)
        assert reply.status == 400, (query, reply.body)
        assert fault in reply.json["detail"], (query, reply.json)
    refused = await shop.get(COSTS, customer.inference)
    assert refused.json["code"] == "admin_key_required"
    path = f"/operator/organizations/{show_id('org', customer.org_id)}/costs"
    assert (await shop.get(path, shop.operator)).json == {"data": [], "nextCursor": None}


async def test_what_only_single_calls_know_is_bounded(shop: Shop, customer: Customer) -> None:
    for number in range(3):
        await spend(shop, customer, number + 0.1, 8_000, tags={"team": "a"}, end_user="u1")
    assert len(await rows(shop, customer, "groupBy=endUser,tag:team")) == 1
    now = shop.clock.now()
    query = CostQuery(
        start=now - timedelta(days=1),
        end=now,
        granularity=None,
        zone=ZoneInfo("UTC"),
        groups=("endUser", "tag:team"),
        filters={},
    )
    costs = Costs(org_id=customer.org_id, livemode=True, query=query, most_records=2)
    async with shop.database.connection() as connection:
        with pytest.raises(InvalidRequest, match="more than 2 of them"):
            await costs.page(connection, None, 10)
        summed = replace(costs, query=replace(query, groups=("endUser",)))
        found, _ = await summed.page(connection, None, 10)
    assert [row.calls for row in found] == [3]


async def test_forecast(shop: Shop, customer: Customer) -> None:
    path = "/billing/forecast"
    idle = (await shop.get(path, customer.admin)).json
    assert (idle["state"], idle["available"], idle["endsAt"]) == ("idle", 100, None)
    for day in range(7):
        await spend(shop, customer, 24 * day + 1, 8_000_000)
    said = (await shop.get(path, customer.admin)).json
    assert (said["state"], said["available"]) == ("spending", 30)
    assert (said["burnRate"], said["burnRateLow"], said["burnRateHigh"]) == (10, 10, 10)
    assert said["endsAt"] == said["endsEarliest"] == said["endsLatest"] == "2026-11-23T12:00:00Z"
    assert [day["spent"] for day in said["days"]] == [10] * 7
    await spend(shop, customer, 1, 24_000_000)
    said = (await shop.get(path, customer.admin)).json
    assert (said["state"], said["endsAt"]) == ("depleted", None)


async def test_a_spike_is_told_once_a_day(
    shop: Shop, customer: Customer, owner: Connection
) -> None:
    settings = Settings(analytics=Analytics(spike_factor=3))
    watch = SpikeWatch(shop.database, shop.clock, settings)
    jobs = {name: run for name, _, run in usage_jobs(shop.database, shop.meter, watch.note)}
    for day in range(1, 8):
        await spend(shop, customer, 24 * day + 1, 800_000)
    await jobs["add_up_usage"]()
    assert await watch.look() == 0
    await spend(shop, customer, 0, 24_000_000)
    for _ in range(2):
        await spend(shop, customer, 0, 8)
        await jobs["add_up_usage"]()
        assert await watch.look() == 1
    cursor = await owner.execute("SELECT type, data::text FROM notice")
    ((type_, data),) = await cursor.fetchall()
    said = msgspec.json.decode(data)
    assert (type_, said["usual"], said["currency"]) == ("usage_spike", 1, "USD")
    assert said["spent"] > 30
    off = Settings(analytics=Analytics(spike_alerts=False))
    quiet = SpikeWatch(shop.database, shop.clock, off)
    quiet.note([(customer.org_id, customer.purse.wallet_id)])
    assert await quiet.look() == 0
