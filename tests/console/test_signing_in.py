"""Passwords, invitations, sessions of accounts: how people get in, and how others do not."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta

import pytest
from account_holders import (
    ACCOUNT,
    OTHER,
    PASSWORD,
    STAFF,
    audited,
    cookies_of,
    enter,
    fill,
    invite_member,
    keep,
    make_link,
    with_password,
)
from browsing import browser, make_account, sign_in

from tollkeeper import orgs
from tollkeeper.base.clock import MovableClock
from tollkeeper.console import first_run_or_sign_in
from tollkeeper.console.signing_in import passwords, store
from tollkeeper.console.signing_in.entrance import safe_aim
from tollkeeper.console.signing_in.links.making import NewLink
from tollkeeper.console.signing_in.model import Purpose
from tollkeeper.orgs import Role
from whole import Customer, Whole


async def test_the_first_of_the_staff_comes_by_the_link_that_up_prints(
    whole: Whole, clock: MovableClock
) -> None:
    async with whole.database.transaction() as tx:
        old = await first_run_or_sign_in(tx, whole.url, clock.now())
        link = await first_run_or_sign_in(tx, whole.url, clock.now())
    fields = {"email": "Boss@Example.org", "name": "The Boss", "password": PASSWORD}
    async with browser(whole) as one, browser(whole) as other:
        assert (await one.open(old)).status == 401
        weak = await fill(one, link, **fields | {"password": "short", "name": " "})
        assert weak.status == 400
        assert "at least 10 characters" in weak.text.lower()
        assert 'value="Boss@Example.org"' in weak.text
        assert "short" not in weak.text.replace("Take at least", "")
        same = await fill(one, link, **fields | {"password": "Boss@example.org"})
        assert "Take something else" in same.text
        done = await fill(one, link, **fields)
        assert (done.status, done.location) == (303, "/console/staff")
        assert "The Boss · Admin" in (await one.open(STAFF)).text
        assert (await other.open(link)).status == 401
        async with whole.database.transaction() as tx:
            after = await first_run_or_sign_in(tx, whole.url, clock.now())
        assert after == f"{whole.url}/console/sign-in"
        assert (await enter(other, "boss@example.ORG")).location == "/console/staff"
    assert "staff.join" in {row["what"] for row in await audited(whole)}


async def test_a_wrong_password_and_an_unknown_e_mail_are_answered_alike(whole: Whole) -> None:
    await with_password(whole, "ada@example.org")
    gone = await with_password(whole, "gone@example.org", staff="viewer")
    async with browser(whole) as one:
        wrong = await enter(one, "ada@example.org", "not her password")
        unknown = await enter(one, "eve@example.org", "not her password")
        none = await make_account(whole, email="none@example.org")
        nothing = await enter(one, none.email, "")
        async with whole.database.transaction() as tx:
            await store.change_disabled(tx, gone.account_id, whole.app.rooms.clock.now())
        disabled = await enter(one, gone.email)
        for page in (wrong, unknown, nothing, disabled):
            assert page.status == 400
            assert "The e-mail or the password is not right" in page.text
            assert "tollkeeper_account" not in page.set_cookie
        strip = re.compile(r'value="[^"]*"')
        assert strip.sub("", wrong.text) == strip.sub("", unknown.text)


async def test_an_unknown_e_mail_costs_a_hash_too(
    whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str | None] = []
    check = passwords._check

    def watch(password: str, known: str | None) -> tuple[bool, str | None]:
        checked.append(known)
        return check(password, known)

    monkeypatch.setattr(passwords, "_check", watch)
    async with browser(whole) as one:
        await enter(one, "nobody@example.org")
    assert checked == [None]


async def test_signing_in_needs_the_form_of_this_browser(whole: Whole) -> None:
    await with_password(whole, "ada@example.org")
    fields = {"email": "ada@example.org", "password": PASSWORD}
    async with browser(whole) as one, browser(whole) as other:
        foreign = (await other.open("/console/sign-in")).form_token
        assert (await one.submit("/console/sign-in", **fields)).status == 403
        assert (await one.submit("/console/sign-in", form_token=foreign, **fields)).status == 403
        assert (await enter(one, "ada@example.org")).status == 303
        own = (await one.open(ACCOUNT)).form_token
        for path in (f"{ACCOUNT}/name", f"{ACCOUNT}/password", f"{ACCOUNT}/sign-out"):
            assert (await one.submit(path, form_token=foreign)).status == 403
        assert (await one.submit(f"{ACCOUNT}/name", form_token=own, name="A")).status == 303


async def test_signing_in_gives_another_secret_and_ends_what_was(whole: Whole) -> None:
    await with_password(whole, "ada@example.org")
    async with browser(whole) as one, browser(whole) as thief:
        await enter(one, "ada@example.org")
        before = cookies_of(one)
        # Somebody planted these cookies here, or kept them: a new sign-in is worth nothing to them.
        shown = await one.open(ACCOUNT)
        await one.submit(f"{ACCOUNT}/sign-out", form_token=shown.form_token)
        keep(thief, before)
        assert (await thief.open(ACCOUNT)).status == 303
        keep(one, before)
        await enter(one, "ada@example.org")
        after = cookies_of(one)
        assert after["tollkeeper_account"] != before["tollkeeper_account"]
        assert (await one.open(ACCOUNT)).status == 200
        assert (await thief.open(ACCOUNT)).status == 303


async def test_trying_gets_slower_and_nobody_is_locked_out(
    whole: Whole, clock: MovableClock
) -> None:
    await with_password(whole, "ada@example.org")
    async with browser(whole) as eve:
        shown = await eve.open("/console/sign-in")
        fields = {"form_token": shown.form_token, "email": "ada@example.org", "password": "x"}
        tries = [await eve.submit("/console/sign-in", **fields) for _ in range(9)]
        assert [page.status for page in tries] == [400] * 8 + [429]
        refused = tries[-1]
        wait = int(refused.headers["retry-after"])
        assert 1 <= wait <= 20
        assert f"Wait {wait} seconds" in refused.text
        assert (await enter(eve, "ada@example.org")).status == 429
        clock.advance(timedelta(seconds=wait))
        assert (await enter(eve, "ada@example.org")).status == 303
    async with browser(whole) as mallory:
        shown = await mallory.open("/console/sign-in")
        fields = {"form_token": shown.form_token, "password": "x"}
        some = [
            await mallory.submit("/console/sign-in", email=f"e{number}@example.org", **fields)
            for number in range(45)
        ]
        assert some[-1].status == 429


def test_only_pages_of_the_console_are_gone_on_to() -> None:
    for good in ("/console/credits", "/console/usage?model=a&x=%2F", "/console/staff/x"):
        assert safe_aim(good) == good
    for bad in (
        "",
        "https://evil.example/console/",
        "//evil.example/console/",
        "/\\evil.example",
        "/console/..//evil",
        "/console//evil.example",
        "/console/../api",
        "/console\\@evil",
        "/consoleevil",
        "/console/credits\r\nx: y",
        "/console/sign-in?next=/console/sign-in",
        "javascript:alert(1)",
        "/console/enter/token",
    ):
        assert safe_aim(bad) == "", bad


async def test_where_people_come_to_after_signing_in(whole: Whole, customer: Customer) -> None:
    other = await whole.customer()
    for email in ("one@example.org", "both@example.org"):
        await with_password(whole, email)
    async with browser(whole) as one, browser(whole) as both, browser(whole) as nobody:
        for who, email, theirs in (
            (one, "one@example.org", [customer]),
            (both, "both@example.org", [customer, other]),
        ):
            for org in theirs:
                link = await invite_member(whole, org, email, Role.BILLING)
                if org is customer:
                    assert "has an account already" in (await who.open(link)).text
                    asked = link.removeprefix(whole.url)
                    assert (await enter(who, email, next=asked)).location == asked
                joined = await fill(who, link)
                assert joined.location == "/console/organizations"
        opened = await one.open("/console/organizations")
        assert (opened.status, opened.location) == (303, "/console")
        page = await one.open("/console/credits")
        assert "Billing" in page.text
        assert f"org {customer.org_id}" in page.text
        assert (await one.open("/console/sign-in?next=/console/usage")).location == (
            "/console/organizations?next=%2Fconsole%2Fusage"
        )
        opened = await one.open("/console/organizations?next=/console/usage")
        assert opened.location == "/console/usage"
        assert (await both.open("/console/credits")).status == 401
        choice = await both.open("/console/organizations")
        for org in (customer, other):
            assert org.id in choice.text
        path = f"/console/organizations/{other.id}"
        assert (await both.submit(path)).status == 403
        await both.submit(path, form_token=choice.form_token, next="https://evil.example")
        assert f"org {other.org_id}" in (await both.open("/console/credits")).text
        strange = await whole.customer()
        path = f"/console/organizations/{strange.id}"
        assert (await both.submit(path, form_token=choice.form_token)).status == 404
        await sign_in(whole, nobody, await make_account(whole))
        assert "No organization yet" in (await nobody.open("/console/organizations")).text


async def test_a_member_is_who_they_are_in_each_organization(
    whole: Whole, customer: Customer
) -> None:
    link = await invite_member(whole, customer, "ada@example.org", Role.MEMBER)
    async with browser(whole) as one, browser(whole) as late:
        fields = {"name": "Ada <b>", "password": PASSWORD}
        shown = await one.open(link)
        late_shown = await late.open(link)
        both = await asyncio.gather(
            one.submit(link, form_token=shown.form_token, **fields),
            late.submit(link, form_token=late_shown.form_token, **fields),
        )
        # Of two who use an invitation at the same time one gets it.
        assert sorted(page.status for page in both) == [303, 401]
        winner = one if both[0].status == 303 else late
        await winner.open("/console/organizations")
        assert (await winner.open("/console/usage")).status == 200
        assert (await winner.open("/console/credits")).status == 403
        async with whole.database.transaction() as tx:
            (member,) = await orgs.list_members(tx, customer.org_id, None, 10)
            assert (member.email, member.role) == ("ada@example.org", Role.MEMBER)
            place = customer.org_id, member.member_id
            await orgs.update_member(tx, *place, name=None, role=Role.ADMIN)
        assert (await winner.open("/console/credits")).status == 200
        async with whole.database.transaction() as tx:
            await orgs.delete_member(tx, *place)
        assert (await winner.open("/console/credits")).status == 401
        assert (await winner.open(ACCOUNT)).status == 200
    assert "member.join" in {row["what"] for row in await audited(whole)}


async def test_signing_out_of_an_organization_signs_the_account_out(
    whole: Whole, customer: Customer
) -> None:
    account = await with_password(whole, "ada@example.org")
    link = await invite_member(whole, customer, account.email, Role.OWNER)
    async with browser(whole) as one, browser(whole) as other:
        for who in (one, other):
            await enter(who, account.email)
        await fill(one, link)
        await one.open("/console/organizations")
        page = await one.open("/console/credits")
        modes = page.text.count("Test mode")
        switched = await one.submit("/console/switch-mode", form_token=page.form_token)
        assert (switched.status, switched.location) == (303, "/console")
        page = await one.open("/console/credits")
        assert (page.text.count("Test mode") == 0) is (modes > 0)
        left = await one.submit("/console/sign-out", form_token=page.form_token)
        assert left.location == "/console/signed-out"
        for path in ("/console/credits", ACCOUNT):
            assert (await one.open(path)).status in {303, 401}
        assert (await other.open(ACCOUNT)).status == 200


async def test_passwords_and_sessions_are_changed_by_whose_they_are(whole: Whole) -> None:
    account = await with_password(whole, "ada@example.org")
    async with browser(whole) as one, browser(whole) as other, browser(whole) as third:
        for who in (one, other, third):
            await enter(who, account.email)
        page = await one.open(ACCOUNT)
        ids = re.findall(r"/console/account/sessions/(ses_[0-9a-f]{32})/end", page.text)
        assert len(ids) == 2
        ended = f"{ACCOUNT}/sessions/{ids[0]}/end"
        stranger = await make_account(whole)
        async with browser(whole) as eve:
            await sign_in(whole, eve, stranger)
            token = (await eve.open(ACCOUNT)).form_token
            assert (await eve.submit(ended, form_token=token)).status == 303
        assert (await third.open(ACCOUNT)).status == 200
        assert (await one.submit(ended, form_token=page.form_token)).status == 303
        assert (await third.open(ACCOUNT)).status == 303
        assert (await other.open(ACCOUNT)).status == 200

        change = f"{ACCOUNT}/password"
        fields = {"password": "wrong", "new_password": "short"}
        bad = await fill(one, ACCOUNT, change, **fields)
        assert bad.status == 400
        assert "This is not your password" in bad.text
        assert "Take at least 10" in bad.text
        before = cookies_of(one)
        good = await fill(one, ACCOUNT, change, password=PASSWORD, new_password=OTHER)
        assert good.location == f"{ACCOUNT}?done=password_changed"
        assert (await other.open(ACCOUNT)).status == 303
        assert (await one.open(ACCOUNT)).status == 200
        async with browser(whole) as thief:
            keep(thief, before)
            assert (await thief.open(ACCOUNT)).status == 303
        assert (await enter(other, account.email)).status == 400
        assert (await enter(other, account.email, OTHER)).status == 303
        named = await fill(one, ACCOUNT, f"{ACCOUNT}/name", name="Ada Lovelace")
        assert named.status == 303
        assert "Ada Lovelace" in (await one.open(ACCOUNT)).text
        gone = await fill(one, ACCOUNT, f"{ACCOUNT}/sign-out-everywhere")
        assert gone.location == "/console/signed-out"
        assert (await other.open(ACCOUNT)).status == 303


async def test_a_reset_ends_every_session_and_works_once(whole: Whole, clock: MovableClock) -> None:
    account = await with_password(whole, "ada@example.org")
    new = NewLink(purpose=Purpose.RESET, made_by="test", email=account.email)
    async with browser(whole) as one, browser(whole) as other:
        await enter(other, account.email)
        late = await make_link(whole, new)
        clock.advance(timedelta(hours=1))
        assert (await one.open(late)).status == 401
        link = await make_link(whole, new)
        assert (await fill(one, link, password="short")).status == 400
        assert (await fill(one, link, password=OTHER)).status == 303
        assert (await other.open(ACCOUNT)).status == 303
        assert (await one.open(ACCOUNT)).status == 200
        assert (await other.open(link)).status == 401
        assert (await enter(other, account.email, OTHER)).status == 303
        # Without a mail server, the page says whom to ask, whoever asks.
        assert "Ask one of the admins" in (await one.open("/console/forgot")).text
    assert "account.reset_password" in {row["what"] for row in await audited(whole)}
