"""The operator's pages about customers and money: they say what the operator API says."""

from __future__ import annotations

import re
from typing import Any

import pytest
from browsing import Browser, Page, browser, make_account, sign_in, signed_in, staff_signed_in

from tollkeeper import metering, operator, orgs
from tollkeeper.base.ids import read_id, uuid7
from tollkeeper.console.staff.overview_page import change
from whole import Customer, Whole

STAFF = "/console/staff"
PAGES = (
    "overview",
    "overview/checks",
    "overview/earned",
    "organizations",
    "grants",
    "refunds",
    "disputes",
)
ACTS = ("grant", "adjust", "freeze", "unfreeze", "overdraft", "plan", "cancel-plan", "open")
NEW = ("organizations/new", "grants/campaigns/new", "grants/recurring/new")


def path_of(customer: Customer, act: str = "") -> str:
    whole = f"{STAFF}/organizations/{customer.id}"
    return f"{whole}/{act}" if act else whole


def once_of(page: Page) -> str:
    found = re.search(r'name="once" value="([0-9a-f]{32})"', page.text)
    assert found, page.text
    return found[1]


async def send(one: Browser, path: str, **fields: str) -> Page:
    """Open a form, fill it in, and send it."""
    form = await one.open(path)
    assert form.status == 200, form.text
    known = {"form_token": form.form_token, "once": once_of(form), "reason": "Asked for"}
    return await one.submit(path, **{**known, "livemode": "true", "currency": "USD", **fields})


async def balance(whole: Whole, customer: Customer, *, livemode: bool = True) -> dict[str, Any]:
    found = (await whole.operate("GET", f"/organizations/{customer.id}/balances")).json["data"]
    return next(one for one in found if one["livemode"] is livemode and one["currency"] == "USD")


async def acts(whole: Whole, what: str) -> list[dict[str, Any]]:
    rows = (await whole.operate("GET", "/audit-log?limit=200")).json["data"]
    return [row for row in rows if row["what"] == what]


async def buy(whole: Whole, customer: Customer, amount: int = 25) -> str:
    key = customer.keys["test ADMIN"]
    bought = await whole.ask("POST", "/billing/purchases", key, {"amount": amount})
    assert bought.json["status"] == "succeeded", bought.text
    return bought.json["id"]


async def spend(whole: Whole, customer: Customer, tokens: int) -> None:
    body = {"provider": "sandbox", "model": "sandbox-small", "usage": {"input": tokens}}
    key = customer.keys["live INFERENCE"]
    answer = await whole.ask("POST", "/metering/charges", key, body)
    assert answer.status < 400, answer.text


async def add_up(whole: Whole, customer: Customer) -> None:
    async with whole.database.connection() as connection:
        found = await connection.execute(
            "SELECT org_id, wallet_id FROM wallet WHERE org_id = %s", (customer.org_id,)
        )
        wallets = await found.fetchall()
    await metering.add_up(whole.database, wallets)


# ── Who may ──────────────────────────────────────────────────────────────────────────────────────


async def test_viewers_read_and_admins_act(whole: Whole, customer: Customer) -> None:
    purchase = await buy(whole, customer)
    refund = path_of(customer, f"purchases/{purchase}/refund")
    forms = [*(path_of(customer, act) for act in ACTS), *(f"{STAFF}/{one}" for one in NEW), refund]
    reading = [*(f"{STAFF}/{page}" for page in PAGES), path_of(customer)]
    async with (
        staff_signed_in(whole, "viewer") as viewer,
        staff_signed_in(whole) as admin,
        browser(whole) as stranger,
        signed_in(whole, customer) as owner,
    ):
        await sign_in(whole, stranger, await make_account(whole))
        token = (await viewer.open(reading[0])).form_token
        for path in reading:
            seen = await viewer.open(path)
            assert seen.status == 200, (path, seen.text)
            offered = [form for form in forms if f'href="{form}' in seen.text]
            assert offered == [], path
            assert (await admin.open(path)).status == 200
            assert (await stranger.open(path)).status == 403
            assert (await owner.open(path)).location.startswith("/console/sign-in")
        for path in forms:
            assert (await admin.open(path)).status == 200, path
            for one, status in ((viewer, 403), (stranger, 403), (owner, 303)):
                fields = {"form_token": token, "once": uuid7().hex, "reason": "x", "amount": "1"}
                assert (await one.submit(path, **fields)).status == status, path
        assert "grant?mode=" in (await admin.open(path_of(customer))).text
        # The staff's session is no customer's.
        assert (await admin.open("/console/credits")).status in (303, 401)
    assert (await balance(whole, customer))["posted"] == 0
    assert await acts(whole, "credit.grant") == []


