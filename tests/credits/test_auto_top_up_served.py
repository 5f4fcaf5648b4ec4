"""Auto top-up as it is served: set by HTTP, fired by calls, paid by a job, told, and recovered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from tollkeeper.base.money import MAX_NANOS, NonNegativeMoneyIn, PositiveMoneyIn, format_nanos
from tollkeeper.base.settings import AutoTopUpSettings, Settings
from whole import DOLLAR, Answer, Customer, Whole, whole_served

PATH = "/billing/auto-top-up"
CHARGE = {
    "provider": "sandbox",
    "model": "sandbox-large",
    "usage": {"input": 1_000_000},
}


async def put(whole: Whole, customer: Customer, **body: Any) -> Answer:
    return await whole.ask("PUT", PATH, customer.keys["test ADMIN"], body)


async def get(whole: Whole, customer: Customer, path: str = PATH) -> Any:
    return (await whole.ask("GET", path, customer.keys["test ADMIN"])).json


async def keep_card(whole: Whole, customer: Customer, token: str = "pm_card_visa") -> str:  # noqa: S107 (a test card)
    key = customer.keys["test ADMIN"]
    made = await whole.ask("POST", "/billing/payment-methods", key, {"token": token})
    if made.json["status"] == "requires_action":
        await click(made.json["actionUrl"], outcome="approve")
        methods = await get(whole, customer, "/billing/payment-methods")
        return str(methods["data"][0]["id"])
    return str(made.json["paymentMethod"]["id"])


async def click(url: str, **form: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as browser,
        browser.post(url, data=form, allow_redirects=False) as answer,
    ):
        return answer.status, answer.headers.get("location", "")


async def soon(true: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(20):
        while True:
            found = await true()
            if found:
                return found
            await asyncio.sleep(0.05)


async def spend(whole: Whole, customer: Customer, dollars: float) -> None:
    path = f"/organizations/{customer.id}/adjustments"
    body = {"amount": -dollars, "reason": "spent", "livemode": False}
    assert (await whole.operate("POST", path, body)).status == 201


async def bought(whole: Whole, customer: Customer) -> list[Any]:
    listed = await get(whole, customer, "/billing/purchases")
    found: list[Any] = listed["data"]
    return [one for one in found if one["type"] == "auto_top_up"]


async def test_nothing_is_on_by_itself(whole: Whole, customer: Customer) -> None:
    shown = await get(whole, customer)
    assert (shown["enabled"], shown["state"], shown["lastFailure"]) == (False, "off", None)
    assert (shown["amount"], shown["monthlyCap"], shown["targetBalance"]) == (5, 20, None)
    refused = await put(whole, customer, enabled=True, threshold=5, amount=20)
    assert (refused.status, refused.json["code"]) == (409, "auto_top_up_needs_method")


async def test_turned_on_below_the_threshold_it_buys_at_once_with_an_invoice(
    whole: Whole, customer: Customer
) -> None:
    await keep_card(whole, customer)
    saved = await put(whole, customer, enabled=True, threshold=20, amount=25)
    assert (saved.status, saved.json["state"], saved.json["monthlyCap"]) == (200, "active", 100)

    async def paid() -> bool:
        found = await bought(whole, customer)
        return bool(found) and found[0]["status"] == "succeeded"

    await soon(paid)
    balance = await get(whole, customer, "/billing/balance")
    assert (balance["posted"], balance["autoTopUp"]) == (35, {"enabled": True, "threshold": 20})
    invoices = (await get(whole, customer, "/billing/invoices"))["data"]
    assert [(one["type"], one["total"]) for one in invoices] == [("invoice", 25)]
    rows = (await get(whole, customer, "/billing/transactions?type=Auto%20Top-up"))["data"]
    assert [(row["type"], row["amount"]) for row in rows] == [("Auto Top-up", 25)]
    shown = await get(whole, customer)
    assert (shown["state"], shown["boughtThisMonth"]) == ("cooling_down", 25)
    assert shown["retryAt"] is not None
    told = [one["type"] for one in (await get(whole, customer, "/notifications"))["data"]]
    assert "credit_auto_recharge_triggered" in told


async def test_a_metered_call_that_crosses_the_threshold_fires_it(
    whole: Whole, customer: Customer
) -> None:
    await keep_card(whole, customer)
    await put(whole, customer, enabled=True, threshold=9.99, targetBalance=40)
    assert await bought(whole, customer) == []
    key = customer.keys["test INFERENCE"]
    body = {"model": "sandbox-large", "messages": [{"role": "user", "content": "x" * 400_000}]}
    answer = await whole.ask("POST", "/chat/completions", key, body)
    assert answer.status == 200
    left = (await get(whole, customer, "/billing/balance"))["posted"]
    assert float(left) < 9.99

    async def filled() -> bool:
        balance = await get(whole, customer, "/billing/balance")
        return float(balance["posted"]) >= 40

    await soon(filled)
    (purchase,) = await bought(whole, customer)
    assert float(purchase["amount"]) == pytest.approx(40 - float(left), abs=0.01)


async def test_a_bank_that_asks_is_answered_through_the_link(
    whole: Whole, customer: Customer
) -> None:
    await keep_card(whole, customer, "pm_card_authenticationRequired")
    await put(whole, customer, enabled=True, threshold=20, amount=25)

    async def told() -> Any:
        notices = (await get(whole, customer, "/notifications"))["data"]
        wanted = "credit_auto_recharge_action_required"
        return next((one["data"] for one in notices if one["type"] == wanted), None)

    link: str = (await soon(told))["actionUrl"]
    assert link.startswith(f"{whole.url}/recover/")
    path = f"/{link.removeprefix(whole.url)}"
    page = await whole.ask("GET", path)
    assert (page.status, "Continue to your bank" in page.text) == (200, True)
    assert page.headers["referrer-policy"] == "no-referrer"
    status, bank = await click(link)
    assert status == 303
    _, back = await click(bank, outcome="approve")
    assert back.startswith(link)
    assert "Thank you" in (await whole.ask("GET", f"/{back.removeprefix(whole.url)}")).text

    async def paid() -> bool:
        return (await bought(whole, customer))[0]["status"] == "succeeded"

    await soon(paid)
    assert "the credit is in the balance" in (await whole.ask("GET", path)).text
    assert (await click(link))[1].endswith(link.rpartition("/")[2])  # nothing more to confirm
    assert (await whole.ask("GET", f"{path[:-4]}AAAA")).status == 404


async def test_removing_the_card_it_needs_is_refused(whole: Whole, customer: Customer) -> None:
    card = await keep_card(whole, customer)
    await put(whole, customer, enabled=True, threshold=1, amount=25)
    key = customer.keys["test ADMIN"]
    path = f"/billing/payment-methods/{card}"
    refused = await whole.ask("DELETE", path, key)
    assert (refused.status, refused.json["code"]) == (409, "payment_method_in_use")
    assert (await put(whole, customer, enabled=False)).json["state"] == "off"
    assert (await whole.ask("DELETE", path, key)).status == 204


@pytest.mark.parametrize(
    ("body", "field", "why"),
    [
        ({"threshold": 30, "amount": 25}, "threshold", "must be at most the amount, 25"),
        ({"amount": 4.99}, "amount", "must be from 5 to 100000"),
        ({"amount": 100_000.01}, "amount", "must be from 5 to 100000"),
        ({"amount": 25, "monthlyCap": 24}, "monthlyCap", "must be at least what one top-up buys"),
        ({"threshold": 10, "targetBalance": 14}, "targetBalance", "must be at least 15"),
        ({"threshold": -1}, "threshold", "must be"),
    ],
)
async def test_what_cannot_be_is_named(
    whole: Whole, customer: Customer, body: dict[str, Any], field: str, why: str
) -> None:
    await keep_card(whole, customer)
    answer = await put(whole, customer, enabled=True, **body)
    assert answer.status == 400
    assert answer.json["details"][field]["_errors"][0].startswith(why)
    assert (await get(whole, customer))["enabled"] is False


async def test_the_largest_target_there_is_can_be_set(whole: Whole, customer: Customer) -> None:
    target = 2_305_843_009.21
    saved = await put(whole, customer, enabled=False, targetBalance=target)
    assert (saved.status, str(saved.json["targetBalance"])) == (200, str(target))
    assert saved.json["monthlyCap"] == format_nanos(MAX_NANOS)  # and no more than can be sent


LIMITS = {
    # From reference facts about three products that sell so.
    "wren": ({"amount_min": 15, "threshold_min": 5}, [(4, 15, 400), (5, 14, 400), (5, 15, 200)]),
    "orq": ({"amount_min": 5}, [(0, 4, 400), (0, 5, 200), (50, 200, 200)]),
    "shingle": ({}, [(25, 20, 400), (0, 100_000, 200), (0, 100_001, 400)]),
}


@pytest.fixture(params=LIMITS)
async def limited(
    request: pytest.FixtureRequest, database_url: str
) -> AsyncIterator[tuple[Whole, list[tuple[int, int, int]]]]:
    said, cases = LIMITS[request.param]
    rules = AutoTopUpSettings(
        amount_min_nanos=PositiveMoneyIn(said.get("amount_min", 5) * DOLLAR),
        threshold_min_nanos=NonNegativeMoneyIn(said.get("threshold_min", 0) * DOLLAR),
    )
    async with whole_served(database_url, Settings(auto_top_up=rules)) as served:
        yield served, cases


async def test_the_limits_of_each_product_are_settings(
    limited: tuple[Whole, list[tuple[int, int, int]]],
) -> None:
    whole, cases = limited
    customer = await whole.customer(sandbox_credit=300 * DOLLAR)
    await keep_card(whole, customer)
    for threshold, amount, status in cases:
        answer = await put(whole, customer, enabled=True, threshold=threshold, amount=amount)
        assert answer.status == status, answer.text
