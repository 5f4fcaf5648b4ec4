"""An organization with one of everything that has an id, all of it named as a test likes."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
from account_holders import make_link
from browsing import make_account
from identity_provider import CLIENT_ID, CLIENT_SECRET, provider_served

from recycling import Databases
from tollkeeper import jobs
from tollkeeper.base.clock import MovableClock
from tollkeeper.base.ids import read_id, show_id, uuid7
from tollkeeper.base.setting_types import Secret
from tollkeeper.base.settings import Settings, Webhooks
from tollkeeper.base.settings_of_console import Oidc
from tollkeeper.console.signing_in import account_sessions
from tollkeeper.console.signing_in.links import store as links
from tollkeeper.console.signing_in.links.making import NewLink
from tollkeeper.console.signing_in.model import Purpose, StaffRole
from tollkeeper.db import EmbeddedServer
from tollkeeper.jobs import Task
from tollkeeper.orgs import Role
from tollkeeper.payments.inbox import store as inbox
from tollkeeper.payments.processors import RawEvent
from whole import Customer, Whole, whole_served

Ids = dict[str, str]
"""By the names that routes have for them."""


def settings_with_all(issuer: str) -> Settings:
    """With a provider of sign-in, and webhooks that may go to this machine."""
    secret = Secret(CLIENT_SECRET)
    oidc = Oidc(issuer=issuer, client_id=CLIENT_ID, client_secret=secret, name="Example ID")
    return Settings(oidc=oidc, webhooks=Webhooks(private_targets=True))


@asynccontextmanager
async def everything_served(
    server: EmbeddedServer, databases: Databases, clock: MovableClock | None = None
) -> AsyncGenerator[Whole]:
    """For the tests of a module, which then share it: databases are what takes long."""
    moving = clock or MovableClock(datetime.now(UTC))
    url = server.url_of(name := databases.take(f"test_{uuid4().hex}"))
    async with (
        provider_served(moving.now) as provider,
        whole_served(url, settings_with_all(provider.issuer), moving) as whole,
    ):
        yield whole
    databases.drop(name)


async def furnish(whole: Whole, customer: Customer, mark: str) -> Ids:
    """What an organization has in test mode; whatever has a name is called by the mark."""
    admin, calls = customer.keys["test ADMIN"], customer.keys["test INFERENCE"]
    shared = customer.keys["live ADMIN"]  # for what is of both modes

    async def make(path: str, body: Any, key: str = admin) -> Any:
        answer = await whole.ask("POST", path, key, body)
        assert answer.status < 300, (path, answer.text)
        return answer.json

    email = f"{uuid7()}@example.org"
    address = f"https://hooks.invalid/{uuid7().hex}"
    webhook = await make("/webhooks", {"url": address, "description": mark})
    name = mark.replace("\u202e", "")  # which a person's name may not have
    member = await make("/members", {"name": name, "email": email, "role": "billing"}, shared)
    project = await make("/projects", {"name": mark})
    new = {"name": mark, "kind": "INFERENCE", "livemode": False, "projectId": project["id"]}
    key = await make("/api-keys", new)
    budget = {"name": mark, "measure": "cost", "amount": 50, "period": "month", "model": mark}
    limit = await make("/budgets", budget, shared)
    usage = await make("/metering/charges", _call(mark), calls)
    kept = await make("/billing/payment-methods", {"token": "pm_card_visa"})
    bought = await make("/billing/purchases", {"amount": 25})
    profile = {"name": mark, "kind": "business", "address": {"country": "US", "line1": mark}}
    await whole.ask("PUT", "/billing/profile", admin, profile)
    papers = (await whole.ask("GET", "/billing/invoices", admin)).json["data"]
    assert papers, "no invoice"
    return {
        "organization_id": customer.id,
        "org_id": customer.id,
        "webhook_id": webhook["id"],
        "delivery_id": await _deliver(whole, admin, webhook["id"]),
        "member_id": member["id"],
        "email": email,
        "project_id": project["id"],
        "key_id": key["id"],
        "budget_id": limit["id"],
        "usage_id": usage.get("usageId") or usage["id"],
        "method_id": kept["paymentMethod"]["id"],
        "purchase_id": bought["id"],
        "invoice_id": papers[0]["id"],
        "month": f"{whole.app.rooms.clock.now():%Y-%m}",
        "invitation": await _invite(whole, customer, email),
    }


async def furnish_staff(whole: Whole, customer: Customer, mark: str) -> Ids:
    """What the operator has; `code` is a plan, called by the mark."""
    operator = whole.operate
    code = f"p{uuid7().hex[-12:]}"
    plan = {"code": code, "name": mark, "feeMinor": 2000, "consumables": [], "capacities": {}}
    assert (await operator("POST", "/plans", {"plan": plan, "reason": mark})).status == 201
    grant = {"amount": 1, "reason": mark, "label": mark, "organizationId": customer.id}
    # Begins when no test looks any more: what a job gives meanwhile would be a change.
    rule = {"every": "month", "startAt": "2100-01-01T00:00:00Z"}
    given = await operator("POST", "/recurring-grants", grant | rule)
    offer = {"code": uuid7().hex[-12:].upper(), "amount": 1, "reason": mark, "label": mark}
    campaign = await operator("POST", "/campaigns", offer)
    assert (given.status, campaign.status) == (201, 201), given.text + campaign.text
    free = {"amount": 1, "reason": mark, "label": mark, "livemode": True, "currency": "USD"}
    await operator("POST", f"/organizations/{customer.id}/grants", free)
    link = NewLink(
        purpose=Purpose.STAFF,
        made_by=mark,
        email=f"{uuid7()}@example.org",
        staff_role=StaffRole.VIEWER,
    )
    token = (await make_link(whole, link)).rpartition("/")[2]
    now = whole.app.rooms.clock.now()
    async with whole.database.connection() as connection:
        invited = await links.list_of_staff(connection, now)
    return {
        "code": code,
        "grant_id": given.json["id"],
        "campaign_id": campaign.json["id"],
        "link_id": show_id("inv", invited[-1].link_id),
        "processor": "sandbox",
        "event_id": await _receive(whole, mark),
        "job_id": str(await _fail_a_job(whole, mark)),
        "provider": "sandbox",
        "model": "sandbox-small",
        "token": token,
        **await _somebody(whole),
    }


def _call(mark: str) -> dict[str, Any]:
    return {
        "provider": "sandbox",
        "model": "sandbox-small",
        "operation": "search",
        "usage": {"input": 1000, "output": 2000},
        "input": mark,
        "threadId": mark,
        "endUser": mark,
        "error": mark,
        "tags": {"team": mark[:100]},
        "requestId": uuid7().hex,
    }


async def _deliver(whole: Whole, key: str, webhook_id: str) -> str:
    body = {"type": "credit_balance_low"}
    sent = await whole.ask("POST", f"/webhooks/{webhook_id}/test", key, body)
    assert sent.status < 300, sent.text
    listed = await whole.ask("GET", f"/webhooks/{webhook_id}/deliveries", key)
    return listed.json["data"][0]["id"]


async def _invite(whole: Whole, customer: Customer, email: str) -> str:
    new = NewLink(
        purpose=Purpose.MEMBER,
        made_by="test",
        email=email,
        org_id=customer.org_id,
        role=Role.BILLING,
    )
    return (await make_link(whole, new)).rpartition("/")[2]


async def _receive(whole: Whole, mark: str) -> str:
    now = whole.app.rooms.clock.now() - timedelta(seconds=1)
    said = {"id": "x", "type": "no.such", "about": {}, "created": now, "note": mark}
    event = RawEvent(
        processor="sandbox",
        event_id=f"evt_{uuid7().hex}",
        type="no.such.thing",
        created_at=whole.app.rooms.clock.now(),
        body=msgspec.json.encode(said),
    )
    async with whole.database.connection() as connection:
        await inbox.insert(connection, event, now, livemode=False)
    return event.event_id


async def _fail_a_job(whole: Whole, mark: str) -> int:
    async with whole.database.transaction() as tx:
        await jobs.enqueue(tx, Task("tests.hopeless", tries=1), once=uuid7().hex, said=mark)
        row = await (
            await tx.execute(
                "UPDATE queue.procrastinate_jobs SET status = 'failed'"
                " WHERE task_name = 'tests.hopeless' AND status = 'todo' RETURNING id"
            )
        ).fetchone()
    assert row is not None
    return int(row[0])


async def _somebody(whole: Whole) -> Ids:
    """Somebody of the staff who is signed in somewhere."""
    account = await make_account(whole, staff="viewer")
    now = whole.app.rooms.clock.now()
    async with whole.database.transaction() as tx:
        session, _ = await account_sessions.begin(
            tx, account, user_agent="elsewhere", chance=secrets.token_bytes(32), now=now
        )
    return {
        "account_id": show_id("acc", account.account_id),
        "session_id": show_id("ses", session.session_id),
    }


def strange(ids: Ids) -> Ids:
    """Ids of the same kinds that never were."""
    return {name: _other(said) for name, said in ids.items()}


def _other(said: str) -> str:
    kind, _, rest = said.partition("_")
    try:
        read_id(kind, said)
    except ValueError:
        return said
    return show_id(kind, uuid7()) if rest else said