async def test_forms_of_another_session_do_nothing(whole: Whole, customer: Customer) -> None:
    async with staff_signed_in(whole) as admin, staff_signed_in(whole) as other:
        token = (await other.open(path_of(customer, "grant"))).form_token
        fields = {"form_token": token, "once": uuid7().hex, "amount": "5", "reason": "x"}
        assert (await admin.submit(path_of(customer, "grant"), **fields)).status == 403
        unknown = f"{STAFF}/organizations/org_{uuid7().hex}"
        for path in (unknown, f"{unknown}/grant", f"{STAFF}/organizations/nobody"):
            assert (await admin.open(path)).status == 404
    assert (await balance(whole, customer))["posted"] == 0


# ── Acts ─────────────────────────────────────────────────────────────────────────────────────────


async def test_a_form_sent_twice_grants_once(whole: Whole, customer: Customer) -> None:
    path = path_of(customer, "grant")
    async with staff_signed_in(whole) as admin:
        form = await admin.open(path)
        fields = {
            "form_token": form.form_token,
            "once": once_of(form),
            "amount": "$1,250.50",
            "currency": "USD",
            "livemode": "true",
            "label": "Sorry <b>",
            "expiresAt": "2199-12-31",
            "priority": "10",
            "reason": "An outage",
        }
        after = f"{path_of(customer)}?mode=live&done=staff_granted"
        for _ in range(2):
            sent = await admin.submit(path, **fields)
            assert (sent.status, sent.location) == (303, after)
        shown = await admin.open(after)
        assert "The credit is there." in shown.text
        assert "Sorry &lt;b&gt;" in shown.text
        assert "$1,250.50" in shown.text
    assert (await balance(whole, customer))["posted"] == "1250.5"
    key = customer.keys["live ADMIN"]
    (lot,) = (await whole.ask("GET", "/billing/lots", key)).json["data"]
    assert (lot["priority"], lot["expiresAt"]) == (10, "2200-01-01T00:00:00Z")
    (act,) = await acts(whole, "credit.grant")
    assert (act["why"], act["organizationId"]) == ("An outage", customer.id)
    assert act["who"].endswith("@example.org")


async def test_what_is_wrong_is_said_beside_its_field(whole: Whole, customer: Customer) -> None:
    path = path_of(customer, "grant")
    async with staff_signed_in(whole) as admin:
        typed = {"amount": "1e3", "label": "Kept & <i>", "priority": "5000", "reason": "  "}
        refused = await send(admin, path, **typed)
        assert refused.status == 400
        for name in ("amount", "priority", "reason"):
            assert f'id="{name}-fault"' in refused.text
        assert "Say why. It goes to the audit log." in refused.text
        assert 'value="Kept &amp; &lt;i&gt;"' in refused.text
        once = once_of(refused)
        assert 'value="1e3"' in refused.text
        for fields in ({"amount": "0"}, {"amount": "5", "expiresAt": "2001-01-01"}):
            assert (await send(admin, path, **fields)).status == 400
        assert (await send(admin, path, amount="5", currency="EUR")).status == 400
        assert (await send(admin, path, amount="5", once="nonsense")).status == 400
        mended = await send(admin, path, amount="5", once=once)
        assert mended.status == 303
    assert (await balance(whole, customer))["posted"] == 5


