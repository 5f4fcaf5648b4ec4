"""What a year of demo data lacks, done through the API as customers and operators would."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from aiohttp import web

BAD: Final = 400
_POORLY: Final = 2  # So many deliveries are answered 503 at first.


@dataclass(frozen=True, slots=True)
class Api:
    """`base` ends with `/api/v1`."""

    base: str
    operator_key: str
    session: aiohttp.ClientSession

    async def ask(self, key: str, method: str, path: str, body: object = None) -> Any:
        said = {"authorization": f"Bearer {key}"}
        async with self.session.request(
            method, self.base + path, json=body, headers=said
        ) as answer:
            text = await answer.text()
            if answer.status >= BAD:
                raise RuntimeError(f"{method} {path}: {answer.status} {text}")
            return json.loads(text) if text else None

    async def operate(self, method: str, path: str, body: object = None) -> Any:
        return await self.ask(self.operator_key, method, f"/operator{path}", body)


@dataclass(frozen=True, slots=True)
class Customers:
    """Ids of organizations: one that does well, with a key of its own, and one without credit."""

    well: str
    well_key: str
    low: str
    dry: str


async def furnish(api: Api, made: Mapping[str, Any], receiver: str) -> Customers:
    """`made` is what the demo said of itself."""
    name, key = next(iter(made["adminKeys"].items()))
    known = {
        one["name"]: one["id"]
        for one in (await api.operate("GET", "/organizations?limit=100"))["data"]
    }
    plan = {"plan": "starter", "reason": "Asked by mail", "livemode": False, "when": "now"}
    await api.operate("PUT", f"/organizations/{known[name]}/plan", plan)
    await _settle_in(api, key, receiver)
    low = await _open(api, "Pinecone Travel", adjusted=-98.16)
    dry = await _open(api, "Driftwood Notes", adjusted=-99.999988)
    await _run_the_house(api, known[name])
    return Customers(well=known[name], well_key=key, low=low, dry=dry)


async def _settle_in(api: Api, key: str, receiver: str) -> None:
    methods = (await api.ask(key, "GET", "/billing/payment-methods"))["data"]
    if len(methods) < _POORLY:
        await api.ask(key, "POST", "/billing/payment-methods", {"token": "pm_card_mastercard"})
    for amount in (25, 100):
        await api.ask(key, "POST", "/billing/purchases", {"amount": amount})
    rule = {"enabled": True, "threshold": 40, "amount": 100, "monthlyCap": 500}
    await api.ask(key, "PUT", "/billing/auto-top-up", rule)
    for budget in (
        {
            "name": "Everything, each month",
            "amount": 4,
            "period": "month",
            "alertPercents": [50, 90],
        },
        {
            "name": "claude-haiku-4-5 by day",
            "amount": 2,
            "period": "day",
            "model": "claude-haiku-4-5",
        },
    ):
        await api.ask(key, "POST", "/budgets", {"measure": "cost", **budget})
    await _call(api, key)
    hook = {"url": receiver, "description": "Our billing service"}
    webhook = await api.ask(key, "POST", "/webhooks", hook)
    for kind in ("credit_purchased", "credit_balance_low", "usage_limit_reached"):
        await api.ask(key, "POST", f"/webhooks/{webhook['id']}/test", {"type": kind})
    await api.ask(key, "POST", "/billing/purchases", {"amount": 50})


async def _call(api: Api, key: str) -> None:
    """Calls of today, so that budgets have counted something."""
    new = {"name": "Nightly reports", "kind": "INFERENCE", "livemode": False}
    project = (await api.ask(key, "GET", "/projects"))["data"][0]["id"]
    made = await api.ask(key, "POST", "/api-keys", {**new, "projectId": project})
    for number in range(12):
        call = {
            "provider": "anthropic",
            "model": "claude-haiku-4-5",
            "operation": "messages",
            "usage": {"input": 90_000 + 1_000 * number, "output": 9_000},
            "input": "Summarize what customers wrote since yesterday.",
            "requestId": f"nightly-{number}",
            "threadId": "nightly",
        }
        await api.ask(made["secret"], "POST", "/metering/charges", call)


async def _open(api: Api, name: str, adjusted: float) -> str:
    """Make an organization that has spent nearly all of its first credit."""
    org = (await api.operate("POST", "/organizations", {"name": name, "reason": "Signed up"}))["id"]
    gone = {"amount": adjusted, "reason": "Moved from the old system", "livemode": False}
    await api.operate("POST", f"/organizations/{org}/adjustments", gone)
    return str(org)


async def _run_the_house(api: Api, org: str) -> None:
    why = {"reason": "A slow day of ours"}
    await api.operate(
        "POST", f"/organizations/{org}/grants", {"amount": 15, "label": "Sorry", **why}
    )
    await api.operate(
        "POST", "/recurring-grants", {"amount": 5, "every": "month", "reason": "Free tier"}
    )
    await api.operate(
        "POST", "/campaigns", {"code": "HELLO-WORLD", "amount": 10, "reason": "Conference"}
    )


@asynccontextmanager
async def receiving() -> AsyncGenerator[str]:
    """A customer's server, which is not well at first."""
    heard: list[str] = []

    async def hear(request: web.Request) -> web.Response:
        heard.append(await request.text())
        return web.Response(status=503 if len(heard) <= _POORLY else 204)

    app = web.Application()
    app.router.add_post("/billing-events", hear)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield f"http://localhost:{port}/billing-events"
    finally:
        await runner.cleanup()
