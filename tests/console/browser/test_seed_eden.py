"""Eden AI's page "Buying Credits & Auto-Refill", followed in a browser.

The link that is printed opens test mode, whose cards are play, as its README says. What its live
tokens spend, by provider, is seen in live mode: in test mode all models are simulated by one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from following import Reader, enters, follows
from openai import APIStatusError, OpenAI
from playwright.async_api import expect
from windows import Window

from walking import exact

HI: Any = [{"role": "user", "content": "Hi"}]
INVOICE = {"operation": "ocr__invoice_parser", "provider": "amazon", "model": "textract"}


async def test_eden(window: Window, reachable_dir: Path) -> None:
    async with follows(window, reachable_dir, "eden") as eden:
        await purchasing_credits(eden)
        await auto_refill(eden)
        await insufficient_credits(eden)
        await understanding_costs(eden, "inference", "9.99")
        async with enters(window, eden, livemode=True) as live:
            await understanding_costs(live, "liveInference", "10.00")
            await costs_by_provider_feature_and_token(live)


def parse_invoices(eden: Reader, pages: int, by: str = "inference") -> Any:
    body = INVOICE | {"usage": {"page": pages}}
    return eden.api.ask("POST", "/metering/charges", body, by=by)


async def understanding_costs(eden: Reader, by: str, balance: str) -> None:
    """ "Every API response includes a cost field": that much goes from the balance."""
    await eden.go("Credits")
    await eden.has(f"${balance}")
    token = eden.api.keys[by]
    with OpenAI(base_url=eden.api.base_url, api_key=token) as client:
        answer: Any = client.chat.completions.create(
            model="claude-sonnet-4-5", messages=HI, max_tokens=50
        )
    left = exact(balance) - exact(answer.cost)
    figure = eden.balance.locator("[title]")
    await expect(figure).to_have_attribute("title", f"{left} USD", timeout=20_000)
    parsed = parse_invoices(eden, 3, by).json()
    left -= exact(parsed["cost"])
    await expect(figure).to_have_attribute("title", f"{left} USD", timeout=20_000)


async def costs_by_provider_feature_and_token(eden: Reader) -> None:
    """The dashboard: by provider, feature and token, per day, week, month and year."""
    page = eden.page
    await eden.go("Usage and analytics")
    await eden.says("What calls cost over time")
    for by, found in (
        ("Provider", ["amazon", "anthropic"]),
        ("API type", ["ocr__invoice_parser"]),
        ("API key", []),
    ):
        await page.get_by_label("By", exact=True).select_option(label=by)
        await eden.press("Show")
        table = page.get_by_role("region", name=by, exact=True)
        await expect(table.get_by_role("columnheader").first).to_have_text(by)
        for name in found:
            await expect(table.get_by_role("row").filter(has_text=name)).to_be_visible()
        await expect(table).to_contain_text("$0.03")
    for each in ("A day", "A week", "A month"):
        await page.get_by_label("Each bar", exact=True).select_option(label=each)
        await eden.press("Show")
        await expect(page.get_by_label("Each bar", exact=True)).to_have_value(each.split()[1])
    await page.get_by_role("link", name="12 months").click()
    await eden.says("Cost over time")
    name, content = await eden.downloads(page.get_by_role("link", name="CSV"))
    assert name.endswith(".csv")
    assert content


async def purchasing_credits(eden: Reader) -> None:
    """Log in, the billing section, an amount, the payment."""
    page = eden.page
    await eden.go("Credits")
    await eden.has("$25.00")
    await page.get_by_role("link", name="Add credits").click()
    await page.get_by_text("Other", exact=True).click()
    await page.get_by_label("Other amount in US dollars").fill("10")
    # The platform's fee.
    await expect(page.locator("#total")).to_contain_text("$10.55")
    await eden.buys("10")
    # "Added immediately, and shared across all your API tokens."
    await eden.says("All your projects and API keys can use them now.")
    await page.get_by_role("link", name="Back to Credits").click()
    await eden.has("$35.00")
    second = await eden.makes_key("Second")
    assert parse_invoices(eden, 50, second).status_code < 300
    await eden.go("Credits")
    await eden.has("$34.50")


async def auto_refill(eden: Reader) -> None:
    """Enable, a threshold, a refill amount; the payment method is the one on file."""
    page = eden.page
    await page.get_by_role("link", name="Auto top-up settings").click()
    await eden.says("auto-refill")
    await page.get_by_role("checkbox", name="Auto top-up").check()
    await page.get_by_label("When credit balance goes below").fill("20")
    await page.get_by_label("Recharge amount").fill("30")
    await eden.says("with Visa ···· 4242")
    await eden.press("Save")
    await eden.says("Saved. Auto top-up is on.")
    await eden.go("Credits")
    assert parse_invoices(eden, 1450).status_code < 300
    await eden.has("$20.00")
    assert parse_invoices(eden, 1).status_code < 300
    await eden.has("$49.99")


async def insufficient_credits(eden: Reader) -> None:
    """402 at zero; "to resolve this, purchase more credits"."""
    page = eden.page
    await page.get_by_role("link", name="Auto top-up settings").click()
    await page.get_by_role("checkbox", name="Auto top-up").uncheck()
    await eden.press("Save")
    await eden.go("Credits")
    assert parse_invoices(eden, 4999).status_code < 300
    await eden.has("$0.00")
    await eden.says("Out of credits")
    refused = parse_invoices(eden, 1)
    assert (refused.status_code, refused.json()["error"]) == (402, "Insufficient credits")
    token = eden.api.keys["inference"]
    with (
        OpenAI(base_url=eden.api.base_url, api_key=token) as client,
        pytest.raises(APIStatusError) as raised,
    ):
        client.chat.completions.create(model="gpt-5-mini", messages=HI, max_tokens=50)
    assert raised.value.status_code == 402
    await page.get_by_role("link", name="Add credits").click()
    await eden.chooses("$10")
    await eden.press("Buy credits")
    await eden.says("Thank you. Your credits are there")
    assert parse_invoices(eden, 1).status_code < 300
