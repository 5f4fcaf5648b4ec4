"""Budgets over HTTP: made, shown with what is used of them, changed, begun anew, removed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from counting import count

from tollkeeper.base.clock import MovableClock
from tollkeeper.base.ids import read_id, show_id, uuid7
from tollkeeper.limits import Facts
from whole import DOLLAR, Customer, Whole

DAY = datetime(2026, 11, 21, tzinfo=UTC)
PLAIN = {"name": "All", "amount": 12.5, "period": "day"}


async def add(whole: Whole, customer: Customer, **said: Any) -> dict[str, Any]:
    made = await whole.ask("POST", "/budgets", customer.keys["live ADMIN"], {**PLAIN, **said})
    assert made.status == 201, made.text
    return made.json


async def test_a_budget_is_made_shown_changed_and_removed(whole: Whole, customer: Customer) -> None:
    key = customer.keys["live ADMIN"]
    made = await add(whole, customer)
    assert made.pop("id").startswith("bud_")
    assert made == {
        "name": "All",
        "measure": "cost",
        "amount": "12.5",
        "period": "day",
        "timeZone": "UTC",
        "projectId": None,
        "apiKeyId": None,
        "memberId": None,
        "endUser": None,
        "provider": None,
        "model": None,
        "tag": None,
        "each": None,
        "enforcement": "hard",
        "tolerancePercent": 0,
        "alertPercents": [50, 80, 100],
        "createdAt": "2026-11-21T10:20:30Z",
        "livemode": True,
        "periodStart": "2026-11-21T00:00:00Z",
        "resetsAt": "2026-11-22T00:00:00Z",
        "used": 0,
        "held": 0,
        "remaining": "12.5",
    }
    (listed,) = (await whole.ask("GET", "/budgets", key)).json["data"]
    assert {**made, "id": listed["id"]} == listed
    place = f"/budgets/{listed['id']}"
    assert (await whole.ask("GET", place, key)).json == listed

    # What changed here is known here at once: no call goes on by the old amount.
    facts = Facts(org_id=customer.org_id, livemode=True)
    (draw,) = whole.app.rooms.limits.draws(facts, DAY, 1)
    assert (show_id("bud", draw.limit_id), draw.ceiling) == (listed["id"], 12_500_000_000)
    change = {
        "name": "Less",
        "amount": 3,
        "enforcement": "soft",
        "tolerancePercent": 10,
        "alertPercents": [90, 10, 90],
    }
    changed = await whole.ask("PATCH", place, key, change)
    expected = {**listed, **change, "alertPercents": [10, 90], "remaining": 3}
    assert (changed.status, changed.json) == (200, expected)
    assert (await whole.ask("PATCH", place, key, {})).json == expected
    (draw,) = whole.app.rooms.limits.draws(facts, DAY, 1)
    assert draw.ceiling is None

    assert (await whole.ask("DELETE", place, key)).status == 204
    for method, path in [("GET", place), ("DELETE", place), ("GET", f"{place}/counters")]:
        gone = await whole.ask(method, path, key)
        assert (gone.status, gone.json["code"]) == (404, "budget_not_found")
    assert (await whole.ask("POST", f"{place}/reset", key, {})).status == 404
    assert whole.app.rooms.limits.draws(facts, DAY, 1) == ()


async def test_only_admins_and_of_the_same_organization(whole: Whole, customer: Customer) -> None:
    made = await add(whole, customer)
    other = await whole.customer()
    refused = await whole.ask("GET", "/budgets", customer.keys["live INFERENCE"])
    assert refused.status == 401
    strange = await whole.ask("GET", f"/budgets/{made['id']}", other.keys["live ADMIN"])
    assert strange.status == 404
    assert (await whole.ask("GET", "/budgets", other.keys["live ADMIN"])).json["data"] == []


async def test_all_that_is_wrong_is_said_at_once(whole: Whole, customer: Customer) -> None:
    async def faults(**said: Any) -> dict[str, Any]:
        answer = await whole.ask("POST", "/budgets", customer.keys["live ADMIN"], {**PLAIN, **said})
        assert answer.status == 400, answer.text
        return {
            name: place["_errors"]
            for name, place in answer.json["details"].items()
            if name != "_errors"
        }

    told = await faults(period="decade", tag="team", each="colour", amount=-1, alertPercents=[0])
    assert sorted(told) == ["alertPercents", "amount", "each", "period", "tag"]
    assert await faults(measure="tokens", amount=1.5) == {
        "amount": ["must be a whole number of tokens"]
    }
    assert sorted(await faults(amount=10**12)) == ["amount"]
    nowhere = await faults(
        timeZone="Mars/Olympus",
        projectId=show_id("prj", uuid7()),
        apiKeyId=show_id("key", uuid7()),
        memberId=show_id("mem", uuid7()),
    )
    assert sorted(nowhere) == ["apiKeyId", "memberId", "projectId", "timeZone"]
    made = await add(whole, customer)
    wrong = {"alertPercents": [1, "AAA"], "period": "day"}
    changed = await whole.ask("PATCH", f"/budgets/{made['id']}", customer.keys["live ADMIN"], wrong)
    assert changed.status == 400
    assert sorted(changed.json["details"]) == ["_errors", "alertPercents", "period"]


async def test_counters_are_shown_and_begun_anew_in_each_mode_apart(
    whole: Whole, customer: Customer, clock: MovableClock
) -> None:
    live, test = customer.keys["live ADMIN"], customer.keys["test ADMIN"]
    made = await add(whole, customer, measure="tokens", amount=10**13)
    place, limit_id = f"/budgets/{made['id']}", read_id("bud", made["id"])
    await count(whole.database, customer.org_id, limit_id, 400, held=30, start=DAY)
    await count(whole.database, customer.org_id, limit_id, 5, start=DAY, livemode=False)
    shown = (await whole.ask("GET", place, live)).json
    assert (shown["used"], shown["held"], shown["remaining"]) == (400, 30, 10**13 - 430)
    assert (await whole.ask("GET", place, test)).json["used"] == 5

    begun = await whole.ask("POST", f"{place}/reset", live, {})
    assert begun.status == 200
    assert begun.json["used"] == 0
    assert begun.json["periodStart"] == "2026-11-21T10:20:30Z"
    assert (await whole.ask("GET", place, test)).json["used"] == 5
    facts = Facts(org_id=customer.org_id, livemode=True)
    (draw,) = whole.app.rooms.limits.draws(facts, clock.now(), 9)
    assert (draw.period_start, draw.amount) == (clock.now(), 9)
    clock.advance(timedelta(days=1))
    later = (await whole.ask("GET", place, test)).json
    assert (later["used"], later["periodStart"]) == (0, "2026-11-22T00:00:00Z")


async def test_each_subject_has_a_counter_of_its_own(whole: Whole, customer: Customer) -> None:
    key = customer.keys["live ADMIN"]
    made = await add(whole, customer, each="endUser", amount=2)
    place, limit_id = f"/budgets/{made['id']}", read_id("bud", made["id"])
    assert (made["used"], made["held"], made["remaining"]) == (None, None, None)
    for subject in ("cleo", "ada", "bob"):
        await count(whole.database, customer.org_id, limit_id, DOLLAR, start=DAY, subject=subject)
    yesterday = DAY - timedelta(days=1)
    await count(whole.database, customer.org_id, limit_id, 1, start=yesterday, subject="dan")
    first = (await whole.ask("GET", f"{place}/counters?limit=2", key)).json
    assert [one["subject"] for one in first["data"]] == ["ada", "bob"]
    assert first["data"][0] == {
        "subject": "ada",
        "periodStart": "2026-11-21T00:00:00Z",
        "used": 1,
        "held": 0,
        "remaining": 1,
    }
    rest = await whole.ask("GET", f"{place}/counters?cursor={first['nextCursor']}", key)
    assert [one["subject"] for one in rest.json["data"]] == ["cleo"]
    csv = await whole.ask("GET", f"{place}/counters", key, accept="text/csv")
    assert csv.text.splitlines()[1] == "ada,2026-11-21T00:00:00Z,1,0,1"

    assert (await whole.ask("POST", f"{place}/reset", key, {"subject": "bob"})).status == 200
    after = (await whole.ask("GET", f"{place}/counters", key)).json["data"]
    assert [(one["subject"], one["used"]) for one in after] == [("ada", 1), ("bob", 0), ("cleo", 1)]
    unknown = await whole.ask("POST", f"{place}/reset", key, {"subject": "eve"})
    assert unknown.status == 404
    together = await add(whole, customer)
    wrong = await whole.ask("POST", f"/budgets/{together['id']}/reset", key, {"subject": "bob"})
    assert wrong.status == 400


async def test_a_budget_by_member_is_for_their_keys(whole: Whole, customer: Customer) -> None:
    key = customer.keys["live ADMIN"]
    ada = {"name": "Ada", "email": "ada@example.com"}
    member = (await whole.ask("POST", "/members", key, ada)).json["id"]
    new = {"name": "Ada's", "projectId": show_id("prj", customer.project_id)}
    made = await whole.ask("POST", "/api-keys", key, {**new, "memberId": member})
    assert (made.status, made.json["memberId"]) == (201, member)
    caller = await whole.app.rooms.keys.authenticate(made.json["secret"])
    assert caller.member_id == read_id("mem", member)
    await add(whole, customer, memberId=member)
    for member_id, draws in [(caller.member_id, 1), (None, 0)]:
        facts = Facts(org_id=customer.org_id, livemode=True, member_id=member_id)
        assert len(whole.app.rooms.limits.draws(facts, DAY, 1)) == draws
    nobody = await whole.ask("POST", "/api-keys", key, {**new, "memberId": show_id("mem", uuid7())})
    assert nobody.status == 404


async def test_operators_do_the_same_and_it_is_written_down(
    whole: Whole, customer: Customer
) -> None:
    base = f"/organizations/{customer.id}/budgets"
    made = await whole.operate("POST", base, {**PLAIN, "each": "endUser", "reason": "abuse"})
    assert made.status == 201, made.text
    place = f"{base}/{made.json['id']}"
    (listed,) = (await whole.operate("GET", base)).json["data"]
    assert (await whole.operate("GET", f"{place}?livemode=false")).json == {
        **listed,
        "livemode": False,
    }
    assert (await whole.operate("PATCH", place, {"amount": 1, "reason": "more"})).status == 200
    limit_id = read_id("bud", made.json["id"])
    await count(whole.database, customer.org_id, limit_id, 7, start=DAY, subject="ada")
    (counter,) = (await whole.operate("GET", f"{place}/counters")).json["data"]
    assert counter["used"] == "0.000000007"
    begun = await whole.operate("POST", f"{place}/reset", {"subject": "ada", "livemode": True})
    assert begun.status == 200
    assert (await whole.operate("DELETE", f"{place}?reason=over")).status == 204
    audit = (await whole.operate("GET", "/audit-log")).json["data"]
    acts = [(act["what"], act["why"]) for act in audit if act["what"].startswith("budget.")]
    assert acts == [
        ("budget.delete", "over"),
        ("budget.reset", ""),
        ("budget.update", "more"),
        ("budget.create", "abuse"),
    ]
    nobody = await whole.operate("POST", f"/organizations/{show_id('org', uuid7())}/budgets", PLAIN)
    assert nobody.status == 404
