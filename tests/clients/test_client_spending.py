"""The Python client against the served application: costs, budgets, plans, exports."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import httpx
import pytest

from tollkeeper_client import (
    AsyncTollkeeper,
    ConnectionFailed,
    NotFound,
    PaymentRequired,
    Tollkeeper,
)
from whole import Customer, Whole

SKU = "generate_sql"
AT_ONCE = {"retry-after": "0"}


async def charge(operator: AsyncTollkeeper, key: str, *users: str, rows: int = 1000) -> None:
    for user in users:
        await operator.charge_now({"row": rows}, sku=SKU, customer_key=key, end_user=user)


async def test_costs_are_summed_up_by_what_is_asked(
    operator: AsyncTollkeeper, admin: AsyncTollkeeper, whole: Whole, customer: Customer
) -> None:
    key = customer.keys["test INFERENCE"]
    await charge(operator, key, "ann", "bob", "ann", "eve")
    (all_of_it,) = [row async for row in admin.costs()]
    assert (all_of_it.calls, all_of_it.cost) == (4, Decimal("0.4"))
    asked = {"ann": Decimal("0.2"), "bob": Decimal("0.1")}
    rows = [row async for row in admin.costs("endUser", end_user=["ann", "bob"], limit=1)]
    assert {row.group["endUser"]: row.cost for row in rows} == asked
    today = datetime.now(UTC).date()
    days = admin.costs(
        ["sku", "operation"],
        granularity="day",
        timezone="Europe/Berlin",
        start=today - timedelta(1),
    )
    assert sum([row.units or 0 async for row in days]) == 4000
    others = operator.operator.costs(customer.id, livemode=False)
    assert [row.cost async for row in others] == [Decimal("0.4")]
    forecast = await admin.forecast()
    assert forecast.available == Decimal("9.6")
    analytics = await admin.usage_analytics(lookback="2d")
    assert analytics.by_date[-1]["USD"] == Decimal("0.4")
    assert not isinstance(analytics.by_date[-1]["USD"], float)

    def in_sync() -> list[Decimal]:
        with Tollkeeper(customer.keys["test ADMIN"], whole.url) as toll:
            return [row.cost for row in toll.costs("model")]

    assert await asyncio.to_thread(in_sync) == [Decimal("0.4")]


async def test_a_budget_of_each_end_user(
    operator: AsyncTollkeeper, admin: AsyncTollkeeper, customer: Customer, whole: Whole
) -> None:
    key, live_key = customer.keys["test INFERENCE"], customer.keys["live ADMIN"]
    async with AsyncTollkeeper(live_key, whole.url) as live:
        known = await live.create_budget(
            "Per user", Decimal("0.25"), "day", each="endUser", time_zone="Europe/Berlin"
        )
    made = await admin.get_budget(known.id)
    assert (known.livemode, made.livemode) == (True, False)
    assert (made.amount, made.used, made.alert_percents) == (Decimal("0.25"), None, [50, 80, 100])
    most = {"row": 1000}
    async with operator.charge(
        estimate=most, sku=SKU, customer_key=key, end_user="ann", tags={"team": "a"}
    ):
        pass
    (record,) = (await admin.list_usage_records()).data
    assert (record.end_user, record.tags) == ("ann", {"team": "a"})
    await operator.hold(estimate=most, sku=SKU, customer_key=key, end_user="ann")
    with pytest.raises(PaymentRequired) as caught:
        await operator.hold(estimate=most, sku=SKU, customer_key=key, end_user="ann")
    assert (caught.value.limit_source or "").endswith(made.id)
    await operator.hold(estimate=most, sku=SKU, customer_key=key, end_user="bob")
    counted = {one.subject: (one.used, one.held) async for one in admin.budget_counters(made.id)}
    tenth = Decimal("0.1")
    assert counted == {"ann": (tenth, tenth), "bob": (0, tenth)}
    async with AsyncTollkeeper(live_key, whole.url) as live:
        wider = await live.update_budget(made.id, amount=1, enforcement="soft")
    assert (wider.amount, wider.enforcement, wider.name) == (1, "soft", "Per user")
    await admin.reset_budget(made.id, subject="ann")
    (ann, _) = [one.used async for one in admin.budget_counters(made.id)]
    assert ann == 0
    assert [one.id async for one in admin.budgets()] == [made.id]
    async with AsyncTollkeeper(live_key, whole.url) as live:
        await live.remove_budget(made.id)
    with pytest.raises(NotFound):
        await admin.get_budget(made.id)


async def test_operators_keep_the_budgets_of_organizations(
    operator: AsyncTollkeeper, admin: AsyncTollkeeper, customer: Customer
) -> None:
    act = operator.operator
    made = await act.create_budget(customer.id, "All", 5, "month", "agreed", measure="requests")
    assert (await act.update_budget(customer.id, made.id, "more", amount=7)).amount == 7
    assert (await act.reset_budget(customer.id, made.id, "anew", livemode=False)).used == 0
    assert [one.id async for one in act.budgets(customer.id)] == [made.id]
    assert [one async for one in act.budget_counters(customer.id, made.id)] == []
    assert [one.amount async for one in admin.budgets()] == [7]
    await act.remove_budget(customer.id, made.id, "no more")
    acts = [one.what async for one in act.audit_log() if one.organization_id == customer.id]
    assert acts[:4] == ["budget.delete", "budget.reset", "budget.update", "budget.create"]


async def test_a_plan_is_published_subscribed_to_and_cancelled(
    operator: AsyncTollkeeper, admin: AsyncTollkeeper, whole: Whole, customer: Customer
) -> None:
    act, code = operator.operator, f"pro-{uuid4().hex[:8]}"
    rows = {
        "code": "rows",
        "covers": [{"sku": f"{SKU}*", "units": ["row"]}],
        "included": 1500,
        "overagePrice": 1,
    }
    for name, fee in ((code, 2000), (f"{code}-max", 5000)):
        plan = {"code": name, "name": "Pro", "feeMinor": fee, "consumables": [rows]}
        made = await act.publish_plan(plan, "a test")
    assert made.version_id in [one.version_id for one in await act.plans()]
    await whole.app.rooms.plans.refresh()
    (sold,) = [plan for plan in await admin.plans() if plan.code == code]
    assert (sold.fee_minor, sold.consumables[0].overage_price) == (2000, 1)
    with pytest.raises(NotFound):
        await admin.subscribe(code)
    card = (await admin.add_payment_method(token="pm_card_visa")).payment_method
    assert card is not None
    begun = await admin.subscribe(code, payment_method=card.id)
    assert (begun.status, begun.plan, begun.fee) == ("active", code, 20)
    await whole.app.rooms.plans.refresh()
    await charge(operator, customer.keys["test INFERENCE"], "ann")
    (left,) = (await admin.allowances()).data
    assert (left.allowance, left.used, left.left) == ("rows", 1000, 500)
    assert (await act.allowances(customer.id, livemode=False)).data == [left]
    assert (await admin.change_plan(f"{code}-max")).plan == f"{code}-max"
    ending = await admin.cancel_plan()
    assert (ending.status, ending.cancels_at_period_end) == ("active", True)
    assert (await admin.cancel_plan(now=True)).status == "cancelled"
    given = await act.set_plan(customer.id, code, "by hand", livemode=False, timezone="UTC")
    assert given.subscription is not None
    assert given.subscription.source == "operator"
    assert await act.get_plan(customer.id, livemode=False) == given == await admin.subscription()
    over = await act.cancel_plan(customer.id, "they left", when="now", livemode=False)
    assert over.subscription is None
    for name in (code, f"{code}-max"):
        await act.retire_plan(name, "sold no more")
    assert code not in [plan.code for plan in await admin.plans()]


async def test_credit_is_given_away(
    operator: AsyncTollkeeper, admin: AsyncTollkeeper, customer: Customer
) -> None:
    act, code = operator.operator, f"LAUNCH-{uuid4().hex[:8].upper()}"
    made = await act.create_campaign(code, Decimal("2.5"), "launch", livemode=False, lot_days=30)
    got = await admin.redeem(code.lower())
    assert (got.amount, got.balance_after, got.expires_at is None) == (
        Decimal("2.5"),
        Decimal("12.5"),
        False,
    )
    assert [one.organization_id async for one in act.redemptions(made.id)] == [customer.id]
    assert (await act.end_campaign(made.id, "over")).ended_at is not None
    assert made.id in [one.id async for one in act.campaigns()]
    given = await act.create_recurring_grant(
        5, "month", "free tier", organization_id=customer.id, time_zone="Europe/Berlin"
    )
    mine = act.recurring_grants(organization_id=customer.id)
    assert [(one.id, one.amount) async for one in mine] == [(given.id, 5)]
    assert (await act.end_recurring_grant(given.id, "enough")).ended_at is not None


async def test_what_is_there_is_reported(
    operator: AsyncTollkeeper, whole: Whole, customer: Customer
) -> None:
    name = f"storage-{uuid4().hex[:8]}"
    prices = {"prices": [{"from": "always", "rates": {"gb_hour": 0.0001}}]}
    file = {"provider": "own", "source": "ours", "models": {name: prices}}
    await whole.operate("POST", "/prices", {"file": file, "reason": "a test"})
    await whole.app.rooms.books.refresh()
    told = await operator.report_level(customer.id, name, Decimal("12.5"), livemode=False)
    assert (told.level, told.metered_to <= told.since) == (Decimal("12.5"), True)
    assert [one async for one in operator.levels(customer.id, livemode=False)] == [told]


async def test_what_was_earned(operator: AsyncTollkeeper, customer: Customer) -> None:
    act, org_id = operator.operator, customer.id
    await operator.operator.grant(org_id, 10, "welcome")
    await charge(operator, customer.keys["live INFERENCE"], "ann")
    this = f"{datetime.now(UTC):%Y-%m}"
    (month,) = [one async for one in act.revenue(organization_id=org_id, start=this, end=this)]
    assert (month.granted, month.earned, month.closing) == (10, Decimal("0.1"), Decimal("9.9"))
    margins = await act.margin("day", organization_id=org_id)
    assert (margins.total.charged, margins.total.unknown_calls) == (Decimal("0.1"), 1)
    assert [type(one.charged) for one in margins.data] == [Decimal]


async def test_exports_are_written_as_they_come(
    operator: AsyncTollkeeper, admin: AsyncTollkeeper, whole: Whole, customer: Customer
) -> None:
    await charge(operator, customer.keys["test INFERENCE"], "ann", "bob")
    since = datetime.now(UTC) - timedelta(hours=1)
    rows = io.BytesIO()
    written = await admin.export("usage", rows, start=since, format="ndjson")
    assert written == len(rows.getvalue())
    lines = [json.loads(line, parse_float=Decimal) for line in rows.getvalue().splitlines()]
    assert len(lines) == 2
    everything = io.BytesIO()
    await operator.operator.export("entries", everything, organization_id=customer.id)
    with pytest.raises(NotFound):
        await admin.export("nothing", io.BytesIO())

    def in_sync() -> bytes:
        file = io.BytesIO()
        with Tollkeeper(customer.keys["test ADMIN"], whole.url) as toll:
            toll.export("entries", file, start=since)
        return file.getvalue()

    assert len((await asyncio.to_thread(in_sync)).splitlines()) == 4


class Broken(httpx.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"a line"
        raise httpx.ReadError("gone")


async def test_an_export_is_tried_again_until_it_begins() -> None:
    answers = [httpx.Response(503, json={"code": "service_unavailable"}, headers=AT_ONCE)]
    answers.append(httpx.Response(200, stream=Broken()))
    transport = httpx.MockTransport(lambda _: answers.pop(0))
    file = io.BytesIO()
    async with AsyncTollkeeper("key", "http://toll", transport=transport) as client:
        with pytest.raises(ConnectionFailed):
            await client.export("usage", file)
    assert (file.getvalue(), answers) == (b"a line", [])
