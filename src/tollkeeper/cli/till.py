"""The till as commands use it: the configured processors, without a server around them."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from tollkeeper import payments
from tollkeeper.base.clock import SystemClock
from tollkeeper.base.settings import Settings
from tollkeeper.db import Database
from tollkeeper.http.store import instance_secret
from tollkeeper.payments import Till


@asynccontextmanager
async def open_till(settings: Settings, database: Database) -> AsyncGenerator[Till]:
    """Open it for questions: nobody hears here of what changes, so nothing is to be changed."""
    async with database.connection() as connection:
        secret = await instance_secret(connection, secrets.token_bytes(32))
    server = settings.server
    base_url = server.public_url or f"http://{server.host}:{server.port}"
    opened = payments.open_payments(settings, database, SystemClock(), secret, base_url)
    async with opened as room:
        yield room.till
