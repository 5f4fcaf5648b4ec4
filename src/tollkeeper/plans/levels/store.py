"""All SQL about levels."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from tollkeeper.db import Connection

# What is told later may lie earlier, though never in an hour that is usage.
_START: Final = """
INSERT INTO level_meter (org_id, livemode, name, emitted_to)
VALUES (%(org_id)s, %(livemode)s, %(name)s, %(hour)s)
ON CONFLICT (org_id, livemode, name) DO UPDATE SET emitted_to = excluded.emitted_to
WHERE level_meter.emitted_to > excluded.emitted_to
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
  AND (%(after)s::timestamptz IS NULL
       OR (emitted_to, org_id, livemode, name)
          > (%(after)s, %(org_id)s::uuid, %(livemode)s::boolean, %(name)s::text))
ORDER BY emitted_to, org_id, livemode, name
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
_LEVELS: Final = """
SELECT m.name, r.level_milli, r.since, m.emitted_to
FROM level_meter m
CROSS JOIN LATERAL (
    SELECT level_milli, since FROM level_report
    WHERE org_id = m.org_id AND livemode = m.livemode AND name = m.name
    ORDER BY since DESC LIMIT 1
) AS r
WHERE m.org_id = %(org_id)s AND m.livemode = %(livemode)s
  AND (%(after)s::text IS NULL OR m.name > %(after)s)
  AND (%(only)s::text IS NULL OR m.name = %(only)s)
ORDER BY m.name
LIMIT %(limit)s
"""


class Level(NamedTuple):
    """So many thousandths since then."""

    since: datetime
    milli: int


class Reported(NamedTuple):
    """The newest level of a name, and up to when it is usage."""

    name: str
    milli: int
    since: datetime
    metered_to: datetime


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


async def due_hours(
    connection: Connection, until: datetime, after: LevelMeter | None, limit: int
) -> list[LevelMeter]:
    """Give the meters with an hour that began at `until` or before and is not usage yet."""
    place = {"after": None, "org_id": None, "livemode": None, "name": None}
    if after is not None:
        place = {"after": after.emitted_to, **_values(after)}
    found = await connection.execute(_DUE, {**place, "until": until, "limit": limit})
    return [LevelMeter(*row) for row in await found.fetchall()]


async def list_levels(
    connection: Connection,
    org_id: UUID,
    livemode: bool,
    after: str | None,
    limit: int,
    only: str | None = None,
) -> list[Reported]:
    """List an organization's levels by name, or the `only` one."""
    asked = {"org_id": org_id, "livemode": livemode, "after": after, "limit": limit, "only": only}
    found = await connection.execute(_LEVELS, asked)
    return [Reported(*row) for row in await found.fetchall()]


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
