"""What somebody does on a customer's pages stands in the audit log, written in the transaction
that does it: an act whose row cannot be written is not done."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from browsing import Browser, signed_in
from console_routes import Route, ask, differences, read_token, routes_of, state_of
from furnished import Ids, everything_served, furnish
from test_buying_pages import BERLIN, filled, value_of

from recycling import Databases
from tollkeeper import orgs
from tollkeeper.base.errors import Unavailable
from tollkeeper.db import EmbeddedServer
from whole import Customer, Whole

MARK = "Mark"
# Whoever came by a link is no member, and is noted as that session.
SESSION = "console ses_"

_ACCOUNT = "of a person, whose account is of no organization"
_STRANGER = "by somebody who is not signed in yet"
_SIGNING = "opens or ends a session, and changes nothing else"
_SUMS = "works something out, and keeps nothing"
_CALL = "makes a call, which stands in the log of calls"
_PORTAL = "leads to the processor; what is changed there is noted when it is heard of"
UNNOTED = {
    "/console/account/name": _ACCOUNT,
    "/console/account/password": _ACCOUNT,
    "/console/account/sessions/{session_id}/end": _ACCOUNT,
    "/console/account/sign-out": _SIGNING,
    "/console/account/sign-out-everywhere": _SIGNING,
    "/console/auto-top-up/sentence": _SUMS,
    "/console/billing-profile/country": _SUMS,
    "/console/credits/quote": _SUMS,
    "/console/first-run/{token}": _STRANGER,
    "/console/forgot": _STRANGER,
    "/console/invitation/{token}": _STRANGER,
    "/console/notifications/read": "says that somebody has read, which nobody needs to prove",
    "/console/organizations/{org_id}": _SIGNING,
    "/console/payment-methods/portal": _PORTAL,
    "/console/playground": _CALL,
    "/console/playground/answer": _CALL,
    "/console/playground/estimate": _SUMS,
    "/console/reset/{token}": _STRANGER,
    "/console/sign-in": _STRANGER,
    "/console/sign-out": _SIGNING,
    "/console/switch-mode": _SIGNING,
}


@dataclass(frozen=True)
class Act:
    """`fields` and the address name ids as routes do; `noted` is what the audit log says of it."""

    path: str
    fields: dict[str, str]
    noted: tuple[str, ...]
    ids: Ids = field(default_factory=dict[str, str])


KEY = {"kind": "INFERENCE", "costPeriod": "month", "tokenPeriod": "month"}
LIMIT = {"name": MARK, "measure": "cost", "period": "month", "amount": "5", "enforcement": "hard"}
ADDRESS = {name.replace("billingAddress", "address"): said for name, said in BERLIN.items()}
PROFILE = {**ADDRESS, "name": "Acme, before it bought", "kind": "business"}
TOP_UP = {"enabled": "yes", "threshold": "5", "buys": "amount", "amount": "25"}
HOOK = {"url": "http://127.0.0.1:9/mark", "description": MARK}
LIMITS, METHODS, MEMBERS = "/console/limits", "/console/payment-methods", "/console/members"
HOOKS, PURCHASES = "/console/webhooks/{webhook_id}", "/console/credits/purchases/{purchase_id}"

ACTS = [
    Act("/console/keys", {**KEY, "name": "New", "projectId": "{project_id}"}, ("api_key.create",)),
    Act("/console/keys/{key_id}", {**KEY, "name": MARK, "costLimit": "7"}, ("api_key.update",)),
    Act("/console/keys/{key_id}/revoke", {"confirmation": MARK}, ("api_key.revoke",)),
    Act(LIMITS, LIMIT, ("budget.create",)),
    Act(f"{LIMITS}/{{budget_id}}", LIMIT, ("budget.update",)),
    Act(f"{LIMITS}/{{budget_id}}/reset", {}, ("budget.reset",)),
    Act(f"{LIMITS}/{{budget_id}}/delete", {"confirmation": MARK}, ("budget.delete",)),
    Act(MEMBERS, {"name": "N", "email": "n@example.org", "role": "member"}, ("member.add",)),
    Act(f"{MEMBERS}/{{member_id}}", {"name": MARK, "role": "admin"}, ("member.update",)),
    Act(f"{MEMBERS}/{{member_id}}/invite", {}, ("member.invite",)),
    Act("/console/notifications/{member_id}", {}, ("notifications.choose",)),
    Act(f"{MEMBERS}/{{member_id}}/remove", {"confirmation": MARK}, ("member.remove",)),
    Act("/console/projects", {"name": "New"}, ("project.create",)),
    Act("/console/projects/{project_id}", {"name": MARK + "ed"}, ("project.rename",)),
    Act("/console/projects/{project_id}/archive", {"confirmation": "Marked"}, ("project.archive",)),
    Act("/console/webhooks", HOOK, ("webhook.create",)),
    Act(f"{HOOKS}/change", HOOK, ("webhook.update",)),
    Act(f"{HOOKS}/rotate", {}, ("webhook.rotate",)),
    Act(f"{HOOKS}/test", {"type": "credit_balance_low"}, ("webhook.test",)),
    Act(f"{HOOKS}/deliveries/{{delivery_id}}/redeliver", {}, ("webhook.redeliver",)),
    Act(f"{HOOKS}/enabled", {}, ("webhook.disable",)),
    Act(f"{HOOKS}/delete", {"confirmation": "127.0.0.1"}, ("webhook.delete",)),
    Act("/console/billing-profile", PROFILE, ("billing_profile.update",)),
    Act("/console/auto-top-up", TOP_UP, ("auto_top_up.update",)),
    Act("/console/auto-top-up/resume", {}, ("auto_top_up.update",)),
    Act("/console/credits/add", {}, ("billing_profile.update", "purchase.create")),
    Act("/console/credits/add", {}, ("purchase.create",)),
    Act(f"{PURCHASES}/resume", {}, ("payment.resume",), {"purchase_id": "declined"}),
    Act(f"{PURCHASES}/cancel", {}, ("payment.cancel",), {"purchase_id": "unpaid"}),
    Act(f"{METHODS}/add", {}, ("payment_method.add",)),
    Act(f"{METHODS}/{{method_id}}/default", {}, ("payment_method.default",)),
    Act("/console/plan/choose/{code}", {}, ("plan.subscribe",), {"code": "free"}),
    Act("/console/plan/cancel", {"confirmation": "Free"}, ("plan.cancel",)),
    Act("/console/plan/choose/{code}", {}, ("plan.change",), {"code": "free2"}),
    Act("/console/plan/choose/{code}", {}, ("plan.subscribe",), {"code": "pro"}),
    Act("/console/plan/cancel", {"confirmation": "Pro"}, ("plan.cancel",)),
    Act("/console/plan/resume", {}, ("plan.resume",)),
    Act("/console/plan/choose/{code}", {}, ("plan.change",), {"code": "team"}),
    Act(f"{METHODS}/{{method_id}}/remove", {"confirmation": "4444"}, ("payment_method.remove",)),
]


@dataclass(frozen=True)
class Scene:
    whole: Whole
    customer: Customer
    one: Browser
    ids: Ids

    async def noted(self) -> list[str]:
        async with self.whole.database.connection() as connection:
            rows = await orgs.list_audit(connection, self.customer.org_id, None, 500)
        return [row.what for row in reversed(rows) if row.who.startswith(SESSION)]

    async def fill(self, act: Act) -> dict[str, str]:
        """What somebody sends who has looked at the page."""
        if act.path == "/console/credits/add":
            await self.one.open(act.path)
            return await filled(self.one, "10", method=self.ids["card"])
        fields = {name: said.format(**self.ids) for name, said in act.fields.items()}
        for page in ("/console/keys", LIMITS, "/console/webhooks"):
            if act.path == page:
                shown = await self.one.open(f"{page}/new")
                once = "id" if page == "/console/webhooks" else "newId"
                fields |= {once: value_of(shown, once)}
        return fields | {"form_token": await read_token(self.one, "/console/usage")}

    async def do(self, act: Act, fields: dict[str, str]) -> int:
        known = {name: self.ids.get(said, said) for name, said in act.ids.items()}
        route = Route("POST", act.path)
        return (await ask(self.one, route, route.filled(self.ids | known), fields)).status


@pytest.fixture(scope="module")
async def scene(server: EmbeddedServer, databases: Databases) -> AsyncIterator[Scene]:
    async def nothing(*_: object) -> int:
        return 0

    async with AsyncExitStack() as opened:
        # What the processor tells meanwhile would be a change.
        patch = opened.enter_context(pytest.MonkeyPatch.context())
        patch.setattr("tollkeeper.payments.opening.deliver_sandbox", nothing)
        whole = await opened.enter_async_context(everything_served(server, databases))
        customer = await whole.customer()
        one = await opened.enter_async_context(signed_in(whole, customer))
        yield Scene(
            whole, customer, one, await furnish(whole, customer, MARK) | await shop(whole, customer)
        )


async def shop(whole: Whole, customer: Customer) -> Ids:
    """Plans to choose from, cards, and purchases that are not paid."""
    for code, fee in {"free": 0, "free2": 0, "pro": 2000, "team": 5000}.items():
        plan: dict[str, Any] = {"code": code, "name": code.title(), "feeMinor": fee}
        body = {"plan": {**plan, "consumables": [], "capacities": {}}, "reason": "test"}
        assert (await whole.operate("POST", "/plans", body)).status == 201

    async def make(path: str, body: Any) -> Any:
        answer = await whole.ask("POST", f"/billing/{path}", customer.keys["test ADMIN"], body)
        assert answer.status == 201, answer.text
        return answer.json

    async def keep(token: str) -> str:
        return (await make("payment-methods", {"token": token}))["paymentMethod"]["id"]

    bad = await keep("pm_card_chargeCustomerFail")
    return {
        "card": await keep("pm_card_visa"),
        "method_id": await keep("pm_card_mastercard"),
        "declined": (await make("purchases", {"amount": 10, "paymentMethodId": bad}))["id"],
        "unpaid": (await make("purchases", {"amount": 10, "checkout": "hosted"}))["id"],
    }


async def test_every_act_has_a_line(scene: Scene) -> None:
    posts = {
        route.path
        for route in routes_of(scene.whole)
        if route.method == "POST" and not re.match(r"/console/staff\b", route.path)
    }
    known = {act.path for act in ACTS}
    assert known & set(UNNOTED) == set()
    assert {
        "no line": posts - known - set(UNNOTED),
        "no route": (known | set(UNNOTED)) - posts,
    } == {
        "no line": set(),
        "no route": set(),
    }


async def test_each_act_is_noted_or_not_done(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        # As when the database goes away: no page takes it for a fault of what was typed.
        raise Unavailable("there is no room for the row")

    wrong: list[str] = []
    for act in ACTS:
        fields, noted = await scene.fill(act), await scene.noted()
        before = await state_of(scene.whole)
        with monkeypatch.context() as broken:
            broken.setattr("tollkeeper.orgs.store.insert_audit", fail)
            refused = await scene.do(act, fields)
        undone = differences(before, await state_of(scene.whole))
        if refused < 400 or undone:
            wrong.append(f"{act.path} without its row: {refused}, changed {undone}")
        done = await scene.do(act, fields)
        said = (await scene.noted())[len(noted) :]
        if done not in {200, 303} or tuple(said) != act.noted:
            wrong.append(f"{act.path}: {done}, noted {said}")
    assert wrong == []
