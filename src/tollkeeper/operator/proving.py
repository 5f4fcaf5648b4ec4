"""The books prove themselves: on demand, and every night with an alarm in the log."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
import structlog

from tollkeeper import invoices, ledger, metering, orgs
from tollkeeper.base.clock import Clock
from tollkeeper.db import Connection, Database
from tollkeeper.jobs import Schedule, Task
from tollkeeper.ledger import Finding
from tollkeeper.operator.acts import Act, note

_CRON: Final = "47 3 * * *"
_TASK: Final = Task(name="verify", tries=1)
# A broken book of millions of rows is not told row by row.
_MOST_TOLD: Final = 100
_VERIFIED: Final = "books.verify"

_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Verification:
    at: datetime
    findings: int


async def verify(
    connection: Connection,
    clock: Clock,
    org_id: UUID | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> AsyncGenerator[Finding]:
    """Replay every entry and every cost, count the invoices, and yield what is wrong: of one
    organization, or of all. Runs beside traffic."""
    async for finding in ledger.verify(
        connection, clock, org_id=org_id, progress=lambda at: progress(at.done)
    ):
        yield finding
    async for finding in metering.verify_costs(connection, org_id=org_id, progress=progress):
        yield finding
    async for finding in invoices.verify_invoices(connection, org_id=org_id):
        yield finding


async def verify_all(database: Database, clock: Clock) -> int:
    """Verify everything, write what is wrong to the log, and how much to the audit log.

    Returns how much there is.
    """
    found = 0
    async with await database.dedicated() as connection:
        async for finding in verify(connection, clock):
            found += 1
            if found <= _MOST_TOLD:
                _log.error("book_is_wrong", rule=finding.rule, finding=finding.sentence)
    if found:
        _log.error("books_are_wrong", findings=found)
    else:
        _log.info("books_are_clean")
    act = Act(who="tollkeeper", why="", at=clock.now())
    async with database.transaction() as tx:
        await note(tx, act, _VERIFIED, None, findings=found)
    return found


async def last_verification(connection: Connection) -> Verification | None:
    """When everything was verified last, and how much was wrong."""
    told = await orgs.newest_act(connection, _VERIFIED)
    if told is None:
        return None
    return Verification(at=told.at, findings=msgspec.convert(told.details["findings"], int))


def verification_schedules(database: Database, clock: Clock) -> list[Schedule]:
    """Once a night, for all workers together."""

    async def run() -> int:
        return await verify_all(database, clock)

    return [Schedule(_TASK, _CRON, run)]
