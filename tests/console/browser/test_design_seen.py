"""The design system's page in a real browser, and pages for those who read otherwise: larger, in
colours of their own, without motion, on paper."""

from __future__ import annotations

from looking import looks_right
from playwright.async_api import Page, expect
from test_staff_customers_seen import staff_page
from windows import Window

DESIGN = "/console/staff/design"
PAGES = ("credits", "usage", "analytics", "transactions", "credits/add", "auto-top-up", "keys")

_MOVING = """
() => document.getAnimations().map((one) => one.animationName ?? one.transitionProperty)
"""
_GROUND = "one => getComputedStyle(one).backgroundColor"


async def too_wide(page: Page) -> int:
    return await page.evaluate("document.documentElement.scrollWidth - innerWidth")


async def test_every_component_looks_right(window: Window) -> None:
    page = await staff_page(window)
    await page.goto(DESIGN)
    await expect(page.locator(".swatches li").first).to_be_visible()
    await looks_right(page)


async def test_twice_as_large_nothing_is_beside_the_page(window: Window) -> None:
    # Zooming to 200 % halves the page's pixels.
    page = await window.sign_in(width=720, height=500)
    for name in PAGES:
        await page.goto(f"/console/{name}")
        assert await too_wide(page) <= 0, name


async def test_nothing_moves_for_who_asked_for_that(window: Window) -> None:
    page = await staff_page(window)
    await page.goto(DESIGN)
    assert "wait" in await page.evaluate(_MOVING)
    await page.emulate_media(reduced_motion="reduce")
    assert await page.evaluate(_MOVING) == []
    switch = page.locator(".switch input")
    await switch.click()
    assert await page.evaluate(_MOVING) == []


async def test_in_the_readers_colours_it_is_seen_what_is_chosen(window: Window) -> None:
    page = await staff_page(window)
    await page.goto(DESIGN)
    await page.emulate_media(forced_colors="active")
    switch = page.locator(".switch input")
    on = await switch.evaluate(_GROUND)
    await switch.uncheck()
    assert await switch.evaluate(_GROUND) != on
    outlines = page.locator(".badge, .menu a[aria-current], .presets [aria-current]")
    for one in await outlines.all():
        assert await one.evaluate("one => getComputedStyle(one).outlineStyle") == "solid"


async def test_on_paper_there_is_the_page_alone(window: Window) -> None:
    page = await window.sign_in()
    await page.goto("/console/transactions")
    await page.emulate_media(media="print")
    await expect(page.locator("table").first).to_be_visible()
    await expect(page.locator(".side")).to_be_hidden()
