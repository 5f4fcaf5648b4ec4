"""What fills every table of the operator's pages, on the server that the tests share."""

from __future__ import annotations

import os

from browsing import make_account
from playwright.async_api import Page
from windows import Window, furnish

from tollkeeper import jobs, operator
from tollkeeper.base.ids import read_id
from tollkeeper.console.signing_in import account_sessions
from tollkeeper.jobs import Task
from tollkeeper.payments.inbox import store as inbox
from tollkeeper.payments.processors.__init__ import RawEvent
from whole import Customer, Whole

STAFF = "/console/staff"
_GIVEN_UP = Task("tests.given_up", tries=1)
_PLAN = {"code": "seen", "name": "Seen", "feeMinor": 2900, "currency": "USD", "interval": "month"}


async def staff_page(
    window: Window, role: str = "admin", *, script: bool = True, width: int = 1440
) -> Page:
    whole = window.whole
    account = await make_account(whole, staff=role)
    now = whole.app.rooms.clock.now()
    async with whole.database.transaction() as tx:
        _, token = await account_sessions.begin(
            tx, account, user_agent="test", chance=os.urandom(32), now=now
        )
    page = await window.open(whole.url, script=script, width=width)
    cookie = {"name": "tollkeeper_account", "value": token, "url": f"{whole.url}/console"}
    await page.context.add_cookies([cookie])  # pyright: ignore[reportArgumentType] (a TypedDict)
    return page


async def furnish_for_staff(whole: Whole) -> Customer:
    customer = await furnish(whole)
    for path, body in [
        (f"/organizations/{customer.id}/grants", {"amount": 40, "reason": "welcome"}),
        (f"/organizations/{customer.id}/adjustments", {"amount": -3, "reason": "counted twice"}),
        (f"/organizations/{customer.id}/freeze", {"reason": "odd calls"}),
        ("/plans", {"plan": _PLAN, "reason": "our first"}),
        ("/campaigns", {"code": "SEEN", "amount": 5, "reason": "a launch"}),
        ("/recurring-grants", {"amount": 3, "every": "day", "reason": "a daily gift"}),
    ]:
        answer = await whole.operate("POST", path, body)
        assert answer.status < 300, answer.text
    key = customer.keys["test ADMIN"]
    (purchase, *_) = (await whole.ask("GET", "/billing/purchases", key)).json["data"]
    path = f"/organizations/{customer.id}/purchases/{purchase['id']}/refunds"
    refunded = await whole.operate("POST", path, {"amount": 5, "reason": "asked for"})
    assert refunded.status < 300, refunded.text
    await _write_down(whole, customer, purchase["id"])
    return customer


async def _write_down(whole: Whole, customer: Customer, purchase: str) -> None:
    """What comes from elsewhere: a dispute, a card that fails, a job given up, an event."""
    now, org_id = whole.app.rooms.clock.now(), customer.org_id
    event = RawEvent(
        processor="sandbox",
        event_id=f"evt_{org_id.hex}",
        type="no.such.thing",
        created_at=now,
        body=b'{"note": "<b>bold</b>"}',
    )
    async with whole.database.transaction() as tx:
        await tx.execute(
            "INSERT INTO dispute (org_id, dispute_id, payment_id, livemode, processor, ref, status,"
            " amount_minor, currency, reason, opened_at, evidence_due_at)"
            " VALUES (%s, gen_random_uuid(), %s, false, 'sandbox', %s, 'open', 2500, 'USD',"
            " 'fraudulent', %s, %s + interval '2 days')",
            (org_id, read_id("pur", purchase), f"dp_{org_id.hex}", now, now),
        )
        await tx.execute(
            "INSERT INTO auto_top_up (org_id, wallet_id, livemode, currency, enabled,"
            " threshold_nanos, amount_nanos, monthly_cap_nanos, failures, suspended_reason,"
            " last_failure, last_failure_at)"
            " SELECT org_id, wallet_id, livemode, 'USD', true, 5, 5, 5, 3, 'three failures',"
            " 'The card was declined', %s FROM wallet WHERE org_id = %s AND livemode",
            (now, org_id),
        )
        await jobs.enqueue(tx, _GIVEN_UP, once=org_id.hex, org=customer.id)
        await tx.execute(
            "UPDATE queue.procrastinate_jobs SET status = 'failed'"
            " WHERE task_name = 'tests.given_up'"
        )
        act = operator.Act(who="tollkeeper", why="", at=now)
        await operator.note(tx, act, "books.verify", None, findings=3)
    async with whole.database.connection() as connection:
        await inbox.insert(connection, event, now, livemode=False)
