"""What was earned: equal to the sums of the calls one by one, and of nobody's guesses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from random import Random
from typing import Any
from urllib.parse import quote

import pytest
from earned import ALL, GPT, ODD, OWN, START, TOY, WITH_IMAGES, call, fail, publish, table

from tollkeeper import metering
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.base.money import parse_nanos
from tollkeeper.pricing import Book, PriceVersion
from whole import Answer, Customer, Whole


async def ask(whole: Whole, accept: str = "application/json", **asked: str) -> Answer:
    query = "&".join(f"{name.rstrip('_')}={quote(value)}" for name, value in asked.items())
    return await whole.operate("GET", f"/margin?{query}", accept=accept)


def nanos(value: Any) -> int:
    return parse_nanos(str(value))


def cost_of(version: PriceVersion, usage: dict[str, int]) -> int:
    """The list price of a call, line by line, by another way of counting."""
    total = 0
    for unit, quantity in usage.items():
        rated = version.rates[unit]
        exact = Fraction(quantity * rated.price_nanos, rated.per)
        total += int(exact + Fraction(1, 2))
    return total


async def test_every_grouping_adds_up_to_the_calls(
    whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tollkeeper.margins.adding._RECORDS", 7)
    monkeypatch.setattr("tollkeeper.margins.adding._WALLETS", 1)
    await publish(whole)
    customers = [await whole.customer() for _ in range(3)]
    chance = Random(4)  # noqa: S311 (a test says its own seed)
    first = START - timedelta(days=2)
    sums: dict[str, dict[str, list[int]]] = {
        name: {} for name in ("organization", "model", "provider", "day")
    }
    for _ in range(60):
        customer, version = chance.choice(customers), chance.choice(ALL)
        units = [*version.rates]
        usage = {unit: chance.randrange(1, 100_000) for unit in units}
        began = first + timedelta(minutes=chance.randrange(4 * 24 * 60))
        charged = await call(whole, customer, version, usage, began=began)
        if not first <= began < START:
            continue
        keys = {
            "organization": show_id("org", customer.org_id),
            "model": f"{version.provider}/{version.model}",
            "provider": version.provider,
            "day": began.date().isoformat(),
        }
        cost = 0 if version in (OWN, TOY) else cost_of(version, usage)
        unknown = charged if version is OWN else 0
        for name, key in keys.items():
            found = sums[name].setdefault(key, [0, 0, 0, 0])
            for place, value in enumerate((1, charged, cost, unknown)):
                found[place] += value
    for name, expected in sums.items():
        said = (await ask(whole, groupBy=name, from_=first.isoformat(), to=START.isoformat())).json
        told = {
            row["key"]: [
                row["calls"],
                nanos(row["charged"]),
                nanos(row["cost"]),
                nanos(row["unknownCharged"]),
            ]
            for row in said["data"]
        }
        assert told == expected
        total = said["total"]
        assert nanos(total["margin"]) == sum(row[1] - row[2] - row[3] for row in expected.values())
        assert total["calls"] == sum(row[0] for row in expected.values())


async def test_what_is_not_known_is_said_and_not_earned(whole: Whole, customer: Customer) -> None:
    await publish(whole)
    charged = await call(whole, customer, GPT, {"input": 1_000_000})
    assert charged == 1_501_000_000
    await call(whole, customer, GPT, {"input": 1_000_000, "image": 3})  # no price for pictures
    await call(whole, customer, OWN, {"request": 100})
    await call(whole, customer, GPT, {"input": 1_000_000}, livemode=False)
    await fail(whole, customer, GPT)
    end = (START + timedelta(hours=1)).isoformat()
    said = (await ask(whole, groupBy="provider", to=end)).json
    assert said["data"][0] == {
        "key": "openai",
        "calls": 3,
        "charged": "3.002",
        "cost": 1,
        "margin": "0.501",
        "marginPercent": "33.38",
        "unknownCalls": 1,
        "unknownCharged": "1.501",
        "unknownPercent": 50,
    }
    assert said["data"][1]["key"] == "own"
    assert (said["data"][1]["margin"], said["data"][1]["marginPercent"]) == (0, None)
    rows = table(await ask(whole, "text/csv", groupBy="provider", to=end))
    assert [(row["key"], row["margin"]) for row in rows] == [
        ("openai", "0.501"),
        ("own", "0"),
        ("total", "0.501"),
    ]


async def test_what_is_charged_later_belongs_to_its_call(whole: Whole, customer: Customer) -> None:
    await publish(whole)
    usage_id = uuid7()
    charged = await call(whole, customer, GPT, {"image": 3}, usage_id=usage_id)
    assert charged == 1_000_000  # the fixed part: pictures have no price
    async with whole.database.transaction() as tx:
        later = START + timedelta(days=3)
        named = customer.org_id, usage_id
        await metering.rerate(tx, *named, Book([GPT, WITH_IMAGES]), actor="us", now=later)
    said = (await ask(whole, groupBy="day", to=(START + timedelta(hours=1)).isoformat())).json
    [row] = said["data"]
    assert row["key"] == START.date().isoformat()
    assert (row["calls"], row["unknownCalls"], row["margin"]) == (1, 1, 0)
    assert row["charged"] == row["unknownCharged"] == "0.091"


async def test_the_cost_at_a_plans_price_is_not_known(whole: Whole, customer: Customer) -> None:
    await publish(whole)
    await call(whole, customer, GPT, {"input": 1000}, overage={"input": (5_000, 1)})
    end = (START + timedelta(hours=1)).isoformat()
    total = (await ask(whole, to=end)).json["total"]
    assert (total["unknownCalls"], total["cost"]) == (1, 0)
    assert total["unknownPercent"] == 100


async def test_late_calls_belong_to_when_they_began(whole: Whole, customer: Customer) -> None:
    await publish(whole)
    began = START - timedelta(days=80)
    await call(whole, customer, ODD, {"input": 10}, began=began)
    window = {
        "from_": (began - timedelta(hours=1)).isoformat(),
        "to": (began + timedelta(hours=1)).isoformat(),
    }
    said = (await ask(whole, groupBy="day", **window)).json
    assert [row["key"] for row in said["data"]] == [began.date().isoformat()]
    behind = {"from_": window["to"], "to": START.isoformat()}
    assert (await ask(whole, **behind)).json["data"] == []


async def test_who_may_ask_and_what(whole: Whole, customer: Customer) -> None:
    key = customer.keys["live ADMIN"]
    for path in ("/operator/margin", "/operator/provider-costs/comparison"):
        assert (await whole.ask("GET", path, key)).status in (401, 403)
    long = datetime(2098, 1, 1, tzinfo=UTC).isoformat()
    assert (await ask(whole, from_=long)).status == 400
    assert (await ask(whole, groupBy="colour")).status == 400
    assert (await ask(whole, organizationId=f"org_{'0' * 32}")).status == 404
    assert (await ask(whole, organizationId=customer.id)).json["data"] == []
