"""What tests of notices stand on."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from aiohttp import web

from tollkeeper.base.clock import MovableClock
from tollkeeper.base.ids import uuid7
from tollkeeper.base.money import Money
from tollkeeper.db import Database
from tollkeeper.notifications import CreditBalanceLow, Event, notify
from tollkeeper.orgs import (
    KeyKind,
    Member,
    NewKey,
    Role,
    create_key,
    create_member,
    create_org,
    create_project,
)

DOLLAR = 1_000_000_000
LOW = CreditBalanceLow(
    wallet_id="wal_1", available=Money(4_500_000_000), threshold=Money(5 * DOLLAR), currency="USD"
)


@dataclass(frozen=True)
class House:
    """One organization with an owner and a plain member."""

    database: Database
    clock: MovableClock
    org_id: UUID
    owner: Member
    member: Member
    admin_key: str

    async def say(self, event: Event = LOW, notice_id: UUID | None = None) -> UUID:
        async with self.database.transaction() as tx:
            return await notify(tx, self.org_id, event, now=self.clock.now(), notice_id=notice_id)

    async def jobs(self) -> list[tuple[str, dict[str, object]]]:
        """Take every job out of the queue."""
        async with self.database.connection() as connection:
            found = await connection.execute(
                """
                WITH taken AS (DELETE FROM procrastinate_jobs RETURNING id, task_name, args)
                SELECT task_name, args FROM taken ORDER BY id
                """
            )
            return [(str(name), dict(args)) for name, args in await found.fetchall()]


async def found_house(database: Database, clock: MovableClock) -> House:
    org_id, project_id, now = uuid7(), uuid7(), clock.now()
    async with database.transaction() as tx:
        await create_org(tx, org_id=org_id, name="Acme", now=now)
        await create_project(tx, org_id=org_id, project_id=project_id, name="Default", now=now)
        new = NewKey(
            org_id=org_id,
            key_id=uuid7(),
            project_id=project_id,
            name="Admin",
            kind=KeyKind.ADMIN,
            livemode=True,
        )
        _, secret = await create_key(tx, new, chance=secrets.token_bytes(32), now=now)
        people = [
            await create_member(
                tx,
                Member(
                    org_id=org_id,
                    member_id=uuid7(),
                    name=name,
                    email=email,
                    role=role,
                    created_at=now,
                ),
            )
            for name, email, role in [
                ("Ada <b>L</b>", "ada@example.com", Role.OWNER),
                ("Bob", "bob@example.com", Role.MEMBER),
            ]
        ]
    return House(database, clock, org_id, people[0], people[1], secret)


@dataclass
class Receiver:
    """A customer's server that keeps what it gets and answers as it is told."""

    url: str = ""
    got: list[tuple[dict[str, str], bytes]] = field(
        default_factory=list[tuple[dict[str, str], bytes]]
    )
    answer: Callable[[], web.StreamResponse] = web.Response

    @classmethod
    @asynccontextmanager
    async def listening(cls) -> AsyncGenerator[Receiver]:
        receiver = cls()

        async def take(request: web.Request) -> web.StreamResponse:
            headers = {name.lower(): value for name, value in request.headers.items()}
            receiver.got.append((headers, await request.read()))
            return receiver.answer()

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", take)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        receiver.url = f"http://{host}:{port}/hook"
        try:
            yield receiver
        finally:
            await runner.cleanup()
