"""Shingle's page "Credits", section by section, against `./dev example shingle`."""

from __future__ import annotations

import tomllib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from openai import APIStatusError, OpenAI

from running import EXAMPLES, Site
from tollkeeper.base.clock import MovableClock
from tollkeeper.base.settings_source import load_settings
from tollkeeper.pricing import publish, read_price_file
from walking import Walker, exact, until, walk
from whole import Answer, Customer, Whole, whole_served

SHINGLE = EXAMPLES / "shingle"
# By the plan "free".
PER_TOKEN, PER_CALL = Decimal("0.00001"), Decimal("0.0001")
CHAT: Any = [{"role": "user", "content": "[[sandbox: tokens=20000]] Plan my week"}]
# What each of the other consumables is asked for, and how much of it is included.
OTHERS: dict[str, tuple[str, str, int]] = {
    "api_calls": ("api_call", "call", 1_000),
    "mcp_calls": ("mcp_call", "call", 500),
    "emails": ("email", "email", 100),
    "sms": ("sms", "message", 10),
    "voice_minutes": ("voice", "second", 600),
}


def test_shingle(place: Site) -> None:
    with walk(place, "shingle") as shingle:
        prerequisites(shingle)
        free_tier_until_its_allowance_is_exhausted(shingle)
        one_time_credit_purchase(shingle)
        free_tier_past_its_allowance(shingle)
        view_your_credit_balance(shingle)
        credits_do_not_expire_and_only_the_operator_refunds(shingle)
        auto_top_up(shingle)
        when_credits_run_out(shingle)
        upgrade(shingle)
        usage_and_metrics(shingle)


def prerequisites(shingle: Walker) -> None:
    """Only with an ADMIN key, which owners and admins have, is credit seen and bought."""
    for method, path, body in (
        ("GET", "/billing/balance", None),
        ("GET", "/billing/transactions", None),
        ("POST", "/billing/purchases", {"amount": 10}),
        ("PUT", "/billing/auto-top-up", {"enabled": False}),
        ("POST", "/billing/subscription", {"plan": "pro"}),
    ):
        refused = shingle.ask(method, path, body, by="inference")
        assert (refused.status_code, refused.json()["code"]) == (401, "admin_key_required")
    assert shingle.balance() == 0


def free_tier_until_its_allowance_is_exhausted(shingle: Walker) -> None:
    """Free accounts have an allowance of each consumable; without credit it is the end."""
    used = 0
    while (answer := chat(shingle)) is not None:
        assert exact(answer.cost) == 0
        used += answer.usage.total_tokens
    assert left(shingle, "llm_tokens") == 100_000 - used < 20_000
    for name, (sku, unit, included) in OTHERS.items():
        assert use(shingle, sku, **{unit: included})["cost"] == 0
        assert left(shingle, name) == 0
        assert_exhausted(shingle, sku, unit)
    told = until(lambda: notice(shingle, "allowance_exhausted"))
    assert any(told["allowance"].endswith(one["name"]) for one in allowances(shingle))
    # What an allowance pays is no matter of credit that never was.
    assert notice(shingle, "credit_balance_depleted") is None


def chat(shingle: Walker) -> Any:
    """Have an agent answer; None where the chat shows its Out of Credits card."""
    with OpenAI(base_url=shingle.base_url, api_key=shingle.keys["inference"]) as client:
        try:
            return client.chat.completions.create(
                model="sandbox-large", messages=CHAT, max_tokens=20_000
            )
        except APIStatusError as error:
            refused = error
    assert (refused.status_code, refused.code) == (402, "allowance_exhausted")
    card = refused.response.json()["error"]["metadata"]
    # What the card needs: where to buy, what else there is, and when it begins anew.
    assert card["topUpUrl"] == "https://shingle.example/settings/account/billing"
    assert {"starter", "pro"} >= set(card["upgradePlans"]) > set()
    assert card["resetsAt"] == shingle.get("/allowances")["cycleEnd"]
    return None


def use(shingle: Walker, sku: str, **usage: int) -> Any:
    return shingle.post("/metering/charges", {"sku": sku, "usage": usage}, by="inference")


def assert_exhausted(shingle: Walker, sku: str, unit: str) -> None:
    asked = {"sku": sku, "usage": {unit: 1}}
    refused = shingle.post("/metering/charges", asked, by="inference", status=402)
    assert refused["code"] == "allowance_exhausted"


def allowances(shingle: Walker) -> list[Any]:
    return shingle.lists("/allowances")


def left(shingle: Walker, name: str) -> int:
    return next(one["left"] for one in allowances(shingle) if one["allowance"] == name)


def notice(shingle: Walker, kind: str) -> Any:
    told = [one["data"] for one in shingle.lists("/notifications") if one["type"] == kind]
    return told[0] if told else None


