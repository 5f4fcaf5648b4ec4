"""Who gets into the operator's pages, what they may do there, and how they look at a customer."""

from __future__ import annotations

from datetime import timedelta

from browsing import Browser, browser, make_account, sign_in, signed_in, staff_signed_in
from yarl import URL

from tollkeeper import orgs
from tollkeeper.base.clock import MovableClock
from tollkeeper.base.ids import show_id
from tollkeeper.console import Pass, sessions
from tollkeeper.console.signing_in import store
from tollkeeper.console.signing_in.model import StaffRole
from tollkeeper.console.staff_door import StaffDoor
from tollkeeper.orgs import Role
from whole import Customer, Whole

PAGE = "/console/staff/staff"


async def test_staff_pages_are_for_staff(whole: Whole, customer: Customer) -> None:
    async with browser(whole) as nobody, browser(whole) as somebody:
        asked = await nobody.open(f"{PAGE}?x=1")
        assert asked.status == 303
        assert asked.location == "/console/sign-in?next=%2Fconsole%2Fstaff%2Fstaff%3Fx%3D1"
        await sign_in(whole, somebody, await make_account(whole))
        assert (await somebody.open(PAGE)).status == 403
    async with signed_in(whole, customer) as owner:
        assert (await owner.open(PAGE)).status == 303
    for role in ("admin", "viewer"):
        async with staff_signed_in(whole, role) as one:
            assert (await one.open("/console/staff")).location == "/console/staff/overview"
            page = await one.open(PAGE)
            assert page.status == 200
            assert f"Sam Staff · {role.capitalize()}" in page.text
            assert 'aria-current="page"' in page.text
            assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
            assert (await one.open("/console/credits")).status == 401


async def test_an_account_changes_its_secret_whatever_is_answered(
    whole: Whole, clock: MovableClock
) -> None:
    async with staff_signed_in(whole) as one, browser(whole) as other:
        known = {cookie.key: cookie.value for cookie in one.session.cookie_jar}
        assert not (await one.open(PAGE)).set_cookie
        clock.advance(timedelta(minutes=31))
        gone = await one.open("/console/staff/nothing/here")
        assert gone.status == 404
        clock.advance(timedelta(minutes=31))
        moved = await one.open("/console/staff")
        assert moved.status == 303
        assert "tollkeeper_account=" in moved.set_cookie
        clock.advance(timedelta(minutes=2))
        other.session.cookie_jar.update_cookies(known)
        assert (await other.open(PAGE)).status == 303
        assert (await one.open(PAGE)).status == 200
        clock.advance(timedelta(hours=12))
        assert (await one.open(PAGE)).status == 303


async def test_an_admin_looks_at_a_customer_as_one_of_them_and_comes_back(
    whole: Whole, customer: Customer
) -> None:
    door = StaffDoor(door=whole.app.rooms.door)
    account = await make_account(whole, staff="admin")
    async with browser(whole) as one:
        await sign_in(whole, one, account)
        now = whole.app.rooms.clock.now()
        async with whole.database.transaction() as tx:
            (session,) = await store.list_sessions(tx, account.account_id, now)
            where = Pass(org_id=customer.org_id, role=Role.BILLING, livemode=False)
            token = await sessions.open_from_account(
                tx,
                where,
                session.session_id,
                chance=bytes(32),
                now=now,
                expires_at=session.expires_at,
            )
        cookie = door.door.cookie(token, 60)
        keep = {cookie.key: cookie.value or ""}
        one.session.cookie_jar.update_cookies(keep, URL(f"{whole.url}/console/"))
        page = await one.open("/console/credits")
        assert "You, Sam Staff, are looking at" in page.text
        # Whoever may act no more looks at nobody any more.
        async with whole.database.transaction() as tx:
            await store.change_staff_role(tx, account.account_id, StaffRole.VIEWER)
        assert (await one.open("/console/credits")).status == 401
        async with whole.database.transaction() as tx:
            await store.change_staff_role(tx, account.account_id, StaffRole.ADMIN)
        page = await one.open("/console/credits")
        back = await one.submit("/console/sign-out", form_token=page.form_token)
        assert back.location == "/console/staff"
        assert (await one.open("/console/credits")).status == 401
        assert (await one.open(PAGE)).status == 200


