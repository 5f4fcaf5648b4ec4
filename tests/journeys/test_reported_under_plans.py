"""What operators report of customers with a plan: of this cycle, of one before, and beforehand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from test_levels_metered import posted, price, proven, publish, used

from tollkeeper.base.clock import MovableClock
from tollkeeper.base.settings import Settings
from whole import Customer, Whole, whole_served

PAGE = {"sku": "page", "usage": {"request": 1}}
PLAN: dict[str, Any] = {
    "code": "pro",
    "name": "Pro",
    "consumables": [
        {
            "code": "pages",
            "covers": [{"sku": "page"}],
            "included": 5,
            "overagePrice": 0.5,
            "overagePer": 1,
        },
    ],
}


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(datetime(2027, 1, 1, 12, tzinfo=UTC))


@pytest.fixture
async def whole(database_url: str, clock: MovableClock) -> AsyncIterator[Whole]:
    async with whole_served(database_url, Settings(), clock) as served:
        await publish(served, price("page", request=0.1))
        await served.operate("POST", "/plans", {"plan": PLAN, "reason": "a test"})
        yield served


@pytest.fixture
async def customer(whole: Whole) -> Customer:
    made = await whole.customer()
    body = {"plan": "pro", "livemode": False, "reason": "a test"}
    put = await whole.operate("PUT", f"/organizations/{made.id}/plan", body)
    assert put.status == 200, put.text
    await whole.app.rooms.plans.refresh()
    return made


async def test_usage_of_a_cycle_past_draws_on_no_allowance(
    whole: Whole, customer: Customer, clock: MovableClock
) -> None:
    budget = {"name": "a budget", "period": "month", "amount": 1}
    made = await whole.ask("POST", "/budgets", customer.keys["live ADMIN"], budget)
    assert made.status == 201, made.text
    await whole.app.rooms.limits.refresh()
    clock.advance(timedelta(days=41))

    async def report(event_id: str, **said: str) -> None:
        event = {"id": event_id, "apiKey": customer.keys["test INFERENCE"], **PAGE, **said}
        reply = await whole.ask("POST", "/metering/events", whole.operator_key, [event])
        assert reply.json["accepted"] == 1, reply.text

    half = Decimal("0.5")
    await report("of the last cycle", time="2027-01-28T12:00:00Z")
    assert (await used(whole, customer), await posted(whole, customer)) == (0, 10 - half)
    await report("of the end of it", time="2027-02-01T11:59:59Z")
    assert (await used(whole, customer), await posted(whole, customer)) == (0, 9)
    await report("of the beginning of this one", time="2027-02-01T12:00:00Z")
    await report("of now")
    assert (await used(whole, customer), await posted(whole, customer)) == (2, 9)
    shown = await whole.ask("GET", f"/budgets/{made.json['id']}", customer.keys["test ADMIN"])
    assert Decimal(shown.json["used"]) == 1, "budgets count what is paid when it is reported"
    assert await proven(whole) == []


async def test_an_estimate_is_at_the_prices_of_the_customers_plan(
    whole: Whole, customer: Customer
) -> None:
    key, free = customer.keys["test INFERENCE"], await whole.customer()
    for asked, said, cost in (
        (key, {}, "0.5"),
        (whole.operator_key, {"apiKey": key}, "0.5"),
        (whole.operator_key, {}, "0.1"),
        (free.keys["test INFERENCE"], {}, "0.1"),
        (customer.keys["live INFERENCE"], {}, "0.1"),
    ):
        reply = await whole.ask("POST", "/metering/estimate", asked, {**PAGE, **said})
        assert Decimal(reply.json["cost"]) == Decimal(cost), reply.text
