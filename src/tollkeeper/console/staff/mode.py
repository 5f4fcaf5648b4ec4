"""Which of the two an operator looks at: what is live, or what is of test keys."""

from __future__ import annotations

from typing import Literal

from tollkeeper import ledger
from tollkeeper.db import Connection

Mode = Literal["live", "test"]
Asked = Literal["", "live", "test"]


async def mode_of(connection: Connection, asked: Asked) -> Mode:
    """Unless it is said: live, and test for as long as there is nothing live yet."""
    if asked:
        return asked
    if await ledger.outstanding(connection, livemode=True):
        return "live"
    return "test" if await ledger.outstanding(connection, livemode=False) else "live"
