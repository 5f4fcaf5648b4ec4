"""The settings about money in a real browser: by keyboard, live, and right to look at."""

from __future__ import annotations

import pytest
from looking import looks_right
from playwright.async_api import Page, expect
from windows import Window

from whole import Customer

TOP_UP = "/console/auto-top-up"


async def press_through(page: Page, name: str, role: str = "button") -> None:
    """Go with the tabulator to something of that name, and press it."""
    wanted = page.get_by_role(role, name=name, exact=True)  # pyright: ignore[reportArgumentType]
    for _ in range(80):
        await page.keyboard.press("Tab")
        if await wanted.evaluate("one => one === document.activeElement"):
            await page.keyboard.press("Enter" if role != "checkbox" else "Space")
            return
    raise AssertionError(f"The keyboard does not reach {name}")


async def spend_six(window: Window, customer: Customer) -> None:
    body = {
        "provider": "sandbox",
        "model": "sandbox-large",
        "usage": {"input": 1_000_000},
        "requestId": "six",
    }
    key = customer.keys["test INFERENCE"]
    answer = await window.whole.ask("POST", "/metering/charges", key, body)
    assert answer.status < 300, answer.text


async def test_by_keyboard_auto_top_up_is_turned_on_with_a_new_card_and_buys(
    window: Window,
) -> None:
    customer = await window.whole.customer()
    page = await window.sign_in("owner", customer)
    await page.goto(TOP_UP)
    await press_through(page, "Auto top-up", "checkbox")
    await page.locator("#threshold").focus()
    await page.keyboard.press("Control+A")
    await page.keyboard.type("5")
    await page.locator("#amount").focus()
    await page.keyboard.press("Control+A")
    await page.keyboard.type("25")
    plan = page.locator("#plan")
    await expect(plan).to_contain_text("goes below $5.00, $25.00 of credit is bought")
    await press_through(page, "Add payment method")
    await page.wait_for_url("**/sandbox/pay/**")
    await press_through(page, "Keep a card")
    await page.wait_for_url(f"**{TOP_UP}**")
    await expect(page.get_by_text("The payment method is on file.")).to_be_visible()
    await expect(page.locator("#enabled")).to_be_checked()
    await expect(page.locator("#amount")).to_have_value("25")
    await expect(plan).to_contain_text("Visa ···· 4242")
    await press_through(page, "Save")
    await expect(page.get_by_text("Saved. Auto top-up is on.")).to_be_visible()
    await expect(page.locator("#top-up-state")).to_have_text("On")
    await looks_right(page)
    await page.goto("/console/credits")
    await expect(page.locator("#credit-balance")).to_contain_text("$10.00")
    await spend_six(window, customer)
    await expect(page.locator("#credit-balance")).to_contain_text("$29.00", timeout=20_000)
    await expect(page.locator("#credit-movements")).to_contain_text("Auto Top-up")


async def test_the_address_follows_the_country(window: Window) -> None:
    page = await window.sign_in("billing", await window.whole.customer())
    await page.goto("/console/billing-profile")
    await page.locator("[id='address.line1']").fill("1-1 Chiyoda")
    await page.get_by_label("Country").select_option("JP")
    await expect(page.get_by_label("Prefecture")).to_be_visible()
    await expect(page.locator("[id='address.line1']")).to_have_value("1-1 Chiyoda")
    await looks_right(page)
    await page.get_by_label("Country").select_option("DE")
    await page.get_by_label("City").fill("Berlin")
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator("[id='address.postalCode']:invalid")).to_have_count(1)
    await page.get_by_label("Postal code").fill("1")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Must be a postal code such as")).to_be_visible()
    await looks_right(page)


async def test_without_script_everything_is_there(window: Window) -> None:
    page = await window.sign_in("owner", await window.whole.customer(), script=False)
    await page.goto("/console/payment-methods")
    await page.get_by_role("button", name="Add payment method").click()
    await page.get_by_role("button", name="Keep a card").click()
    await expect(page.get_by_text("Visa ···· 4242").first).to_be_visible()
    await page.goto("/console/billing-profile")
    await page.get_by_label("Country").select_option("JP")
    await page.get_by_role("button", name="Show this country's fields").click()
    await expect(page.get_by_label("Prefecture")).to_be_visible()


@pytest.mark.parametrize("width", [1440, 390])
async def test_a_webhook_is_made_and_tested(window: Window, width: int) -> None:
    page = await window.sign_in("admin", await window.whole.customer(), width=width)
    await page.goto("/console/webhooks")
    await page.get_by_role("link", name="Add webhook").click()
    await looks_right(page)
    await page.get_by_label("Address").fill("https://hooks.invalid/tollkeeper")
    await page.get_by_role("button", name="Add webhook").click()
    await expect(page.get_by_text("It is shown this once.")).to_be_visible()
    await looks_right(page)
    await page.get_by_role("link", name="I have copied it").click()
    await page.get_by_role("button", name="Send test").click()
    await expect(page.locator("#deliveries tbody td").nth(4)).to_have_text("1", timeout=15_000)
    await looks_right(page)
    await page.locator("#deliveries .open-row").first.click()
    await expect(page.get_by_role("heading", name="Payload")).to_be_visible()
    await looks_right(page)
    await page.goto(page.url.partition("/deliveries")[0] + "/delete")
    await page.get_by_label("To confirm, type hooks.invalid").fill("hooks.invalid")
    await page.get_by_role("button", name="Remove").click()
    await expect(page.get_by_text("No webhooks yet")).to_be_visible()


async def test_cards_are_removed_with_their_last_digits(window: Window) -> None:
    page = await window.sign_in("billing", await window.whole.customer(), width=390)
    await page.goto("/console/payment-methods")
    await page.get_by_role("button", name="Add payment method").click()
    await page.get_by_role("button", name="Keep a card").click()
    await expect(page.get_by_text("Visa ···· 4242").first).to_be_visible()
    await looks_right(page)
    await page.get_by_role("link", name="Remove Visa ···· 4242").click()
    await page.get_by_label("To confirm, type 4242").fill("4242")
    await page.get_by_role("button", name="Remove").click()
    await expect(page.get_by_text("No payment method yet")).to_be_visible()
