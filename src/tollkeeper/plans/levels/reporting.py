"""A level is reported: so much since then."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from tollkeeper.base.errors import InvalidRequest
from tollkeeper.db import Connection
from tollkeeper.plans.levels import store
from tollkeeper.plans.levels.metering import GRACE, hour_of
from tollkeeper.plans.levels.store import Reported

# Clocks differ.
_AHEAD: Final = timedelta(minutes=5)


async def report_level(
    tx: Connection,
    who: tuple[UUID, bool],
    name: str,
    level_milli: int,
    *,
    since: datetime,
    now: datetime,
) -> Reported:
    """Keep what (organization, live or test) has since then, in thousandths of a unit.

    The same again changes nothing. Gives the newest level there is now. Raises InvalidRequest for
    an hour that is usage already, for the future, and for another level at a moment that has one.
    """
    if since < hour_of(now - GRACE):
        raise _invalid("must lie in this hour, or be told within five minutes after its hour")
    if since > now + _AHEAD:
        raise _invalid("lies in the future")
    values = {
        "org_id": who[0],
        "livemode": who[1],
        "name": name,
        "since": since,
        "level_milli": level_milli,
    }
    kept = await store.insert_report(tx, values, hour_of(since), now)
    if kept != level_milli:
        raise _invalid("has another level already")
    (newest,) = await store.list_levels(tx, *who, None, 1, name)
    return newest


def _invalid(said: str) -> InvalidRequest:
    return InvalidRequest(f"since: {said}", {"since": [said]})
