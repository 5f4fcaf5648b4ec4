"""Somebody of a customer, and somebody of the staff, signed in; and what they ask for."""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from hashlib import md5
from urllib.parse import urlencode
from uuid import UUID

import aiohttp
from yarl import URL

from _stand import Customer
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.console import Pass, make_link
from tollkeeper.console.signing_in import account_sessions, store
from tollkeeper.console.signing_in.model import Account, StaffRole
from tollkeeper.db import Database
from tollkeeper.orgs import Role

_CONSOLE = "/console"
_LOG = f"{_CONSOLE}/usage"
_COSTS = f"{_CONSOLE}/analytics"
_STAFF = f"{_CONSOLE}/staff"
_LATE = 20  # pages into the log
# Pages that are links of others too, each with figures of all records.
_PARTS = (f"{_STAFF}/overview/earned", f"{_STAFF}/overview/checks")


@asynccontextmanager
async def customer_signed_in(
    url: str, base: str, customer: Customer
) -> AsyncGenerator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        async with session.get(await link_of(url, base, customer)) as home:
            await home.read()
        yield session


@asynccontextmanager
async def staff_signed_in(url: str, base: str) -> AsyncGenerator[aiohttp.ClientSession]:
    """What a password would give: a session of an account of the staff."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        token = await _sign_staff_in(url)
        session.cookie_jar.update_cookies({"tollkeeper_account": token}, URL(f"{base}{_CONSOLE}/"))
        yield session


async def link_of(url: str, base: str, customer: Customer) -> str:
    where = Pass(org_id=customer.org_id, role=Role.OWNER, livemode=False)
    async with Database.open(url) as database, database.transaction() as tx:
        chance, now = secrets.token_bytes(32), datetime.now(UTC)
        return (await make_link(tx, where, base, chance=chance, now=now)).url


async def _sign_staff_in(url: str) -> str:
    now, account_id = datetime.now(UTC), uuid7()
    account = Account(
        account_id=account_id,
        email=f"{account_id}@example.org",
        name="Bench",
        password_hash=None,
        staff_role=StaffRole.ADMIN,
        created_at=now,
    )
    async with Database.open(url) as database, database.transaction() as tx:
        await store.insert_account(tx, account)
        _, token = await account_sessions.begin(
            tx, account, user_agent="bench", chance=os.urandom(32), now=now
        )
    return token


async def menu_of(session: aiohttp.ClientSession, address: str) -> list[str]:
    """The addresses in the menu of a page."""
    async with session.get(address) as answer:
        text = await answer.text()
    menu = re.search(r'<nav class="menu".*?</nav>', text, re.DOTALL)
    if menu is None:
        raise SystemExit(f"{address}: {answer.status}, no menu")
    return sorted(set(re.findall(r'href="(/console/[a-z/-]+)"', menu[0])))


async def customer_pages(session: aiohttp.ClientSession, base: str) -> dict[str, str]:
    """Addresses by their names, beyond those of the menu: what the log and costs can be asked."""
    pages = {_name(path): path for path in await menu_of(session, f"{base}{_CONSOLE}/credits")}
    now = datetime.now(UTC)
    month = {"from": _moment(now - timedelta(days=60)), "to": _moment(now - timedelta(days=30))}
    narrowed = {
        "status=success": {"status": "success"},
        "status=error": {"status": "error"},
        "model": {"model": "model-3"},
        "model nobody has": {"model": "none"},
        "model, a month": {"model": "model-3", **month},
        "key": {"key": show_id("key", _md5("key7"))},
        "project": {"project": show_id("prj", _md5("2"))},
        "a month": month,
        "thread": {"thread": "none"},
        "tag": {"tag": "team:team-3"},
        "tag nobody has": {"tag": "team:none"},
        "end user": {"endUser": "user-42"},
        "end user nobody has": {"endUser": "none"},
        "provider nobody has": {"provider": "none"},
        "least": {"least": "1000"},
    }
    pages |= {f"usage: {name}": f"{_LOG}?{urlencode(said)}" for name, said in narrowed.items()}
    older = await _older(session, base, _LATE)
    pages |= {f"usage: page {_LATE}": older, "usage: rows below": older.replace("?", "/older?")}
    record = await _first(session, base + _LOG, r'href="(/console/usage/use_[0-9a-f]+)"')
    pages |= {"usage: a call": record}
    for period in ("30d", "90d", "year"):
        for by in ("model", "key", "endUser", "tag"):
            said = {"period": period, "by": by}
            pages[f"analytics: {period}, {by}"] = f"{_COSTS}?{urlencode(said)}"
    pages["analytics: 30d by day, one model"] = f"{_COSTS}?period=30d&by=key&model=model-3"
    pages["analytics: CSV"] = f"{_COSTS}/costs.csv?period=90d&by=key"
    pages["transactions: all"] = f"{_CONSOLE}/transactions?show=all"
    return pages


def exports() -> dict[str, str]:
    """What is streamed: its first byte counts, and nobody waits for the last."""
    return {
        "usage: CSV, first byte": f"{_LOG}/export?format=csv",
        "usage: CSV of a tag nobody has": f"{_LOG}/export?format=csv&tag=team:none",
        "transactions: CSV, first byte": f"{_CONSOLE}/transactions/download?show=all",
    }


async def staff_pages(
    session: aiohttp.ClientSession, base: str, customer: Customer
) -> dict[str, str]:
    paths = await menu_of(session, f"{base}{_STAFF}/overview")
    pages = {_name(path): path for path in paths if path.startswith(_STAFF)}
    organization = f"{_STAFF}/organizations/{show_id('org', customer.org_id)}"
    found = {"staff/organizations: search": f"{_STAFF}/organizations?q=bench"}
    found |= {"staff: an organization": organization}
    return pages | {_name(path): path for path in _PARTS} | found


async def seconds_of(session: aiohttp.ClientSession, url: str, *, whole: bool = True) -> float:
    """How long a page takes; or its first bytes alone."""
    began = time.perf_counter()
    async with session.get(url) as answer:
        await (answer.read() if whole else answer.content.readany())
        seconds = time.perf_counter() - began
        if answer.status != 200:
            raise SystemExit(f"{url}: {answer.status}")
        if not whole:
            answer.close()
    return seconds


async def _older(session: aiohttp.ClientSession, base: str, pages: int) -> str:
    path = _LOG
    for _ in range(pages):
        path = await _first(session, base + path, r'href="(/console/usage\?[^"]*before=[^"]+)"')
    return path


async def _first(session: aiohttp.ClientSession, url: str, pattern: str) -> str:
    async with session.get(url) as answer:
        found = re.search(pattern, await answer.text())
    if found is None:
        raise SystemExit(f"{url}: nothing like {pattern}")
    return found[1].replace("&amp;", "&")


def _name(path: str) -> str:
    return path.removeprefix(f"{_CONSOLE}/")


def _md5(text: str) -> UUID:
    """The ids that `_records` makes up."""
    return UUID(md5(text.encode(), usedforsecurity=False).hexdigest())


def _moment(at: datetime) -> str:
    return at.isoformat(timespec="minutes")
