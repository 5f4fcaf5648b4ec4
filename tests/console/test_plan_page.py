"""The page of the plan: what is left, subscribing, changing, cancelling, going on."""

from __future__ import annotations

from typing import Any

import pytest
from browsing import Browser, signed_in, staff_signed_in
from test_organization_pages import audited, read, send
from test_staff_customers import path_of
from test_staff_customers import send as fill_in

from whole import Customer, Whole

PLAN = "/console/plan"


@pytest.fixture(autouse=True)
async def published(whole: Whole) -> None:
    for code, fee in {"free": 0, "pro": 2000, "team": 5000}.items():
        tokens: dict[str, Any] = {
            "code": "llm_tokens",
            "name": "LLM tokens",
            "covers": [{"units": ["tokens"]}],
            "included": 1000 + fee,
            "overagePrice": 0.002,
            "overagePer": 1000,
        }
        plan = {
            "code": code,
            "name": code.title(),
            "feeMinor": fee,
            "consumables": [tokens],
            "capacities": {"seats": 9},
        }
        answer = await whole.operate("POST", "/plans", {"plan": plan, "reason": "test"})
        assert answer.status == 201, answer.text


async def keep_card(whole: Whole, customer: Customer) -> None:
    body = {"token": "pm_card_visa"}
    answer = await whole.ask("POST", "/billing/payment-methods", customer.keys["test ADMIN"], body)
    assert answer.status < 300, answer.text


async def shown(one: Browser) -> str:
    return read(await one.open(PLAN))


async def test_a_customer_subscribes_changes_cancels_and_goes_on(
    whole: Whole, customer: Customer
) -> None:
    async with signed_in(whole, customer, "billing") as one:
        page = await shown(one)
        assert "0 of 1,000 used" in page
        assert "Beyond it: $0.002 for every 1,000, from credit" in page
        assert "$20.00 a month" in page
        assert "Up to 9 members" in page
        asked = read(await one.open(f"{PLAN}/choose/pro"))
        assert "You pay $20.00 now, and again each month." in asked
        missing = await send(one, f"{PLAN}/choose/pro")
        assert missing.status == 400
        assert "needs a payment method" in missing.text
        assert 'href="/console/payment-methods">Add a payment method' in missing.text
        await keep_card(whole, customer)
        chosen = await send(one, f"{PLAN}/choose/pro")
        assert (chosen.status, chosen.location) == (303, f"{PLAN}?done=plan_chosen")
        page = await shown(one)
        assert "0 of 3,000 used" in page
        assert "Pro, $20.00 a month." in page
        assert "$20.00 is paid next on" in page
        assert "You pay about $30.00 now" in read(await one.open(f"{PLAN}/choose/team"))
        await send(one, f"{PLAN}/choose/team")
        assert "$50.00 is paid next on" in await shown(one)
        assert "You pay nothing now" in read(await one.open(f"{PLAN}/choose/pro"))
        assert "type Team" in (await one.open(f"{PLAN}/cancel")).text
        assert (await send(one, f"{PLAN}/cancel", confirmation="team")).status == 400
        ended = await send(one, f"{PLAN}/cancel", confirmation="Team")
        assert (ended.status, ended.location) == (303, f"{PLAN}?done=plan_cancelled")
        page = await shown(one)
        assert "Team, $50.00 a month. It is cancelled, and holds until" in page
        assert "Keep Team, $50.00 a month" in page
        kept = await send(one, f"{PLAN}/resume")
        assert kept.status == 303
        assert "$50.00 is paid next on" in await shown(one)
        await send(one, f"{PLAN}/choose/pro")
        assert "the plan pro begins" in await shown(one)
    acts = [what for what, _ in await audited(whole, customer)]
    assert [what for what in acts if not what.startswith("organization")][:5] == [
        "plan.change",
        "plan.resume",
        "plan.cancel",
        "plan.change",
        "plan.subscribe",
    ]


