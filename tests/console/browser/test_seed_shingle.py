"""Shingle's page "Credits", followed in a browser: the card, the badge, the empty chat."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from following import Reader, enters, follows
from openai import OpenAI
from playwright.async_api import expect
from windows import Window

# Its allowance of 100,000 tokens lasts for less than six of these.
PLAN_MY_WEEK: Any = [{"role": "user", "content": "[[sandbox: tokens=20000]] Plan my week"}]
OUT = "[[sandbox: tokens=50]] Plan my day"


async def test_shingle(window: Window, reachable_dir: Path) -> None:
    window.expects(402)
    async with follows(window, reachable_dir, "shingle") as shingle:
        await free_tier_until_its_allowance_is_exhausted(shingle)
        await one_time_credit_purchase(shingle)
        await view_your_credit_balance(shingle)
        await auto_top_up(shingle)
        await when_credits_run_out(shingle)
        await usage_and_metrics(shingle)
        await prerequisites(window, shingle)


def use(shingle: Reader, sku: str, **usage: int) -> int:
    body = {"sku": sku, "usage": usage}
    return shingle.api.ask("POST", "/metering/charges", body, by="inference").status_code


async def free_tier_until_its_allowance_is_exhausted(shingle: Reader) -> None:
    """What the plan includes is used by calls; then the chat shows its card."""
    with OpenAI(base_url=shingle.api.base_url, api_key=shingle.api.keys["inference"]) as client:
        for _ in range(4):
            client.chat.completions.create(
                model="sandbox-large", messages=PLAN_MY_WEEK, max_tokens=20_000
            )
    asked = {"provider": "sandbox", "model": "sandbox-large", "usage": {"input": 19_000}}
    assert shingle.api.ask("POST", "/metering/charges", asked, by="inference").is_success
    assert use(shingle, "sms", message=10) < 300
    assert use(shingle, "sms", message=1) == 402
    await shingle.go("Playground")
    await shingle.page.get_by_label("Message").fill(OUT)
    await shingle.press("Send")
    card = shingle.page.get_by_role("alert")
    await expect(card.get_by_role("heading", name="Out of credits")).to_be_visible()
    # "… with a button to purchase more."
    await card.get_by_role("link", name="Add credits").click()


async def one_time_credit_purchase(shingle: Reader) -> None:
    """Purchase Credits, an amount in USD, Purchase, and the payment."""
    await shingle.says("Purchase credits for API calls. They do not expire")
    await shingle.buys("10")
    await shingle.page.get_by_role("link", name="Back to Credits").click()
    await shingle.has("$10.00")
    await shingle.go("Playground")
    await expect(shingle.page.get_by_label("Message")).to_have_value(OUT)
    await shingle.press("Send")
    await expect(shingle.page.locator(".said.assistant .cost a")).to_be_visible()


async def view_your_credit_balance(shingle: Reader) -> None:
    """The Credits card: balance, Low balance badge, lifetime added and spent, five movements."""
    page = shingle.page
    await shingle.go("Credits")
    card = page.get_by_role("region", name="Credit balance")
    await expect(card.get_by_text("Low balance")).to_have_count(0)
    assert use(shingle, "sms", message=200) < 300
    for _ in range(4):
        assert use(shingle, "sms", message=15) < 300
    await expect(card.get_by_text("Low balance")).to_be_visible(timeout=20_000)
    figures = await card.locator("dl > div").all_inner_texts()
    said = dict(one.rsplit("\n", 1) for one in figures)
    assert said["Lifetime added"] == "$10.00"
    assert said["Lifetime spent"].startswith("$5.20")
    # Recent Transactions: amount and running balance.
    recent = page.locator("#credit-movements")
    await expect(recent.get_by_role("heading", name="Recent transactions")).to_be_visible()
    await expect(recent.locator("tbody tr")).to_have_count(5)
    heads = recent.get_by_role("columnheader")
    assert await heads.all_inner_texts() == ["When", "Type", "Amount", "Balance"]
    await expect(recent.locator("tbody tr").first).to_contain_text("Usage")
    await recent.get_by_role("link", name="History").click()
    last = page.get_by_role("row").last
    await expect(last).to_contain_text("Purchase")
    await expect(last).to_contain_text("$10.00")
    # "Credits do not expire."
    await shingle.go("Credits")
    await expect(page.locator("#credit-lots")).to_contain_text("Never")


async def auto_top_up(shingle: Reader) -> None:
    """Enable, toggle, payment method, When credits are below, Purchase this amount, Save."""
    page = shingle.page
    section = page.locator("#credit-top-up")
    await expect(section.get_by_role("heading")).to_contain_text("Off")
    await section.get_by_role("link", name="Auto top-up settings").click()
    await page.get_by_role("checkbox", name="Auto top-up").check()
    # "Confirm your default payment method."
    await expect(page.get_by_label("Payment method")).to_contain_text("Visa ···· 4242")
    below = page.get_by_label("When credit balance goes below")
    amount = page.get_by_label("Recharge amount")
    # "$0 up to the purchase amount", and at most 100,000.
    await below.fill("25.01")
    await amount.fill("25")
    await shingle.press("Save")
    await expect(below).to_have_attribute("aria-invalid", "true")
    await below.fill("0")
    await amount.fill("100000.01")
    await shingle.press("Save")
    await expect(amount).to_have_attribute("aria-invalid", "true")
    await below.fill("6")
    await amount.fill("25")
    await shingle.press("Save")
    await shingle.says("Saved. Auto top-up is on.")
    # credit_auto_recharge_triggered, and before it credit_balance_low
    await shingle.is_told("so $25.00 of credit was bought", "Credit is running low")
    await shingle.go("Credits")
    await expect(page.locator("#credit-top-up").get_by_role("heading")).not_to_contain_text("Off")
    await expect(shingle.balance).to_contain_text("$29.80", timeout=20_000)
    await page.get_by_role("link", name="Auto top-up settings").click()
    await page.get_by_role("checkbox", name="Auto top-up").uncheck()
    await shingle.press("Save")


async def when_credits_run_out(shingle: Reader) -> None:
    """The chat is blocked by its card, and so are all others, until credit is bought."""
    await shingle.go("Credits")
    (left,) = (
        one["left"] for one in shingle.api.lists("/allowances") if one["allowance"] == "llm_tokens"
    )
    tokens = left + int(shingle.api.balance() * 100_000)
    asked = {"provider": "sandbox", "model": "sandbox-large", "usage": {"input": tokens}}
    assert shingle.api.ask("POST", "/metering/charges", asked, by="inference").is_success
    await expect(shingle.balance).to_have_text("$0.00", timeout=20_000)
    assert use(shingle, "sms", message=1) == 402
    await shingle.go("Playground")
    await shingle.page.get_by_label("Message").fill(OUT)
    await shingle.press("Send")
    card = shingle.page.get_by_role("alert")
    await expect(card).to_contain_text("Out of credits")
    # credit_balance_depleted
    await shingle.is_told("Credit is used up")


async def usage_and_metrics(shingle: Reader) -> None:
    """Current usage and overage rates by plan; the customer portal."""
    page = shingle.page
    await shingle.go("Usage and analytics")
    meters = page.get_by_role("region", name="Allowances of this cycle")
    await expect(meters).to_contain_text("100,000 of 100,000 used")
    await expect(meters).to_contain_text("Beyond it: $0.10 for every 10,000, from credit")
    await shingle.go("Plan")
    await shingle.says("Starter", "Pro")
    await shingle.go("Payment methods")
    await shingle.press("Open the customer portal")
    await shingle.says("Payment methods of")


async def prerequisites(window: Window, shingle: Reader) -> None:
    """ "You must be an Owner or Admin": a member sees the chat, and no credit."""
    async with enters(window, shingle, "member", livemode=False) as member:
        menu = member.page.get_by_role("navigation", name="Pages")
        await expect(menu.get_by_role("link", name="Playground")).to_be_visible()
        await expect(menu.get_by_role("link", name="Credits")).to_have_count(0)
        refused = await member.page.goto("/console/credits/add")
        assert refused is not None
        assert refused.status == 403
