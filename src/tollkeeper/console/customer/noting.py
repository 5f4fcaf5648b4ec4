"""What people do on these pages stands in the audit log, as what operators do."""

from __future__ import annotations

from datetime import datetime

from tollkeeper import orgs
from tollkeeper.base.errors import TollkeeperError
from tollkeeper.base.ids import uuid7
from tollkeeper.console.customer.saying import actor_of
from tollkeeper.console.model import Session
from tollkeeper.console.rendering import say
from tollkeeper.console.shelves import Shelves
from tollkeeper.db import Connection
from tollkeeper.orgs import AuditEntry


async def note(
    tx: Connection, session: Session, what: str, at: datetime, /, **details: object
) -> None:
    """Write an act down in its own transaction: `who` is the member, or the session of none."""
    entry = AuditEntry(
        audit_id=uuid7(),
        at=at,
        who=actor_of(session),
        what=what,
        why="",
        org_id=session.org_id,
        details={"livemode": session.livemode, **details},
    )
    await orgs.audit(tx, entry)


def say_full(shelves: Shelves, session: Session, error: TollkeeperError, now: datetime) -> str:
    """That the plan has no room for one more, and for how many it has."""
    terms = shelves.plans.look_up(session.org_id, session.livemode, now)
    plan = str(error.members["plan"]) if terms is None else terms.plan_name
    return say(f"capacity.{error.members['capacity']}", plan=plan, most=error.members["most"])
