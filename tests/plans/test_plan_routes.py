"""Plans by the API: an operator publishes and sets them, a customer sees what is left."""

from __future__ import annotations

from typing import Any

import pytest

from tollkeeper.base.clock import SystemClock
from tollkeeper.ledger import Draw
from tollkeeper.notifications import EventType
from tollkeeper.plans import Terms
from tollkeeper.plans.telling import tell_of
from whole import Answer, Customer, Whole

FREE: dict[str, Any] = {
    "code": "free",
    "name": "Free",
    "consumables": [
        {
            "code": "llm_tokens",
            "name": "LLM tokens",
            "covers": [{"units": ["tokens"]}],
            "included": 1000,
            "overagePrice": 0.002,
            "overagePer": 1000,
        }
    ],
    "capacities": {"seats": 2},
}
PRO: dict[str, Any] = {
    "code": "pro",
    "name": "Pro",
    "feeMinor": 4900,
    "consumables": [
        {"code": "llm_tokens", "covers": [{"units": ["tokens"]}], "included": 50_000},
        {
            "code": "email",
            "covers": [{"sku": "email-*"}],
            "included": 10,
            "overageAllowed": False,
        },
    ],
}


async def publish(whole: Whole, plan: dict[str, Any]) -> Answer:
    return await whole.operate("POST", "/plans", {"plan": plan, "reason": "new"})


async def use(whole: Whole, terms: Terms, units: int) -> None:
    """Count what calls have used, as the ledger does."""
    draw = Draw(
        limit_id=terms.limit_ids[0],
        livemode=terms.livemode,
        period_start=terms.cycle_start,
        ceiling=terms.consumables[0].included,
        amount=units,
        covers=0,
    )
    async with whole.database.connection() as connection:
        await connection.execute(
            "INSERT INTO counter (org_id, limit_id, livemode, subject, period_start, used)"
            " VALUES (%s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (org_id, limit_id, livemode, subject) DO UPDATE"
            " SET used = counter.used + excluded.used",
            (terms.org_id, draw.limit_id, draw.livemode, "", draw.period_start, units),
        )


async def test_from_no_plan_to_a_paid_one(whole: Whole, customer: Customer) -> None:
    key, reader = customer.keys["test ADMIN"], customer.keys["test INFERENCE"]
    nothing = await whole.ask("GET", "/allowances", reader)
    assert (nothing.json["plan"], nothing.json["data"]) == (None, [])
    none = await whole.ask("GET", "/billing/subscription", key)
    assert none.json == {"plan": None, "subscription": None}

    for plan in (FREE, PRO):
        assert (await publish(whole, plan)).status == 201
    listed = await whole.ask("GET", "/plans", reader)
    assert [(one["code"], one["feeMinor"]) for one in listed.json["data"]] == [
        ("free", 0),
        ("pro", 4900),
    ]
    (left,) = (await whole.ask("GET", "/allowances", reader)).json["data"]
    assert {name: left[name] for name in ("included", "used", "left", "overagePrice")} == {
        "included": 1000,
        "used": 0,
        "left": 1000,
        "overagePrice": "0.002",
    }
    default = await whole.ask("GET", "/billing/subscription", key)
    assert (default.json["plan"]["code"], default.json["subscription"]) == ("free", None)

    body = {"plan": "pro", "reason": "sold", "livemode": False, "timezone": "Europe/Berlin"}
    path = f"/organizations/{customer.id}/plan"
    made = await whole.operate("PUT", path, body)
    assert made.status == 200
    subscription = (await whole.ask("GET", "/billing/subscription", key)).json["subscription"]
    assert subscription == made.json["subscription"]
    assert (subscription["plan"]["code"], subscription["timezone"]) == ("pro", "Europe/Berlin")
    assert subscription["cycleStart"] == subscription["startedAt"]
    cycle = (await whole.ask("GET", "/allowances", reader)).json
    assert (cycle["plan"], cycle["cycleEnd"]) == ("pro", subscription["cycleEnd"])
    assert (await whole.operate("GET", f"{path}?livemode=true")).json["subscription"] is None

    cancelled = await whole.operate("POST", f"{path}/cancel", {"reason": "x", "livemode": False})
    assert cancelled.json["subscription"]["cancelAt"] == subscription["cycleEnd"]
    now = {"reason": "x", "livemode": False, "when": "now"}
    assert (await whole.operate("POST", f"{path}/cancel", now)).json["subscription"] is None
    again = await whole.operate("POST", f"{path}/cancel", now)
    assert (again.status, again.json["code"]) == (404, "subscription_not_found")
    audit = await whole.operate("GET", "/audit-log")
    assert [row["what"] for row in audit.json["data"]][:5] == [
        "plan.cancel",
        "plan.cancel",
        "plan.subscribe",
        "plan.publish",
        "plan.publish",
    ]


