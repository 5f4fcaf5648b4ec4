"""People with accounts, what they fill in, and what they are sent."""

from __future__ import annotations

import secrets
from typing import Any

from browsing import Browser, Page, make_account
from yarl import URL

from tollkeeper import orgs
from tollkeeper.base.ids import uuid7
from tollkeeper.console.signing_in import passwords, store
from tollkeeper.console.signing_in.inviting import invite_member as invite_member_of
from tollkeeper.console.signing_in.links import making
from tollkeeper.console.signing_in.links.making import NewLink, Post
from tollkeeper.console.signing_in.model import Account
from tollkeeper.operator import Act
from tollkeeper.orgs import Member, Role
from whole import Customer, Whole

PASSWORD = "a quiet green lamp"
OTHER = "another quiet lamp"
ACCOUNT = "/console/account"
STAFF = "/console/staff/staff"


async def make_link(whole: Whole, new: NewLink) -> str:
    post = Post(base_url=whole.url, mails=False)
    async with whole.database.transaction() as tx:
        return await making.make(
            tx, new, post, chance=secrets.token_bytes(32), now=whole.app.rooms.clock.now()
        )


async def invite_member(whole: Whole, customer: Customer, email: str, role: Role) -> str:
    now = whole.app.rooms.clock.now()
    member = Member(
        org_id=customer.org_id,
        member_id=uuid7(),
        name="Ada",
        email=email,
        role=role,
        created_at=now,
    )
    async with whole.database.transaction() as tx:
        await orgs.create_member(tx, member)
        act, post = Act(who="boss", why="", at=now), Post(base_url=whole.url, mails=False)
        link = await invite_member_of(tx, act, member, post, chance=secrets.token_bytes(32))
    assert link is not None
    return link


async def with_password(whole: Whole, email: str, *, staff: str | None = None) -> Account:
    account = await make_account(whole, email=email, staff=staff)
    async with whole.database.transaction() as tx:
        hashed = await passwords.hash_password(PASSWORD)
        await store.change_password(tx, account.account_id, hashed)
    return account


async def fill(one: Browser, path: str, at: str | None = None, **fields: str) -> Page:
    """Open a page and send its form."""
    shown = await one.open(path)
    assert shown.status == 200, shown.text
    return await one.submit(at or path, form_token=shown.form_token, **fields)


async def enter(one: Browser, email: str, password: str = PASSWORD, **more: str) -> Page:
    fields = {"email": email, "password": password} | more
    return await fill(one, "/console/sign-in", **fields)


async def audited(whole: Whole) -> list[Any]:
    return (await whole.operate("GET", "/audit-log")).json["data"]


def cookies_of(one: Browser) -> dict[str, str]:
    return {cookie.key: cookie.value for cookie in one.session.cookie_jar}


def keep(one: Browser, cookies: dict[str, str]) -> None:
    one.session.cookie_jar.update_cookies(cookies, URL(f"{one.base}/console/"))
