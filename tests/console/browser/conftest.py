"""A real browser before the whole application. How a test is written here:

    async def test_a_key_is_shown_once(window: Window) -> None:
        customer = await window.whole.customer()          # an organization that is this test's own
        page = await window.sign_in("owner", customer)    # a Page of playwright.async_api
        await page.goto("/console/keys")                  # addresses begin at the server's root
        await page.get_by_role("button", name="Create key").click()
        await expect(page.get_by_text("shown once")).to_be_visible()
        await looks_right(page)                           # from looking.py

`window.customer` is an organization with calls, purchases and budgets, in test mode, that all tests
share: read it, change nothing of it. Who changes something takes a customer of their own, on the
same server, as above; who needs a clock that moves takes the fixtures `whole` and `customer` of
tests/console/conftest.py and passes them: `window.sign_in("owner", customer, whole=whole)`.
Tests run beside each other on one server per worker: count nothing across organizations.

`sign_in` also takes `livemode=`, `scheme="dark"`, `width=390`, `height=`, `time_zone="Asia/Tokyo"`,
`locale="de-DE"` and `script=False`; each call is a browser profile of its own, so two of them are
two people.

When a test ends it fails for whatever its pages complained of: errors in the console (a breach of
the policy is one), scripts that threw, files or fetches that failed or answered 4xx or 5xx, and
anything asked of another host, which is never let out. What a test provokes it declares before:
`window.expects(409)`. A page opened by address may answer what it likes. Another host is played by
`await page.context.route("https://js.stripe.com/**", …)` after `window.plays("js.stripe.com")`.

Wait with `expect(…).to_…`: it tries again until it is so. `page.wait_for_function` does not work
here, because the pages' policy forbids evaluating text.

`looks_right(page)` in looking.py is axe in light and dark, at 1440 and 390 pixels, without a page
that scrolls sideways. test_every_page.py does it for each page that a menu or a link of one leads
to, so a page has to be tested here only for what it does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from playwright.async_api import Browser, async_playwright, expect
from windows import Window, find_chromium, furnish

from recycling import Databases
from tollkeeper.db import EmbeddedServer
from whole import Customer, Whole, whole_served


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    expect.set_options(timeout=15_000)  # milliseconds, on a machine that does much else
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=find_chromium(), args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
async def shared_whole(server: EmbeddedServer, databases: Databases) -> AsyncIterator[Whole]:
    """The server that tests of this folder share, one per worker."""
    name = databases.take(f"test_{uuid4().hex}")
    async with whole_served(server.url_of(name)) as served:
        yield served
    databases.drop(name)


@pytest.fixture(scope="session")
async def shared_customer(shared_whole: Whole) -> Customer:
    return await furnish(shared_whole)


@pytest.fixture
async def window(
    chromium: Browser, shared_whole: Whole, shared_customer: Customer
) -> AsyncIterator[Window]:
    opened = Window(chromium, shared_whole, shared_customer)
    yield opened
    await opened.close()
    assert opened.complaints == []
