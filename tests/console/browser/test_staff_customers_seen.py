"""The operator's pages about customers and money in a real browser."""

from __future__ import annotations

import os

import pytest
from browsing import make_account
from looking import looks_right, stays_in_place
from playwright.async_api import Page, expect
from windows import Window

from tollkeeper.console.signing_in import account_sessions

STAFF = "/console/staff"


async def staff_page(window: Window, *, script: bool = True, width: int = 1440) -> Page:
    """A page of an admin of the staff."""
    whole = window.whole
    account = await make_account(whole, staff="admin")
    async with whole.database.transaction() as tx:
        _, token = await account_sessions.begin(
            tx,
            account,
            user_agent="test",
            chance=os.urandom(32),
            now=whole.app.rooms.clock.now(),
        )
    page = await window.open(whole.url, script=script, width=width)
    cookie = {"name": "tollkeeper_account", "value": token, "url": f"{whole.url}/console"}
    await page.context.add_cookies([cookie])  # pyright: ignore[reportArgumentType] (a TypedDict)
    return page


@pytest.mark.parametrize(
    "path",
    [
        "overview",
        "overview/checks",
        "overview/earned",
        "organizations",
        "grants",
        "refunds",
        "disputes",
        "organizations/{id}",
        "organizations/{id}/grant",
        "organizations/{id}/adjust",
        "grants/campaigns/new",
    ],
)
async def test_pages_look_right(window: Window, path: str) -> None:
    page = await staff_page(window)
    await page.goto(f"{STAFF}/{path.format(id=window.customer.id)}")
    await expect(page.locator("h1")).to_be_visible()
    await looks_right(page)


async def test_what_was_earned_comes_by_itself(window: Window) -> None:
    page = await staff_page(window)
    await page.goto(f"{STAFF}/overview?mode=test")
    await expect(page.locator("#earned")).to_contain_text("Revenue 20")
    await stays_in_place(page)


async def test_credit_is_given_by_keyboard(window: Window) -> None:
    customer = await window.whole.customer()
    page = await staff_page(window, width=390)
    await page.goto(f"{STAFF}/organizations")
    await page.get_by_label("Search").fill(customer.id)
    await page.keyboard.press("Enter")
    await page.locator(".open-row").first.focus()
    await page.keyboard.press("Enter")
    await page.get_by_role("link", name="Give credit").press("Enter")
    await page.get_by_label("Amount").fill("12.50")
    await page.get_by_label("Balance").select_option("Test")
    await page.get_by_label("Why").fill("A hello")
    await page.get_by_role("button", name="Give credit").press("Enter")
    await expect(page.get_by_text("The credit is there.")).to_be_visible()
    await expect(page.get_by_role("cell", name="+$12.50")).to_be_visible()
    await looks_right(page)


async def test_everything_works_without_a_script(window: Window) -> None:
    customer = await window.whole.customer()
    page = await staff_page(window, script=False)
    await page.goto(f"{STAFF}/overview?mode=test")
    await page.get_by_role("link", name="Month by month").first.click()
    await expect(page.get_by_role("heading", name="Credit and revenue")).to_be_visible()
    await page.goto(f"{STAFF}/organizations/{customer.id}/freeze?mode=test")
    await page.get_by_label("Why").fill("Odd calls")
    await page.get_by_role("button", name="Freeze balance").click()
    await expect(page.get_by_text("Odd calls").first).to_be_visible()
    await page.get_by_role("link", name="Unfreeze").click()
    await page.get_by_label("Why").fill("Not odd")
    await page.get_by_role("button", name="Unfreeze balance").click()
    await expect(page.get_by_text("The balance takes calls again.")).to_be_visible()
