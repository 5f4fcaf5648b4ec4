"""Clocks: the server's is UTC's, the reader's is wherever they are."""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from looking import stays_in_place
from playwright.async_api import Page, expect
from windows import Window

PAGES = ("credits", "transactions", "usage", "invoices", "keys", "limits", "plan")
_EXACT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC")
_TIMES = """all => all.map((one) => [one.dateTime, one.title, one.textContent.trim(),
  one.hasAttribute("data-form")])"""


async def times(page: Page) -> list[tuple[str, str, str, bool]]:
    return await page.locator("main time").evaluate_all(_TIMES)


def said(moment: datetime) -> set[str]:
    """All that may be said of a moment: its day, its time, or both."""
    day, clock = f"{moment:%b} {moment.day}", f"{moment:%H:%M:%S}"
    return {f"{day}, {moment.year}", f"{day}, {clock}", clock, f"{day}, {moment.year}, {clock}"}


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Los_Angeles"])
async def test_times_are_the_readers(window: Window, zone: str) -> None:
    page = await window.sign_in("owner", time_zone=zone, locale="de-DE")
    counted = 0
    for name in PAGES:
        await page.goto(f"/console/{name}")
        await expect(page.locator(".foot")).to_contain_text(zone.replace("_", " "))
        await stays_in_place(page)
        for written, hint, shown, undressed in await times(page):
            assert not undressed, (name, shown)
            assert _EXACT.fullmatch(hint), (name, hint)
            there = datetime.fromisoformat(written).astimezone(ZoneInfo(zone))
            assert shown in said(there), (name, shown, there)
            counted += 1
    assert counted > 30


async def test_days_of_accounts_are_everybodys(window: Window) -> None:
    """Days and months that are added up are those of UTC, whoever reads them, and say so."""
    seen: list[list[str]] = []
    for zone in ("Asia/Tokyo", "America/Los_Angeles"):
        page = await window.sign_in("owner", time_zone=zone, locale="de-DE")
        await page.goto("/console/invoices")
        months = await page.locator("a[href^='/console/statements/']").evaluate_all(
            "all => all.map((one) => one.getAttribute('aria-label'))"
        )
        await page.goto("/console/analytics")
        days = page.locator("main table").first.locator("tbody tr :first-child")
        seen.append([*months, *await days.all_inner_texts()])
        await expect(page.locator("main")).to_contain_text("UTC")
    assert seen[0] == seen[1] != []


async def test_amounts_are_written_one_way(window: Window) -> None:
    """A German reads $1,234.56 as everybody does: never 1.234,56, which is another number."""
    customer = await window.whole.customer(sandbox_credit=1_234_560_000_000)
    page = await window.sign_in("owner", customer, locale="de-DE")
    await page.goto("/console/credits")
    await expect(page.locator("#credit-balance .main-figure dd")).to_have_text("$1,234.56")
    await page.goto("/console/credits/add")
    await expect(page.get_by_label("Country")).to_have_value("DE")
    await page.get_by_text("Other", exact=True).click()
    await page.get_by_label("Other amount").fill("12,50")
    await expect(page.locator("#total")).not_to_contain_text("1,250")
    await expect(page.locator("#total")).to_contain_text("Choose an amount")
