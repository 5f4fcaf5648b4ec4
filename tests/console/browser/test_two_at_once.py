"""Two people at one wallet, one person in two tabs, the back button, and sessions that end."""

from __future__ import annotations

import asyncio

from playwright.async_api import Page, expect
from test_buying import ADD, fill_address
from windows import Window

from whole import Customer

CREDITS = "/console/credits"


async def purchases(window: Window, customer: Customer) -> list[str]:
    key = customer.keys["test ADMIN"]
    found = await window.whole.ask("GET", "/billing/purchases", key)
    return [one["status"] for one in found.json["data"]]


async def pay(page: Page) -> None:
    await page.goto(ADD)
    await fill_address(page)
    await page.get_by_role("button", name="Buy credits").click()
    await page.wait_for_url("**/sandbox/pay/**")
    await page.locator("button.act").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Thank you")


async def test_one_buys_and_the_other_sees_it(window: Window) -> None:
    customer = await window.whole.customer()
    buyer = await window.sign_in("owner", customer)
    other = await window.sign_in("billing", customer, width=390)
    await other.goto(CREDITS)
    await pay(buyer)
    shown = other.locator("#credit-balance .main-figure dd")
    await expect(shown).to_have_text("$35.00", timeout=2_500)
    await expect(other.locator("#credit-movements")).to_contain_text("Purchase")
    # Back from the page that says thanks: the form is a new one, and orders nothing by itself.
    await buyer.goto(CREDITS)
    await buyer.go_back()
    await expect(buyer.get_by_role("heading", level=1)).to_contain_text("Thank you")
    await buyer.reload()
    await expect(buyer.locator(".main-figure dd")).to_have_text("$35.00")
    assert await purchases(window, customer) == ["succeeded"]


async def test_one_form_in_two_tabs_buys_once(window: Window) -> None:
    customer = await window.whole.customer()
    page = await window.sign_in("owner", customer)
    await page.goto(ADD)
    await fill_address(page)
    once = await page.locator("[name=once]").input_value()
    twin = await page.context.new_page()
    await twin.goto(ADD)
    await fill_address(twin)
    await twin.evaluate("once => { document.querySelector('[name=once]').value = once; }", once)
    await asyncio.gather(
        *[one.get_by_role("button", name="Buy credits").click() for one in (page, twin)]
    )
    for one in (page, twin):
        await one.wait_for_url("**/sandbox/pay/**")
    assert page.url == twin.url
    await page.locator("button.act").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Thank you")
    await twin.goto(ADD)
    assert await purchases(window, customer) == ["succeeded"]


async def test_a_made_key_is_not_made_again_by_loading_its_page(window: Window) -> None:
    customer = await window.whole.customer()
    page = await window.sign_in("owner", customer)
    await page.goto("/console/keys/new")
    await page.locator("#name").fill("Only one")
    await page.get_by_role("button", name="Create key").click()
    await expect(page.get_by_role("heading", name="Your new API key")).to_be_visible()
    await page.reload()
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert "tk_test_" not in page.url
    await page.goto("/console/keys")
    await expect(page.get_by_role("row", name="Only one")).to_have_count(1)
    await page.go_back()
    await page.go_back()
    await page.goto("/console/keys")
    await expect(page.get_by_role("row", name="Only one")).to_have_count(1)


async def test_two_change_one_setting(window: Window) -> None:
    """Whoever is second to save is told what the other did."""
    customer = await window.whole.customer()
    first, second = await asyncio.gather(
        window.sign_in("owner", customer), window.sign_in("billing", customer)
    )
    for page, threshold in ((first, "6"), (second, "7")):
        await page.goto("/console/auto-top-up")
        await page.locator("#threshold").fill(threshold)
    await first.get_by_role("button", name="Save").click()
    await expect(first.get_by_role("status").first).to_contain_text("Saved")
    await second.get_by_role("button", name="Save").click()
    await expect(second.get_by_role("alert")).to_contain_text("changed")
    await expect(second.locator("#threshold")).to_have_value("7")
    await second.get_by_role("button", name="Save").click()
    await expect(second.get_by_role("status").first).to_contain_text("Saved")


async def test_a_session_that_ended_elsewhere(window: Window) -> None:
    customer = await window.whole.customer()
    page = await window.sign_in("owner", customer)
    twin = await page.context.new_page()
    await twin.goto(ADD)
    await fill_address(twin)
    window.expects(401)
    await page.goto(CREDITS)
    await page.get_by_role("button", name="Sign out").click()
    await twin.get_by_role("button", name="Buy credits").click()
    await expect(twin.get_by_role("heading", level=1)).to_be_visible()
    await expect(twin.get_by_role("link", name="Sign in")).to_be_visible()
    assert await purchases(window, customer) == []
    # What the form held is there again when the way back is taken.
    await twin.go_back()
    await expect(twin.get_by_role("heading", level=1)).to_be_visible()
