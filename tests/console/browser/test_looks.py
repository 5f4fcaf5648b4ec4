"""Pages look as they did when somebody last looked: coarsely, so that other fonts pass, while a
style sheet that is missing or columns that are swapped do not.

What is compared with lies in `looks/`. After a change of looks: look at the page, then
`./dev tour looks`.
"""

from __future__ import annotations

import io
import os
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from PIL import Image, ImageChops, ImageStat
from playwright.async_api import Browser, Page, Route
from windows import Window

from recycling import Databases
from tollkeeper.base.clock import MovableClock
from tollkeeper.db import EmbeddedServer
from whole import Customer, Whole, whole_served

LOOKS = Path(__file__).parent / "looks"
KEEP = "TOLLKEEPER_TESTS_KEEP_LOOKS"
DAYS = 9
WIDE = 64
# Of 255. Another font, a narrow one with serifs, stays well below.
WHOLE, TILE = 2.0, 12.0
TILES = 8


# Phones are left out: there another font breaks lines elsewhere, and all below is moved.
PAGES = {
    "credits": "light",
    "analytics": "dark",
    "usage": "light",
    "credits/add": "light",
    "members": "dark",
    "auto-top-up": "light",
}
# What is done to the style sheet.
SAME = 'body { font-family: "DejaVu Serif", serif; letter-spacing: -0.02em }'
BROKEN = {
    "columns swapped": ".frame { direction: rtl }",
    "menu over the page": ".frame { display: block }",
    "one column of two": ".order { grid-template-columns: 1fr }",
    "cards without ground": ":root { --surface: #d8d8e4 }",
}


@pytest.fixture(scope="module")
async def told(server: EmbeddedServer, databases: Databases) -> AsyncIterator[Whole]:
    """A server whose clock stands still."""
    name = databases.take(f"test_{uuid4().hex}")
    clock = MovableClock(datetime(2026, 3, 2, 9, 41, tzinfo=UTC))
    async with whole_served(server.url_of(name), clock=clock) as served:
        yield served
    databases.drop(name)


@pytest.fixture(scope="module")
async def of_old(told: Whole) -> Customer:
    customer = await told.customer()
    key, admin = customer.keys["test INFERENCE"], customer.keys["test ADMIN"]
    of_both = customer.keys["live ADMIN"]
    now = told.app.rooms.clock.now()
    events = [
        {
            "id": f"{day}/{number}",
            "source": "looks",
            "time": (now - timedelta(days=day, minutes=7 * number)).isoformat(),
            "provider": "sandbox",
            "model": ("sandbox-small", "sandbox-large")[number % 2],
            "operation": "chat",
            "usage": {"input": 90_000 * (1 + (day * 5 + number) % 7), "output": 20_000},
            "input": "select region, sum(amount) from orders group by region",
        }
        for day in range(DAYS)
        for number in range(3)
    ]
    answer = await told.ask("POST", "/metering/events", key, events)
    assert answer.status < 300, answer.text
    for amount in (25, 50):
        bought = await told.ask("POST", "/billing/purchases", admin, {"amount": amount})
        assert bought.json["status"] == "succeeded", bought.text
    for number, role in enumerate(("owner", "billing", "member")):
        body = {"name": f"Person {number}", "email": f"{number}@example.org", "role": role}
        made = await told.ask("POST", "/members", of_both, body)
        assert made.status == 201
    return customer


@pytest.fixture
async def booth(chromium: Browser, told: Whole, of_old: Customer) -> AsyncIterator[Window]:
    opened = Window(chromium, told, of_old)
    yield opened
    await opened.close()


async def come(booth: Window, restyle: Callable[[str], str] | None = None) -> Page:
    page = await booth.sign_in()
    await page.emulate_media(reduced_motion="reduce")

    async def change(route: Route) -> None:
        answer = await route.fetch()
        assert restyle is not None
        await route.fulfill(response=answer, body=restyle(await answer.text()))

    if restyle is not None:
        # A profile keeps a sheet that it has: this one comes to another.
        await page.context.route("**/static/console-*.css", change)
    return page


async def photograph(page: Page, path: str) -> Image.Image:
    await page.emulate_media(color_scheme="dark" if PAGES[path] == "dark" else "light")
    await page.goto(f"/console/{path}")
    seen = Image.open(io.BytesIO(await page.screenshot(animations="disabled", caret="hide")))
    high = WIDE * seen.height // seen.width // TILES * TILES
    return seen.convert("L").resize((WIDE, high), Image.Resampling.BOX)


def difference(one: Image.Image, other: Image.Image) -> tuple[float, float]:
    """Of the whole, and of the part that differs most."""
    apart = ImageChops.difference(one, other)
    tiles = apart.resize((apart.width // TILES, apart.height // TILES), Image.Resampling.BOX)
    return ImageStat.Stat(apart).mean[0], float(ImageStat.Stat(tiles).extrema[0][1])


def place_of(path: str) -> Path:
    return LOOKS / f"{path.replace('/', '-')}.png"


async def differing(page: Page, *paths: str) -> dict[str, tuple[float, float]]:
    """By how much those pages differ that do."""
    found = {
        path: difference(Image.open(place_of(path)), await photograph(page, path)) for path in paths
    }
    return {path: by for path, by in found.items() if by[0] >= WHOLE or by[1] >= TILE}


async def test_pages_look_as_they_did(booth: Window) -> None:
    page = await come(booth)
    if os.environ.get(KEEP):
        LOOKS.mkdir(exist_ok=True)
        for path in PAGES:
            (await photograph(page, path)).save(place_of(path), optimize=True)
    assert await differing(page, *PAGES) == {}


async def test_with_another_font_they_are_the_same(booth: Window) -> None:
    page = await come(booth, lambda sheet: f"{sheet}\n{SAME}")
    assert await differing(page, *PAGES) == {}


async def test_without_a_style_sheet_they_are_not(booth: Window) -> None:
    page = await come(booth, lambda _: "")
    assert set(await differing(page, *PAGES)) == set(PAGES)


@pytest.mark.parametrize("change", BROKEN)
async def test_what_is_broken_is_seen(booth: Window, change: str) -> None:
    page = await come(booth, lambda sheet: f"{sheet}\n{BROKEN[change]}")
    assert await differing(page, "credits/add")
