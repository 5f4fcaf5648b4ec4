"""Every route of the console, as the application has them, and how tests walk them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import aiohttp
from browsing import Browser
from litestar.routes import HTTPRoute
from psycopg import sql

from whole import Whole

_MADE_BY_US = frozenset({"OPTIONS", "HEAD"})
_PLACE = re.compile(r"\{(\w+)\}")
_HASH = re.compile(r"-[0-9a-f]{16}(?=$|\.)")
_MOST = 400_000
# Not those that guards and jobs write by themselves: sessions, sums, attempts, mails.
_WATCHED = (
    *("wallet", "hold", "entry", "lot", "usage_record", "organization", "project", "member"),
    *("price_version", "markup", "notice_preference", "webhook_endpoint"),
    *("payment_customer", "payment_method", "payment", "refund", "dispute", "invoice"),
    *("purchase", "billing_profile", "auto_top_up", "usage_limit", "plan", "plan_version"),
    *("subscription", "payment_subscription", "recurring_grant", "campaign", "redemption"),
    *("account", "account_member", "account_link", "audit_log"),
)


@dataclass(frozen=True, order=True)
class Route:
    """`path` has the names of what is filled in; `/console/keys/{key_id}`."""

    method: str
    path: str

    @property
    def places(self) -> list[str]:
        return _PLACE.findall(self.path)

    def filled(self, ids: dict[str, str]) -> str:
        return _PLACE.sub(lambda found: ids[found[1]], self.path)

    def __str__(self) -> str:
        return f"{self.method:4} {self.path}"


def routes_of(whole: Whole) -> list[Route]:
    """Those below /console; the hash in the address of a file is left out."""
    found = set[Route]()
    for route in whole.app.api.litestar.routes:
        if isinstance(route, HTTPRoute) and route.path_format.startswith("/console"):
            path = _HASH.sub("", route.path_format)
            found |= {Route(method, path) for method in route.methods - _MADE_BY_US}
    return sorted(found)


@dataclass(frozen=True)
class Seen:
    status: int
    headers: dict[str, str]
    body: bytes
    cookies: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")


async def ask(
    one: Browser, route: Route, path: str, fields: dict[str, str] | None = None, **headers: str
) -> Seen:
    """The answer as it is, redirects too; of a stream, its beginning."""
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = aiohttp.FormData(fields or {}) if route.method == "POST" else None
    async with one.session.request(
        route.method, one.base + path, data=sent, headers=said, allow_redirects=False
    ) as answer:
        known = {name.lower(): value for name, value in answer.headers.items()}
        endless = known.get("content-type", "").startswith("text/event-stream")
        body = await (answer.content.readany() if endless else answer.content.read(_MOST))
        if endless:
            answer.close()
        return Seen(answer.status, known, body, answer.headers.getall("set-cookie", []))


async def read_token(one: Browser, *pages: str) -> str:
    """The token of the forms that one may send; any page of theirs has it."""
    for path in pages:
        page = await one.open(path)
        if page.status == 200:
            return page.form_token
    return "0" * 128


async def state_of(whole: Whole) -> dict[str, str]:
    """What the tables hold, by their names: for comparing before with after."""
    one = sql.SQL(
        "SELECT {name}, count(*) || coalesce(md5(string_agg(x::text, ''"
        " ORDER BY x::text)), '') FROM {table} x"
    )
    asked = sql.SQL(" UNION ALL ").join(
        one.format(name=sql.Literal(name), table=sql.Identifier(name)) for name in _WATCHED
    )
    async with whole.database.connection() as connection:
        rows = await (await connection.execute(asked)).fetchall()
    return {row[0]: row[1] for row in rows}


def differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    return [name for name, said in before.items() if after[name] != said]
