"""The whole application over real HTTP, with customers and an operator, for tests of any room."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import aiohttp
import msgspec

from serving import served
from tollkeeper import operator, orgs, pricing
from tollkeeper.app import Tollkeeper, open_app
from tollkeeper.base.clock import Clock
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.base.money import NumberText
from tollkeeper.base.settings import Settings
from tollkeeper.db import Database
from tollkeeper.operator import Act, Opening
from tollkeeper.ops.server import address_of, listen
from tollkeeper.orgs import KeyKind, NewKey
from tollkeeper.pricing import read_price_file

DOLLAR = 1_000_000_000
_decode = msgspec.json.Decoder(float_hook=NumberText).decode


@dataclass(frozen=True)
class Answer:
    """What came back. Numbers with a point are text, as they were written."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return _decode(self.text)


@dataclass(frozen=True)
class Customer:
    """An organization with a key of each kind, live and test."""

    org_id: UUID
    project_id: UUID
    keys: dict[str, str]
    key_ids: dict[str, UUID]

    @property
    def id(self) -> str:
        return show_id("org", self.org_id)


class Whole:
    def __init__(self, app: Tollkeeper, url: str, session: aiohttp.ClientSession) -> None:
        self.app = app
        self.url = url
        self._session = session
        self.operator_key = ""

    @property
    def database(self) -> Database:
        return self.app.rooms.database

    async def ask(
        self, method: str, path: str, key: str | None = None, body: Any = None, **headers: str
    ) -> Answer:
        """`path` lies below /api/v1, or is whole when it begins with two slashes."""
        url = self.url + path[1:] if path.startswith("//") else f"{self.url}/api/v1{path}"
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            said["authorization"] = f"Bearer {key}"
        content = None if body is None else msgspec.json.encode(body)
        if content is not None:
            said.setdefault("content-type", "application/json")
        async with self._session.request(method, url, data=content, headers=said) as answer:
            known = {name.lower(): value for name, value in answer.headers.items()}
            return Answer(answer.status, known, await answer.text())

    async def operate(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        return await self.ask(method, f"/operator{path}", self.operator_key, body, **headers)

    async def customer(self, *, sandbox_credit: int = 10 * DOLLAR) -> Customer:
        now = datetime.now(UTC)
        org_id, project_id = uuid7(), uuid7()
        keys, key_ids = dict[str, str](), dict[str, UUID]()
        async with self.database.transaction() as tx:
            act = Act(who="test", why="test", at=now)
            opening = Opening(overdraft=0, sandbox_credit=sandbox_credit)
            await operator.create_organization(
                tx, act, org_id=org_id, name=f"org {org_id}", opening=opening
            )
            await orgs.create_project(
                tx, org_id=org_id, project_id=project_id, name="Default", now=now
            )
            for kind in KeyKind:
                for mode in ("live", "test"):
                    new = NewKey(
                        org_id=org_id,
                        key_id=uuid7(),
                        project_id=project_id,
                        name=f"{mode} {kind}",
                        kind=kind,
                        livemode=mode == "live",
                    )
                    _, secret = await orgs.create_key(tx, new, chance=os.urandom(32), now=now)
                    keys[f"{mode} {kind}"] = secret
                    key_ids[f"{mode} {kind}"] = new.key_id
        return Customer(org_id, project_id, keys, key_ids)


@asynccontextmanager
async def whole_served(
    url: str, settings: Settings | None = None, clock: Clock | None = None
) -> AsyncGenerator[Whole]:
    """Serve everything on a migrated database, with the sandbox's prices published."""
    now = datetime.now(UTC)
    async with Database.open(url) as database, database.transaction() as tx:
        text = (pricing.catalogue_dir() / "sandbox.yaml").read_text("utf-8")
        await pricing.publish(tx, read_price_file(text, "sandbox.yaml"), "test", now)
        _, operator_key = await orgs.create_operator_key(
            tx, key_id=uuid7(), name="tests", chance=os.urandom(32), now=now
        )
    with closing(listen("127.0.0.1", 0)) as listener:
        async with (
            open_app(settings or Settings(), url, clock, address=address_of(listener)) as app,
            served(app.asgi, listener, app.drain) as base,
            aiohttp.ClientSession() as session,
        ):
            whole = Whole(app, base.removesuffix("/api/v1"), session)
            whole.operator_key = operator_key
            yield whole
