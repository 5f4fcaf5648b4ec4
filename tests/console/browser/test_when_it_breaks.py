"""What people see when the database is away, the server starts anew, or a script does not come."""

from __future__ import annotations

import re
from contextlib import closing

import aiohttp
from looking import looks_right, looks_right_here
from playwright.async_api import Response, expect
from test_buying import ADD, fill_address
from windows import Window

from outages import outage
from serving import served
from tollkeeper.app import open_app
from tollkeeper.base.settings import Settings
from tollkeeper.db import Connection
from tollkeeper.ops.server import address_of, listen
from whole import Whole, whole_served


def _is_refused(answer: Response) -> bool:
    return answer.status == 503


async def test_a_purchase_while_the_database_is_away(
    window: Window, owner: Connection, database_url: str
) -> None:
    async with whole_served(database_url) as whole:
        customer = await whole.customer()
        page = await window.sign_in("owner", customer, whole=whole)
        window.expects(503)
        await page.goto(ADD)
        await fill_address(page)
        await page.get_by_label("City").fill("Lübeck")
        async with outage(owner):
            async with page.expect_response(_is_refused, timeout=25_000) as asked:
                await page.get_by_text("$50", exact=True).click()
            await (await asked.value).finished()
            await page.wait_for_timeout(500)
            await expect(page.locator("#total")).to_contain_text("Total")
            await page.get_by_role("button", name="Buy credits").click(no_wait_after=True)
            heading = page.get_by_role("heading", level=1)
            await expect(heading).to_contain_text(re.compile("cannot|later|now"), timeout=25_000)
            await expect(page.locator("main")).to_contain_text("again")
            await looks_right(page)
            tab = await page.context.new_page()
            await tab.goto("/console/keys", timeout=25_000)
            await expect(tab.get_by_role("link", name="Try again")).to_be_visible()
            await tab.close()
        await page.go_back()
        await expect(page.get_by_label("City")).to_have_value("Lübeck")
        await fill_address(page)
        await page.get_by_role("button", name="Buy credits").click()
        await page.wait_for_url("**/sandbox/pay/**")
        key = customer.keys["test ADMIN"]
        listed = await whole.ask("GET", "/billing/purchases", key)
        assert len(listed.json["data"]) == 1
        await page.close()  # while there is somebody to tell it of the balance


async def test_a_page_outlives_its_server(window: Window, database_url: str) -> None:
    async with whole_served(database_url) as whole:
        customer = await whole.customer()
        page = await window.sign_in("owner", customer, whole=whole)
        await page.goto("/console/plan")
        await expect(page.locator("[data-live-balance] .money")).to_have_text("$10.00")
        operator_key = whole.operator_key
        port = int(whole.url.rpartition(":")[2])
    with closing(listen("127.0.0.1", port)) as listener:
        where = address_of(listener)
        async with (
            open_app(Settings(), database_url, None, address=where) as app,
            served(app.asgi, listener, app.drain),
            aiohttp.ClientSession() as asked,
        ):
            again = Whole(app, where, asked)
            again.operator_key = operator_key
            gift = {"amount": 5, "livemode": False, "reason": "welcome back"}
            given = await again.operate("POST", f"/organizations/{customer.id}/grants", gift)
            assert given.status == 201, given.text
            money = page.locator("[data-live-balance] .money")
            await expect(money).to_have_text("$15.00", timeout=20_000)
    # What could not be had while nobody was there is no fault of the page.
    window.complaints[:] = [one for one in window.complaints if "/console/live" not in one]


async def test_an_answer_that_does_not_come(window: Window) -> None:
    """The playground says so, and keeps the question."""
    page = await window.sign_in("owner", await window.whole.customer())
    await page.goto("/console/playground")
    await page.context.route("**/playground/answer", lambda route: route.abort("connectionreset"))
    await page.locator("#text").fill("A question of some length")
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator("[data-refused] .fault")).to_be_visible()
    await expect(page.locator("#text")).to_have_value("A question of some length")
    await expect(page.locator("[data-talk] li")).to_have_count(0)
    await looks_right(page)
    window.complaints[:] = [one for one in window.complaints if "/answer" not in one]
    await page.context.unroute("**/playground/answer")
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator("[data-talk] li")).to_have_count(2)


async def test_pages_are_whole_when_no_script_comes(window: Window) -> None:
    """At a width where tables fit: browsers let the keyboard scroll those that do not, which axe
    does not know."""
    page = await window.sign_in("owner")
    await page.context.route(
        "**/console/static/*.js",
        lambda route: route.fulfill(body="", content_type="text/javascript"),
    )
    for path in ("credits", "credits/add", "usage", "analytics"):
        await page.goto(f"/console/{path}")
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        await expect(page.locator("main")).to_contain_text("UTC")
        await looks_right_here(page)
