"""What a page asks of the database: its statements, and nobody else's."""

from __future__ import annotations

from collections import Counter
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from browsing import Browser
from psycopg import AsyncCursor
from yarl import URL

from whole import Whole

Statements = Counter[str]

_counted: ContextVar[Statements | None] = ContextVar("counted", default=None)


@dataclass(frozen=True)
class Opened:
    status: int
    text: str
    statements: Statements

    @property
    def rows(self) -> int:
        return self.text.count("<tr>")


def count_statements(patch: pytest.MonkeyPatch) -> None:
    """From now on, for `statements_of`: those of every task that the opening of a page begins."""
    execute: Any = AsyncCursor[Any].execute

    async def counting(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        counted = _counted.get()
        if counted is not None:
            counted[query if isinstance(query, str) else str(query)] += 1
        return await execute(self, query, *args, **kwargs)

    patch.setattr(AsyncCursor, "execute", counting)


async def statements_of(whole: Whole, one: Browser, path: str) -> Opened:
    """Open a page in this task, and over no network."""
    cookies = one.session.cookie_jar.filter_cookies(URL(one.base + path))
    said = {"cookie": "; ".join(f"{name}={found.value}" for name, found in cookies.items())}
    transport = httpx.ASGITransport(app=whole.app.asgi)  # pyright: ignore[reportArgumentType]  # its own types of ASGI
    mine = Statements()
    before = _counted.set(mine)
    try:
        async with httpx.AsyncClient(transport=transport, base_url=one.base, timeout=30) as client:
            answer = await client.get(path, headers=said)
    finally:
        _counted.reset(before)
    return Opened(answer.status_code, answer.text, mine)
