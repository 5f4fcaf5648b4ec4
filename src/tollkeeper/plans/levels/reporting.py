"""A level is reported: so much since then."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from tollkeeper.base.errors import InvalidRequest
from tollkeeper.db import Connection
from tollkeeper.plans.levels import store
from tollkeeper.plans.levels.metering import GRACE, hour_of


async def report_level(
    tx: Connection,
    who: tuple[UUID, bool],
    name: str,
    level_milli: int,
    *,
    since: datetime,
    now: datetime,
) -> None:
    """Keep what (organization, live or test) has since that second, in thousandths of a unit.

    The same again changes nothing. Raises InvalidRequest for an hour that is usage already, and
    for another level at a moment that has one.
    """
    if since < hour_of(now - GRACE):
        said = "must lie in this hour, or be told within five minutes after its hour"
        raise InvalidRequest(f"since: {said}", {"since": [said]})
    values = {
        "org_id": who[0],
        "livemode": who[1],
        "name": name,
        "since": since.replace(microsecond=0),
        "level_milli": level_milli,
    }
    kept = await store.insert_report(tx, values, hour_of(since), now)
    if kept != level_milli:
        said = "has another level already"
        raise InvalidRequest(f"since: {said}", {"since": [said]})
