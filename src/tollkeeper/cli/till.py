"""The till as commands use it: the configured processors, without a server around them."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from tollkeeper import invoices, payments
from tollkeeper.base.clock import SystemClock
from tollkeeper.base.settings import Settings
from tollkeeper.credits import Shop
from tollkeeper.db import Database
from tollkeeper.http import Cursors
from tollkeeper.http.store import instance_secret
from tollkeeper.payments import Till


@asynccontextmanager
async def open_till(settings: Settings, database: Database) -> AsyncGenerator[Till]:
    """Open it for questions: nobody hears here of what changes, so nothing is to be changed."""
    async with database.connection() as connection:
        secret = await instance_secret(connection, secrets.token_bytes(32))
    opened = payments.open_payments(settings, database, SystemClock(), secret, _base_url(settings))
    async with opened as room:
        yield room.till


@asynccontextmanager
async def open_shop(settings: Settings, database: Database) -> AsyncGenerator[Shop]:
    """Open it for acts: what changes moves credit and issues documents, as in the server."""
    from tollkeeper import app

    async with open_till(settings, database) as till:
        with invoices.Typesetter.open(settings.invoices.font_dirs) as setter:
            desk = invoices.desk_of(settings, setter)
            async with database.connection() as connection:
                cursors = Cursors(await instance_secret(connection, secrets.token_bytes(32)))
            yield app.open_shop(settings, till, desk, cursors, _base_url(settings)).shop


def _base_url(settings: Settings) -> str:
    server = settings.server
    return server.public_url or f"http://{server.host}:{server.port}"
