"""Serves an application over real HTTP on a free loopback port, in the test's own event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from tollkeeper.http import App
from tollkeeper.ops.server import address_of, listen, serve

Drain = Callable[[float], Awaitable[object]]


@asynccontextmanager
async def served(
    app: App, listener: socket.socket | None = None, drain: Drain | None = None
) -> AsyncGenerator[str]:
    """Give the base address, such as `http://127.0.0.1:40123/api/v1`."""
    listener = listener or listen("127.0.0.1", 0)
    stop, ready = asyncio.Event(), asyncio.Event()
    ending = drain or _nothing_beside
    serving = asyncio.create_task(
        serve(app, listener, stop=stop, grace_seconds=2, ready=ready.set, drain=ending)
    )
    try:
        await ready.wait()
        yield f"{address_of(listener)}/api/v1"
    finally:
        stop.set()
        await serving


async def _nothing_beside(_grace_seconds: float) -> None:
    """Nothing runs beside the requests in a test."""
