"""What people do on these pages stands in the audit log, as what operators do."""

from __future__ import annotations

from datetime import datetime

from tollkeeper import orgs
from tollkeeper.base.errors import TollkeeperError
from tollkeeper.console.customer.saying import actor_of
from tollkeeper.console.model import Session
from tollkeeper.console.rendering import say
from tollkeeper.console.shelves import Shelves
from tollkeeper.db import Connection
from tollkeeper.orgs import By


async def note(
    tx: Connection, session: Session, what: str, at: datetime, /, **details: object
) -> None:
    """Write an act down in its own transaction."""
    told = {"livemode": session.livemode, **details}
    await orgs.note(tx, by_of(session), what, session.org_id, at, **told)


def by_of(session: Session) -> By:
    """Who acts on these pages; rooms that have transactions of their own note it there."""
    return By(who=actor_of(session))


def say_full(shelves: Shelves, session: Session, error: TollkeeperError, now: datetime) -> str:
    """That the plan has no room for one more, and for how many it has."""
    terms = shelves.plans.look_up(session.org_id, session.livemode, now)
    plan = str(error.members["plan"]) if terms is None else terms.plan_name
    return say(f"capacity.{error.members['capacity']}", plan=plan, most=error.members["most"])