async def test_a_large_correction_asks_for_the_name(whole: Whole, customer: Customer) -> None:
    path, name = path_of(customer, "adjust"), f"org {customer.org_id}"
    async with staff_signed_in(whole) as admin:
        assert (await send(admin, path, amount="1000")).status == 303
        asked = await send(admin, path, amount="-1000.01")
        assert (asked.status, f"type {name}" in asked.text) == (400, True)
        assert (await send(admin, path, amount="-1000.01", confirmation="org")).status == 400
        assert (await send(admin, path, amount="-1000.01", confirmation=name)).status == 303
        assert (await send(admin, path, amount="0")).status == 400
    assert (await balance(whole, customer))["posted"] == "-0.01"
    assert [row["why"] for row in await acts(whole, "credit.adjust")] == ["Asked for"] * 2


async def test_a_balance_is_frozen_overdrawn_and_opened(whole: Whole, customer: Customer) -> None:
    async with staff_signed_in(whole) as admin:
        frozen = await send(admin, path_of(customer, "freeze"), reason="Fraud?")
        assert frozen.status == 303
        shown = (await admin.open(path_of(customer))).text
        assert "Fraud?" in shown
        assert "unfreeze?mode=live" in shown
        assert (await balance(whole, customer))["frozenReason"] == "Fraud?"
        assert "Frozen" in (await admin.open(f"{STAFF}/organizations?mode=live")).text
        place = f"{STAFF}/organizations?show=frozen&mode=live"
        assert f'href="{path_of(customer)}?mode=live"' in (await admin.open(place)).text
        await send(admin, path_of(customer, "unfreeze"))
        assert f'href="{path_of(customer)}' not in (await admin.open(place)).text
        assert (await balance(whole, customer))["frozenReason"] is None
        await send(admin, path_of(customer, "overdraft"), amount="7.5")
        assert (await balance(whole, customer))["overdraft"] == "7.5"
        assert (await send(admin, path_of(customer, "overdraft"), amount="-1")).status == 400
        assert (await send(admin, path_of(customer, "open"), role="king")).status == 400
        opened = await send(admin, path_of(customer, "open"), role="billing", livemode="false")
        assert (opened.status, opened.location) == (303, "/console")
        assert f"org {customer.org_id}" in (await admin.open("/console/credits")).text
    (act,) = await acts(whole, "console.open_as")
    assert act["details"] == {"role": "billing", "livemode": False}
    assert len(await acts(whole, "balance.freeze")) == 1


async def test_a_plan_is_assigned_and_cancelled(whole: Whole, customer: Customer) -> None:
    plan = {"code": "team", "name": "Team", "feeMinor": 0, "currency": "USD", "interval": "month"}
    published = await whole.operate("POST", "/plans", {"plan": plan, "reason": "Sale"})
    assert published.status == 201, published.text
    async with staff_signed_in(whole) as admin:
        assert (await send(admin, path_of(customer, "plan"), plan="none", when="")).status == 400
        assert (await send(admin, path_of(customer, "plan"), plan="team", when="")).status == 303
        assert "Team" in (await admin.open(f"{path_of(customer)}?mode=live")).text
        assert "Team" in (await admin.open(f"{STAFF}/organizations?mode=live")).text
        read = await whole.operate("GET", f"/organizations/{customer.id}/plan")
        assert read.json["plan"]["code"] == "team", read.text
        cancel = path_of(customer, "cancel-plan")
        assert (await send(admin, cancel, when="now")).status == 303
        assert (await send(admin, cancel, when="now")).status == 400
    assert len(await acts(whole, "plan.subscribe")) == 1
    assert len(await acts(whole, "plan.cancel")) == 1


async def test_an_organization_is_made_once(whole: Whole) -> None:
    path = f"{STAFF}/organizations/new"
    async with staff_signed_in(whole) as admin:
        form = await admin.open(path)
        once = once_of(form)
        assert (await send(admin, path, name="", once=once)).status == 400
        for _ in range(2):
            made = await send(admin, path, name="Acme & <Co>", once=once)
            assert made.status == 303
        acme = f"{STAFF}/organizations/org_{once}"
        assert "Acme &amp; &lt;Co&gt;" in (await admin.open(acme)).text
    (listed,) = (await whole.operate("GET", "/organizations")).json["data"]
    assert (listed["name"], listed["id"]) == ("Acme & <Co>", f"org_{once}")
    assert len(await acts(whole, "organization.create")) == 1


