"""orq.ai's page "Credits", followed in a browser: each step in its order, by its names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from following import Reader, follows
from openai import APIStatusError, OpenAI
from playwright.async_api import expect
from windows import Window

from walking import until

HI: Any = [{"role": "user", "content": "[[sandbox: tokens=40]] Hi"}]
VAT = "NL004495445B01"


async def test_orq(window: Window, reachable_dir: Path) -> None:
    async with follows(window, reachable_dir, "orq") as orq:
        assert call(orq, orq.api.keys["inference"]) == 402
        await add_credits(orq)
        await available_credits(orq)
        await payment_method(orq)
        await auto_top_up(orq)
        await transaction_history(orq)
        await limits_of_keys_and_budgets(orq)


def call(orq: Reader, key: str) -> int:
    """Call a model, and return the status of the answer."""
    with OpenAI(base_url=orq.api.base_url, api_key=key, max_retries=0) as client:
        try:
            client.chat.completions.create(model="gpt-5-mini", messages=HI, max_tokens=50)
        except APIStatusError as refused:
            return refused.status_code
    return 200


async def add_credits(orq: Reader) -> None:
    """Add Credits: its six steps, in its order."""
    page = orq.page
    await orq.go("Credits")
    await orq.has("$0.00")
    await orq.says("Out of credits")
    # 1. "Click the Add Credits button in the Available credits panel."
    await page.get_by_role("link", name="Add credits").click()
    # 2. "Enter an amount", of at least $5.
    await orq.says("From $5.00 to")
    await page.get_by_text("Other", exact=True).click()
    await page.get_by_label("Other amount in US dollars").fill("20")
    # 3. "Add a Tax ID (optional). Select the country and applicable tax ID type, then the number."
    await orq.says("The tax ID is optional")
    async with page.expect_response("**/credits/quote"):
        await page.get_by_label("Country").select_option(label="Netherlands")
    await expect(page.get_by_label("Postal code")).to_have_attribute("placeholder", "1234 AB")
    await page.get_by_label("Tax ID type").select_option(value="eu_vat")
    await page.get_by_label("Tax ID number").fill(VAT)
    # 4. "Choose an existing payment method or add a new card."
    await page.get_by_label("New card").check()
    await page.get_by_label("Keep the card for later purchases").check()
    # 5. "Enter name and billing address."
    await orq.says("Name and billing address")
    await orq.names_buyer()
    # 6. "Confirm purchase. Credits are added to the balance immediately."
    await expect(page.locator("#total")).to_contain_text("$20.00")
    await orq.press("Buy credits")
    await orq.pays()
    await expect(page.locator(".main-figure dd")).to_have_text("$20.00")


async def available_credits(orq: Reader) -> None:
    """At the top of the page; shared across all projects; each call deducts from it."""
    page = orq.page
    await orq.go("Projects")
    await orq.says("All projects share one balance")
    await page.get_by_label("Name", exact=True).fill("Another project")
    await orq.press("Create project")
    other = await orq.makes_key("Of another", project="Another project")
    await orq.go("Credits")
    await orq.says("Available credits")
    await orq.has("$20.00")
    for key in (orq.api.keys["inference"], other):
        before = await orq.balance.locator("[title]").get_attribute("title")
        assert call(orq, key) == 200
        await expect(orq.balance.locator("[title]")).not_to_have_attribute("title", before or "")


async def payment_method(orq: Reader) -> None:
    """The Payment Method panel: what is on file, and a way to a new one."""
    page = orq.page
    panel = page.locator("#credit-methods")
    await expect(panel).to_contain_text("Visa ···· 4242")
    await panel.get_by_role("link", name="Manage").click()
    # "At least one payment method is required to enable auto top-up."
    await page.get_by_role("link", name="Remove Visa ···· 4242").click()
    await page.get_by_label("To confirm, type 4242").fill("4242")
    await orq.press("Remove")
    await orq.go("Auto top-up")
    await orq.says("Auto top-up needs a payment method.")
    await orq.go("Payment methods")
    # "Click Add new."
    await orq.press("Add payment method")
    await orq.press("Keep a card")
    await orq.says("The payment method is on file.", "Visa ···· 4242")


async def auto_top_up(orq: Reader) -> None:
    """Its four steps: the toggle, the Top-up threshold, the Amount to add, Save changes."""
    page = orq.page
    await orq.go("Credits")
    await page.get_by_role("link", name="Auto top-up settings").click()
    await page.get_by_role("checkbox", name="Auto top-up").check()
    await orq.says("The top-up threshold", "The amount to add")
    await page.get_by_label("When credit balance goes below").fill("50")
    await page.get_by_label("Recharge amount").fill("200")
    await orq.says("goes below $50.00, $200.00 of credit is bought")
    await orq.press("Save")
    await orq.says("Saved. Auto top-up is on.")
    await orq.go("Credits")
    await expect(orq.balance).to_contain_text("$220.00", timeout=20_000)


async def transaction_history(orq: Reader) -> None:
    """Purchases only, by date, time, type and amount; the filter; the invoice of a row."""
    page = orq.page
    await orq.go("Transactions")
    await orq.says("Your transaction history")
    assert (await orq.columns())[:4] == ["Date", "Time", "Type", "Amount"]
    rows = await orq.rows(2)
    assert [row[2] for row in rows] == ["Auto Top-up", "Purchase"]
    assert [row[3].split("\n")[0] for row in rows] == ["+$200.00", "+$20.00"]
    for label, kind in (("Purchases by hand", "Purchase"), ("Auto Top-up", "Auto Top-up")):
        await page.get_by_label("Type").select_option(label=label)
        await orq.press("Filter")
        (only,) = await orq.rows(1)
        assert only[2] == kind
    await page.get_by_label("Type").select_option(label="Purchases")
    await orq.press("Filter")
    await orq.rows(2)
    link = page.get_by_role("link", name="Download invoice").last
    name, content = await orq.downloads(link)
    assert name.endswith(".pdf")
    assert content.startswith(b"%PDF-")
    await orq.go("Invoices")
    await orq.rows(2)


async def limits_of_keys_and_budgets(orq: Reader) -> None:
    """Limits of a key, and budgets: refused with 402 when they are reached."""
    page = orq.page
    secret = await orq.makes_key("Limited", limit="0.0001")
    said = {call(orq, secret) for _ in range(4)}
    assert 402 in said
    await orq.go("Budgets and limits")
    await orq.says("Limited: spending")
    await page.get_by_role("link", name="Add budget").click()
    await page.get_by_label("Name", exact=True).fill("All of it")
    await page.get_by_label("Amount", exact=True).fill("0.000001")
    await orq.press("Add budget")
    await orq.says("The budget is there, and counts from now on.")
    key = orq.api.keys["inference"]
    until(lambda: call(orq, key) == 402)