def one_time_credit_purchase(shingle: Walker) -> None:
    """Purchase Credits, enter an amount, and pay in the embedded checkout."""
    for amount in (4.99, 1000.01):
        refused = shingle.post("/billing/purchases", {"amount": amount}, status=400)
        assert refused["code"] == "amount_out_of_range"
    order = {"amount": 10, "checkout": "embedded", "savePaymentMethod": True}
    begun = shingle.post("/billing/purchases", order)
    assert (begun["status"], bool(begun["clientSecret"])) == ("requires_payment", True)
    httpx.post(begun["actionUrl"], data={"number": "4242424242424242"}, timeout=30)
    until(lambda: shingle.get(f"/billing/purchases/{begun['id']}")["status"] == "succeeded")
    assert shingle.balance() == 10


def free_tier_past_its_allowance(shingle: Walker) -> None:
    """Free accounts can purchase credits to keep working past the included allowance."""
    began, rest = shingle.balance(), left(shingle, "llm_tokens")
    answer = chat(shingle)
    # The allowance first, then credit at the tier's overage rate.
    overage = (answer.usage.total_tokens - rest) * PER_TOKEN
    assert exact(answer.cost) == overage > 0
    assert use(shingle, "api_call", call=50)["cost"] == 50 * PER_CALL
    assert use(shingle, "voice", second=90)["cost"] == Decimal("1.5") * Decimal("0.02")
    assert shingle.balance() == began - overage - 50 * PER_CALL - Decimal("0.03")


def view_your_credit_balance(shingle: Walker) -> None:
    """Current balance, Low Balance, lifetime added and spent, the five most recent movements."""
    shown = shingle.get("/billing/balance")
    assert (shown["lowBalance"], shown["lifetimeAdded"]) == (False, 10)
    # At or below the threshold.
    use(shingle, "sms", message=int((shown["available"] - 5) / Decimal("0.02")) + 1)
    shown = shingle.get("/billing/balance")
    assert shown["lowBalance"] is True
    assert shown["lifetimeSpent"] == 10 - shown["posted"]
    low = until(lambda: notice(shingle, "credit_balance_low"))
    assert (low["threshold"], low["available"]) == (5, shown["available"])
    recent = shingle.lists("/billing/transactions", include="all", limit="5")
    assert [row["type"] for row in recent] == ["Consumption"] * 4 + ["Purchase"]
    running = shown["posted"]
    for row in recent:
        assert row["balanceAfter"] == running
        running -= row["amount"]
    assert running == 0


def credits_do_not_expire_and_only_the_operator_refunds(shingle: Walker) -> None:
    (lot,) = shingle.lists("/billing/lots")
    assert (lot["kind"], lot["expiresAt"]) == ("purchased", None)
    (bought,) = shingle.lists("/billing/purchases")
    path = f"/operator/organizations/{shingle.organization_id}/purchases/{bought['id']}/refunds"
    refund = {"amount": 1, "reason": "required by law"}
    assert shingle.ask("POST", path, refund).status_code in (401, 403)
    before = shingle.balance()
    shingle.post(path, refund, by="operator")
    until(lambda: shingle.lists("/billing/transactions", type="Refund"))
    assert shingle.balance() == before - 1


def auto_top_up(shingle: Walker) -> None:
    """Off by default; the threshold from $0 up to the amount, the amount up to $100,000."""
    assert shingle.get("/billing/auto-top-up")["enabled"] is False
    (card,) = shingle.lists("/billing/payment-methods")
    wanted = {"enabled": True, "threshold": 20, "amount": 25, "paymentMethodId": card["id"]}
    for wrong in ({"threshold": 25.01}, {"amount": 100_000.01}, {"threshold": -1}):
        assert shingle.ask("PUT", "/billing/auto-top-up", {**wanted, **wrong}).status_code == 400
    largest = {**wanted, "threshold": 0, "amount": 100_000}
    assert shingle.put("/billing/auto-top-up", largest)["amount"] == 100_000
    before = shingle.balance()
    shingle.put("/billing/auto-top-up", wanted)
    told = until(lambda: notice(shingle, "credit_auto_recharge_triggered"))
    assert (told["amount"], told["threshold"]) == (25, 20)
    assert shingle.balance() == before + 25
    shingle.put("/billing/auto-top-up", {"enabled": False})
    # `credit_purchase_failed` if the charge fails.
    bad = shingle.post("/billing/payment-methods", {"token": "pm_card_chargeCustomerFail"})
    order = {"amount": 5, "paymentMethodId": bad["paymentMethod"]["id"]}
    assert shingle.post("/billing/purchases", order)["status"] == "failed"
    failed = until(lambda: notice(shingle, "credit_purchase_failed"))
    assert failed["reason"] == "card_declined"


def when_credits_run_out(shingle: Walker) -> None:
    """Allowance and credit are used up: the chat is blocked, and so are all other consumables."""
    tokens = shingle.balance() / PER_TOKEN
    asked = {"provider": "sandbox", "model": "sandbox-large", "usage": {"input": int(tokens)}}
    shingle.post("/metering/charges", asked, by="inference")
    assert shingle.balance() == 0
    assert until(lambda: notice(shingle, "credit_balance_depleted"))["available"] == 0
    assert chat(shingle) is None
    for sku, unit, _ in OTHERS.values():
        assert_exhausted(shingle, sku, unit)
    # Until credit is bought …
    assert shingle.post("/billing/purchases", {"amount": 5})["status"] == "succeeded"
    assert exact(chat(shingle).cost) > 0