# ── Rules of free credit ─────────────────────────────────────────────────────────────────────────


async def test_codes_are_made_once_and_stopped(whole: Whole, customer: Customer) -> None:
    path = f"{STAFF}/grants/campaigns/new"
    async with staff_signed_in(whole) as admin:
        faulty = await send(admin, path, code="a", amount="x", mostRedemptions="0")
        for name in ("code", "amount", "mostRedemptions"):
            assert f'id="{name}-fault"' in faulty.text
        form = await admin.open(path)
        once = once_of(form)
        for _ in range(2):
            made = await send(
                admin,
                path,
                code="launch",
                amount="5",
                once=once,
                mostRedemptions="2",
                validUntil="2199-01-01",
                priority="50",
            )
            assert made.status == 303, made.text
        (api,) = (await whole.operate("GET", "/campaigns")).json["data"]
        assert (api["code"], api["validUntil"]) == ("LAUNCH", "2199-01-02T00:00:00Z")
        taken = await send(admin, path, code="LAUNCH", amount="5")
        assert (taken.status, "already" in taken.text) == (400, True)
        shown = (await admin.open(f"{STAFF}/grants")).text
        assert "LAUNCH" in shown
        stop = f"{STAFF}/grants/campaigns/{api['id']}/end"
        assert f'href="{stop}"' in shown
        assert (await send(admin, stop, reason="")).status == 400
        assert (await send(admin, stop)).status == 303
        assert f'href="{stop}"' not in (await admin.open(f"{STAFF}/grants")).text
    key = customer.keys["live ADMIN"]
    gone = await whole.ask("POST", "/billing/redemptions", key, {"code": "launch"})
    assert gone.status >= 400
    assert len(await acts(whole, "campaign.create")) == 1
    assert len(await acts(whole, "campaign.end")) == 1


async def test_recurring_grants_are_made_once_and_stopped(whole: Whole, customer: Customer) -> None:
    path = f"{STAFF}/grants/recurring/new"
    fields = {"amount": "3", "every": "day", "timeZone": "Europe/Berlin", "priority": "50"}
    async with staff_signed_in(whole) as admin:
        assert (await send(admin, path, **(fields | {"timeZone": "Mars"}))).status == 400
        assert (
            await send(admin, path, organizationId=f"org_{uuid7().hex}", **fields)
        ).status == 400
        once = once_of(await admin.open(path))
        for _ in range(2):
            made = await send(admin, path, organizationId=customer.id, once=once, **fields)
            assert made.status == 303, made.text
        (api,) = (await whole.operate("GET", "/recurring-grants")).json["data"]
        assert (api["amount"], api["organizationId"]) == (3, customer.id)
        stop = f"{STAFF}/grants/recurring/{api['id']}/end"
        assert f'href="{stop}"' in (await admin.open(f"{STAFF}/grants")).text
        assert (await send(admin, stop)).status == 303
        assert "Stopped" in (await admin.open(f"{STAFF}/grants")).text
    assert len(await acts(whole, "recurring_grant.create")) == 1
    assert len(await acts(whole, "recurring_grant.end")) == 1


# ── Money that goes back ─────────────────────────────────────────────────────────────────────────


async def test_a_purchase_is_refunded_once_for_each_form(whole: Whole, customer: Customer) -> None:
    purchase = await buy(whole, customer)
    taken = {"amount": -20, "reason": "spent", "livemode": False}
    await whole.operate("POST", f"/organizations/{customer.id}/adjustments", taken)
    path = path_of(customer, f"purchases/{purchase}/refund")
    async with staff_signed_in(whole) as admin:
        shown = await admin.open(path_of(customer))
        assert f'href="{path}"' in shown.text
        form = await admin.open(path)
        assert "$15.00</span> of <span" in form.text
        assert "$10.00</span> of its credit is spent" in form.text
        for amount in ("25.01", "0", "1.001", "lots"):
            assert (await send(admin, path, amount=amount)).status == 400
        spent = await send(admin, path)
        assert (spent.status, "is unspent" in spent.text) == (400, True)
        once = once_of(form)
        for _ in range(2):
            sent = await send(admin, path, amount="10", once=once)
            assert sent.location == f"{path_of(customer)}?done=staff_refunded"
        assert (await send(admin, path, force="yes")).status == 303
        assert "Nothing is left to refund" in (await admin.open(path)).text
        assert (await send(admin, path)).status == 400
        listed = (await admin.open(f"{STAFF}/refunds")).text
        assert listed.count("Paid back") == 2
        assert "$15.00" in listed
        other = f"{STAFF}/organizations/org_{uuid7().hex}/purchases/{purchase}/refund"
        assert (await admin.open(other)).status == 404
    assert (await balance(whole, customer, livemode=False))["posted"] == -10
    assert len(await acts(whole, "purchase.refund")) == 2


