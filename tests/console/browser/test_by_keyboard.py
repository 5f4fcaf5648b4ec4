"""The whole product without a mouse, and where the keyboard is after a form was refused."""

from __future__ import annotations

import re

from looking import focused
from playwright.async_api import Locator, Page, expect
from windows import Window

ADDRESS = {
    "billingAddress.line1": "Speicherstraße 12",
    "billingAddress.city": "Hamburg",
    "billingAddress.postalCode": "20457",
}
_FIT = "one => one === document.activeElement"
_MOST = 120


async def tab_to(page: Page, wanted: Locator, *, seen: bool = True) -> None:
    """Press Tab until it has the focus, which is seen wherever it is."""
    for _ in range(_MOST):
        await page.keyboard.press("Tab")
        if await wanted.evaluate(_FIT):
            if seen:
                at = await focused(page)
                assert at["seen"], at
            return
    raise AssertionError(f"The keyboard does not reach {wanted}")


async def follow(page: Page, name: str, role: str = "link") -> None:
    wanted = page.get_by_role(role, name=name, exact=True).first  # pyright: ignore[reportArgumentType] (one of many words)
    await tab_to(page, wanted)
    await page.keyboard.press("Enter")


async def test_a_tour_without_a_mouse(window: Window) -> None:
    page = await window.sign_in("owner", await window.whole.customer())
    await follow(page, "Add credits")
    await page.wait_for_url("**/credits/add")
    await tab_to(page, page.locator("[name='billingAddress.country']"))
    async with page.expect_response("**/credits/quote"):
        await page.keyboard.type("Germany")
    for name, typed in ADDRESS.items():
        await tab_to(page, page.locator(f"[name='{name}']"))
        await page.keyboard.type(typed)
    await follow(page, "Buy credits", "button")
    await page.wait_for_url("**/sandbox/pay/**")
    await tab_to(page, page.locator("button.act"), seen=False)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Thank you")

    await follow(page, "API keys")
    await page.wait_for_url("**/console/keys")
    await follow(page, "Create key")
    await page.wait_for_url("**/keys/new")
    await tab_to(page, page.locator("#name"))
    await page.keyboard.type("A key")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Your new API key")).to_be_visible()
    await follow(page, "I have kept it")
    await follow(page, "Revoke A key")
    confirmation = page.locator("#confirmation")
    await tab_to(page, confirmation)
    await page.keyboard.type("Another")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("This is not the name")).to_be_visible()
    await expect(confirmation).to_be_focused()
    assert (await focused(page))["seen"]
    await page.keyboard.press("Control+A")
    await page.keyboard.type("A key")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_contain_text(re.compile("revoked", re.IGNORECASE))
    await follow(page, "Sign out", "button")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("signed out")


async def test_a_refused_form_is_at_its_first_fault(window: Window) -> None:
    page = await window.sign_in("owner", await window.whole.customer())
    await page.goto("/console/limits/new")
    for name, typed in [("amount", "1e3"), ("name", "Odd"), ("timeZone", "Mars")]:
        await page.locator(f"#{name}").fill(typed)
    await page.locator("#timeZone").press("Enter")
    await expect(page.locator("#amount-fault")).to_be_visible()
    await expect(page.locator("#amount")).to_be_focused()
    await expect(page.locator("#amount")).to_have_attribute("aria-describedby", "amount-fault")
    await expect(page.locator("#name")).to_have_value("Odd")
    await page.goto("/console/auto-top-up")
    await page.locator("#enabled").check()
    await page.locator("#threshold").fill("5")
    await page.locator("#amount").press("Enter")
    first = page.locator("main form :is([aria-invalid=true], [role=alert])").first
    await expect(first).to_be_focused()


async def test_what_opens_is_closed_by_escape(window: Window) -> None:
    """A form that nothing is wrong with leaves the keyboard at the top of the page."""
    page = await window.sign_in("owner", width=390)
    await page.goto("/console/limits/new")
    assert await page.evaluate("document.activeElement === document.body")
    for path in ("/console/usage", "/console/analytics", "/console/credits"):
        await page.goto(path)
        for dialog in await page.locator("dialog").all():
            await dialog.evaluate("one => one.showModal()")
            await page.keyboard.press("Escape")
            await expect(dialog).to_be_hidden()