OWN = (
    "/console/credits/add",
    "/console/credits/purchases/pur_{0}/resume",
    "/console/credits/purchases/pur_{0}/cancel",
    "/console/auto-top-up",
    "/console/auto-top-up/resume",
    "/console/payment-methods/add",
    "/console/payment-methods/portal",
    "/console/payment-methods/met_{0}/default",
    "/console/payment-methods/met_{0}/remove",
    "/console/plan/choose/pro",
    "/console/plan/resume",
    "/console/plan/cancel",
    "/console/keys",
    "/console/webhooks",
    "/console/webhooks/whk_{0}/rotate",
    "/console/members/mem_{0}/invite",
)


async def look_as_owner(one: Browser, customer: Customer) -> str:
    """Open a customer's pages as staff, and return the token of their forms."""
    shown = await one.open("/console/staff/overview")
    fields = {"role": "owner", "livemode": "false", "reason": "They called"}
    path = f"/console/staff/organizations/{customer.id}/open"
    opened = await one.submit(path, form_token=shown.form_token, **fields)
    assert opened.location == "/console"
    return (await one.open("/console/projects")).form_token


async def test_staff_who_look_spend_nothing_and_are_named_where_they_change_something(
    whole: Whole, customer: Customer
) -> None:
    account = await make_account(whole, staff="admin")
    async with browser(whole) as one:
        await sign_in(whole, one, account)
        token = await look_as_owner(one, customer)
        for path in OWN:
            refused = await one.submit(path.format("0" * 32), form_token=token, enabled="yes")
            assert refused.status == 403, path
            assert "for its own members" in refused.text, path
        made = await one.submit("/console/projects", form_token=token, name="By support")
        assert made.status == 303
    async with whole.database.connection() as connection:
        written = await orgs.list_audit(connection, customer.org_id, None, 5)
    (noted,) = [one for one in written if one.what == "project.create"]
    assert noted.who == account.email


async def test_staff_who_look_let_nobody_see_the_money_who_does_not(
    whole: Whole, customer: Customer
) -> None:
    who = {"name": "Rosa", "email": "rosa@example.org"}
    async with browser(whole) as one:
        await sign_in(whole, one, await make_account(whole, staff="admin"))
        token = await look_as_owner(one, customer)

        async def send(path: str, **fields: str) -> int:
            return (await one.submit(path, form_token=token, **fields)).status

        for role in ("owner", "admin", "billing"):
            assert await send("/console/members", **who, role=role) == 403, role
        assert await send("/console/members", **who, role="member") == 303
        async with whole.database.connection() as connection:
            (rosa,) = await orgs.list_members(connection, customer.org_id, None, 2)
        at = f"/console/members/{show_id('mem', rosa.member_id)}"
        for role in ("owner", "admin", "billing"):
            assert await send(at, name="Rosa", role=role) == 403, role
        assert await send(f"{at}/invite") == 403
        page = await one.open("/console/members")
        assert ("/invite" in page.text, 'value="owner"' in page.text) == (False, False)
        # Names, lower roles and who goes are put right.
        assert await send(at, name="Rosa Luz", role="member") == 303
        async with whole.database.transaction() as tx:
            place = customer.org_id, rosa.member_id
            await orgs.update_member(tx, *place, name=None, role=Role.ADMIN)
        assert 'value="billing"' in (await one.open(at)).text
        assert await send(at, name="Rosa Luz", role="owner") == 403
        assert await send(at, name="Rosa Luz", role="admin") == 303
        assert await send(at, name="Rosa Luz", role="billing") == 303
        assert await send(at, name="Rosa Luz", role="admin") == 403
        assert await send(f"{at}/remove", confirmation="Rosa Luz") == 303
