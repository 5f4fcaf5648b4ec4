"""What may need somebody: read once for the overview, and shown row by row on a page of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from tollkeeper import (
    credits,  # noqa: A004 (the room's name)
    metering,
    notifications,
    operator,
    orgs,
    payments,
)
from tollkeeper.console.rendering import say, show_count
from tollkeeper.console.shelves import Shelves
from tollkeeper.console.staff.disputes_page import DISPUTES
from tollkeeper.console.staff.mode import Mode
from tollkeeper.console.staff_door import STAFF_PAGES
from tollkeeper.credits import Reconciliation, TopUp
from tollkeeper.db import Connection
from tollkeeper.metering import Unpriced
from tollkeeper.notifications import Endpoint
from tollkeeper.operator import Verification
from tollkeeper.payments.model import Dispute, DisputeStatus

CHECKS: Final = f"{STAFF_PAGES}/overview/checks"
_MOST: Final = 100
_RUNS: Final = 5
# Every night, with time for a long one.
_STALE: Final = timedelta(hours=36)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """At most a hundred and one of each."""

    disputes: Sequence[Dispute]
    top_ups: Sequence[TopUp]
    unpriced: Sequence[Unpriced]
    endpoints: Sequence[Endpoint]
    late_jobs: Sequence[str]
    verification: Verification | None
    reconciliations: Sequence[Reconciliation]
    last_of_each: Sequence[Reconciliation]
    """The newest of each processor that was not over a window that somebody chose."""
    names: dict[UUID, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Something to look after, and where."""

    count: str
    said: str
    path: str
    urgent: bool = False


async def read_checks(connection: Connection, shelves: Shelves, *, livemode: bool) -> Checks:
    disputes: list[Dispute] = []
    for status in (DisputeStatus.OPEN, DisputeStatus.INQUIRY):
        disputes += await payments.newest_disputes(connection, status, None, _MOST + 1)
    top_ups = await credits.failing_top_ups(connection, _MOST + 1, livemode=livemode)
    unpriced = await metering.list_unpriced(connection, None, _MOST + 1)
    endpoints = await notifications.failing_endpoints(connection, _MOST + 1, livemode=livemode)
    named = {one.org_id for one in (*top_ups, *unpriced, *endpoints)}
    return Checks(
        disputes=[one for one in disputes if one.livemode == livemode],
        top_ups=top_ups,
        unpriced=unpriced,
        endpoints=endpoints,
        late_jobs=shelves.late_jobs(),
        verification=await operator.last_verification(connection),
        reconciliations=await credits.newest_reconciliations(connection, _RUNS, None),
        last_of_each=await credits.last_reconciliations(connection),
        names=await orgs.names_of_orgs(connection, list(named)),
    )


def items_of(checks: Checks, now: datetime, mode: Mode) -> list[Item]:
    """What needs somebody, the most urgent first."""
    checks_path = f"{CHECKS}?mode={mode}"
    found = [
        *_items_of_books(checks, now),
        _item("disputes", checks.disputes, DISPUTES, urgent=True),
        _item("unpriced", checks.unpriced, f"{checks_path}#unpriced", urgent=True),
        _item("jobs", checks.late_jobs, f"{STAFF_PAGES}/jobs", urgent=True),
        _item("top_ups", checks.top_ups, f"{checks_path}#top-ups"),
        _item("endpoints", checks.endpoints, f"{checks_path}#endpoints"),
    ]
    return [one for one in found if one is not None]


def _items_of_books(checks: Checks, now: datetime) -> list[Item]:
    found: list[Item] = []
    verified = checks.verification
    if verified is not None and verified.findings:
        found.append(_told("findings", verified.findings, f"{CHECKS}#books"))
    if verified is not None and now - verified.at > _STALE:
        found.append(Item(count="!", said=say("staff_overview.needs_verify"), path=CHECKS))
    for run in checks.last_of_each:
        if not run.clean:
            count = sum(run.counts.values())
            found.append(_told("differences", count, f"{CHECKS}#reconciliation"))
    return found


def _item(name: str, rows: Sequence[object], path: str, *, urgent: bool = False) -> Item | None:
    if not rows:
        return None
    count = f"{_MOST}+" if len(rows) > _MOST else str(len(rows))
    return Item(count=count, said=say(f"staff_overview.needs_{name}"), path=path, urgent=urgent)


def _told(name: str, count: int, path: str) -> Item:
    said = say(f"staff_overview.needs_{name}")
    return Item(count=show_count(count), said=said, path=path, urgent=True)
