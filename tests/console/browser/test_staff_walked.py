"""Every page that the operator's menu, or a link in one of its pages, leads to, with full tables;
and the pages of who is nobody yet."""

from __future__ import annotations

import secrets

import pytest
from browsing import make_account, make_link
from furniture_of_staff import STAFF, furnish_for_staff, staff_page
from looking import WIDTHS, focused, looks_right, stays_in_place
from playwright.async_api import expect
from test_every_page import look_at, menu_of, walk
from windows import Window

from tollkeeper.console.signing_in.links import making
from tollkeeper.console.signing_in.links.making import NewLink, Post
from tollkeeper.console.signing_in.model import Purpose, StaffRole
from whole import Customer, Whole


@pytest.fixture(scope="module")
async def furnished(shared_whole: Whole) -> Customer:
    return await furnish_for_staff(shared_whole)


async def test_an_admins_pages(window: Window, furnished: Customer) -> None:
    page = await staff_page(window, width=390)
    await page.goto(STAFF)
    seen = set(await walk(page))
    of_one = f"{STAFF}/organizations/…"
    assert {of_one, f"{STAFF}/grants", f"{STAFF}/prices", f"{STAFF}/jobs"} <= seen
    for mode in ("live", "test"):
        await look_at(page, f"{STAFF}/organizations/{furnished.id}?mode={mode}")
        await look_at(page, f"{STAFF}/overview?mode={mode}")


async def test_a_viewers_pages(window: Window, furnished: Customer) -> None:
    page = await staff_page(window, "viewer")
    await page.goto(STAFF)
    seen = await walk(page)
    assert f"{STAFF}/organizations/…" in seen
    assert not [path for path in seen if path.endswith(("/new", "/publish", "/grant", "/freeze"))]
    await look_at(page, f"{STAFF}/organizations/{furnished.id}?mode=test")
    await page.goto(f"{STAFF}/plans/publish")
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    await looks_right(page)


@pytest.mark.parametrize("width", WIDTHS)
async def test_the_keyboard_goes_through_the_staffs_menu(window: Window, width: int) -> None:
    page = await staff_page(window, width=width)
    await page.goto(STAFF)
    paths = await page.locator("nav.menu a").evaluate_all("all => all.map(one => one.pathname)")
    await page.keyboard.press("Tab")
    while not (entry := await focused(page))["inMenu"]:
        assert entry["seen"], entry
        await page.keyboard.press("Tab")
    for _ in paths[1:]:
        await page.keyboard.press("Tab")
        entry = await focused(page)
        assert entry["inMenu"], entry
        assert entry["seen"], entry
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**{paths[-1]}")


async def test_pages_of_who_pays_the_bills(window: Window) -> None:
    """Live, where nothing has happened yet."""
    page = await window.sign_in("billing", livemode=True, width=390)
    paths = await menu_of(page)
    assert "/console/keys" not in paths
    for path in paths:
        await look_at(page, path)


async def link_for(whole: Whole, purpose: Purpose, **said: object) -> str:
    new = NewLink(purpose=purpose, made_by="boss@example.org", **said)  # pyright: ignore[reportArgumentType] (each test says other fields)
    post = Post(base_url=whole.url, mails=False)
    now = whole.app.rooms.clock.now()
    async with whole.database.transaction() as tx:
        return await making.make(tx, new, post, chance=secrets.token_bytes(32), now=now)


async def test_pages_before_somebody_is_signed_in(window: Window) -> None:
    whole = window.whole
    account = await make_account(whole)
    email = f"{secrets.token_hex(8)}@example.org"
    staff = await link_for(whole, Purpose.STAFF, email=email, staff_role=StaffRole.VIEWER)
    reset = await link_for(whole, Purpose.RESET, email=account.email)
    first = await link_for(whole, Purpose.FIRST_RUN)
    page = await window.open(whole.url)
    for path in ("/console/sign-in", "/console/forgot", staff, reset, first):
        await page.goto(path)
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        await stays_in_place(page)
        await looks_right(page)


async def test_pages_that_say_what_is_wrong(window: Window) -> None:
    """401, 403 and 404, a link that was used and one that never was."""
    page = await window.open(window.whole.url)
    link = await make_link(window.whole, window.customer)
    await page.goto(link)
    used = await window.open(window.whole.url)
    for path, said in [
        (link, "link"),
        ("/console/enter/nonsense", "link"),
        ("/console/invitation/nonsense", "link"),
        ("/console/credits", "Sign in"),
        ("/console/nowhere", ""),
    ]:
        await used.goto(path)
        await expect(used.get_by_role("heading", level=1)).to_be_visible()
        await expect(used.locator("main")).to_contain_text(said, ignore_case=True)
        await looks_right(used)
    await page.goto("/console/credits/purchases/pur_00000000000000000000000000000000")
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    await looks_right(page)


async def test_pages_of_ones_own_account(window: Window) -> None:
    page = await staff_page(window, "viewer", width=390)
    for path in ("/console/account", "/console/organizations?choose=1"):
        await page.goto(path)
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        await stays_in_place(page)
        await looks_right(page)