async def test_disputes_say_until_when_and_where(whole: Whole, customer: Customer) -> None:
    purchase = read_id("pur", await buy(whole, customer))
    async with whole.database.transaction() as tx:
        await tx.execute(
            "INSERT INTO dispute (org_id, dispute_id, payment_id, livemode, processor, ref, status,"
            " amount_minor, currency, reason, opened_at, evidence_due_at)"
            " VALUES (%s, gen_random_uuid(), %s, false, 'sandbox', 'dp_1', 'open', 2500, 'USD',"
            " 'fraudulent', %s, %s + interval '2 days')",
            (customer.org_id, purchase, *[whole.app.rooms.clock.now()] * 2),
        )
    await whole.operate(
        "POST", f"/organizations/{customer.id}/freeze", {"reason": "dp", "livemode": False}
    )
    async with staff_signed_in(whole, "viewer") as viewer:
        shown = (await viewer.open(f"{STAFF}/disputes")).text
        for said in ("dp_1", "fraudulent", "Soon", "Frozen", "/sandbox/dashboard/", "$25.00"):
            assert said in shown, said
        assert f'href="{path_of(customer)}"' in shown
        assert "dp_1" not in (await viewer.open(f"{STAFF}/disputes?status=won")).text
        assert "disputes to answer" in (await viewer.open(f"{STAFF}/overview?mode=test")).text
        assert (await viewer.open(f"{STAFF}/disputes?status=odd")).status == 400


# ── Overview and lists ───────────────────────────────────────────────────────────────────────────


async def test_the_overview_says_what_the_api_says(whole: Whole, customer: Customer) -> None:
    path = f"/organizations/{customer.id}/grants"
    assert (await whole.operate("POST", path, {"amount": 40, "reason": "x"})).status == 201
    await spend(whole, customer, 1_000)
    await buy(whole, customer, 25)
    await buy(whole, customer, 30)
    await add_up(whole, customer)
    now = whole.app.rooms.clock.now()
    (month,) = (await whole.operate("GET", f"/revenue?from={now:%Y-%m}&to={now:%Y-%m}")).json[
        "data"
    ]
    async with staff_signed_in(whole, "viewer") as viewer:
        live = (await viewer.open(f"{STAFF}/overview")).text
        assert f'title="{month["closing"]} USD"' in live
        assert f'title="{month["earned"]} USD"' in live
        assert "Nothing needs you." in live
        assert f'href="{path_of(customer)}"' in live
        earned = (await viewer.open(f"{STAFF}/overview/earned")).text
        for name in ("granted", "earned", "closing"):
            assert f'title="{month[name]} USD"' in earned, name
        test = (await viewer.open(f"{STAFF}/overview?mode=test")).text
        assert test.count("$55.00") == 3
        listed = (await viewer.open(f"{STAFF}/organizations")).text
        available = (await balance(whole, customer))["available"]
        assert f'title="{available} USD"' in listed
        shown = (await viewer.open(path_of(customer))).text
        for name in ("available", "lifetimeSpent"):
            assert f'title="{(await balance(whole, customer))[name]} USD"' in shown, name


