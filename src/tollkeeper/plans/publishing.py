"""Plans are published and retired, never changed."""

from __future__ import annotations

from datetime import datetime

from tollkeeper import orgs
from tollkeeper.base.errors import InvalidRequest
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.db import Connection
from tollkeeper.orgs import By
from tollkeeper.plans import store
from tollkeeper.plans.errors import PlanNotFound, PlanVersionConflict
from tollkeeper.plans.model import PlanTerms, PlanVersion


async def publish_plan(
    tx: Connection,
    *,
    code: str,
    name: str,
    terms: PlanTerms,
    effective_from: datetime | None,
    by: By,
    now: datetime,
) -> PlanVersion:
    """Add a version of a plan. The same as the newest again gives that one back.

    Who subscribes keeps the version they have; the default plan's newest holds for all. Raises
    InvalidRequest for a moment past, PlanVersionConflict where a later version is announced.
    """
    since = effective_from or now
    if since < now:
        said = "must not be in the past: what was included stays included"
        raise InvalidRequest(f"effectiveFrom: {said}", {"effectiveFrom": [said]})
    await store.lock_plan(tx, code, now)
    known = [version for version in await store.read_plans(tx) if version.code == code]
    if known:
        last = known[-1]
        if (last.name, last.terms) == (name, terms) and effective_from in (
            None,
            last.effective_from,
        ):
            return last
        if last.effective_from >= since:
            raise PlanVersionConflict(
                f"{code} has a version from {last.effective_from.isoformat()}; another must be"
                " from later on"
            )
    made = PlanVersion(
        version_id=uuid7(),
        code=code,
        name=name,
        effective_from=since,
        terms=terms,
        published_at=now,
        published_by=by.who,
    )
    await store.insert_version(tx, made)
    details = {"versionId": show_id("plv", made.version_id), "from": since.isoformat()}
    await _note(tx, by, now, "plan.publish", code, **details)
    return made


async def retire_plan(tx: Connection, code: str, *, by: By, now: datetime) -> None:
    """Sell a plan no more. Who has it keeps it."""
    await _set_retired(tx, code, now, by, now, "plan.retire")


async def bring_back_plan(tx: Connection, code: str, *, by: By, now: datetime) -> None:
    await _set_retired(tx, code, None, by, now, "plan.bring_back")


async def _set_retired(
    tx: Connection, code: str, at: datetime | None, by: By, now: datetime, what: str
) -> None:
    if not await store.set_retired(tx, code, at):
        raise PlanNotFound(f"There is no plan {code}")
    await _note(tx, by, now, what, code)


async def _note(
    tx: Connection, by: By, now: datetime, what: str, code: str, **details: object
) -> None:
    await orgs.note(tx, by, what, None, now, plan=code, **details)
