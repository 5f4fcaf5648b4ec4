"""Customers of a running service, and many calls of theirs at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar
from uuid import uuid4

import aiohttp
from service import Service

from tollkeeper.base.ids import read_id

T = TypeVar("T")


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    json: Any
    events: list[Any] = field(default_factory=list[Any])

    @property
    def code(self) -> str:
        return self.json["code"] if "code" in self.json else self.json["error"]["code"]

    @property
    def cost(self) -> Decimal:
        """What a client is told, wherever the answer carries it."""
        if not self.events:
            return self.json["cost"]
        (cost,) = [event["cost"] for event in self.events if "cost" in event]
        return cost


@dataclass
class Customer:
    """An organization of its own, with a live and a test ADMIN key."""

    bench: Bench
    organization_id: str
    project_id: str
    key: str

    async def chat(self, model: str = "up-flat", *, stream: bool = False, **more: Any) -> Reply:
        """`idempotency_key` and other headers by name; `told` is for the provider."""
        body = {
            "model": model,
            "stream": stream,
            "max_tokens": 400,
            "messages": [{"role": "user", "content": json.dumps(more.pop("told", {}))}],
        }
        return await self.bench.ask("POST", "/chat/completions", self.key, body, **more)

    async def meter(self, path: str, body: Any, method: str = "POST", **headers: str) -> Reply:
        return await self.bench.ask(method, f"/metering{path}", self.key, body, **headers)

    async def wallet(self) -> tuple[Decimal, Decimal]:
        """What is posted, and what is held, of live credit."""
        path = f"/operator/organizations/{self.organization_id}/balances"
        found = await self.bench.ask("GET", path, self.bench.operator)
        (live,) = [balance for balance in found.json["data"] if balance["livemode"]]
        return Decimal(live["posted"]), Decimal(live["held"])

    def records(self) -> list[tuple[int, str]]:
        """Amounts and sources of its usage records that cost something, oldest first."""
        with self.bench.running.site.books() as connection:
            return connection.execute(
                "SELECT amount, source FROM usage_record WHERE org_id = %s AND amount > 0"
                " ORDER BY seq",
                (read_id("org", self.organization_id),),
            ).fetchall()


@dataclass
class Bench:
    running: Service
    session: aiohttp.ClientSession

    @property
    def operator(self) -> str:
        return self.running.shown["operatorKey"]

    async def ask(
        self, method: str, path: str, key: str, body: Any = None, **headers: str
    ) -> Reply:
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        said["authorization"] = f"Bearer {key}"
        async with self.session.request(
            method, self.running.base + path, json=body, headers=said
        ) as answer:
            text = await answer.read()
            reply = Reply(answer.status, dict(answer.headers), None)
            if answer.content_type == "text/event-stream":
                reply.events = [
                    json.loads(line.removeprefix(b"data: "), parse_float=Decimal)
                    for line in text.splitlines()
                    if line.startswith(b"data: {")
                ]
            elif text:
                reply.json = json.loads(text, parse_float=Decimal)
            return reply

    async def customer(self, dollars: str) -> Customer:
        made = await asyncio.to_thread(
            self.running.site.ask, "org", "create", f"org {uuid4().hex[:8]}"
        )
        customer = Customer(self, made["organizationId"], made["projectId"], made["liveAdminKey"])
        path = f"/operator/organizations/{customer.organization_id}/grants"
        grant = {"amount": float(dollars), "reason": "a test"}
        granted = await self.ask("POST", path, self.operator, grant)
        assert granted.status == 201, granted.json
        return customer


@asynccontextmanager
async def bench(running: Service) -> AsyncGenerator[Bench]:
    """Every call opens a connection of its own, so that all workers get some."""
    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        yield Bench(running, session)


async def at_once(calls: Iterable[Awaitable[T]]) -> list[T]:
    return list(await asyncio.gather(*calls))
