"""A page asks as much of the database for many rows as for one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import pytest
from browsing import signed_in, staff_signed_in
from console_routes import routes_of
from counted import Opened, count_statements, statements_of
from furnished import Ids, everything_served, furnish, furnish_staff

from recycling import Databases
from tollkeeper.base.ids import read_id, uuid7
from tollkeeper.console.customer import analytics_page
from tollkeeper.db import EmbeddedServer
from whole import Customer, Whole

ROWS: Final = 20
STAFF: Final = ("/console/staff", "/console/account", "/console/organizations")
# One never ends; the others are no pages of rows: files, papers, what links and providers lead to,
# and what has more to be said in its address.
NO_LISTS: Final = (
    *("/console/live", "/console/oidc", "/console/static", "/console/theme", "/console/{rest}"),
    *("/console/invoices/{", "/console/payment-methods/added", "/console/statements"),
    *("/console/plan/cancel", "/console/usage/export", "/console/usage/newer"),
    "/console/usage/older",
)
# The same pages, asked for otherwise.
ASKED: Final = (
    "/console/analytics?by=key",
    "/console/analytics?by=project&each=day",
    "/console/analytics?by=member",
    "/console/analytics?by=tag",
    "/console/credits?currency=USD",
    "/console/keys?ended=1",
    "/console/staff/audit?organization={organization_id}",
    "/console/staff/disputes?status=open",
    "/console/staff/organizations?mode=test&show=frozen",
    "/console/staff/organizations?mode=test&q=org",
    "/console/staff/overview?mode=test",
    "/console/staff/overview/checks?mode=test",
    "/console/transactions?show=all",
    "/console/usage?key={key_id}",
    "/console/usage?member={member_id}",
    "/console/usage?without=member",
    "/console/usage/export?format=csv",
)
# Of some it is seen that they show the rows.
LISTS: Final = (
    *("/console/invoices", "/console/keys", "/console/limits", "/console/members"),
    *("/console/projects", "/console/transactions", "/console/usage", "/console/webhooks"),
    *("/console/staff/audit", "/console/staff/disputes", "/console/staff/grants"),
    *("/console/staff/inbox", "/console/staff/jobs", "/console/staff/organizations"),
    *("/console/staff/organizations?mode=test&show=frozen", "/console/staff/plans"),
    *("/console/staff/refunds", "/console/analytics?by=key", "/console/analytics?by=member"),
)


@pytest.fixture(scope="module")
async def whole(server: EmbeddedServer, databases: Databases) -> AsyncIterator[Whole]:
    async with everything_served(server, databases) as served:
        yield served


async def add_rows(whole: Whole, customer: Customer, number: int) -> Ids:
    """One more of all that lists show, of one organization and of the operator's."""
    mark = f"row {number}"
    ids = await furnish(whole, customer, mark) | await furnish_staff(whole, customer, mark)
    await call_with_its_own_key(whole, customer, ids)
    await revoke_one(whole, customer, ids)
    other = await whole.customer()
    await add_dispute(whole, other)
    freeze = {"reason": mark, "livemode": False}
    frozen = await whole.operate("POST", f"/organizations/{other.id}/freeze", freeze)
    refund = {"amount": 1, "reason": mark}
    bought = ids["purchase_id"]
    path = f"/organizations/{customer.id}/purchases/{bought}/refunds"
    refunded = await whole.operate("POST", path, refund)
    assert (frozen.status, refunded.status) == (200, 201), frozen.text + refunded.text
    return ids


async def call_with_its_own_key(whole: Whole, customer: Customer, ids: Ids) -> None:
    """Of a member's key, in a project of its own."""
    admin = customer.keys["test ADMIN"]
    new = {"name": "own", "projectId": ids["project_id"], "memberId": ids["member_id"]}
    made = await whole.ask(
        "POST", "/api-keys", admin, new | {"kind": "INFERENCE", "livemode": False}
    )
    assert made.status == 201, made.text
    call = {"provider": "sandbox", "model": "sandbox-small", "usage": {"input": 9}}
    charge = call | {"requestId": uuid7().hex, "operation": "chat"}
    charged = await whole.ask("POST", "/metering/charges", made.json["secret"], charge)
    assert charged.status < 300, charged.text
    limit = {"name": "own", "measure": "cost", "amount": 5, "period": "day"}
    limited = await whole.ask("POST", "/budgets", admin, limit | {"apiKeyId": ids["key_id"]})
    assert limited.status == 201, limited.text


async def revoke_one(whole: Whole, customer: Customer, ids: Ids) -> None:
    admin = customer.keys["test ADMIN"]
    new = {"name": "ended", "projectId": ids["project_id"], "livemode": False}
    made = await whole.ask("POST", "/api-keys", admin, new)
    ended = await whole.ask("DELETE", f"/api-keys/{made.json['id']}", admin)
    assert ended.status < 300, ended.text


async def add_dispute(whole: Whole, other: Customer) -> None:
    admin = other.keys["test ADMIN"]
    bought = await whole.ask("POST", "/billing/purchases", admin, {"amount": 25})
    async with whole.database.transaction() as tx:
        await tx.execute(
            "INSERT INTO dispute (org_id, dispute_id, payment_id, livemode, processor, ref, status,"
            " amount_minor, currency, reason, opened_at, evidence_due_at)"
            " VALUES (%s, %s, %s, false, 'sandbox', %s, 'open', 2500, 'USD', 'fraudulent',"
            " now(), now() + interval '2 days')",
            (other.org_id, uuid7(), read_id("pur", bought.json["id"]), uuid7().hex),
        )


def pages(whole: Whole) -> list[str]:
    """Every page that the console has, but those that are no lists."""
    found = [one.path for one in routes_of(whole) if one.method == "GET"]
    lists = (path for path in found if not path.startswith(NO_LISTS) and "{token}" not in path)
    return [*lists, *ASKED]


async def open_all(whole: Whole, customer: Customer, ids: Ids) -> dict[str, Opened]:
    opened: dict[str, Opened] = {}
    async with signed_in(whole, customer) as owner, staff_signed_in(whole) as staff:
        for page in pages(whole):
            one = staff if page.startswith(STAFF) else owner
            opened[page] = await statements_of(whole, one, page.format_map(ids))
            assert opened[page].status in {200, 303}, page
    return opened


async def test_no_page_asks_more_for_more_rows(
    whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Beyond forty keys, costs are asked for otherwise: the biggest, and all together.
    monkeypatch.setattr(analytics_page, "_MANY", 1000)
    count_statements(monkeypatch)
    customer = await whole.customer()
    ids = await add_rows(whole, customer, 0)
    one = await open_all(whole, customer, ids)
    for number in range(1, ROWS):
        await add_rows(whole, customer, number)
    many = await open_all(whole, customer, ids)
    assert {page: many[page].rows for page in LISTS if many[page].rows < ROWS} == {}
    more = {page: opened.statements - one[page].statements for page, opened in many.items()}
    assert {page: asked for page, asked in more.items() if asked} == {}
