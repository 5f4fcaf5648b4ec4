"""What people do to come to each page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import stops
from camera import Camera
from furnish import Api, Customers
from playwright.async_api import Page, expect
from stops import Stop

_PERSON: Final = {
    "email": "rosa@example.com",
    "name": "Rosa Moreau",
    "password": "a door with four hinges",
}
_PRICES: Final = """provider: sandbox
source: our own price list
checked_on: 2026-11-20
models:
  sandbox-small:
    prices:
      - from: 2031-01-01
        rates: {input: 0.2, cache_read: 0.1, output: 0.8, web_search: 0.01}
"""
_QUESTION: Final = "Which three metrics would you watch in the first month after a launch?"


async def arrive(camera: Camera, first_run: str) -> None:
    """The first of the staff makes an account."""
    async with camera.person() as page:
        await page.goto(first_run)
        await camera.snap(page, "first-run", "")
        await page.fill("#email", _PERSON["email"])
        await page.fill("#name", _PERSON["name"])
        await page.fill("#password", _PERSON["password"])
        await page.get_by_role("button", name="Make the account").click()
        await page.wait_for_url("**/console/**")
    async with camera.person() as page:
        await page.goto("/console/sign-in")
        await camera.snap(page, "sign-in", "phone")


async def be_customer(camera: Camera, api: Api, customers: Customers) -> None:
    async with camera.person() as page:
        await sign_in(page, api, customers.well, "owner")
        await stop_at(camera, page, stops.CUSTOMER)
        await buy(camera, page)
        await open_record(camera, page)
        await chat(camera, page)
        await make_key(camera, page)
        await open_webhook(camera, page)
        await page.goto("/console/members")
        await page.get_by_role("link", name="Remove").last.click()
        await camera.snap(page, "confirm", "")


async def run_out(camera: Camera, api: Api, customers: Customers) -> None:
    low, no_money, nowhere = (stop for stop in stops.AT_THE_END if stop.path)
    async with camera.person() as page:
        await sign_in(page, api, customers.low, "owner")
        await stop_at(camera, page, [low])
        await sign_in(page, api, customers.dry, "owner")
        await page.goto("/console/playground")
        await page.get_by_label("Message").fill(_QUESTION)
        await page.get_by_role("button", name="Send").click()
        await page.locator(".refused").wait_for()
        await camera.snap(page, "out-of-credits", "dark phone")
        await sign_in(page, api, customers.well, "member")
        await stop_at(camera, page, [no_money, nowhere])


async def be_staff(camera: Camera, customers: Customers) -> None:
    async with camera.person() as page:
        await page.goto("/console/sign-in")
        await page.fill("#email", _PERSON["email"])
        await page.fill("#password", _PERSON["password"])
        await page.get_by_role("button", name="Sign in", exact=True).click()
        await page.wait_for_url("**/console/staff/**")
        await stop_at(camera, page, stops.STAFF)
        await page.goto(f"/console/staff/organizations/{customers.well}?mode=test")
        await camera.snap(page, "organization", "dark")
        await page.goto("/console/staff/prices/models/anthropic/claude-haiku-4-5")
        await camera.snap(page, "price", "")
        await page.goto("/console/staff/prices/publish")
        await page.fill("#file", _PRICES)
        await page.get_by_role("button", name="Show what would change").click()
        await page.locator("pre").wait_for()
        await camera.snap(page, "price-change", "dark")


async def sign_in(page: Page, api: Api, org: str, role: str) -> None:
    wish = {"organizationId": org, "role": role, "livemode": False}
    link = await api.operate("POST", "/portal-sessions", wish)
    await page.goto(link["url"])


async def stop_at(camera: Camera, page: Page, there: Sequence[Stop]) -> None:
    for stop in there:
        if stop.path:
            await page.goto(f"/console/{stop.path}")
            await expect(page.locator(".skeleton")).to_have_count(1 if stop.name == "design" else 0)
            await camera.snap(page, stop.name, stop.kinds)


async def buy(camera: Camera, page: Page) -> None:
    await page.goto("/console/credits/add")
    await page.get_by_role("button", name="Buy credits").click()
    await page.wait_for_url("**/credits/purchases/**")
    await page.locator(".figures.halves").wait_for()
    await camera.snap(page, "purchase", "dark")


async def open_record(camera: Camera, page: Page) -> None:
    await page.goto("/console/usage")
    await page.locator(".open-row").first.click()
    await page.wait_for_url("**/usage/*")
    await camera.snap(page, "record", "phone")


async def chat(camera: Camera, page: Page) -> None:
    await page.goto("/console/playground")
    await page.get_by_label("Message").fill(_QUESTION)
    await page.get_by_role("button", name="Send").click()
    await page.locator(".said.assistant .cost .money").first.wait_for()
    await camera.snap(page, "playground", "dark phone")


async def make_key(camera: Camera, page: Page) -> None:
    await page.goto("/console/keys/new")
    await page.fill("#name", "Production, Frankfurt")
    await page.get_by_role("button", name="Create key").click()
    await page.locator("#secret").wait_for()
    await camera.snap(page, "key-made", "dark")


async def open_webhook(camera: Camera, page: Page) -> None:
    await page.goto("/console/webhooks")
    await page.locator("main td a").first.click()
    await page.locator("#deliveries").wait_for()
    await camera.snap(page, "webhook", "dark")
