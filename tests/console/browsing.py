"""A browser without a screen: it keeps cookies, and goes where it is sent when it is told to."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from yarl import URL

from tollkeeper.base.ids import uuid7
from tollkeeper.console.signing_in import account_sessions, store
from tollkeeper.console.signing_in.model import Account, StaffRole
from whole import Customer, Whole


@dataclass(frozen=True)
class Page:
    status: int
    headers: dict[str, str]
    text: str
    set_cookie: str

    @property
    def location(self) -> str:
        return self.headers["location"]

    @property
    def form_token(self) -> str:
        found = re.search(r'name="form_token" value="([0-9a-f]{128})"', self.text)
        assert found, self.text
        return found[1]


class Browser:
    def __init__(self, base: str, session: aiohttp.ClientSession) -> None:
        self.base = base
        self.session = session

    async def open(self, path: str) -> Page:
        return await self._send("GET", path, None)

    async def submit(self, path: str, **fields: str) -> Page:
        return await self._send("POST", path, fields)

    async def _send(self, method: str, path: str, fields: dict[str, str] | None) -> Page:
        url = path if path.startswith("http") else self.base + path
        async with self.session.request(method, url, data=fields, allow_redirects=False) as answer:
            headers = {name.lower(): value for name, value in answer.headers.items()}
            said = "; ".join(answer.headers.getall("set-cookie", []))
            return Page(answer.status, headers, await answer.text(errors="replace"), said)


@asynccontextmanager
async def browser(whole: Whole) -> AsyncGenerator[Browser]:
    jar = aiohttp.CookieJar(unsafe=True)  # cookies of an address without a name, too
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        yield Browser(whole.url, session)


async def make_link(
    whole: Whole, customer: Customer, role: str = "owner", *, livemode: bool = False
) -> str:
    body = {"organizationId": customer.id, "role": role, "livemode": livemode}
    answer = await whole.operate("POST", "/portal-sessions", body)
    assert answer.status == 201, answer.text
    return answer.json["url"]


@asynccontextmanager
async def signed_in(
    whole: Whole, customer: Customer, role: str = "owner", *, livemode: bool = False
) -> AsyncGenerator[Browser]:
    async with browser(whole) as one:
        entered = await one.open(await make_link(whole, customer, role, livemode=livemode))
        assert (entered.status, entered.location) == (303, "/console")
        yield one


async def make_account(
    whole: Whole, *, email: str | None = None, staff: str | None = None
) -> Account:
    """Somebody with an account and without a password; of the staff, where a role is said."""
    account = Account(
        account_id=uuid7(),
        email=email or f"{uuid7()}@example.org",
        name="Sam Staff" if staff else "Pat Person",
        password_hash=None,
        staff_role=None if staff is None else StaffRole(staff),
        created_at=whole.app.rooms.clock.now(),
    )
    async with whole.database.transaction() as tx:
        assert await store.insert_account(tx, account)
    return account


async def sign_in(whole: Whole, one: Browser, account: Account) -> None:
    """Give a browser what a password would give it."""
    now = whole.app.rooms.clock.now()
    async with whole.database.transaction() as tx:
        _, token = await account_sessions.begin(
            tx, account, user_agent="test", chance=os.urandom(32), now=now
        )
    one.session.cookie_jar.update_cookies(
        {"tollkeeper_account": token}, URL(f"{whole.url}/console/")
    )


@asynccontextmanager
async def staff_signed_in(whole: Whole, role: str = "admin") -> AsyncGenerator[Browser]:
    """A browser of somebody of the operator's staff: an admin, or a viewer."""
    async with browser(whole) as one:
        await sign_in(whole, one, await make_account(whole, staff=role))
        yield one
