"""An organization with people, a real SMTP server, and a real receiver of webhooks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import aiohttp
import pytest
from aiosmtpd.smtp import SMTP
from house import House, Receiver, found_house

from serving import served
from tollkeeper.base.clock import MovableClock
from tollkeeper.db import Database
from tollkeeper.http import Cursors, Idempotency, make_api
from tollkeeper.notifications import Courier, notice_routes, webhook_routes
from tollkeeper.orgs import KEYRING, KeyRing


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(datetime.now(UTC).replace(microsecond=0))


class Post:
    """A mail server that keeps what it gets, or refuses it."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.refuses = False
        self.utf8 = False
        self.port = 0

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 (the library's name)
        if self.refuses:
            return "451 come back later"
        self.recipients += envelope.rcpt_tos
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    kept = Post()
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(
        lambda: SMTP(kept, enable_SMTPUTF8=kept.utf8, hostname="127.0.0.1", loop=loop),
        "127.0.0.1",
        0,
    )
    async with listening:
        kept.port = listening.sockets[0].getsockname()[1]
        yield kept


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver.listening() as listening:
        yield listening


@pytest.fixture
async def courier() -> AsyncIterator[Courier]:
    async with Courier.open(allow_private=True, timeout_seconds=2) as opened:
        yield opened


@pytest.fixture
async def house(database: Database, clock: MovableClock) -> House:
    return await found_house(database, clock)


@pytest.fixture
async def base(database: Database, clock: MovableClock, courier: Courier) -> AsyncIterator[str]:
    async with KeyRing.open(database, clock) as ring:
        app = make_api(
            [*notice_routes(), *webhook_routes(courier)],
            [],
            idempotency=Idempotency(database, clock),
            max_body_bytes=100_000,
            dependencies={"database": database, "clock": clock, "cursors": Cursors(b"s" * 32)},
            state={KEYRING: ring},
        )
        async with served(app) as address:
            yield address


@pytest.fixture
async def client(base: str, house: House) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"authorization": f"Bearer {house.admin_key}"}
    async with aiohttp.ClientSession(base_url=f"{base}/", headers=headers) as session:
        yield session