def upgrade(shingle: Walker) -> None:
    """… or the plan is a larger one, whose fee is charged to the same payment method."""
    before = shingle.balance()
    paid_by = shingle.lists("/billing/purchases")[0]["paymentMethodId"]
    begun = shingle.post("/billing/subscription", {"plan": "pro"})
    assert (begun["status"], begun["plan"], begun["fee"]) == ("active", "pro", 100)
    (default,) = [one for one in shingle.lists("/billing/payment-methods") if one["isDefault"]]
    assert default["id"] == paid_by
    until(lambda: shingle.get("/allowances")["plan"] == "pro")
    assert exact(chat(shingle).cost) == 0
    for sku, unit, _ in OTHERS.values():
        assert use(shingle, sku, **{unit: 1})["cost"] == 0
    # The fee is no credit, and has an invoice.
    assert shingle.balance() == before
    assert 100 in [one["total"] for one in shingle.lists("/billing/invoices")]


def usage_and_metrics(shingle: Walker) -> None:
    """Current usage and per-tier overage rates; the customer portal."""
    rates = {
        plan["code"]: {one["code"]: one["overagePrice"] for one in plan["consumables"]}
        for plan in shingle.lists("/plans")
    }
    assert rates["free"]["llm_tokens"] > rates["starter"]["llm_tokens"] > rates["pro"]["llm_tokens"]
    for one in allowances(shingle):
        assert one["included"] == one["used"] + one["left"]
        assert one["overagePrice"] == rates["pro"][one["allowance"]]
    portal = shingle.post("/billing/portal-session", {})
    assert httpx.get(portal["url"], timeout=30).status_code == 200


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(datetime(2027, 1, 31, 20, 10, tzinfo=UTC))


@pytest.fixture
async def whole(database_url: str, clock: MovableClock) -> AsyncIterator[Whole]:
    """Served from the example's files, by a clock that can be moved."""
    settings = load_settings(SHINGLE / "tollkeeper.toml", {})
    async with whole_served(database_url, settings, clock) as served:
        async with served.database.transaction() as tx:
            text = (SHINGLE / "prices.yaml").read_text("utf-8")
            await publish(tx, read_price_file(text, "prices.yaml"), "test", clock.now())
        await served.app.rooms.books.refresh()
        for name in ("free", "starter", "pro"):
            plan = tomllib.loads((SHINGLE / f"{name}.toml").read_text("utf-8"))
            made = await served.operate("POST", "/plans", {"plan": plan, "reason": "a test"})
            assert made.status == 201, made.text
        yield served


async def test_the_billing_cycle_resets(whole: Whole, clock: MovableClock) -> None:
    """New requests fail until the billing cycle resets; bought credit rolls over."""
    customer = await whole.customer(sandbox_credit=0)
    assert (await make_calls(whole, customer, 1_000)).status == 200
    refused = await make_calls(whole, customer, 1)
    assert (refused.status, refused.json["code"]) == (402, "allowance_exhausted")
    assert refused.json["resetsAt"] == "2027-02-01T00:00:00Z"
    admin = customer.keys["test ADMIN"]
    assert (await whole.ask("POST", "/billing/purchases", admin, {"amount": 5})).status == 201
    assert Decimal((await make_calls(whole, customer, 100)).json["cost"]) == Decimal("0.01")
    clock.advance(timedelta(hours=4))
    assert Decimal((await make_calls(whole, customer, 1_000)).json["cost"]) == 0
    assert await balance(whole, customer) == Decimal("4.99")


async def make_calls(whole: Whole, customer: Customer, calls: int) -> Answer:
    body = {"sku": "api_call", "usage": {"call": calls}}
    return await whole.ask("POST", "/metering/charges", customer.keys["test INFERENCE"], body)


async def balance(whole: Whole, customer: Customer) -> Decimal:
    answer = await whole.ask("GET", "/billing/balance", customer.keys["test ADMIN"])
    return Decimal(answer.json["posted"])


async def test_storage_is_a_consumable_too(whole: Whole, clock: MovableClock) -> None:
    """800 GB: the month's 744 GB-hours are used up within the first hour."""
    customer = await whole.customer()
    assert await store(whole, customer, 800) == 0
    clock.advance(timedelta(hours=1))
    assert await store(whole, customer, 800) == 1
    # Fifty minutes of 800 GB, in whole GB-hours.
    assert await balance(whole, customer) == 10
    clock.advance(timedelta(hours=1))
    assert await store(whole, customer, 0) == 1
    beyond = 667 + 800 - 744
    assert await balance(whole, customer) == 10 - beyond * Decimal("0.0001")


async def store(whole: Whole, customer: Customer, gigabytes: int) -> int:
    """Report what is stored, and return how many hours have become usage."""
    level = {"organizationId": customer.id, "livemode": False, "name": "storage"}
    body = {**level, "level": gigabytes}
    said = await whole.ask("PUT", "/metering/levels", whole.operator_key, body)
    assert said.status == 200, said.text
    (job,) = [job for job in whole.app.jobs.all if job.name == "meter_levels"]
    return await job.run()
