"""What holds for every answer and every form: headers, methods, bodies, sessions, secrets."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
import structlog
from account_holders import PASSWORD, cookies_of, enter, keep, with_password
from browsing import Browser, Page, browser, make_link, signed_in, staff_signed_in
from console_routes import Route, Seen, ask, differences, read_token, routes_of, state_of
from furnished import Ids, everything_served, furnish, furnish_staff
from sending import soon

from recycling import Databases
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.console.customer import projects_page
from tollkeeper.db import EmbeddedServer
from whole import Customer, Whole

NAMED = ("owner", "operator", "nobody")
# What forms and addresses hold that nobody's hand wrote.
HOSTILE = ("a\0b", "-1", "9" * 400, "\ud7ff\uffff'\"><svg>%")
FIELDS = (
    *("name", "email", "role", "amount", "monthlyCap", "threshold", "buys", "enabled", "url"),
    *("projectId", "apiKeyId", "memberId", "method", "paymentMethodId", "once", "newId", "id"),
    *("text", "talk", "model", "system", "longest", "project", "do", "preset", "seen", "kind"),
    *("address.country", "address.line1", "billingAddress.country", "taxId.type", "taxId.value"),
    *("emails", "period", "measure", "timeZone", "tag", "each", "endUser", "provider", "currency"),
    *("costAmount", "costPeriod", "tokenAmount", "tokenPeriod", "expiresAt", "alertPercents"),
    *("tolerancePercent", "enforcement", "type", "description", "confirmation", "reason", "code"),
    *("file", "act", "plan", "when", "livemode", "priority", "label", "every", "validFrom", "next"),
    *("password", "current", "livemode", "at", "startAt", "mostRedemptions", "lotDays", "newDays"),
)
QUERIES = (
    *("before", "after", "project", "key", "member", "from", "to", "status", "tag", "thread"),
    *("model", "least", "most", "zone", "by", "each", "period", "show", "format", "q", "done"),
    *("amount", "next", "purchase", "redirect_status", "processor", "state", "organization"),
    *("codes", "recurring", "without", "currency", "choose", "since", "mode", "fresh", "code"),
)


@dataclass(frozen=True)
class House:
    whole: Whole
    customer: Customer
    ids: Ids
    people: dict[str, Browser]

    def who(self, route: Route) -> Browser:
        staff = route.path.startswith(("/console/staff", "/console/account", "/console/organiz"))
        return self.people["operator" if staff else "owner"]


@pytest.fixture(scope="module")
async def house(server: EmbeddedServer, databases: Databases) -> AsyncIterator[House]:
    async with AsyncExitStack() as opened:
        whole = await opened.enter_async_context(everything_served(server, databases))
        customer = await whole.customer()
        ids = await furnish(whole, customer, "mark") | await furnish_staff(whole, customer, "mark")
        people = {
            "owner": await opened.enter_async_context(signed_in(whole, customer)),
            "operator": await opened.enter_async_context(staff_signed_in(whole)),
            "nobody": await opened.enter_async_context(browser(whole)),
        }
        never = {"rest": "nothing/here", "name": "no.css", "token": "A" * 64}
        yield House(whole, customer, ids | never, people)


def faults_of(seen: Seen) -> list[str]:
    """What is wrong with an answer's headers."""
    said = seen.headers
    policy = said.get("content-security-policy", "")
    kind = said.get("content-type", "")
    wanted = {
        "no policy": "default-src 'none'" in policy and "unsafe" not in policy,
        "framed": "frame-ancestors 'none'" in policy and said.get("x-frame-options") == "DENY",
        "sniffed": said.get("x-content-type-options") == "nosniff",
        "referrer": said.get("referrer-policy") in {"same-origin", "no-referrer"},
        "stored": "no-store" in said.get("cache-control", ""),
        "inline": not re.search(rb"<script(?![^>]*\ssrc=)|\son\w+=[\"']|\sstyle=", seen.body)
        or "html" not in kind,
        "no download": kind.startswith(
            ("text/html", "text/plain", "text/event-stream", "application/problem+json")
        )
        or said.get("content-disposition", "").startswith("attachment")
        or not seen.body,
    }
    return [name for name, fine in wanted.items() if not fine]


