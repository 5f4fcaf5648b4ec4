"""Calls under budgets, rates and a plan, through the gateway and the metering API, to the nano."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from tollkeeper import ledger, metering
from tollkeeper.base.clock import SystemClock
from tollkeeper.base.money import PositiveMoneyIn
from tollkeeper.base.settings import Currency, Settings
from whole import DOLLAR, Answer, Customer, Whole, whole_served

PLAN: dict[str, Any] = {
    "code": "pro",
    "name": "Pro",
    "consumables": [
        {"code": "llm_tokens", "covers": [{"units": ["tokens"]}], "included": 1_000},
    ],
}


@pytest.fixture
async def whole(database_url: str) -> AsyncIterator[Whole]:
    async with whole_served(database_url, Settings()) as served:
        yield served


@pytest.fixture
async def customer(whole: Whole) -> Customer:
    return await whole.customer()


async def say(
    whole: Whole, customer: Customer, most: int, model: str = "sandbox-large", **headers: str
) -> Answer:
    body = {
        "model": model,
        "max_tokens": most,
        "messages": [{"role": "user", "content": "Say something long."}],
    }
    key = customer.keys["test INFERENCE"]
    return await whole.ask("POST", "/chat/completions", key, body, **headers)


async def limit(whole: Whole, customer: Customer, **budget: Any) -> str:
    said = {"name": "a budget", "period": "day", **budget}
    made = await whole.ask("POST", "/budgets", customer.keys["live ADMIN"], said)
    assert made.status == 201, made.text
    await whole.app.rooms.limits.refresh()
    return made.json["id"]


async def subscribe(whole: Whole, customer: Customer, plan: dict[str, Any]) -> None:
    made = await whole.operate("POST", "/plans", {"plan": plan, "reason": "a test"})
    assert made.status == 201, made.text
    body = {"plan": plan["code"], "livemode": False, "reason": "a test"}
    put = await whole.operate("PUT", f"/organizations/{customer.id}/plan", body)
    assert put.status == 200, put.text


async def balance(whole: Whole, customer: Customer) -> Decimal:
    answer = await whole.ask("GET", "/billing/balance", customer.keys["test ADMIN"])
    return Decimal(answer.json["posted"])


async def allowance(whole: Whole, customer: Customer) -> dict[str, Any]:
    answer = await whole.ask("GET", "/allowances", customer.keys["test ADMIN"])
    assert answer.status == 200, answer.text
    return answer.json["data"][0]


async def proven(whole: Whole) -> list[str]:
    async with whole.database.connection() as connection:
        found = [f.sentence async for f in ledger.verify(connection, SystemClock())]
        return found + [f.sentence async for f in metering.verify_costs(connection)]


async def drawn(whole: Whole, customer: Customer) -> dict[str, int]:
    """Add up what usage records say that allowances paid."""
    terms = whole.app.rooms.plans.look_up(customer.org_id, False, datetime.now(UTC))
    assert terms is not None
    codes = {
        str(limit): one.code for limit, one in zip(terms.limit_ids, terms.consumables, strict=True)
    }
    async with whole.database.connection() as connection:
        found = await connection.execute(
            "SELECT a ->> 0, sum((a ->> 2)::bigint)::bigint FROM usage_record u,"
            " jsonb_array_elements(u.detail -> 'allowances') AS a WHERE u.org_id = %s GROUP BY 1",
            (customer.org_id,),
        )
        return {codes[limit]: units for limit, units in await found.fetchall()}


async def test_a_key_that_has_spent_its_budget_is_told_so(whole: Whole, customer: Customer) -> None:
    key_id = f"key_{customer.key_ids['test INFERENCE'].hex}"
    await limit(whole, customer, amount=0.02, apiKeyId=key_id, name="for tests")
    paid = Decimal(0)
    while (answer := await say(whole, customer, 200)).status == 200:
        paid += Decimal(answer.json["cost"])
    error = answer.json["error"]
    assert answer.status == 402
    assert answer.headers["x-should-retry"] == "false"
    assert error["code"] == "api_key_spend_limit_exceeded"
    said = error["metadata"]
    assert said["limitSource"].startswith("api_key:bud_")
    assert Decimal(said["available"]) == Decimal("0.02") - paid
    assert said["affordableMaxTokens"] < 200
    # So much can be asked for, and a clamp asks for no more.
    again = await say(whole, customer, said["affordableMaxTokens"])
    assert again.status == 200
    assert await balance(whole, customer) == 10 - paid - Decimal(again.json["cost"])
    assert await proven(whole) == []


async def test_a_clamped_call_stays_within_the_budget(whole: Whole, customer: Customer) -> None:
    budget = await limit(whole, customer, amount=0.01)
    answer = await say(whole, customer, 60_000, x_tollkeeper_clamp="true")
    assert answer.status == 200, answer.text
    shown = await whole.ask("GET", f"/budgets/{budget}", customer.keys["test ADMIN"])
    assert Decimal(shown.json["used"]) == Decimal(answer.json["cost"]) <= Decimal("0.01")


async def test_a_rate_is_told_when_to_come_again(whole: Whole, customer: Customer) -> None:
    await limit(whole, customer, amount=2, measure="requests", period="minute")
    answers = await asyncio.gather(*(say(whole, customer, 5) for _ in range(6)))
    refused = [answer for answer in answers if answer.status == 429]
    # A minute may have ended meanwhile.
    assert len(refused) in (2, 4)
    assert 1 <= int(refused[0].headers["retry-after"]) <= 60
    assert refused[0].json["error"]["code"] == "rate_limit_exceeded"
    assert refused[0].headers["x-ratelimit-limit"] == "2"


async def test_an_allowance_pays_first_then_credit_then_nothing_does(whole: Whole) -> None:
    customer = await whole.customer(sandbox_credit=DOLLAR // 2)
    await subscribe(whole, customer, PLAN)
    began = await balance(whole, customer)
    first = await say(whole, customer, 100)
    assert Decimal(first.json["cost"]) == 0
    used = first.json["usage"]["total_tokens"]
    left = await allowance(whole, customer)
    assert (left["used"], left["held"], left["left"]) == (used, 0, 1_000 - used)
    assert await balance(whole, customer) == began
    paid = Decimal(0)
    while (await allowance(whole, customer))["left"]:
        paid += Decimal((await say(whole, customer, 300)).json["cost"])
    assert paid > 0
    beyond = await say(whole, customer, 100)
    assert Decimal(beyond.json["cost"]) == Decimal(beyond.json["usage"]["cost"]) > 0
    assert await balance(whole, customer) == began - paid - Decimal(beyond.json["cost"])
    poor = await say(whole, customer, 60_000)
    assert poor.status == 402
    said = poor.json["error"]
    assert said["code"] == "allowance_exhausted"
    assert said["metadata"]["resetsAt"] > datetime.now(UTC).isoformat()
    assert {"required", "available", "currency", "affordableMaxTokens"} <= said["metadata"].keys()
    assert await proven(whole) == []


async def test_without_overage_the_plan_is_the_end(whole: Whole, customer: Customer) -> None:
    only = {**PLAN["consumables"][0], "overageAllowed": False, "included": 40}
    await subscribe(whole, customer, {**PLAN, "consumables": [only]})
    refused = await say(whole, customer, 100)
    assert (refused.status, refused.json["error"]["code"]) == (402, "allowance_exhausted")
    assert await balance(whole, customer) == 10


async def test_the_plans_own_price_is_charged_beyond_it(whole: Whole, customer: Customer) -> None:
    priced = {**PLAN["consumables"][0], "overagePrice": 2, "overagePer": 1_000, "included": 10}
    await subscribe(whole, customer, {**PLAN, "consumables": [priced]})
    key = customer.keys["test ADMIN"]
    body = {"provider": "sandbox", "model": "sandbox-large", "usage": {"input": 30, "output": 70}}
    charged = await whole.ask("POST", "/metering/charges", key, body)
    assert charged.status == 200, charged.text
    # 100 tokens at 0.002, of which 10 are included.
    assert Decimal(charged.json["cost"]) == Decimal("0.18")
    record = await whole.ask("GET", f"/billing/usage-records/{charged.json['usageId']}", key)
    assert record.json["included"] == [{"units": 100, "drawn": 10, "covered": "0.02"}]
    assert record.json["formula"].endswith("10 of 100 units are included, and paid 0.02")
    history = await whole.ask("GET", "/billing/usage", key)
    amounts = [Decimal(row["amount"]) for row in history.json["data"]]
    assert sum(amounts) == Decimal("-0.18")
    assert await proven(whole) == []


@pytest.mark.parametrize("seed", range(3))
async def test_any_calls_draw_and_pay_what_they_cost(database_url: str, seed: int) -> None:
    """For random plans, grants, wallets, limits and calls, side by side: what allowances drew and
    credit paid is the rated cost (`proven` works each out), and no budget is exceeded."""
    chance = Random(seed)  # noqa: S311 (nothing is kept secret by it)
    worth = PositiveMoneyIn(chance.choice([300_000_000, DOLLAR, 7_000_000_001]))
    settings = Settings(currencies={"USD": Currency(), "DIEM": Currency(usd_value=worth)})
    async with whole_served(database_url, settings) as whole:
        customer = await whole.customer(sandbox_credit=chance.randint(1, 3) * DOLLAR // 10)
        grant = {"amount": chance.randint(1, 30) / 100, "currency": "DIEM", "reason": "a test"}
        given = {**grant, "livemode": False, "expiresAt": "2999-01-01T00:00:00Z"}
        made = await whole.operate("POST", f"/organizations/{customer.id}/grants", given)
        assert made.status == 201, made.text
        await subscribe(whole, customer, _random_plan(chance))
        budgets = [
            await limit(whole, customer, amount=1_000_000, measure="tokens", period="month"),
            await limit(whole, customer, amount=chance.randint(5, 30) / 100),
            await limit(whole, customer, amount=60, measure="requests", model="sandbox-small"),
        ]
        await limit(whole, customer, amount=0.1, each="endUser")
        answers = await asyncio.gather(*(_call(whole, customer, chance) for _ in range(80)))
        assert answers.count(200) > 10
        assert set(answers) <= {200, 402}
        key = customer.keys["test ADMIN"]
        shown = await whole.ask("GET", "/allowances", key)
        assert {one["held"] for one in shown.json["data"]} == {0}
        used = {one["allowance"]: one["used"] for one in shown.json["data"] if one["used"]}
        assert used == await drawn(whole, customer)
        assert all(one["used"] <= one["included"] for one in shown.json["data"])
        for budget in budgets:
            found = (await whole.ask("GET", f"/budgets/{budget}", key)).json
            assert Decimal(found["used"]) <= Decimal(found["amount"])
            assert Decimal(found["held"]) == 0
        assert await proven(whole) == []


def _random_plan(chance: Random) -> dict[str, Any]:
    tokens = {**PLAN["consumables"][0], "included": chance.randint(0, 60_000)}
    if chance.random() < 0.5:
        tokens |= {"overagePrice": chance.randint(1, 9) / 1_000, "overagePer": 1_000}
    small = {"covers": [{"model": "sandbox-small"}], "included": chance.randint(0, 30_000)}
    own = {"code": "small", **small, "overageAllowed": chance.random() < 0.5}
    return {**PLAN, "consumables": [own, tokens]}


async def _call(whole: Whole, customer: Customer, chance: Random) -> int:
    """Charge at once, or hold and settle for less, or give the hold back. The last status."""
    key = customer.keys["test ADMIN"]
    usage = {"input": chance.randint(0, 3_000), "output": chance.randint(1, 900)}
    model = chance.choice(["sandbox-small", "sandbox-large"])
    body = {"provider": "sandbox", "model": model}
    if chance.random() < 0.5:
        asked = {**body, "usage": usage, "endUser": chance.choice(["ann", "ben"])}
        return (await whole.ask("POST", "/metering/charges", key, asked)).status
    estimate = {unit: 2 * count for unit, count in usage.items()}
    held = await whole.ask("POST", "/metering/holds", key, {**body, "estimate": estimate})
    if held.status != 201:
        return held.status
    path = f"/metering/holds/{held.json['id']}"
    if chance.random() < 0.2:
        return (await whole.ask("DELETE", path, key)).status
    return (await whole.ask("POST", f"{path}/settle", key, {"usage": usage})).status
