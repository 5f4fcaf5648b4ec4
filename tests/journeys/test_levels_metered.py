"""Storage is reported as it is, and becomes GB-hours: out of the plan, then out of credit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tollkeeper import ledger, metering
from tollkeeper.base.clock import MovableClock
from tollkeeper.base.settings import Settings
from whole import Answer, Customer, Whole, whole_served

NAME = "storage-gb-hours"
HOUR = timedelta(hours=1)
NOON = datetime(2027, 1, 1, 12, tzinfo=UTC)
PLAN: dict[str, Any] = {
    "code": "pro",
    "name": "Pro",
    "consumables": [
        {
            "code": "storage",
            "covers": [{"sku": NAME}],
            "included": 30,
            "overagePrice": 0.5,
            "overagePer": 1,
        },
    ],
}


def price(name: str, **rates: float) -> dict[str, Any]:
    prices = {"prices": [{"from": "always", "rates": rates}]}
    return {"provider": "own", "source": "ours", "models": {name: prices}}


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(NOON + HOUR / 6)


@pytest.fixture
async def whole(database_url: str, clock: MovableClock) -> AsyncIterator[Whole]:
    async with whole_served(database_url, Settings(), clock) as served:
        await publish(served, price(NAME, gb_hour=0.1))
        yield served


@pytest.fixture
async def customer(whole: Whole) -> Customer:
    return await whole.customer()


async def publish(whole: Whole, file: dict[str, Any]) -> None:
    made = await whole.operate("POST", "/prices", {"file": file, "reason": "a test"})
    assert made.status == 201, made.text
    await whole.app.rooms.books.refresh()


async def report(whole: Whole, customer: Customer, level: Any, **more: Any) -> Answer:
    body = {"organizationId": customer.id, "livemode": False, "name": NAME, "level": level, **more}
    return await whole.ask("PUT", "/metering/levels", whole.operator_key, body)


async def meter(whole: Whole) -> int:
    (job,) = [job for job in whole.app.jobs.all if job.name == "meter_levels"]
    return await job.run()


async def posted(whole: Whole, customer: Customer) -> Decimal:
    answer = await whole.ask("GET", "/billing/balance", customer.keys["test ADMIN"])
    return Decimal(answer.json["posted"])


async def used(whole: Whole, customer: Customer) -> int:
    answer = await whole.ask("GET", "/allowances", customer.keys["test ADMIN"])
    return answer.json["data"][0]["used"]


async def proven(whole: Whole) -> list[str]:
    async with whole.database.connection() as connection:
        found = [f.sentence async for f in ledger.verify(connection, whole.app.rooms.clock)]
        return found + [f.sentence async for f in metering.verify_costs(connection)]


async def test_storage_within_the_plan_and_beyond(
    whole: Whole, customer: Customer, clock: MovableClock
) -> None:
    await whole.operate("POST", "/plans", {"plan": PLAN, "reason": "a test"})
    body = {"plan": "pro", "livemode": False, "reason": "a test"}
    await whole.operate("PUT", f"/organizations/{customer.id}/plan", body)
    await whole.app.rooms.plans.refresh()

    said = await report(whole, customer, 12.5, since=NOON.isoformat())
    assert said.status == 200, said.text
    assert said.json == {
        "name": NAME,
        "level": "12.5",
        "since": "2027-01-01T12:00:00Z",
        "meteredTo": "2027-01-01T12:00:00Z",
    }
    # An hour is metered when nobody can report about it any more.
    clock.advance(HOUR)
    assert (await report(whole, customer, 12.5)).status == 200
    assert await meter(whole) == 1
    assert (await used(whole, customer), await posted(whole, customer)) == (13, 10)
    clock.advance(HOUR)
    assert await meter(whole) == 1
    assert (await used(whole, customer), await posted(whole, customer)) == (25, 10)
    # Of the third hour 12.5 GB, of which 5 are left in the plan: 25 + 13 is 8 beyond it.
    clock.advance(HOUR)
    assert await meter(whole) == 1
    assert (await used(whole, customer), await posted(whole, customer)) == (30, 6)
    # From half past on there is nothing any more.
    clock.advance(HOUR / 3)
    assert (await report(whole, customer, 0)).status == 200
    clock.advance(3 * HOUR)
    # Six and a quarter, and half of one was paid ahead.
    assert await meter(whole) == 3
    assert await posted(whole, customer) == 3
    rows = (await whole.ask("GET", "/billing/usage", customer.keys["test ADMIN"])).json["data"]
    assert [Decimal(row["units"]) for row in rows] == [6, 13, 12, 13]
    began = await whole.ask("GET", "/billing/usage-records", customer.keys["test ADMIN"])
    assert [row["timestamp"][11:16] for row in began.json["data"]] == [
        "15:00",
        "14:00",
        "13:00",
        "12:00",
    ]
    assert {row["sku"] for row in rows} == {NAME}
    assert await proven(whole) == []

    path = f"/metering/levels?organizationId={customer.id}&livemode=false"
    listed = await whole.ask("GET", path, whole.operator_key)
    (shown,) = listed.json["data"]
    assert (shown["level"], shown["since"], shown["meteredTo"]) == (
        0,
        "2027-01-01T15:30:00Z",
        "2027-01-01T18:00:00Z",
    )


async def test_jobs_that_race_meter_each_hour_once(
    whole: Whole, database_url: str, clock: MovableClock
) -> None:
    customers = [await whole.customer() for _ in range(5)]
    for customer in customers:
        assert (await report(whole, customer, 1, since=NOON.isoformat())).status == 200
    async with whole_served(database_url, Settings(), clock) as other:
        clock.advance(4 * HOUR)
        done = await asyncio.gather(*(meter(one) for one in (whole, other, whole, other)))
        assert sum(done) <= 20
        assert await meter(other) == 0
        # Killed after the charges, before it was noted that they are made.
        async with whole.database.connection() as connection:
            await connection.execute(
                "UPDATE level_meter SET emitted_to = emitted_to - interval '4 hours'"
            )
        assert await meter(other) == 20
    for customer in customers:
        rows = (await whole.ask("GET", "/billing/usage", customer.keys["test ADMIN"])).json["data"]
        assert len(rows) == 4
        assert await posted(whole, customer) == Decimal("9.6")
    assert await proven(whole) == []


async def test_what_is_reported_wrongly_is_refused(
    whole: Whole, customer: Customer, clock: MovableClock
) -> None:
    await publish(whole, price("two", gb_hour=0.1, request=0.1))
    faults = [
        ({"level": 1.0005}, 400, "level: must be a level of 0 or more"),
        ({"level": -1}, 400, "level: must be a level of 0 or more"),
        ({"name": "nothing"}, 422, "There is no price for the SKU nothing"),
        ({"name": "two"}, 400, "name: must be a SKU with one unit, not gb_hour, request"),
        ({"since": (NOON - HOUR).isoformat()}, 400, "since: must lie in this hour"),
        ({"since": (NOON + HOUR).isoformat()}, 400, "since: lies in the future"),
        ({"organizationId": f"org_{0:032x}"}, 404, "There is no organization"),
    ]
    for wrong, status, told in faults:
        answer = await report(whole, customer, **{"level": 1, **wrong})
        assert (answer.status, told in answer.json["detail"]) == (status, True), answer.text
    assert (await report(whole, customer, 1, since=NOON.isoformat())).status == 200
    other = await report(whole, customer, 2, since=NOON.isoformat())
    assert "has another level already" in other.json["detail"]
    mine = await whole.ask("GET", "/metering/levels", customer.keys["live ADMIN"])
    assert mine.status == 401
    clock.advance(2 * HOUR)
    late = await report(whole, customer, 2, since=(NOON + HOUR / 2).isoformat())
    assert late.status == 400


async def test_an_hour_without_a_price_waits_for_one_and_holds_up_nobody(
    whole: Whole, customer: Customer, clock: MovableClock
) -> None:
    assert (await report(whole, customer, 1, since=NOON.isoformat())).status == 200
    other = await whole.customer()
    await publish(whole, price("seats", seat_hour=0.01))
    said = await report(whole, other, 3, since=NOON.isoformat(), name="seats")
    assert said.status == 200, said.text
    ends = {"prices": [{"from": "2027-01-01T13:00:00Z", "ended": True}]}
    await publish(whole, {**price(NAME), "models": {NAME: ends}})
    clock.advance(3 * HOUR)
    assert await meter(whole) == 4
    assert await posted(whole, customer) == Decimal("9.9")
    assert await posted(whole, other) == Decimal("9.91")
    assert await meter(whole) == 0
