"""Role by page by act: who gets in where, for every route that the console has.

A route that is added needs a line here. POSTs are tried with the right token of their sender's
forms, and without one.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from browsing import Browser, browser, make_account, sign_in, signed_in, staff_signed_in
from console_routes import Route, Seen, ask, differences, read_token, routes_of, state_of
from furnished import Ids, everything_served, furnish, furnish_staff, strange

from recycling import Databases
from tollkeeper.db import EmbeddedServer
from whole import Whole

GUIDE = Path(__file__).parents[2] / "docs/how-to/use-the-console.md"

PEOPLE = ("nobody", "member", "billing", "admin", "owner", "account", "viewer", "operator")
# `account` has one and is of no staff; `viewer` and `operator` are the staff's viewer and admin.
ALL = frozenset(PEOPLE)
SIGNED = frozenset({"member", "billing", "admin", "owner"})
MONEY = SIGNED - {"member"}
MANAGERS = MONEY - {"billing"}
ACCOUNT = frozenset({"account", "viewer", "operator"})
STAFF = ACCOUNT - {"account"}
ACTS = STAFF - {"viewer"}

TABLE = {
    "/console": {"GET": SIGNED},
    "/console/account": {"GET": ACCOUNT},
    "/console/account/name": {"POST": ACCOUNT},
    "/console/account/password": {"POST": ACCOUNT},
    "/console/account/sessions/{session_id}/end": {"POST": ACCOUNT},
    "/console/account/sign-out": {"POST": ACCOUNT},
    "/console/account/sign-out-everywhere": {"POST": ACCOUNT},
    "/console/analytics": {"GET": SIGNED},
    "/console/analytics/costs.csv": {"GET": SIGNED},
    "/console/auto-top-up": {"GET": MONEY, "POST": MONEY},
    "/console/auto-top-up/resume": {"POST": MONEY},
    "/console/auto-top-up/sentence": {"POST": MONEY},
    "/console/billing": {"GET": ALL},
    "/console/billing-profile": {"GET": MONEY, "POST": MONEY},
    "/console/billing-profile/country": {"POST": MONEY},
    "/console/credits": {"GET": MONEY},
    "/console/credits/add": {"GET": MONEY, "POST": MONEY},
    "/console/credits/balance": {"GET": MONEY},
    "/console/credits/purchases/{purchase_id}": {"GET": MONEY},
    "/console/credits/purchases/{purchase_id}/cancel": {"POST": MONEY},
    "/console/credits/purchases/{purchase_id}/resume": {"POST": MONEY},
    "/console/credits/quote": {"POST": MONEY},
    "/console/enter/{token}": {"GET": ALL},
    "/console/first-run/{token}": {"GET": ALL, "POST": ALL},
    "/console/forgot": {"GET": ALL, "POST": ALL},
    "/console/invitation/{token}": {"GET": ALL, "POST": ALL},
    "/console/invoices": {"GET": MONEY},
    "/console/invoices/{invoice_id}": {"GET": MONEY},
    "/console/keys": {"GET": MANAGERS, "POST": MANAGERS},
    "/console/keys/new": {"GET": MANAGERS},
    "/console/keys/{key_id}": {"GET": MANAGERS, "POST": MANAGERS},
    "/console/keys/{key_id}/revoke": {"GET": MANAGERS, "POST": MANAGERS},
    "/console/limits": {"GET": MONEY, "POST": MONEY},
    "/console/limits/new": {"GET": MONEY},
    "/console/limits/{budget_id}": {"GET": MONEY, "POST": MONEY},
    "/console/limits/{budget_id}/delete": {"GET": MONEY, "POST": MONEY},
    "/console/limits/{budget_id}/reset": {"POST": MONEY},
    "/console/live": {"GET": SIGNED},
    "/console/members": {"GET": MANAGERS, "POST": MANAGERS},
    "/console/members/{member_id}": {"GET": MANAGERS, "POST": MANAGERS},
    "/console/members/{member_id}/invite": {"POST": MANAGERS},
    "/console/members/{member_id}/remove": {"GET": MANAGERS, "POST": MANAGERS},
    "/console/notifications": {"GET": MONEY},
    "/console/notifications/read": {"POST": MONEY},
    # Others than owners and admins choose for themselves only: see test_event_settings.
    "/console/notifications/{member_id}": {"GET": MANAGERS, "POST": MANAGERS},
    "/console/oidc/callback": {"GET": ALL},
    "/console/oidc/start": {"GET": ALL},
    "/console/organizations": {"GET": ACCOUNT},
    "/console/organizations/{org_id}": {"POST": ACCOUNT},
    "/console/payment-methods": {"GET": MONEY},
    "/console/payment-methods/add": {"POST": MONEY},
    "/console/payment-methods/added": {"GET": MONEY},
    "/console/payment-methods/portal": {"POST": MONEY},
    "/console/payment-methods/{method_id}/default": {"POST": MONEY},
    "/console/payment-methods/{method_id}/remove": {"GET": MONEY, "POST": MONEY},
    "/console/plan": {"GET": SIGNED},
    "/console/plan/cancel": {"GET": MONEY, "POST": MONEY},
    "/console/plan/choose/{code}": {"GET": MONEY, "POST": MONEY},
    "/console/plan/resume": {"POST": MONEY},
    "/console/playground": {"GET": SIGNED, "POST": SIGNED},
    "/console/playground/answer": {"POST": SIGNED},
    "/console/playground/cost/{usage_id}": {"GET": SIGNED},
    "/console/playground/estimate": {"POST": SIGNED},
    "/console/projects": {"GET": MANAGERS, "POST": MANAGERS},
    "/console/projects/{project_id}": {"GET": MANAGERS, "POST": MANAGERS},
    "/console/projects/{project_id}/archive": {"GET": MANAGERS, "POST": MANAGERS},
    "/console/reset/{token}": {"GET": ALL, "POST": ALL},
    "/console/sign-in": {"GET": ALL, "POST": ALL},
    "/console/sign-out": {"POST": SIGNED},
    "/console/signed-out": {"GET": ALL},
    "/console/staff": {"GET": STAFF},
    "/console/staff/audit": {"GET": STAFF},
    "/console/staff/design": {"GET": STAFF},
    "/console/staff/disputes": {"GET": STAFF},
    "/console/staff/grants": {"GET": STAFF},
    "/console/staff/grants/campaigns/new": {"GET": ACTS, "POST": ACTS},
    "/console/staff/grants/campaigns/{campaign_id}/end": {"GET": ACTS, "POST": ACTS},
    "/console/staff/grants/recurring/new": {"GET": ACTS, "POST": ACTS},
    "/console/staff/grants/recurring/{grant_id}/end": {"GET": ACTS, "POST": ACTS},
    "/console/staff/inbox": {"GET": STAFF},
    "/console/staff/inbox/{processor}/{event_id}": {"GET": STAFF},
    "/console/staff/inbox/{processor}/{event_id}/replay": {"POST": ACTS},
    "/console/staff/jobs": {"GET": STAFF},
    "/console/staff/jobs/{job_id}/run": {"POST": ACTS},
    "/console/staff/organizations": {"GET": STAFF},
    "/console/staff/organizations/new": {"GET": ACTS, "POST": ACTS},
    "/console/staff/organizations/{organization_id}": {"GET": STAFF},
    **{
        f"/console/staff/organizations/{{organization_id}}/{act}": {"GET": ACTS, "POST": ACTS}
        for act in (
            *("adjust", "cancel-plan", "freeze", "grant", "open", "overdraft", "plan"),
            *("purchases/{purchase_id}/refund", "unfreeze"),
        )
    },
    "/console/staff/overview": {"GET": STAFF},
    "/console/staff/overview/checks": {"GET": STAFF},
    "/console/staff/overview/earned": {"GET": STAFF},
    "/console/staff/plans": {"GET": STAFF},
    "/console/staff/plans/publish": {"GET": ACTS, "POST": ACTS},
    "/console/staff/plans/{code}": {"GET": STAFF},
    "/console/staff/plans/{code}/retire": {"GET": ACTS, "POST": ACTS},
    "/console/staff/prices": {"GET": STAFF},
    "/console/staff/prices/import": {"GET": ACTS, "POST": ACTS},
    "/console/staff/prices/models/{provider}/{model}": {"GET": STAFF},
    "/console/staff/prices/publish": {"GET": ACTS, "POST": ACTS},
    "/console/staff/providers": {"GET": STAFF},
    "/console/staff/refunds": {"GET": STAFF},
    "/console/staff/settings": {"GET": STAFF},
    "/console/staff/staff": {"GET": STAFF, "POST": ACTS},
    "/console/staff/staff/invitations/{link_id}/withdraw": {"POST": ACTS},
    "/console/staff/staff/{account_id}": {"POST": ACTS},
    "/console/statements/{month}": {"GET": MONEY},
    "/console/static/{name}": {"GET": ALL},
    "/console/switch-mode": {"POST": SIGNED},
    "/console/theme/style": {"GET": ALL},
    "/console/transactions": {"GET": MONEY},
    "/console/transactions/download": {"GET": MONEY},
    "/console/usage": {"GET": SIGNED},
    "/console/usage/export": {"GET": SIGNED},
    "/console/usage/newer": {"GET": SIGNED},
    "/console/usage/older": {"GET": SIGNED},
    "/console/usage/{usage_id}": {"GET": SIGNED},
    "/console/webhooks": {"GET": MANAGERS, "POST": MANAGERS},
    "/console/webhooks/new": {"GET": MANAGERS},
    "/console/webhooks/{webhook_id}": {"GET": MANAGERS},
    "/console/webhooks/{webhook_id}/change": {"GET": MANAGERS, "POST": MANAGERS},
    "/console/webhooks/{webhook_id}/delete": {"GET": MANAGERS, "POST": MANAGERS},
    "/console/webhooks/{webhook_id}/deliveries/{delivery_id}": {"GET": MANAGERS},
    "/console/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver": {"POST": MANAGERS},
    "/console/webhooks/{webhook_id}/enabled": {"POST": MANAGERS},
    "/console/webhooks/{webhook_id}/rotate": {"POST": MANAGERS},
    "/console/webhooks/{webhook_id}/test": {"POST": MANAGERS},
    "/console/{rest}": {"GET": ALL},
}
# What somebody gets who may open a page, where it is no page that was filled in.
FOUND = {
    "/console/oidc/callback": {401},
    "/console/enter/{token}": {401},
    "/console/first-run/{token}": {401},
    "/console/invitation/{token}": {401},
    "/console/reset/{token}": {401},
    "/console/plan/cancel": {404},
    "/console/static/{name}": {404},
    "/console/theme/style": {404},
    "/console/{rest}": {404},
    "/console/usage/export": {400},
    "/console/usage/newer": {400},
    "/console/usage/older": {400},
}
# Who does these is somebody else after, so that they come last and are done by one.
PARTING = {
    "/console/switch-mode": "admin",
    "/console/sign-out": "owner",
    "/console/account/sign-out": "viewer",
    "/console/account/sign-out-everywhere": "operator",
}
# Who is signed in with an account is led on from where others sign in.
GUESTS = frozenset({"nobody", "member", "owner"})
# What the guide's table calls a page, and where it is.
NAMED = {
    "Credits": "credits",
    "Auto top-up": "auto-top-up",
    "Notifications": "notifications",
    "Webhooks": "webhooks",
    "Add credits": "credits/add",
    "Transactions": "transactions",
    "Invoices": "invoices",
    "Usage and analytics": "analytics",
    "Usage logs": "usage",
    "API keys": "keys",
    "Budgets and limits": "limits",
    "Plan": "plan",
    "Playground": "playground",
}


@dataclass(frozen=True)
class House:
    whole: Whole
    people: dict[str, Browser]
    tokens: dict[str, str]
    guests: dict[str, str]
    ids: Ids


@pytest.fixture(scope="module")
async def house(server: EmbeddedServer, databases: Databases) -> AsyncIterator[House]:
    """One for all: what somebody does here who may, is done to what never was."""
    async with AsyncExitStack() as opened:
        whole = await opened.enter_async_context(everything_served(server, databases))
        customer = await whole.customer()
        ids = await furnish(whole, customer, "mark") | await furnish_staff(whole, customer, "mark")
        people = {role: signed_in(whole, customer, role) for role in SIGNED}
        people |= {"viewer": staff_signed_in(whole, "viewer"), "operator": staff_signed_in(whole)}
        people |= {"nobody": browser(whole), "account": browser(whole)}
        inside = {name: await opened.enter_async_context(one) for name, one in people.items()}
        await sign_in(whole, inside["account"], await make_account(whole))
        tokens = {
            name: await read_token(one, "/console/usage", "/console/account")
            for name, one in inside.items()
        }
        guests = {name: await read_token(one, "/console/sign-in") for name, one in inside.items()}
        never = {"rest": "nothing/here", "name": "no.css", "token": "A" * 64}
        yield House(whole, inside, tokens, guests, ids | never)


def table() -> dict[Route, frozenset[str]]:
    return {Route(act, path): who for path, acts in TABLE.items() for act, who in acts.items()}


def is_refusal(seen: Seen) -> bool:
    sent_away = seen.status == 303 and seen.headers["location"].startswith("/console/sign-in")
    return seen.status in {401, 403} or sent_away


async def test_every_route_has_a_line(house: House) -> None:
    there, known = set(routes_of(house.whole)), set(table())
    assert {"no line": there - known, "no route": known - there} == {
        "no line": set(),
        "no route": set(),
    }


async def test_who_reads_what(house: House) -> None:
    wrong: list[str] = []
    for route, allowed in table().items():
        if route.method != "GET":
            continue
        for name, one in house.people.items():
            seen = await ask(one, route, route.filled(house.ids))
            fine = seen.status in FOUND.get(route.path, {200, 303})
            right = fine and (route.path in FOUND or not is_refusal(seen))
            if (right if name in allowed else is_refusal(seen)) is False:
                wrong.append(f"{route} {name}: {seen.status}")
    assert wrong == []


async def test_another_forms_token_is_none(house: House) -> None:
    """A token is of one session: a colleague's, and that of the staff, do nothing."""
    grant = Route("POST", "/console/staff/organizations/{organization_id}/freeze")
    save = Route("POST", "/console/keys/{key_id}")
    for route, sender, other in [
        (save, "owner", "admin"),
        (save, "owner", "operator"),
        (grant, "operator", "viewer"),
        (grant, "operator", "owner"),
    ]:
        form = {"form_token": house.tokens[other], "name": "taken", "reason": "x"}
        seen = await ask(house.people[sender], route, route.filled(house.ids), form)
        assert seen.status == 403, (route, sender, other)


