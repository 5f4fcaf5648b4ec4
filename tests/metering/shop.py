"""The metering and billing endpoints over real HTTP, with customers who use them."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import aiohttp
import msgspec
from metered import DOLLAR, GPT, PAGES, Purse, open_purse

from serving import served
from tollkeeper.base.clock import MovableClock
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.base.settings import Settings
from tollkeeper.db import Database
from tollkeeper.http import Api, Cursors, Idempotency, make_api
from tollkeeper.metering import Meter, analytics_routes, billing_routes, metering_routes
from tollkeeper.orgs import (
    KEYRING,
    KeyKind,
    KeyRing,
    NewKey,
    create_key,
    create_operator_key,
    create_org,
    create_project,
)
from tollkeeper.pricing import BookKeeper, publish

SECRET = b"s" * 32


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


@dataclass
class Customer:
    """An organization with a live and a test wallet, and its keys."""

    purse: Purse
    test_purse: Purse
    project_id: UUID
    admin: str
    inference: str
    test_admin: str
    key_ids: dict[str, UUID]

    @property
    def org_id(self) -> UUID:
        return self.purse.org_id

    @property
    def named(self) -> dict[str, Any]:
        """How an operator names it."""
        return {
            "organizationId": show_id("org", self.org_id),
            "projectId": show_id("prj", self.project_id),
        }


@dataclass
class Shop:
    database: Database
    clock: MovableClock
    meter: Meter
    books: BookKeeper
    operator: str
    api: Api
    url: str
    session: aiohttp.ClientSession
    settings: Settings = field(default_factory=Settings)

    async def ask(
        self, method: str, path: str, key: str | None, body: Any = None, **headers: str
    ) -> Reply:
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            said["authorization"] = f"Bearer {key}"
        content = body if body is None or isinstance(body, bytes) else msgspec.json.encode(body)
        if content is not None:
            said.setdefault("content-type", "application/json")
        async with self.session.request(
            method, self.url + path, data=content, headers=said
        ) as reply:
            named = {name.lower(): value for name, value in reply.headers.items()}
            return Reply(reply.status, named, await reply.read())

    async def post(self, path: str, key: str | None, body: Any, **headers: str) -> Reply:
        return await self.ask("POST", path, key, body, **headers)

    async def get(self, path: str, key: str | None, **headers: str) -> Reply:
        return await self.ask("GET", path, key, **headers)

    async def customer(self, amount: int = 100 * DOLLAR) -> Customer:
        now = self.clock.now()
        org_id, project_id = uuid7(), uuid7()
        async with self.database.transaction() as tx:
            await create_org(tx, org_id=org_id, name="Acme", now=now)
            await create_project(tx, org_id=org_id, project_id=project_id, name="one", now=now)
        purse = await open_purse(self.database, self.clock, amount, org_id=org_id, livemode=True)
        test = await open_purse(self.database, self.clock, amount, org_id=org_id)
        customer = Customer(purse, test, project_id, "", "", "", {})
        customer.admin = await self.key(customer, KeyKind.ADMIN, livemode=True)
        customer.inference = await self.key(customer, KeyKind.INFERENCE, livemode=True)
        customer.test_admin = await self.key(customer, KeyKind.ADMIN, livemode=False)
        return customer

    async def key(self, customer: Customer, kind: KeyKind, *, livemode: bool) -> str:
        new = NewKey(
            org_id=customer.org_id,
            key_id=uuid7(),
            project_id=customer.project_id,
            name="a key",
            kind=kind,
            livemode=livemode,
        )
        async with self.database.transaction() as tx:
            _, secret = await create_key(tx, new, chance=os.urandom(32), now=self.clock.now())
        customer.key_ids[secret] = new.key_id
        return secret


@asynccontextmanager
async def open_shop(
    database: Database, clock: MovableClock, settings: Settings | None = None
) -> AsyncGenerator[Shop]:
    settings = settings or Settings()
    async with database.transaction() as tx:
        await publish(tx, [GPT, PAGES], "a test", clock.now())
        _, operator = await create_operator_key(
            tx, key_id=uuid7(), name="us", chance=os.urandom(32), now=clock.now()
        )
    books = BookKeeper(database)
    await books.refresh()
    idempotency = Idempotency(database, clock)
    async with AsyncExitStack() as stack:
        keys = await stack.enter_async_context(KeyRing.open(database, clock))
        meter = await stack.enter_async_context(
            Meter.open(database, clock, spending=settings.spending)
        )
        routes = metering_routes(
            database=database,
            clock=clock,
            meter=meter,
            books=books,
            keys=keys,
            idempotency=idempotency,
            settings=settings,
            default_livemode=True,
        )
        api = make_api(
            [*billing_routes(settings), *analytics_routes(settings)],
            routes,
            idempotency=idempotency,
            max_body_bytes=settings.server.max_body_bytes,
            dependencies={
                "database": database,
                "clock": clock,
                "cursors": Cursors(SECRET),
                "keeper": books,
            },
            state={KEYRING: keys},
        )
        url = await stack.enter_async_context(served(api))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Shop(database, clock, meter, books, operator, api, url, session, settings)
