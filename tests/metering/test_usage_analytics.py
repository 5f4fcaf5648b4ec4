"""`GET /billing/usage-analytics` (V3) is Venice's, field by field."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from metered import DOLLAR, GPT, PAGES, Purse, open_purse, rated
from msgspec.structs import replace
from shop import Customer, Shop

from tollkeeper.base.ids import show_id

PATH = "/billing/usage-analytics"
KEYS = [
    "lookback", "byDate", "byModel", "byModelDaily", "topModels", "byKey", "byKeyDaily",
    "topKeyNames",
]  # fmt: skip


async def asked(shop: Shop, customer: Customer, query: str = "") -> Any:
    reply = await shop.get(PATH + query, customer.admin)
    assert reply.status == 200, reply.body
    assert list(reply.json) == KEYS
    return reply.json


async def test_everything_is_there_when_nothing_was_used(shop: Shop, customer: Customer) -> None:
    said = await asked(shop, customer)
    assert said["lookback"] == "7d"
    assert said["byDate"] == [{"date": f"2026-11-{day}", "USD": 0} for day in range(14, 21)]
    assert [said[name] for name in KEYS[2:] if "Daily" not in name] == [[]] * 4
    assert said["byModelDaily"][0] == {"date": 1_794_614_400_000}


async def use(shop: Shop, customer: Customer) -> None:
    diem = await open_purse(
        shop.database,
        shop.clock,
        9 * DOLLAR,
        org_id=customer.org_id,
        livemode=True,
        currency="DIEM",
    )
    first, second = customer.key_ids[customer.admin], customer.key_ids[customer.inference]

    def call(purse: Purse, days: int, **said: Any) -> Any:
        return rated(purse, started_at=shop.clock.now() - timedelta(days=days), **said)

    tokens = {"input": 100_000, "output": 20_000, "cache_read": 1_000_000}
    await shop.meter.settle_many(
        [
            call(customer.purse, 0, usage=tokens, key_id=first),
            call(customer.purse, 2, usage={"input": 100_000}, key_id=second),
            call(customer.purse, 2, version=PAGES, usage={"request": 3, "second": 0}),
            call(customer.purse, 60, usage={"input": 100_000}, key_id=first),
        ]
    )
    await shop.meter.settle(call(diem, 2, usage={"output": 1000}, key_id=first))


async def test_spending_by_day_model_and_key(shop: Shop, customer: Customer) -> None:
    await use(shop, customer)
    first, second = customer.key_ids[customer.admin], customer.key_ids[customer.inference]
    said = await asked(shop, customer)
    assert said["byDate"][-1] == {"date": "2026-11-20", "USD": 0.45, "DIEM": 0}
    assert said["byDate"][-3] == {"date": "2026-11-18", "USD": 0.185, "DIEM": 0.01}
    gpt, pages = said["byModel"]
    assert (
        gpt
        == {
            "modelName": "gpt-5",
            "unitType": "tokens",
            "modelType": "LLM",
            "totalUsd": 0.575,
            "totalDiem": 0.01,
            "totalUnits": 1_221_000,
            "breakdown": [
                {"type": "Input", "usd": 0.25, "diem": 0, "units": 200_000},
                {"type": "Output", "usd": 0.2, "diem": 0.01, "units": 21_000},
                {"type": "Cache Read", "usd": 0.125, "diem": 0, "units": 1_000_000},
            ],
        }
        or gpt["breakdown"][0]["type"] == "Input"
    )
    assert (pages["modelName"], pages["unitType"], pages["totalUnits"]) == (
        "generate_sql",
        "requests",
        3,
    )
    assert said["topModels"] == ["gpt-5", "generate_sql"]
    assert said["byModelDaily"][-3]["generate_sql"] == 0.06
    assert said["byModelDaily"][-1] == {
        "date": 1_795_132_800_000, "gpt-5": 0.45, "generate_sql": 0
    }  # fmt: skip
    names = [f"a key (...{key.hex[-6:]})" for key in (first, second)]
    assert [key["description"] for key in said["byKey"]] == [*names, "Without a key"]
    assert said["byKey"][0] == {
        "apiKeyId": show_id("key", first),
        "description": names[0],
        "totalUsd": 0.45,
        "totalDiem": 0.01,
        "totalUnits": 1_121_000,
    }
    assert said["byKey"][-1]["apiKeyId"] is None
    assert said["topKeyNames"] == [*names, "Without a key"]
    longer = await asked(shop, customer, "?lookback=4000d")
    assert longer["lookback"] == "90d"
    assert len(longer["byDate"]) == 90
    assert sum(day["USD"] for day in longer["byDate"]) == pytest.approx(0.76)
    test = await shop.get(PATH, customer.test_admin)
    assert test.json["byModel"] == []
    only = await asked(shop, customer, "?startDate=2026-11-18&endDate=2026-11-18")
    assert only["lookback"] == "2026-11-18:2026-11-18"
    assert only["byDate"] == [{"date": "2026-11-18", "USD": 0.185, "DIEM": 0.01}]


async def test_only_eight_are_on_top(shop: Shop, customer: Customer) -> None:
    for number in range(10):
        purse, usage = customer.purse, {"input": 1000 * (number + 1)}
        charge = rated(purse, GPT, usage=usage)
        charge = replace(charge, model=f"m{number}")
        await shop.meter.settle(charge)
    said = await asked(shop, customer, "?lookback=1d")
    assert said["topModels"] == [f"m{number}" for number in range(9, 1, -1)]
    assert len(said["byModel"]) == 10
    assert list(said["byModelDaily"][0]) == ["date", *said["topModels"]]


FAULTS = [
    ("lookback=0d", "lookback"),
    ("lookback=7", "lookback"),
    ("startDate=2026-11-01", "endDate"),
    ("endDate=2026-11-01", "startDate"),
    ("startDate=2026-11-02&endDate=2026-11-01", "endDate"),
    ("startDate=2026-08-01&endDate=2026-11-01", "endDate"),
    ("startDate=2026-02-30&endDate=2026-11-01", "startDate"),
]


async def test_faults_are_named_and_only_admin_keys_read_it(shop: Shop, customer: Customer) -> None:
    for query, fault in FAULTS:
        reply = await shop.get(f"{PATH}?{query}", customer.admin)
        assert reply.status == 400
        assert fault in reply.json["detail"]
    refused = await shop.get(PATH, customer.inference)
    assert refused.json["code"] == "admin_key_required"