async def test_what_needs_somebody_is_listed(whole: Whole, customer: Customer) -> None:
    now = whole.app.rooms.clock.now()
    async with whole.database.transaction() as tx:
        await tx.execute(
            "INSERT INTO auto_top_up (org_id, wallet_id, livemode, currency, enabled,"
            " threshold_nanos, amount_nanos, monthly_cap_nanos, failures, suspended_reason,"
            " last_failure, last_failure_at)"
            " SELECT org_id, wallet_id, true, 'USD', true, 5, 5, 5, 3, 'three failures',"
            " 'The card was declined', %s FROM wallet WHERE org_id = %s AND livemode",
            (now, customer.org_id),
        )
        await tx.execute(
            "INSERT INTO webhook_endpoint (org_id, endpoint_id, livemode, url, description, types,"
            " secret, enabled, failing_since, created_at)"
            " VALUES (%s, gen_random_uuid(), true, 'https://hooks.example/x', '', '{}', 's', true,"
            " %s, %s)",
            (customer.org_id, now, now),
        )
        await tx.execute(
            "INSERT INTO usage_unpriced (org_id, wallet_id, seq, usage_id, recorded_at)"
            " SELECT org_id, wallet_id, 1, gen_random_uuid(), %s FROM wallet WHERE org_id = %s"
            " AND livemode",
            (now, customer.org_id),
        )
        act = operator.Act(who="tollkeeper", why="", at=now)
        await operator.note(tx, act, "books.verify", None, findings=3)
    async with staff_signed_in(whole, "viewer") as viewer:
        shown = (await viewer.open(f"{STAFF}/overview?mode=live")).text
        for said in ("do not add up", "wait for a price", "do not get paid", "do not answer"):
            assert said in shown, said
        assert "Nothing needs you." not in shown
        checks = (await viewer.open(f"{STAFF}/overview/checks?mode=live")).text
        for said in ("3 findings", "The card was declined", "https://hooks.example/x", "use_"):
            assert said in checks, said


async def test_the_nightly_proof_is_remembered(whole: Whole) -> None:
    rooms = whole.app.rooms
    async with whole.database.connection() as connection:
        assert await operator.last_verification(connection) is None
    await operator.verify_all(rooms.database, rooms.clock)
    async with whole.database.connection() as connection:
        known = await operator.last_verification(connection)
    assert known is not None
    assert (known.findings, known.at) == (0, rooms.clock.now())
    async with staff_signed_in(whole, "viewer") as viewer:
        assert "worked out again and agrees" in (await viewer.open(f"{STAFF}/overview/checks")).text


async def test_organizations_are_found_by_what_is_known_of_them(whole: Whole) -> None:
    made = [await whole.customer() for _ in range(27)]
    one = made[3]
    async with whole.database.transaction() as tx:
        ada = orgs.Member(
            org_id=one.org_id,
            member_id=uuid7(),
            name="Ada",
            email="ada@lovelace.example",
            role=orgs.Role.OWNER,
            created_at=whole.app.rooms.clock.now(),
        )
        await orgs.create_member(tx, ada)
    place = f"{STAFF}/organizations"
    async with staff_signed_in(whole, "viewer") as viewer:
        prefix = one.keys["live ADMIN"][:12]
        for sought in (one.id, f"org {one.org_id}"[:30], "ada@LOVE", prefix):
            found = (await viewer.open(f"{place}?q={sought}")).text
            listed = re.findall(r'class="open-row cut" href="[^"]*(org_[0-9a-f]{32})', found)
            assert listed == [one.id], sought
        for sought in ("nobody", f"org_{uuid7().hex}", "org_", "%25", "tk_live_????"):
            assert "Nothing found" in (await viewer.open(f"{place}?q={sought}")).text, sought
        seen: list[str] = []
        page = await viewer.open(place)
        seen += re.findall(r'href="[^"]*(org_[0-9a-f]{32})\?', page.text)
        older = re.search(r'href="(/console/staff/organizations\?before=[^"]+)"', page.text)
        assert older
        seen += re.findall(r'href="[^"]*(org_[0-9a-f]{32})\?', (await viewer.open(older[1])).text)
    assert seen == [customer.id for customer in reversed(made)]


@pytest.mark.parametrize(
    ("now", "before", "percent"), [(0, 0, None), (5, 0, None), (3, 2, 50), (1, 2, -50), (2, 3, -33)]
)
def test_a_change_is_in_whole_percent(now: int, before: int, percent: int | None) -> None:
    assert change(now, before) == percent