async def test_what_cannot_be_done_is_said(whole: Whole, customer: Customer) -> None:
    async with signed_in(whole, customer) as one:
        assert (await one.open(f"{PLAN}/choose/none")).status == 404
        assert (await send(one, f"{PLAN}/choose/none")).status == 404
        assert (await one.open(f"{PLAN}/cancel")).status == 404
        assert (await send(one, f"{PLAN}/cancel", confirmation="Free")).status == 404
        assert (await send(one, f"{PLAN}/resume")).status == 400
        body = {"plan": "pro", "reason": "sold", "livemode": False}
        await whole.operate("PUT", f"/organizations/{customer.id}/plan", body)
        assert "arranged with the team" in await shown(one)
        assert f'href="{PLAN}/choose/team"' not in (await one.open(PLAN)).text
        asked = await one.open(f"{PLAN}/choose/team")
        assert "arranged with the operator" in asked.text
        assert "You pay" not in asked.text
        assert "Confirm" not in asked.text
        refused = await send(one, f"{PLAN}/choose/team")
        assert refused.status == 400


async def test_a_plan_that_cannot_be_chosen_says_why(whole: Whole, customer: Customer) -> None:
    for code, fee, interval in (("hobby", 0, "month"), ("proy", 30000, "year")):
        plan = {"code": code, "name": code.title(), "feeMinor": fee, "interval": interval}
        answer = await whole.operate("POST", "/plans", {"plan": plan, "reason": "test"})
        assert answer.status == 201, answer.text
    await keep_card(whole, customer)
    async with signed_in(whole, customer) as one:
        assert f'href="{PLAN}/choose/proy"' in (await one.open(PLAN)).text
        await send(one, f"{PLAN}/choose/pro")
        page = await one.open(PLAN)
        assert f'href="{PLAN}/choose/team"' in page.text
        for code, why in (("hobby", "Cancel first"), ("proy", "billed in USD each month")):
            assert f'href="{PLAN}/choose/{code}"' not in page.text
            assert why in page.text
            asked = await one.open(f"{PLAN}/choose/{code}")
            assert why in asked.text
            assert "You pay" not in asked.text
            assert "Confirm" not in asked.text
            assert (await send(one, f"{PLAN}/choose/{code}")).status == 400


async def test_a_plan_that_is_paid_for_is_not_changed_by_hand(
    whole: Whole, customer: Customer
) -> None:
    """Or its customer would go on paying for another plan than they have."""
    await keep_card(whole, customer)
    place = f"/organizations/{customer.id}/plan"
    given = {"plan": "pro", "reason": "agreed", "livemode": False, "when": "now"}
    ended = {"reason": "left", "livemode": False, "when": "now"}
    async with signed_in(whole, customer) as one:
        await send(one, f"{PLAN}/choose/team")
        for _ in range(2):  # while it is paid for, and when it is cancelled and holds on
            for method, path, body in (
                ("PUT", place, given),
                ("POST", f"{place}/cancel", ended),
            ):
                refused = await whole.operate(method, path, body)
                assert (refused.status, refused.json["code"]) == (409, "plan_billed")
            async with staff_signed_in(whole) as admin:
                for act in ("plan", "cancel-plan"):
                    form = {"plan": "pro", "when": "now", "livemode": "false"}
                    said = await fill_in(admin, path_of(customer, act), **form)
                    assert said.status == 400
                    assert "first have its customer cancel it" in said.text
            page = await shown(one)
            assert "0 of 6,000 used" in page
            assert "Team, $50.00 a month." in page
            await send(one, f"{PLAN}/cancel", confirmation="Team")
    key = customer.keys["test ADMIN"]
    await whole.ask("DELETE", "/billing/subscription?now=true", key)
    assert (await whole.operate("PUT", place, given)).json["plan"]["code"] == "pro"


async def test_members_see_the_plan_without_prices_and_change_nothing(
    whole: Whole, customer: Customer
) -> None:
    async with signed_in(whole, customer, "member") as one:
        page = await shown(one)
        assert "0 of 1,000 used" in page
        assert "$" not in page
        asked = [await one.open(f"{PLAN}/{path}") for path in ("choose/pro", "cancel")]
        sent = [await send(one, f"{PLAN}/{path}") for path in ("choose/pro", "cancel", "resume")]
        assert [page.status for page in [*asked, *sent]] == [403] * 5