async def test_every_fault_of_a_plan_is_named(whole: Whole) -> None:
    answer = await publish(
        whole,
        {
            "code": "Pro",
            "name": "",
            "interval": "week",
            "consumables": [{"code": "c", "covers": [], "included": -1, "unitsize": 3}],
        },
    )
    assert answer.status == 400
    assert sorted(answer.json["errors"] if "errors" in answer.json else faults(answer)) == [
        "plan.code",
        "plan.consumables.0.covers",
        "plan.consumables.0.included",
        "plan.consumables.0.unitsize",
        "plan.interval",
        "plan.name",
    ]
    two = {**PRO["consumables"][0], "overageAllowed": False, "overagePrice": 1, "covers": [{}]}
    answer = await publish(whole, {**PRO, "consumables": [two, two]})
    assert sorted(faults(answer)) == [
        "plan.consumables.0.covers.0",
        "plan.consumables.0.overagePrice",
        "plan.consumables.1.code",
        "plan.consumables.1.covers.0",
        "plan.consumables.1.overagePrice",
    ]


def faults(answer: Answer) -> list[str]:
    found: list[str] = []

    def walk(inside: dict[str, Any], at: str) -> None:
        for name, below in inside.items():
            if name == "_errors":
                if below and at:
                    found.append(at)
            else:
                walk(below, f"{at}.{name}" if at else name)

    walk(answer.json["details"], "")
    return found


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/plan", {"plan": "gold", "reason": "x"}, 404, "plan_not_found"),
        ("/plan", {"plan": "free", "reason": "x", "timezone": "Mars"}, 400, "invalid_request"),
    ],
)
async def test_what_cannot_be_set(
    whole: Whole, customer: Customer, path: str, body: dict[str, Any], status: int, code: str
) -> None:
    await publish(whole, FREE)
    answer = await whole.operate("PUT", f"/organizations/{customer.id}{path}", body)
    assert (answer.status, answer.json["code"]) == (status, code)


async def test_a_used_up_allowance_is_told_once_per_cycle(whole: Whole, customer: Customer) -> None:
    await publish(whole, FREE)
    book, clock = whole.app.rooms.plans, SystemClock()
    who = (customer.org_id, True)
    terms = book.terms(*who, clock.now())
    assert terms is not None
    await use(whole, terms, 999)
    assert await tell_of(whole.database, clock, book, [who]) == 0
    await use(whole, terms, 1)
    left = await whole.ask("GET", "/allowances", customer.keys["live ADMIN"])
    assert [left.json["data"][0][name] for name in ("used", "left")] == [1000, 0]
    (job,) = [job for job in whole.app.jobs.all if job.name == "sweep_allowances"]
    told = [await tell_of(whole.database, clock, book, [who]) for _ in range(3)]
    assert sum(told) <= 1
    assert await job.run() == 0
    notices = await whole.ask("GET", "/notifications", customer.keys["live ADMIN"])
    (notice,) = notices.json["data"]
    assert notice["type"] == EventType.ALLOWANCE_EXHAUSTED
    assert notice["data"]["allowance"] == "1,000 LLM tokens"
    assert notice["data"]["periodEnd"][:10] == terms.cycle_end.isoformat()[:10]
