"""How people come in, stay in, and go: links, cookies, forms."""

from __future__ import annotations

import re
from datetime import timedelta

from browsing import browser, make_account, make_link, sign_in, signed_in

from tollkeeper import orgs
from tollkeeper.base.clock import MovableClock
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.console.signing_in.store import has_any
from tollkeeper.orgs import Member, Role
from whole import Customer, Whole

SCRIPT = r'<script src="/console/static/[a-z]+-[0-9a-f]{16}\.js" defer></script>'


async def test_a_link_works_once_and_for_ten_minutes(
    whole: Whole, customer: Customer, clock: MovableClock
) -> None:
    link = await make_link(whole, customer)
    async with browser(whole) as first, browser(whole) as second:
        entered = await first.open(link)
        assert (entered.status, entered.location) == (303, "/console")
        said = entered.set_cookie.lower()
        assert "httponly" in said
        assert "samesite=lax" in said
        assert "path=/console" in said
        assert (await first.open("/console/credits")).status == 200
        again = await second.open(link)
        assert again.status == 401
        assert "used before" in again.text
        assert (await second.open("/console/credits")).status == 401

        late = await make_link(whole, customer)
        clock.advance(timedelta(minutes=10))
        assert (await second.open(late)).status == 401
        for nonsense in ("x", "A" * 64, link[:-1], "%00"):
            path = nonsense if nonsense.startswith("http") else f"/console/enter/{nonsense}"
            assert (await second.open(path)).status in {400, 401, 404}


async def test_a_session_changes_its_secret_and_ends(
    whole: Whole, customer: Customer, clock: MovableClock
) -> None:
    async with signed_in(whole, customer) as one:
        known = {cookie.key: cookie.value for cookie in one.session.cookie_jar}
        assert not (await one.open("/console/credits")).set_cookie
        clock.advance(timedelta(minutes=31))
        assert "tollkeeper_console=" in (await one.open("/console/credits")).set_cookie
        fresh = {cookie.key: cookie.value for cookie in one.session.cookie_jar}
        assert fresh != known
        # What was under way with the old secret still arrives; what comes later does not.
        async with browser(whole) as other:
            other.session.cookie_jar.update_cookies(known)
            assert (await other.open("/console/credits")).status == 200
            clock.advance(timedelta(minutes=2))
            assert (await other.open("/console/credits")).status == 401
        assert (await one.open("/console/credits")).status == 200
        clock.advance(timedelta(hours=12))
        assert (await one.open("/console/credits")).status == 401


async def test_signing_out_needs_the_form_of_the_session(whole: Whole, customer: Customer) -> None:
    async with signed_in(whole, customer) as one, signed_in(whole, customer) as other:
        foreign = (await other.open("/console/credits")).form_token
        own = (await one.open("/console/credits")).form_token
        assert own != (await one.open("/console/credits")).form_token  # never written twice alike
        for token in ("", foreign, own[:64], own[64:], own[:-2], "0" * 128, "ä"):
            refused = await one.submit("/console/sign-out", form_token=token)
            assert refused.status == 403, token
        assert (await one.submit("/console/sign-out")).status == 403
        left = await one.submit("/console/sign-out", form_token=own)
        assert (left.status, left.location) == (303, "/console/signed-out")
        assert (await one.open("/console/signed-out")).status == 200
        assert (await one.open("/console/credits")).status == 401
        assert (await other.open("/console/credits")).status == 200


async def test_a_members_role_bounds_the_link_and_the_session(
    whole: Whole, customer: Customer, clock: MovableClock
) -> None:
    member_id = uuid7()
    async with whole.database.transaction() as tx:
        member = Member(
            org_id=customer.org_id,
            member_id=member_id,
            name="<b>Ada</b>",
            email="ada@example.org",
            role=Role.BILLING,
            created_at=clock.now(),
        )
        await orgs.create_member(tx, member)
    body = {
        "organizationId": customer.id,
        "role": "admin",
        "member": show_id("mem", member_id),
    }
    above = await whole.operate("POST", "/portal-sessions", body)
    assert above.status == 400
    assert "billing" in above.json["details"]["role"]["_errors"][0]
    made = await whole.operate("POST", "/portal-sessions", body | {"role": "billing"})
    audit = await whole.operate("GET", "/audit-log")
    assert "portal_session.create" in audit.text
    assert made.json["url"].rsplit("/", 1)[1] not in audit.text
    async with browser(whole) as one:
        await one.open(made.json["url"])
        page = await one.open("/console/credits")
        assert page.status == 200
        assert "&lt;b&gt;Ada&lt;/b&gt;" in page.text
        async with whole.database.transaction() as tx:
            await orgs.update_member(tx, customer.org_id, member_id, name=None, role=Role.MEMBER)
        assert (await one.open("/console/credits")).status == 403
        async with whole.database.transaction() as tx:
            await orgs.delete_member(tx, customer.org_id, member_id)
        assert (await one.open("/console/credits")).status == 401


async def test_who_may_make_links(whole: Whole, customer: Customer) -> None:
    body = {"organizationId": customer.id, "role": "owner"}
    key = customer.keys["live ADMIN"]
    assert (await whole.ask("POST", "/operator/portal-sessions", key, body)).status == 401
    stranger = body | {"organizationId": show_id("org", uuid7())}
    assert (await whole.operate("POST", "/portal-sessions", stranger)).status == 404
    assert (await whole.operate("POST", "/portal-sessions", body | {"role": "god"})).status == 400
    unknown = body | {"member": show_id("mem", uuid7())}
    assert (await whole.operate("POST", "/portal-sessions", unknown)).status == 404
    # A replay gives no second way in.
    headers = {"idempotency_key": "one"}
    first = await whole.operate("POST", "/portal-sessions", body, **headers)
    replay = await whole.operate("POST", "/portal-sessions", body, **headers)
    assert first.json["url"]
    assert replay.json["url"] is None


async def test_every_answer_has_its_headers(whole: Whole, customer: Customer) -> None:
    async with signed_in(whole, customer) as one, browser(whole) as stranger:
        for who, path in [
            (one, "/console/credits"),
            (one, "/console/nothing/here"),
            (stranger, "/console/credits"),
            (stranger, "/console/enter/x"),
        ]:
            page = await who.open(path)
            policy = page.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert page.headers["x-content-type-options"] == "nosniff"
            assert page.headers["cache-control"] == "no-store"
            assert "script-src 'self';" in policy
            assert page.text.count("<script") == len(re.findall(SCRIPT, page.text))
            assert "style=" not in page.text
            assert not re.search(r"<[^>]*\son\w+=", page.text)
        # Where processors lead back to is there as ever.
        assert (await one.open("/console/billing?redirect_status=succeeded")).status == 200


async def test_the_console_leads_to_signing_in_where_there_are_accounts(whole: Whole) -> None:
    async with browser(whole) as one:
        async with whole.database.connection() as connection:
            if not await has_any(connection):
                assert (await one.open("/console")).status == 401
        account = await make_account(whole)
        assert (await one.open("/console")).location == "/console/sign-in"
        # Who came by a link may have no account, and knows the page they were on.
        assert (await one.open("/console/credits")).status == 401
        headers = {"sec-fetch-dest": "iframe"}
        async with one.session.get(f"{one.base}/console", headers=headers) as framed:
            assert framed.status == 401
        await sign_in(whole, one, account)
        assert (await one.open("/console/sign-in")).location == "/console/organizations"
