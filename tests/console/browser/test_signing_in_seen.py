"""Signing in as people see it: from the first link to the operator's pages, by keyboard alone."""

from __future__ import annotations

from datetime import UTC, datetime

from browsing import make_account
from looking import looks_right
from playwright.async_api import expect
from windows import Window

from tollkeeper.console.signing_in import passwords, store
from tollkeeper.console.signing_in.links import making
from tollkeeper.console.signing_in.links.making import NewLink, Post
from tollkeeper.console.signing_in.model import Purpose, StaffRole

PASSWORD = "a quiet green lamp"


async def test_from_an_invitation_to_ones_own_account(window: Window) -> None:
    whole, email = window.whole, f"new-{datetime.now(UTC).timestamp()}@example.org"
    new = NewLink(
        purpose=Purpose.STAFF,
        made_by="boss@example.org",
        email=email,
        staff_role=StaffRole.ADMIN,
    )
    async with whole.database.transaction() as tx:
        link = await making.make(
            tx,
            new,
            Post(base_url=whole.url, mails=False),
            chance=bytes(range(32)),
            now=datetime.now(UTC),
        )
    page = await window.open(whole.url)
    await page.goto(link)
    await looks_right(page)
    await page.get_by_label("Your name").fill("Nell New")
    await page.get_by_label("Choose a password").fill("short but")
    await page.evaluate("document.querySelector('#password').minLength = 0")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Take at least 10 characters")).to_be_visible()
    await expect(page.get_by_label("Your name")).to_have_value("Nell New")
    await looks_right(page)
    await page.get_by_label("Choose a password").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Nell New · Admin")).to_be_visible()
    await page.goto("/console/staff/staff")
    await page.get_by_label("E-mail").fill(f"next-{email}")
    await page.get_by_role("button", name="Invite", exact=True).click()
    await expect(page.get_by_text("Pass this link on")).to_be_visible()
    await looks_right(page)
    await page.goto("/console/account")
    await expect(page.get_by_text("Chrome on Linux")).to_be_visible()
    await looks_right(page)
    await page.get_by_role("button", name="Sign out", exact=True).click()
    await page.goto("/console/staff/staff")
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


async def test_signing_in_by_the_keyboard(window: Window) -> None:
    account = await make_account(window.whole)
    async with window.whole.database.transaction() as tx:
        hashed = await passwords.hash_password(PASSWORD)
        await store.change_password(tx, account.account_id, hashed)
    page = await window.open(window.whole.url, width=390)
    await page.goto("/console/sign-in?next=/console/account")
    await looks_right(page)
    await page.get_by_label("E-mail").focus()
    await page.keyboard.type(account.email)
    await page.keyboard.press("Tab")
    await page.keyboard.type("not the password")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("is not right")
    await expect(page.get_by_label("E-mail")).to_have_value(account.email)
    await looks_right(page)
    await page.get_by_label("Password").focus()
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    await page.goto("/console/organizations")
    await expect(page.get_by_text("No organization yet")).to_be_visible()
    await looks_right(page)
    other = await window.open(window.whole.url)
    await other.goto("/console/forgot")
    await looks_right(other)
