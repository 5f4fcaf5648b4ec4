"""Every page that a menu, or a link of a page in it, leads to: as it should be in any light, at any
width, and without a mouse."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from looking import WIDTHS, focused, looks_right, looks_right_here, stays_in_place
from playwright.async_api import Page
from windows import Window

_ID = re.compile(r"[a-z]+_[0-9a-f]{32}")


async def menu_of(page: Page) -> list[str]:
    return await page.locator("nav a").evaluate_all("all => all.map(one => one.pathname)")


async def leads_to(page: Page) -> dict[str, str]:
    """One address of each kind that the page links to; ids and filters make no kind."""
    found = await page.locator("main a[href^='/']:not([download])").evaluate_all(
        "all => all.map(one => one.getAttribute('href'))"
    )
    return {_ID.sub("…", urlsplit(address).path): address for address in found}


async def is_page(page: Page, address: str) -> bool:
    answer = await page.context.request.get(address)
    return answer.ok and answer.headers["content-type"].startswith("text/html")


async def walk(page: Page) -> list[str]:
    """Look at everything within two steps of where the page is; return the kinds of addresses."""
    waiting = dict.fromkeys(await menu_of(page))
    seen: dict[str, str] = {path: path for path in waiting}
    for path in waiting:
        await look_at(page, path)
        for kind, address in (await leads_to(page)).items():
            if kind not in seen and await is_page(page, address):
                seen[kind] = address
    for kind, address in seen.items():
        if kind not in waiting:
            await look_at(page, address)
    return list(seen)


async def look_at(page: Page, address: str) -> None:
    answer = await page.goto(address)
    assert answer is not None
    assert answer.status == 200, address
    await stays_in_place(page)
    await looks_right_here(page)


@pytest.mark.parametrize("width", WIDTHS)
async def test_an_owners_pages(window: Window, width: int) -> None:
    page = await window.sign_in("owner", width=width)
    seen = await walk(page)
    assert {"/console/credits", "/console/usage", "/console/usage/…"} <= set(seen)


async def test_a_members_pages(window: Window) -> None:
    page = await window.sign_in("member", width=390)
    assert "/console/usage" in await walk(page)


async def test_pages_of_who_has_nothing_yet(window: Window) -> None:
    customer = await window.whole.customer(sandbox_credit=0)
    page = await window.sign_in("owner", customer, width=390)
    for path in await menu_of(page):
        await look_at(page, path)


async def test_pages_that_say_no(window: Window) -> None:
    page = await window.sign_in("member")
    for path in ("/console/credits", "/console/nowhere", "/console/signed-out"):
        await page.goto(path)
        await looks_right(page)


@pytest.mark.parametrize("width", WIDTHS)
async def test_the_keyboard_reaches_the_page_and_the_menu(window: Window, width: int) -> None:
    page = await window.sign_in("owner", width=width)
    paths = await menu_of(page)
    await page.keyboard.press("Tab")
    first = await focused(page)
    assert first["words"] == "Skip to the page"
    assert first["seen"]
    entry = first
    while not entry["inMenu"]:  # The balance may come before it.
        assert entry["seen"], entry
        await page.keyboard.press("Tab")
        entry = await focused(page)
        assert entry["words"] != first["words"], "the menu was not reached"
    for _ in paths[1:]:
        assert entry["seen"], entry
        await page.keyboard.press("Tab")
        entry = await focused(page)
        assert entry["inMenu"], entry
    assert entry["seen"], entry
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**{paths[-1]}")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    assert urlsplit(page.url).fragment == "page"
