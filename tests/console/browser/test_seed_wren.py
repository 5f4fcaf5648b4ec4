"""Wren AI's page "API Usage Billing", followed in a browser: each step, name and column."""

from __future__ import annotations

from pathlib import Path

import pytest
from following import Reader, follows
from openai import APIStatusError, OpenAI
from playwright.async_api import expect
from windows import Window

QUESTION = "How many orders came last week?"


async def test_wren(window: Window, reachable_dir: Path) -> None:
    async with follows(window, reachable_dir, "wren") as wren:
        await how_to_access(wren)
        await api_credit_usage(wren)
        await auto_recharge(wren)
        await usage_logs(wren)


def request(wren: Reader, times: int = 1, **more: object) -> int:
    """Wren's server has a request of its API charged; return what it is answered with."""
    body = {"sku": "generate_sql", "usage": {"request": times}, "operation": "generate_sql", **more}
    return wren.api.ask("POST", "/metering/charges", body, by="inference").status_code


async def how_to_access(wren: Reader) -> None:
    """In the left sidebar, Billing and its pages; no Settings or tabs stand before them."""
    sidebar = wren.page.get_by_role("navigation", name="Pages")
    billing = sidebar.get_by_role("group", name="Billing")
    await billing.get_by_role("link", name="Credits", exact=True).click()
    await expect(sidebar.get_by_role("group", name="Organization")).to_be_visible()


async def api_credit_usage(wren: Reader) -> None:
    # "Credit Balance: shows your current available API credits."
    await wren.has("$1.00")
    await wren.says("Your API credit balance", "Available credits")
    # "Purchase API Credits: click this button."
    await wren.page.get_by_role("link", name="Add credits").click()
    await wren.says("Purchase credits for API calls")
    await wren.buys("10")
    await wren.page.get_by_role("link", name="Back to Credits").click()
    await wren.has("$11.00")
    # "If auto recharge is off and your balance reaches $0, API requests will not be processed."
    top_up = wren.page.locator("#credit-top-up")
    await expect(top_up).to_contain_text("Off")
    await expect(top_up).to_contain_text("calls are refused when the credit is used up")
    assert request(wren, 550) < 300
    await wren.has("$0.00")
    await wren.says("Out of credits")
    assert request(wren) == 402
    with (
        OpenAI(base_url=wren.api.base_url, api_key=wren.api.keys["inference"]) as client,
        pytest.raises(APIStatusError) as refused,
    ):
        client.chat.completions.create(
            model="sandbox-small", messages=[{"role": "user", "content": QUESTION}]
        )
    assert refused.value.status_code == 402
    await wren.page.get_by_role("link", name="Add credits").click()
    await wren.chooses("$10")
    await expect(wren.page.get_by_role("radio", name="Visa ···· 4242")).to_be_checked()
    await wren.press("Buy credits")
    await wren.says("Thank you. Your credits are there")


async def auto_recharge(wren: Reader) -> None:
    """Its five steps: the settings, the toggle, two amounts with their least, Save."""
    page = wren.page
    await wren.go("Credits")
    await page.get_by_role("link", name="Auto top-up settings").click()
    await wren.says("Others call this auto recharge")
    toggle = page.get_by_role("checkbox", name="Auto top-up")
    threshold = page.get_by_label("When credit balance goes below")
    amount = page.get_by_label("Recharge amount")
    await toggle.check()
    await threshold.fill("4.99")
    await amount.fill("14.99")
    await wren.press("Save")
    # "The minimum allowed is $5." "The minimum allowed is $15."
    for field, least in ((threshold, "5"), (amount, "15")):
        await expect(field).to_have_attribute("aria-invalid", "true")
        fault = page.locator(f"#{await field.get_attribute('id')}-fault")
        await expect(fault).to_contain_text(least)
        await field.fill(least)
    await wren.says("goes below $5.00, $15.00 of credit is bought")
    await wren.press("Save")
    await wren.says("Saved. Auto top-up is on.")
    # At the threshold it is not below it; then it is, and the amount is bought and added.
    await wren.go("Credits")
    assert request(wren, 250) < 300
    await wren.has("$5.00")
    assert request(wren) < 300
    await wren.has("$19.98")
    await expect(page.locator("#credit-movements")).to_contain_text("Auto Top-up")
    # "Toggle on or off."
    await page.get_by_role("link", name="Auto top-up settings").click()
    await toggle.uncheck()
    await wren.press("Save")
    await wren.says("Saved. Auto top-up is off.")


async def usage_logs(wren: Reader) -> None:
    assert request(wren, input=QUESTION, threadId="thread-1", status=200) < 300
    page = wren.page
    await wren.go("Usage logs")
    columns = await wren.columns()
    # Timestamp, API Type, Question / SQL, Project ID, Thread ID, Cost
    assert columns[:5] == ["Timestamp", "API type", "Question / SQL", "Project", "Thread"]
    assert columns[-1] == "Cost"
    row = page.get_by_role("row").filter(has_text=QUESTION)
    for told in ("generate_sql", "Default", "thread-1", "$0.02"):
        await expect(row).to_contain_text(told)
    # Its filters: by API type, and by the thread.
    await page.get_by_label("API type").fill("generate_sql")
    await page.get_by_text("More filters").click()
    await page.get_by_label("Thread").fill("thread-1")
    await wren.press("Filter")
    await expect(page.locator("tbody tr")).to_have_count(1)
    # By status: what was refused costs nothing.
    await page.get_by_role("link", name="Clear").click()
    await page.get_by_label("Status").select_option(label="Error")
    await wren.press("Filter")
    failed = page.get_by_role("row").filter(has_text="402").first
    await expect(failed).to_contain_text("$0.00")
    await failed.get_by_role("link").first.click()
    await wren.says("How the cost was worked out")
