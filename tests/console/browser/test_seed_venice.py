"""Venice's page "Billing Usage API" and its siblings, as far as a browser shows what they tell."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from following import Reader, follows
from openai import APIStatusError, OpenAI
from playwright.async_api import expect
from windows import Window

from walking import exact, until

CURRENCIES = ["DIEM", "VCU", "BUNDLED_CREDITS", "USD"]
# 20,000 tokens at $15 a million, and a few of input.
STORY: Any = [{"role": "user", "content": "[[sandbox: tokens=20000]] Tell me a story"}]


async def test_venice(window: Window, reachable_dir: Path) -> None:
    async with follows(window, reachable_dir, "venice") as venice:
        await balance(venice)
        told = spend_all_currencies(venice)
        await billing_usage(venice, told)
        await billing_usage_as_csv(venice, told)
        await one_entry(venice)
        await usage_analytics(venice)
        await limits_of_keys(venice)
        await insufficient_balance(venice)


def tell(venice: Reader, key: str = "") -> Any:
    """Have a story told; the answer, or the status of what it is refused with."""
    key = key or venice.api.keys["inference"]
    with OpenAI(base_url=venice.api.base_url, api_key=key) as client:
        try:
            return client.chat.completions.create(
                model="sandbox-large", messages=STORY, max_tokens=20_000
            ).usage
        except APIStatusError as refused:
            return refused.status_code


async def balance(venice: Reader) -> None:
    """What may be consumed, in each currency, and of which allocation."""
    page = venice.page
    until(lambda: all(venice.api.get("/billing/balance")["balances"].values()))
    await venice.go("Credits")
    switcher = page.get_by_role("navigation", name="Currencies")
    for currency in CURRENCIES:
        await expect(switcher.get_by_role("link", name=currency)).to_be_visible()
    # What is spent first is shown first.
    await venice.has("1.00 DIEM")
    await expect(page.locator("#credit-lots")).to_contain_text("Epoch allocation")
    await switcher.get_by_role("link", name="USD").click()
    await venice.has("$2.00")


def spend_all_currencies(venice: Reader) -> list[str]:
    """Tell stories until dollars pay; return in which currency each was paid, newest first."""
    paid: list[str] = []
    while "USD" not in paid:
        paid.insert(0, tell(venice).cost_details.get("currency", "USD"))
    assert sorted(paid, key=CURRENCIES.index) == paid[::-1]
    return paid


async def billing_usage(venice: Reader, told: list[str]) -> None:
    """Entries by date, newest first, and their filters: a currency, a start and an end date."""
    page = venice.page
    await venice.go("Usage logs")
    rows = page.locator("tbody tr")
    await expect(rows).to_have_count(len(told))
    for currency in CURRENCIES:
        await page.get_by_label("Currency", exact=True).select_option(label=currency)
        await venice.press("Filter")
        await expect(rows).to_have_count(told.count(currency))
        shown = "$" if currency == "USD" else currency
        for cost in await page.locator("tbody td:last-child").all_inner_texts():
            assert shown in cost
    await page.get_by_role("link", name="Clear").click()
    await page.get_by_label("To", exact=True).fill("2024-12-31T23:59")
    await venice.press("Filter")
    await venice.says("No calls found")
    await page.get_by_role("link", name="Clear").click()
    await page.get_by_label("From", exact=True).fill("2024-01-01T00:00")
    await venice.press("Filter")
    await expect(rows).to_have_count(len(told))


async def billing_usage_as_csv(venice: Reader, told: list[str]) -> None:
    """ "Accept: text/csv" is a button."""
    _, content = await venice.downloads(venice.page.get_by_role("link", name="CSV"))
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    assert [row["currency"] for row in rows] == told
    assert all(exact(row["cost"]) > 0 for row in rows)


async def one_entry(venice: Reader) -> None:
    """sku, price per unit, units, amount, request, time of execution, tokens of both sides."""
    page = venice.page
    await page.locator("tbody tr").first.get_by_role("link").click()
    await venice.says("How the cost was worked out", "Duration", "Timestamp")
    await venice.says("Response id", "Request id")
    assert await venice.columns() == ["SKU", "Unit", "Quantity", "Price", "Amount"]
    units = page.get_by_role("table").first.locator("tbody tr")
    await expect(units.filter(has_text="input")).to_have_count(1)
    written = units.filter(has_text="output")
    await expect(written).to_contain_text("20,000")
    await expect(written).to_contain_text("$15.00 per 1,000,000")


async def usage_analytics(venice: Reader) -> None:
    """By date, by model and by API key, in each currency, over seven days."""
    page = venice.page
    await venice.go("Usage and analytics")
    await page.get_by_role("link", name="7 days").click()
    for currency in ("DIEM", "USD"):
        await page.get_by_label("Currency", exact=True).select_option(label=currency)
        for by in ("Model", "API key"):
            await page.get_by_label("By", exact=True).select_option(label=by)
            await venice.press("Show")
            table = page.get_by_role("region", name=by, exact=True)
            await expect(table.locator("tbody tr")).to_have_count(1)
            await expect(table).to_contain_text("$" if currency == "USD" else currency)
    await expect(page.get_by_role("group", name="Cost over time by API key")).to_be_visible()


async def limits_of_keys(venice: Reader) -> None:
    """A key's own limit: 402 for it, while another may spend."""
    limited = await venice.makes_key("Limited", limit="0.10")
    said = [tell(venice, limited) for _ in range(2)]
    assert 402 in said
    await venice.go("API keys")
    row = venice.page.get_by_role("row").filter(has_text="Limited")
    await expect(row).to_contain_text("$0.10")
    assert tell(venice) != 402


async def insufficient_balance(venice: Reader) -> None:
    until(lambda: tell(venice) == 402)
    await venice.go("Credits")
    await venice.page.get_by_role("link", name="Add credits").click()
    await venice.buys("5")
    assert tell(venice) != 402
