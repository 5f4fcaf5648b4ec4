"""All SQL about levels."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from tollkeeper.db import Connection

_START: Final = """
INSERT INTO level_meter (org_id, livemode, name, emitted_to)
VALUES (%(org_id)s, %(livemode)s, %(name)s, %(hour)s)
ON CONFLICT (org_id, livemode, name) DO NOTHING
"""
_REPORT: Final = """
INSERT INTO level_report (org_id, livemode, name, since, level_milli, reported_at)
VALUES (%(org_id)s, %(livemode)s, %(name)s, %(since)s, %(level_milli)s, %(now)s)
ON CONFLICT (org_id, livemode, name, since) DO NOTHING
"""
_AT: Final = """
SELECT level_milli FROM level_report
WHERE org_id = %(org_id)s AND livemode = %(livemode)s AND name = %(name)s AND since = %(since)s
"""
_DUE: Final = """
SELECT org_id, livemode, name, emitted_to, carry FROM level_meter
WHERE emitted_to <= %(until)s
ORDER BY emitted_to
LIMIT %(limit)s
"""
# The level that held when the hour began, and those that came within it.
_WITHIN: Final = """
(SELECT since, level_milli FROM level_report
WHERE org_id = %(org_id)s AND livemode = %(livemode)s AND name = %(name)s AND since <= %(hour)s
ORDER BY since DESC LIMIT 1)
UNION ALL
SELECT since, level_milli FROM level_report
WHERE org_id = %(org_id)s AND livemode = %(livemode)s AND name = %(name)s
    AND since > %(hour)s AND since < %(hour)s::timestamptz + interval '1 hour'
ORDER BY since
"""
_ADVANCE: Final = """
UPDATE level_meter SET emitted_to = %(hour)s::timestamptz + interval '1 hour', carry = %(carry)s
WHERE org_id = %(org_id)s AND livemode = %(livemode)s AND name = %(name)s
    AND emitted_to = %(hour)s
RETURNING name
"""


class Level(NamedTuple):
    """So many thousandths since then."""

    since: datetime
    milli: int


class LevelMeter(NamedTuple):
    """Up to where a level has become usage; `carry` is what was charged ahead, as negative."""

    org_id: UUID
    livemode: bool
    name: str
    emitted_to: datetime
    carry: int


async def insert_report(
    tx: Connection, values: dict[str, Any], hour: datetime, now: datetime
) -> int:
    """Give the level that is kept for that moment: this one, or an earlier report's."""
    await tx.execute(_START, values | {"hour": hour})
    await tx.execute(_REPORT, values | {"now": now})
    kept = await (await tx.execute(_AT, values)).fetchone()
    assert kept is not None  # noqa: S101 (it was written just now)
    return kept[0]


async def due_hours(connection: Connection, until: datetime, limit: int) -> list[LevelMeter]:
    """Give the meters with an hour that began at `until` or before and is not usage yet."""
    found = await connection.execute(_DUE, {"until": until, "limit": limit})
    return [LevelMeter(*row) for row in await found.fetchall()]


async def levels_within(connection: Connection, meter: LevelMeter) -> list[Level]:
    found = await connection.execute(_WITHIN, _values(meter))
    return [Level(*row) for row in await found.fetchall()]


async def advance(connection: Connection, meter: LevelMeter, carry: int) -> bool:
    """Go on to the next hour, unless somebody else has."""
    found = await connection.execute(_ADVANCE, _values(meter) | {"carry": carry})
    return await found.fetchone() is not None


def _values(meter: LevelMeter) -> dict[str, Any]:
    return {
        "org_id": meter.org_id,
        "livemode": meter.livemode,
        "name": meter.name,
        "hour": meter.emitted_to,
    }