async def test_who_does_what(house: House) -> None:
    """Refused, and without the form's token, nothing is done to what is there; who may act is
    let through to what never was."""
    wrong: list[str] = []
    before = await state_of(house.whole)
    writes = {route: who for route, who in table().items() if route.method == "POST"}
    for route, allowed in writes.items():
        path = route.filled(house.ids)
        for name, one in house.people.items():
            bare = await ask(one, route, path)
            if not (bare.status == 403 if name in allowed else is_refusal(bare)):
                wrong.append(f"{route} {name} without token: {bare.status}")
            if name in allowed:
                continue
            seen = await ask(one, route, path, {"form_token": house.tokens[name]})
            if not is_refusal(seen):
                wrong.append(f"{route} {name}: {seen.status}")
    assert wrong == []
    assert differences(before, await state_of(house.whole)) == []
    assert await refused_where_allowed(house, writes) == []


async def refused_where_allowed(house: House, writes: dict[Route, frozenset[str]]) -> list[str]:
    wrong: list[str] = []
    ids = strange(house.ids)
    for route in sorted(writes, key=lambda one: one.path in PARTING):
        who = writes[route] & GUESTS if writes[route] == ALL else writes[route]
        for name in sorted(who & {PARTING.get(route.path, name) for name in who}):
            known = house.guests if writes[route] == ALL else house.tokens
            form = {"form_token": known[name]}
            seen = await ask(house.people[name], route, route.filled(ids), form)
            # A link that is good for nothing is said so to everybody.
            gone = seen.status == 401 and "{token}" in route.path
            if seen.status >= 500 or (is_refusal(seen) and not gone):
                wrong.append(f"{route} {name}: {seen.status}")
    return wrong


def test_the_guide_says_the_same() -> None:
    rows = re.findall(
        r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", GUIDE.read_text("utf-8"), re.MULTILINE
    )
    said = {first: (more, member) for first, more, member in rows}
    for title, path in NAMED.items():
        found = [row for first, row in said.items() if re.match(rf"{title}\b", first)]
        assert len(found) == 1, title
        more, member = found[0]
        wanted = MANAGERS if more == "owners and admins" else SIGNED
        wanted -= {"member"} if member == "no" else set()
        assert TABLE[f"/console/{path}"]["GET"] == wanted, title