async def test_every_answer_has_its_headers(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong: list[str] = []

    def look(what: object, seen: Seen, *statuses: int) -> None:
        unexpected = bool(statuses) and seen.status not in statuses
        if faults_of(seen) or unexpected:
            wrong.append(f"{what}: {seen.status} {faults_of(seen)}")

    for route in routes_of(house.whole):
        path = route.filled(house.ids)
        people = NAMED if route.method == "GET" else ("nobody",)
        for name in people:
            look(f"{route} {name}", await ask(house.people[name], route, path))
    owner = house.people["owner"]
    for method, path, status in [
        ("PUT", "/console/keys", 405),
        ("POST", "/console/credits", 405),
        ("DELETE", "/console", 405),
        ("POST", "/console/projects", 403),
        ("GET", "/console/nothing", 404),
        ("GET", "/console/keys/%00", 404),
        ("GET", "/console/%ff", 404),
        ("GET", "/console/usage?before=x", 400),
        ("GET", "//console/credits", 401),
        ("OPTIONS", "/console/keys", 204),
    ]:
        look(f"{method} {path}", await ask(owner, Route(method, path), path), status)
    look("too large", await post(owner, "/console/keys", b"x" * 11_000_000), 400, 413)
    look("no form", await post(owner, "/console/keys", b"{}", "application/json"), 403)
    look("odd form", await post(owner, "/console/keys", b"\xff=%ff&&=", "multipart/form-data"))

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("words of the inside")

    with monkeypatch.context() as patched:
        patched.setattr(projects_page.orgs, "list_projects", fail)
        seen = await ask(owner, Route("GET", "/console/projects"), "/console/projects")
        look("unexpected", seen, 500, 503)
        assert "words of the inside" not in seen.text
    assert wrong == []


async def post(
    one: Browser, path: str, body: bytes, kind: str = "application/x-www-form-urlencoded"
) -> Seen:
    async def pieces() -> AsyncIterator[bytes]:
        yield body

    async with one.session.post(
        one.base + path, data=pieces(), headers={"content-type": kind}, allow_redirects=False
    ) as answer:
        known = {name.lower(): value for name, value in answer.headers.items()}
        return Seen(answer.status, known, await answer.read())


async def test_files_are_kept_and_run_nothing(house: House) -> None:
    owner = house.people["owner"]
    page = await owner.open("/console/credits")
    files = set(re.findall(r'(?:src|href)="(/console/(?:static|theme)/[^"]+)"', page.text))
    assert len(files) >= 3
    for path in files:
        seen = await ask(owner, Route("GET", path), path)
        assert seen.status == 200, path
        assert seen.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert "default-src 'none'" in seen.headers["content-security-policy"]
        assert seen.headers["x-content-type-options"] == "nosniff"


async def test_reading_changes_nothing(house: House) -> None:
    """Twice, by who may read: sessions are noted, and nothing else is."""

    async def walk() -> None:
        for route in routes_of(house.whole):
            if route.method == "GET":
                await ask(house.who(route), route, route.filled(house.ids))

    await walk()  # The processor is asked about what is not settled.
    before = await state_of(house.whole)
    await walk()
    await walk()
    assert differences(before, await state_of(house.whole)) == []


async def test_whatever_is_sent_is_answered(house: House) -> None:
    """No text of any field, and no query, is more than a fault of who sent it."""
    wrong: list[str] = []
    tokens = {
        one.base + str(id(one)): await read_token(one, "/console/usage", "/console/account")
        for one in house.people.values()
    }
    for route in routes_of(house.whole):
        parting = route.path.endswith(("/sign-out", "/sign-out-everywhere", "/switch-mode"))
        if parting or route.path == "/console/live":
            continue
        one, path = house.who(route), route.filled(house.ids)
        for said in HOSTILE[::2] if route.method == "GET" else HOSTILE:
            if route.method == "GET":
                seen = await ask(one, route, path + "?" + _query(said))
            else:
                token = tokens[one.base + str(id(one))]
                seen = await ask(
                    one, route, path, {**dict.fromkeys(FIELDS, said), "form_token": token}
                )
            if seen.status >= 500:
                wrong.append(f"{route} {said[:9]!r}: {seen.status}")
        if route.places and route.method == "GET":
            odd = dict.fromkeys(route.places, "%00'%22%ff..%2f")
            seen = await ask(one, route, route.filled(odd))
            if seen.status >= 500:
                wrong.append(f"{route} odd: {seen.status}")
    assert wrong == []


def _query(said: str) -> str:
    return urlencode(dict.fromkeys(QUERIES, said))


@pytest.mark.parametrize(
    "aim",
    [
        "//evil.example",
        "https:evil.example",
        "https://evil.example/console/",
        "/\\evil.example",
        "/console/\\..\\..//evil.example",
        "/console//evil.example",
        "/console/../../evil",
        "javascript:alert(1)",
        "/console/\r\nset-cookie: a=b",
        "\t//evil.example",
    ],
)
async def test_nobody_is_led_elsewhere(house: House, aim: str) -> None:
    fields = ("next", "then", "back", "purchase", "redirect_status")
    query = urlencode(dict.fromkeys(fields, aim))
    for route in routes_of(house.whole):
        if route.method != "GET" or route.places or route.path.endswith(("/live", "/oidc/start")):
            continue
        for name in ("nobody", "operator" if "owner" not in route.path else "owner"):
            seen = await ask(house.people[name], route, f"{route.path}?{query}")
            where = seen.headers.get("location", "/console/")
            assert re.match(r"/console(/(?!/)|$|\?)", where), (route, where)
            assert not re.match(r".*\\|.*[\r\n]", where)
            assert "a=b" not in "".join(seen.cookies)
    shown = await house.people["nobody"].open(f"/console/sign-in?{query}")
    assert 'name="next" value=""' in shown.text


# ── Sessions ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_session_is_made_anew_by_each_way_in(house: House) -> None:
    """Nobody is signed in to what somebody else put into their browser."""
    whole = house.whole
    async with browser(whole) as one, browser(whole) as thief:
        await one.open(await make_link(whole, house.customer))
        planted = cookies_of(one)
        keep(thief, planted)
        entered = await one.open(await make_link(whole, house.customer, "member"))
        assert entered.set_cookie.count("tollkeeper_console=") == 1
        assert cookies_of(one)["tollkeeper_console"] != planted["tollkeeper_console"]
        account = await with_password(whole, f"{uuid7()}@example.org", staff="viewer")
        keep(one, {"tollkeeper_account": "planted", "tollkeeper_guest": "planted"})
        assert (await enter(one, account.email)).status == 303
        assert cookies_of(one)["tollkeeper_account"] not in {"planted", ""}
        for cookie in (entered.set_cookie, (await enter_anew(whole, account.email)).set_cookie):
            for wanted in ("HttpOnly", "Path=/console", "SameSite=lax"):
                assert wanted in cookie, cookie


async def enter_anew(whole: Whole, email: str) -> Page:
    async with browser(whole) as one:
        return await enter(one, email)


async def test_a_cookie_is_good_for_its_own_door_only(house: House) -> None:
    """Customers' are none of accounts, nor the other way round; and none after signing out."""
    whole = house.whole
    async with (
        signed_in(whole, house.customer) as owner,
        staff_signed_in(whole) as staff,
        browser(whole) as one,
    ):
        of_owner = cookies_of(owner)["tollkeeper_console"]
        of_staff = cookies_of(staff)["tollkeeper_account"]
        keep(one, {"tollkeeper_account": of_owner, "tollkeeper_console": of_staff})
        for path in ("/console/credits", "/console/staff/overview", "/console/account"):
            seen = await ask(one, Route("GET", path), path)
            assert seen.status in {303, 401}, path
        for who, key, kept, path in [
            (owner, "tollkeeper_console", of_owner, "/console/sign-out"),
            (staff, "tollkeeper_account", of_staff, "/console/account/sign-out"),
        ]:
            form = {"form_token": await read_token(who, "/console/usage", "/console/account")}
            assert (await ask(who, Route("POST", path), path, form)).status == 303
            async with browser(whole) as late:
                keep(late, {key: kept})
                for page in ("/console/credits", "/console/staff/overview"):
                    assert (await ask(late, Route("GET", page), page)).status in {303, 401}


# ── Money, once ──────────────────────────────────────────────────────────────────────────────────


async def test_an_act_of_the_staff_that_is_sent_often_at_once_is_done_once(house: House) -> None:
    whole, one = house.whole, house.people["operator"]
    customer = await whole.customer()
    key = customer.keys["test ADMIN"]
    bought = await whole.ask("POST", "/billing/purchases", key, {"amount": 25})
    base = f"/console/staff/organizations/{customer.id}"
    refund = f"{base}/purchases/{bought.json['id']}/refund"
    for path, more in [
        (f"{base}/grant", {"amount": "7"}),
        (f"{base}/adjust", {"amount": "-2"}),
        (refund, {"amount": "5"}),
    ]:
        page = await one.open(path)
        once = re.search(r'name="once" value="([0-9a-f]{32})"', page.text)
        assert once, path
        form = {"form_token": page.form_token, "once": once[1], "reason": "asked for"}
        form |= {"livemode": "true", "currency": "USD", **more}
        answers = await asyncio.gather(*(one.submit(path, **form) for _ in range(5)))
        assert {answer.status for answer in answers} <= {303, 409}, path
        assert any(answer.status == 303 for answer in answers)
    for mode, amounts in (("live", ["-2", "7"]), ("test", ["-5", "10", "25"])):
        entries = await whole.ask("GET", "/billing/entries", customer.keys[f"{mode} ADMIN"])
        assert sorted(str(one["amount"]) for one in entries.json["data"]) == amounts


async def test_a_top_up_that_is_saved_often_at_once_buys_once(house: House) -> None:
    whole = house.whole
    customer = await whole.customer(sandbox_credit=0)
    key = customer.keys["test ADMIN"]
    kept = await whole.ask("POST", "/billing/payment-methods", key, {"token": "pm_card_visa"})
    form = {
        "enabled": "yes",
        "threshold": "5",
        "buys": "amount",
        "amount": "25",
        "paymentMethodId": kept.json["paymentMethod"]["id"],
    }
    async with signed_in(whole, customer, "billing") as one:
        form["form_token"] = await read_token(one, "/console/usage")
        path = "/console/auto-top-up"
        answers = await asyncio.gather(*(one.submit(path, **form) for _ in range(5)))
        assert {answer.status for answer in answers} == {303}
        found = await soon(lambda: _purchases(whole, key))
    assert len(found) == 1


async def _purchases(whole: Whole, key: str) -> list[Any]:
    return (await whole.ask("GET", "/billing/purchases", key)).json["data"]


# ── Secrets ──────────────────────────────────────────────────────────────────────────────────────


async def test_secrets_are_shown_once_and_written_nowhere(
    house: House, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = house.whole
    capfd.readouterr()
    with structlog.testing.capture_logs() as logged:
        secrets, pages = await _use_secrets(whole, house.customer)
    written = repr(logged) + "".join(capfd.readouterr())
    for name, secret in secrets.items():
        assert secret not in written, name
        assert [page.location for page in pages if secret in page.headers.get("location", "")] == []
        assert [page.text for page in pages if secret in page.text] == [], name
    async with whole.database.connection() as connection:
        for table in ("idempotency", "audit_log", "queue.procrastinate_jobs", "api_key"):
            asked = f"SELECT string_agg(x::text, ' ') FROM {table} x"
            rows = await (await connection.execute(asked)).fetchall()  # pyright: ignore[reportArgumentType] (not a literal)
            for name, secret in secrets.items():
                assert secret not in str(rows), (table, name)


async def _use_secrets(whole: Whole, customer: Customer) -> tuple[dict[str, str], list[Page]]:
    """Come in by each way, make what has a secret; and the pages that are seen after."""
    link = await make_link(whole, customer)
    account = await with_password(whole, f"{uuid7()}@example.org", staff="admin")
    async with browser(whole) as one:
        entered = await one.open(link)
        token = await read_token(one, "/console/usage")
        new = {"form_token": token, "name": "Mine", "kind": "INFERENCE", "costPeriod": "month"}
        new |= {"newId": show_id("key", uuid7()), "tokenPeriod": "month", "expiresAt": ""}
        new["projectId"] = show_id("prj", customer.project_id)
        made = await one.submit("/console/keys", **new)
        key = re.search(r"tk_test_[\w-]{43}", made.text)
        hook = {"form_token": token, "url": "http://127.0.0.1:9/x", "id": show_id("whk", uuid7())}
        sealed = re.search(r"whsec_[\w+/-]+", (await one.submit("/console/webhooks", **hook)).text)
        assert key, made.text
        assert sealed
        pages = [entered, await one.submit("/console/keys", **new)]
        pages += [await one.open(f"/console/{name}") for name in ("keys", "webhooks", "credits")]
        wrong = await enter(one, account.email, "not the right one at all")
        pages += [wrong, await enter(one, account.email), await one.open("/console/account")]
        session = cookies_of(one)["tollkeeper_account"]
        # A link that was used is good for nothing, and is not said again.
        pages.append(await one.open(link))
    secrets = {"link": link.rpartition("/")[2], "key": key[0], "webhook": sealed[0]}
    secrets |= {"password": PASSWORD, "wrong": "not the right one at all", "session": session}
    return secrets, pages
