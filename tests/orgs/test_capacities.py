"""A plan's capacities by the API: one more is refused, also when two come at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tollkeeper.base.ids import show_id
from tollkeeper.base.settings import Settings
from tollkeeper.base.settings_of_money import Plans
from whole import Answer, Customer, Whole, whole_served

SMALL: dict[str, Any] = {
    "code": "free",
    "name": "Free",
    "capacities": {"seats": 1, "projects": 2, "api_keys": 5},
}
LARGE: dict[str, Any] = {
    "code": "pro",
    "name": "Pro",
    "feeMinor": 100,
    "capacities": {"seats": 3, "projects": 3},
}


@pytest.fixture
async def whole(database_url: str) -> AsyncIterator[Whole]:
    async with whole_served(database_url, Settings(plans=Plans(default="free"))) as served:
        for plan in (SMALL, LARGE):
            made = await served.operate("POST", "/plans", {"plan": plan, "reason": "new"})
            assert made.status == 201, made.text
        yield served


@pytest.fixture
async def customer(whole: Whole) -> Customer:
    return await whole.customer()


async def add(whole: Whole, customer: Customer, what: str, number: int, **headers: str) -> Answer:
    bodies: dict[str, dict[str, Any]] = {
        "projects": {"name": f"Project {number}"},
        "members": {"name": "Ada", "email": f"ada{number}@example.com", "role": "member"},
        "api-keys": {
            "name": f"Key {number}",
            "kind": "INFERENCE",
            "projectId": show_id("prj", customer.project_id),
        },
    }
    return await whole.ask("POST", f"/{what}", customer.keys["live ADMIN"], bodies[what], **headers)


# A customer of the tests has a project and four keys.
@pytest.mark.parametrize(("what", "room"), [("projects", 1), ("members", 1), ("api-keys", 1)])
async def test_there_is_room_for_so_many(
    whole: Whole, customer: Customer, what: str, room: int
) -> None:
    answers = await asyncio.gather(*(add(whole, customer, what, n) for n in range(6)))
    assert sorted(answer.status for answer in answers) == [201] * room + [402] * (6 - room)
    refused = next(answer for answer in answers if answer.status == 402)
    name = {"members": "seats", "api-keys": "api_keys"}.get(what, what)
    assert refused.headers["x-should-retry"] == "false"
    said = {key: refused.json[key] for key in ("code", "capacity", "most", "plan", "upgradePlans")}
    assert said == {
        "code": "capacity_exceeded",
        "capacity": name,
        "most": SMALL["capacities"][name],
        "plan": "free",
        "upgradePlans": ["pro"],
    }
    # What is taken away makes room again.
    listed = await whole.ask("GET", f"/{what}", customer.keys["live ADMIN"])
    last = listed.json["data"][-1]["id"]
    gone = await whole.ask("DELETE", f"/{what}/{last}", customer.keys["live ADMIN"])
    assert gone.status == 204, gone.text
    assert (await add(whole, customer, what, 7)).status == 201
    # So does a larger plan.
    assert (await add(whole, customer, what, 8)).status == 402
    body = {"plan": "pro", "reason": "sold"}
    await whole.operate("PUT", f"/organizations/{customer.id}/plan", body)
    await whole.app.rooms.plans.refresh()
    assert (await add(whole, customer, what, 8)).status == 201


async def test_a_request_that_is_run_again_finds_what_it_made(
    whole: Whole, customer: Customer
) -> None:
    for _ in range(2):
        made = await add(whole, customer, "projects", 1, idempotency_key="one")
        assert made.status == 201
    assert (await add(whole, customer, "projects", 2)).status == 402


async def test_a_test_key_is_measured_by_the_test_plan(whole: Whole, customer: Customer) -> None:
    body = {"plan": "pro", "reason": "tried", "livemode": False}
    await whole.operate("PUT", f"/organizations/{customer.id}/plan", body)
    await whole.app.rooms.plans.refresh()
    statuses: list[int] = []
    for key in ("test ADMIN", "test ADMIN", "test ADMIN", "live ADMIN"):
        project = {"name": f"Project {len(statuses)}"}
        statuses.append((await whole.ask("POST", "/projects", customer.keys[key], project)).status)
    assert statuses == [201, 201, 402, 402]
