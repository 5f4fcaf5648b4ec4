"""Another organization's things do not exist: every route and field that takes an id, walked with
those of others, answers as for an id that never was, tells nothing and changes nothing."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from urllib.parse import urlencode

import pytest
from browsing import Browser, browser, make_account, sign_in, signed_in
from console_routes import Route, Seen, ask, differences, read_token, routes_of, state_of
from furnished import Ids, everything_served, furnish, furnish_staff, strange

from recycling import Databases
from tollkeeper.base.ids import uuid7
from tollkeeper.db import EmbeddedServer
from whole import Customer, Whole

MARK = "belongs to somebody else"
_NEW = re.compile(
    r'[0-9a-f]{128}|[a-z]+_[0-9a-f]{32}|\b[0-9a-f]{32}\b|"[0-9a-f]{16}"|\b[0-9a-f]{40}\b'
)
# Of everybody, or of whoever has the link: no ids of an organization.
COMMON = frozenset({"token", "name", "rest", "month", "code"})
# Things that are in test mode alone; projects, members and budgets are in both.
OF_A_MODE = frozenset(
    {"webhook_id", "key_id", "usage_id", "method_id", "purchase_id", "invoice_id"}
)
# What would be done if it were there.
WANTED = {
    "name": "taken",
    "url": "http://127.0.0.1:9/taken",
    "type": "credit_balance_low",
    "confirmation": MARK,
    "role": "admin",
    "amount": "1",
    "costPeriod": "month",
    "tokenPeriod": "month",
    "enforcement": "hard",
}
ORDER = {
    "preset": "other",
    "amount": "25",
    "name": "Acme",
    "billingAddress.country": "DE",
    "billingAddress.line1": "Street 1",
    "billingAddress.city": "Hamburg",
    "billingAddress.postalCode": "20457",
    "seen": "2500",
}
LIMIT = {"name": "Mine", "measure": "cost", "period": "month", "amount": "1", "currency": "USD"}
KEY = {"name": "Mine", "kind": "INFERENCE", "costPeriod": "month", "tokenPeriod": "month"}
CHAT = {"model": "sandbox-small", "text": "hello", "longest": "100", "do": "send", "talk": "[]"}
TOP_UP = {"enabled": "yes", "threshold": "5", "buys": "amount", "amount": "25"}
# Fields of forms that name things, and what is sent with them.
FIELDS = [
    ("/console/keys", "projectId", "project_id", KEY),
    ("/console/limits", "projectId", "project_id", LIMIT),
    ("/console/limits", "apiKeyId", "key_id", LIMIT),
    ("/console/limits", "memberId", "member_id", LIMIT),
    ("/console/playground", "project", "project_id", CHAT),
    ("/console/playground/answer", "project", "project_id", CHAT),
    ("/console/playground/estimate", "project", "project_id", CHAT),
    ("/console/auto-top-up", "paymentMethodId", "method_id", TOP_UP),
    ("/console/auto-top-up/sentence", "paymentMethodId", "method_id", TOP_UP),
    ("/console/payment-methods/add", "paymentMethodId", "method_id", {"then": "auto-top-up"}),
    ("/console/credits/add", "method", "method_id", ORDER),
    ("/console/credits/quote", "method", "method_id", ORDER),
    ("/console/credits/purchases/{own}/resume", "method", "method_id", {}),
]
# Ids that whoever sends a form may choose: another's is not overwritten.
CHOSEN = [
    ("/console/keys", "newId", "key_id", KEY),
    ("/console/webhooks", "id", "webhook_id", {"url": "http://127.0.0.1:9/mine"}),
    ("/console/credits/add", "once", "purchase_id", ORDER),
]
QUERIES = {
    "project": "project_id",
    "key": "key_id",
    "member": "member_id",
    "method": "method_id",
    "paymentMethodId": "method_id",
    "purchase": "purchase_id",
    "endUser": "mark",
    "thread": "mark",
    "tag": "tag",
}


@dataclass(frozen=True)
class Two:
    whole: Whole
    one: Customer
    other: Customer
    ids: Ids
    stranger: Browser
    token: str


@pytest.fixture(scope="module")
async def two(server: EmbeddedServer, databases: Databases) -> AsyncIterator[Two]:
    async with AsyncExitStack() as opened:
        whole = await opened.enter_async_context(everything_served(server, databases))
        one, other = await whole.customer(), await whole.customer()
        ids = await furnish(whole, one, MARK) | await furnish_staff(whole, one, "of the operator")
        stranger = await opened.enter_async_context(signed_in(whole, other))
        never = {"rest": "x", "name": "x", "mark": MARK, "tag": f"team:{MARK}"}
        token = await read_token(stranger, "/console/usage")
        yield Two(whole, one, other, ids | never, stranger, token)


def walked(whole: Whole) -> list[Route]:
    """Those of customers that take an id. Who reads those of staff, test_matrix says."""
    return [
        route
        for route in routes_of(whole)
        if set(route.places) - COMMON and not route.path.startswith("/console/staff/")
    ]


def told(seen: Seen) -> tuple[int, str, str]:
    """An answer without what is new in each, and without ids that were asked for."""
    where = _NEW.sub("…", seen.headers.get("location", ""))
    return seen.status, where, _NEW.sub("…", seen.text)


def leaks(two: Two, seen: Seen, asked: str = "") -> list[str]:
    hidden = {MARK, *(said for said in two.ids.values() if _NEW.fullmatch(said))}
    return [said for said in hidden if said in seen.text and said not in asked]


async def send(one: Browser, route: Route, path: str, token: str, **fields: str) -> Seen:
    form = {"form_token": token, **WANTED, **fields} if route.method == "POST" else None
    return await ask(one, route, path, form)


async def test_ids_of_others_are_ids_that_never_were(two: Two) -> None:
    routes, wrong = walked(two.whole), list[str]()
    assert len(routes) > 30
    unknown = {place for route in routes for place in route.places} - set(two.ids)
    assert unknown == set(), "say in furnished.py what these are"
    never = strange(two.ids)
    async with signed_in(two.whole, two.other, livemode=True) as live:
        before = await state_of(two.whole)
        people = [(two.stranger, two.token), (live, await read_token(live, "/console/usage"))]
        for route in routes:
            if route.path.startswith(("/console/account", "/console/organizations")):
                continue
            for who, token in people:
                seen = await send(who, route, route.filled(two.ids), token)
                wanted = await send(who, route, route.filled(never), token)
                fine = seen.status == 404 or route.path.startswith("/console/playground/cost")
                found = leaks(two, seen, route.filled(two.ids))
                if not fine or told(seen) != told(wanted) or found:
                    wrong.append(f"{route}: {seen.status}, {wanted.status}, {found}")
    assert wrong == []
    assert differences(before, await state_of(two.whole)) == []


async def test_what_is_of_the_test_mode_is_not_in_the_live_one(two: Two) -> None:
    wrong: list[str] = []
    async with signed_in(two.whole, two.one, livemode=True) as live:
        before = await state_of(two.whole)
        token = await read_token(live, "/console/usage")
        for route in walked(two.whole):
            if set(route.places) & OF_A_MODE and "playground" not in route.path:
                seen = await send(live, route, route.filled(two.ids), token)
                if seen.status != 404:
                    wrong.append(f"{route}: {seen.status}")
    assert wrong == []
    assert differences(before, await state_of(two.whole)) == []


async def test_accounts_end_their_own_sessions_and_open_their_own_organizations(two: Two) -> None:
    before = await state_of(two.whole)
    async with browser(two.whole) as one:
        await sign_in(two.whole, one, await make_account(two.whole))
        before["account"] = (await state_of(two.whole))["account"]
        token = await read_token(one, "/console/account")
        for path in (
            "/console/organizations/{org_id}",
            "/console/account/sessions/{session_id}/end",
        ):
            route = Route("POST", path)
            seen = await send(one, route, route.filled(two.ids), token)
            wanted = await send(one, route, route.filled(strange(two.ids)), token)
            assert told(seen) == told(wanted)
            assert not any("tollkeeper_console" in cookie for cookie in seen.cookies)
    async with two.whole.database.connection() as connection:
        rows = await (await connection.execute("SELECT user_agent FROM account_session")).fetchall()
    assert ("elsewhere",) in rows
    assert differences(before, await state_of(two.whole)) == []


async def test_fields_that_name_what_others_have(two: Two) -> None:
    """Refused as for what never was."""
    bought = await two.whole.ask(
        "POST", "/billing/purchases", two.other.keys["test ADMIN"], {"amount": 25}
    )
    never, before = strange(two.ids), await state_of(two.whole)
    for path, field, place, more in FIELDS:
        route = Route("POST", path.replace("{own}", bought.json["id"]))
        answers: list[tuple[int, str, str]] = []
        for ids in (two.ids, never):
            form = {"form_token": two.token, **more, field: ids[place]}
            seen = await ask(two.stranger, route, route.path, form)
            assert seen.status < 500, (route, seen.text)
            assert leaks(two, seen, ids[place]) == [], route
            answers.append(told(seen))
        assert answers[0] == answers[1], (route, field)
    changed = differences(before, await state_of(two.whole))
    assert set(changed) <= {"payment", "purchase", "payment_customer", "audit_log"}, changed


async def of_one(two: Two) -> list[str]:
    """What programs of the organization are told."""
    key = two.one.keys["test ADMIN"]
    lists = ("api-keys", "webhooks", "billing/purchases", "billing/balance", "budgets", "projects")
    more = ("members", "billing/payment-methods", "billing/invoices", "billing/auto-top-up")
    return [(await two.whole.ask("GET", f"/{path}", key)).text for path in (*lists, *more)]


async def test_addresses_that_name_what_others_have(two: Two) -> None:
    wrong: list[str] = []
    for route in routes_of(two.whole):
        staff = route.path.startswith(("/console/staff", "/console/enter", "/console/account"))
        if route.method != "GET" or route.places or staff:
            continue
        for name, place in QUERIES.items():
            said = two.ids[place]
            path = f"{route.path}?{urlencode({name: said})}"
            seen = await ask(two.stranger, route, path)
            # Words that were asked for may be said again.
            if seen.status >= 500 or leaks(two, seen, said):
                wrong.append(f"{path}: {seen.status}")
    assert wrong == []


async def test_pages_of_others_are_not_gone_on_with(two: Two) -> None:
    """The address of an older page is of one organization and mode."""
    key = two.one.keys["test INFERENCE"]
    for number in range(60):
        call = {"provider": "sandbox", "model": "sandbox-small", "usage": {"input": 1}}
        body = call | {"requestId": f"{uuid7()}", "input": f"{MARK} {number}"}
        assert (await two.whole.ask("POST", "/metering/charges", key, body)).status < 300
    found: list[str] = []
    async with (
        signed_in(two.whole, two.one) as owner,
        signed_in(two.whole, two.one, livemode=True) as live,
    ):
        for path in ("usage", "transactions?show=all"):
            text = (await owner.open(f"/console/{path}")).text
            links = re.findall(r'"(/console/[\w/]+\?[^"]*before=[^"]+)"', text)
            found += [link.replace("&amp;", "&") for link in links]
        assert len(found) >= 3
        for address in found:
            assert (await owner.open(address)).status == 200
            for who in (two.stranger, live):
                refused = await who.open(address)
                assert refused.status == 400, address
                assert MARK not in refused.text


async def test_what_is_called_by_anothers_id_is_still_ones_own(two: Two) -> None:
    before = await of_one(two)
    for path, field, place, more in CHOSEN:
        form = {"form_token": two.token, **more, field: two.ids[place]}
        seen = await ask(two.stranger, Route("POST", path), path, form)
        assert seen.status < 500, (path, seen.text)
        assert MARK not in seen.text
    assert await of_one(two) == before
