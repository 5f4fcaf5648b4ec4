"""Calls under a plan: what ends while they are under way, and what they are told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tollkeeper.base.clock import MovableClock
from tollkeeper.db import Database
from tollkeeper.pricing import PriceVersion, Rate, publish, seal
from whole import Answer, Customer, Whole, whole_served

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
PAGES: dict[str, Any] = {
    "code": "pages",
    "name": "Pages",
    "consumables": [{"code": "pages", "covers": [{"units": ["request"]}], "included": 5}],
}
BARE: dict[str, Any] = {"code": "bare", "name": "Bare", "consumables": [], "feeMinor": 100}


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(NOON)


@pytest.fixture
async def whole(database_url: str, clock: MovableClock) -> AsyncIterator[Whole]:
    page = PriceVersion(
        provider="own",
        model="page",
        effective_from=NOON - timedelta(days=1),
        source="a test",
        rates={"request": Rate(1_000_000_000, 1), "second": Rate(100_000_000, 1)},
    )
    async with Database.open(database_url) as database, database.transaction() as tx:
        await publish(tx, [seal(page)], "test", NOON)
    async with whole_served(database_url, clock=clock) as served:
        yield served


@pytest.fixture
async def customer(whole: Whole) -> Customer:
    return await whole.customer(sandbox_credit=0)


async def hold(whole: Whole, customer: Customer, **estimate: int) -> Answer:
    asked = {"sku": "page", "estimate": estimate}
    return await whole.ask("POST", "/metering/holds", customer.keys["test INFERENCE"], asked)


async def set_plan(whole: Whole, customer: Customer, plan: dict[str, Any]) -> None:
    made = await whole.operate("POST", "/plans", {"plan": plan, "reason": "test"})
    assert made.status == 201, made.text
    said = {"plan": plan["code"], "livemode": False, "reason": "test", "when": "now"}
    answer = await whole.operate("PUT", f"/organizations/{customer.id}/plan", said)
    assert answer.status == 200, answer.text
    await whole.app.rooms.plans.refresh()


@pytest.mark.parametrize("end", ["cancelled", "changed"])
async def test_what_was_reserved_of_a_plan_pays_after_its_end(
    whole: Whole, customer: Customer, clock: MovableClock, end: str
) -> None:
    await set_plan(whole, customer, PAGES)
    key = customer.keys["test INFERENCE"]
    held = await hold(whole, customer, request=1)
    clock.advance(timedelta(seconds=5))
    if end == "changed":
        await set_plan(whole, customer, BARE)
    else:
        said = {"livemode": False, "reason": "test", "when": "now"}
        answer = await whole.operate("POST", f"/organizations/{customer.id}/plan/cancel", said)
        assert answer.status < 300, answer.text
        await whole.app.rooms.plans.refresh()
    settle = f"/metering/holds/{held.json['id']}/settle"
    done = await whole.ask("POST", settle, key, {"usage": {"request": 1}})
    assert (done.json["cost"], done.json["balance"]) == (0, 0)
    # A call of now has what there is now.
    refused = await hold(whole, customer, request=1)
    assert (refused.status, refused.json["code"]) == (402, "insufficient_credits")


async def test_a_debt_leaves_what_is_included_and_refusals_name_what_lacks(
    whole: Whole, customer: Customer
) -> None:
    await set_plan(whole, customer, PAGES)
    debt = {"amount": -5, "livemode": False, "reason": "test"}
    posted = await whole.operate("POST", f"/organizations/{customer.id}/adjustments", debt)
    assert posted.status == 201, posted.text
    assert (await hold(whole, customer, request=1)).status == 201
    beside = await hold(whole, customer, request=1, second=1)
    assert (beside.json["code"], beside.json["required"]) == ("insufficient_credits", "1.1")
    assert (beside.json["available"], "allowance" in beside.json) == (0, False)
    more = await hold(whole, customer, request=7)
    assert (more.json["code"], more.json["available"]) == ("allowance_exhausted", 4)
    assert more.json["detail"].startswith("This may need 7 and 4 of the 5 pages of the plan Pages")
    assert (await hold(whole, customer, request=4)).status == 201
    none = await hold(whole, customer, request=1)
    assert (none.json["code"], none.json["available"]) == ("allowance_exhausted", 0)
    assert none.json["detail"].startswith("The 5 pages of the plan Pages are used up")
