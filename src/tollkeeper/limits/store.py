"""All SQL about limits, and what is asked of their counters."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, LiteralString, NamedTuple
from uuid import UUID

from msgspec.structs import asdict
from psycopg.rows import kwargs_row

from tollkeeper.db import Connection
from tollkeeper.limits.model import Counter, Enforcement, Limit, Measure
from tollkeeper.limits.periods import Period

_COLUMNS: Final = """
    org_id, limit_id, name, measure, amount, period, time_zone, project_id, key_id, member_id,
    end_user, provider, model, tag_name, tag_value, each, enforcement, tolerance_percent,
    alert_percents, reset_live_at, reset_test_at, created_at, deleted_at
"""
# Without a moment to look back from: everything, and what calls under way may have met.
_CHANGED: Final = f"""
WITH asked AS (SELECT now() AS at)
SELECT asked.at AS asked_at, {_COLUMNS}
FROM asked LEFT JOIN usage_limit ON CASE
    WHEN %(since)s::timestamptz IS NULL
    THEN deleted_at IS NULL OR changed_at > asked.at - interval '1 day'
    ELSE changed_at > %(since)s::timestamptz - make_interval(secs => %(overlap)s) END
"""
_INSERT: Final = f"""
INSERT INTO usage_limit ({_COLUMNS}) VALUES (
    %(org_id)s, %(limit_id)s, %(name)s, %(measure)s, %(amount)s, %(period)s, %(time_zone)s,
    %(project_id)s, %(key_id)s, %(member_id)s, %(end_user)s, %(provider)s, %(model)s,
    %(tag_name)s, %(tag_value)s, %(each)s, %(enforcement)s, %(tolerance_percent)s,
    %(alert_percents)s::smallint[], %(reset_live_at)s, %(reset_test_at)s, %(created_at)s,
    %(deleted_at)s
)
ON CONFLICT (org_id, limit_id) DO NOTHING
"""
_COUNT: Final = """
SELECT count(*) FROM usage_limit WHERE org_id = %(org_id)s AND deleted_at IS NULL
"""
_READ: Final = f"""
SELECT {_COLUMNS} FROM usage_limit
WHERE org_id = %(org_id)s AND limit_id = %(limit_id)s AND deleted_at IS NULL
"""
_LOCK: Final = f"{_READ} FOR NO KEY UPDATE"
_LIST: Final = f"""
SELECT {_COLUMNS} FROM usage_limit
WHERE org_id = %(org_id)s AND deleted_at IS NULL
  AND (NOT %(hide_live)s OR key_id IS NULL OR key_id IN (
      SELECT key_id FROM api_key WHERE org_id = %(org_id)s AND NOT livemode
  ))
  AND (%(after)s::uuid IS NULL OR limit_id > %(after)s)
ORDER BY limit_id
LIMIT %(limit)s
"""
_OF_KEYS: Final = f"""
SELECT {_COLUMNS} FROM usage_limit
WHERE org_id = %(org_id)s AND deleted_at IS NULL AND key_id = ANY (%(key_ids)s)
ORDER BY limit_id
"""
_CHANGE: Final = f"""
UPDATE usage_limit
SET name = %(name)s, amount = %(amount)s, enforcement = %(enforcement)s,
    tolerance_percent = %(tolerance_percent)s, alert_percents = %(alert_percents)s::smallint[],
    changed_at = clock_timestamp()
WHERE org_id = %(org_id)s AND limit_id = %(limit_id)s AND deleted_at IS NULL
RETURNING {_COLUMNS}
"""
_DELETE: Final = """
UPDATE usage_limit SET deleted_at = %(now)s, changed_at = clock_timestamp()
WHERE org_id = %(org_id)s AND limit_id = %(limit_id)s AND deleted_at IS NULL
"""
_RESET: Final = f"""
UPDATE usage_limit
SET reset_live_at = CASE WHEN %(livemode)s THEN %(now)s ELSE reset_live_at END,
    reset_test_at = CASE WHEN %(livemode)s THEN reset_test_at ELSE %(now)s END,
    changed_at = clock_timestamp()
WHERE org_id = %(org_id)s AND limit_id = %(limit_id)s AND deleted_at IS NULL
RETURNING {_COLUMNS}
"""
_RESET_SUBJECT: Final = """
UPDATE counter SET period_start = %(now)s, used = 0, held = 0, told_percent = 0
WHERE org_id = %(org_id)s AND limit_id = %(limit_id)s AND livemode = %(livemode)s
  AND subject = %(subject)s
"""
_COUNTED: Final = """
    org_id, limit_id, livemode, subject, period_start, used, held, told_percent
"""
_TOTALS: Final = f"""
SELECT {_COUNTED} FROM counter
WHERE org_id = %(org_id)s AND limit_id = ANY (%(limits)s) AND livemode = %(livemode)s
  AND subject = ''
"""
_SUBJECTS: Final = f"""
SELECT {_COUNTED} FROM counter
WHERE org_id = %(org_id)s AND limit_id = %(limit_id)s AND livemode = %(livemode)s
  AND period_start >= %(since)s
  AND (%(after)s::text IS NULL OR subject > %(after)s)
ORDER BY subject
LIMIT %(limit)s
"""
# The first condition is what the last one says, in whole numbers that are quickly compared. A
# larger amount, or other percentages, take back what has been told.
_TELLING: Final = f"""
SELECT {", ".join(f"usage_limit.{name.strip()}" for name in _COLUMNS.split(","))},
       counter.livemode, counter.subject, counter.period_start, counter.used,
       counter.told_percent, reached.percent
FROM usage_limit
JOIN counter ON counter.org_id = usage_limit.org_id AND counter.limit_id = usage_limit.limit_id
CROSS JOIN LATERAL (
    SELECT coalesce(max(percent), 0) AS percent
    FROM unnest(usage_limit.alert_percents) AS percent
    WHERE counter.used::numeric * 100 >= usage_limit.amount::numeric * percent
) AS reached
WHERE usage_limit.deleted_at IS NULL AND usage_limit.alert_percents <> '{{}}'
  AND (counter.used >= usage_limit.amount / 100 * usage_limit.alert_percents[1]
       OR counter.told_percent > 0)
  AND reached.percent <> counter.told_percent
  AND counter.used > 0
LIMIT %(limit)s
"""
_TOLD: Final = """
UPDATE counter SET told_percent = %(percent)s
WHERE org_id = %(org_id)s AND limit_id = %(limit_id)s AND livemode = %(livemode)s
  AND subject = %(subject)s AND period_start = %(period_start)s AND told_percent = %(told)s
"""


class Reached(NamedTuple):
    """A counter that stands at another percentage than was told."""

    limit: Limit
    counter: Counter
    percent: int


async def changed_since(
    connection: Connection, since: datetime | None, overlap_seconds: int
) -> tuple[datetime, list[Limit]]:
    """Return the moment of asking by the server's clock, and the limits that changed."""
    asked = {"since": since, "overlap": overlap_seconds}
    async with connection.cursor(row_factory=kwargs_row(dict[str, Any])) as cursor:
        await cursor.execute(_CHANGED, asked)
        rows = await cursor.fetchall()
    asked_at: datetime = rows[0]["asked_at"]
    found = [row for row in rows if row["limit_id"] is not None]
    for row in found:
        del row["asked_at"]
    return asked_at, [_limit(**row) for row in found]


async def insert_limit(tx: Connection, new: Limit) -> bool:
    """Return False when it is there already."""
    return (await tx.execute(_INSERT, _written(new))).rowcount == 1


async def count_limits(tx: Connection, org_id: UUID) -> int:
    (count,) = await (await tx.execute(_COUNT, {"org_id": org_id})).fetchone() or (0,)
    return count


async def read_limit(tx: Connection, org_id: UUID, limit_id: UUID) -> Limit | None:
    return await _one(tx, _READ, org_id=org_id, limit_id=limit_id)


async def lock_limit(tx: Connection, org_id: UUID, limit_id: UUID) -> Limit | None:
    return await _one(tx, _LOCK, org_id=org_id, limit_id=limit_id)


async def list_limits(
    tx: Connection, org_id: UUID, after: UUID | None, limit: int, *, hide_live: bool = False
) -> list[Limit]:
    """Oldest first. `hide_live`: without those that name a live key."""
    asked = {"org_id": org_id, "after": after, "limit": limit, "hide_live": hide_live}
    async with tx.cursor(row_factory=kwargs_row(_limit)) as cursor:
        await cursor.execute(_LIST, asked)
        return await cursor.fetchall()


async def limits_of_keys(tx: Connection, org_id: UUID, key_ids: Sequence[UUID]) -> list[Limit]:
    """Those that name one of these keys, oldest first."""
    async with tx.cursor(row_factory=kwargs_row(_limit)) as cursor:
        await cursor.execute(_OF_KEYS, {"org_id": org_id, "key_ids": list(key_ids)})
        return await cursor.fetchall()


async def change_limit(tx: Connection, changed: Limit) -> Limit | None:
    return await _one(tx, _CHANGE, **_written(changed))


async def delete_limit(tx: Connection, org_id: UUID, limit_id: UUID, now: datetime) -> bool:
    place = {"org_id": org_id, "limit_id": limit_id, "now": now}
    return (await tx.execute(_DELETE, place)).rowcount == 1


async def reset_limit(
    tx: Connection, org_id: UUID, limit_id: UUID, *, livemode: bool, now: datetime
) -> Limit | None:
    return await _one(tx, _RESET, org_id=org_id, limit_id=limit_id, livemode=livemode, now=now)


async def reset_subject(
    tx: Connection, limit: Limit, subject: str, *, livemode: bool, now: datetime
) -> bool:
    """Return False when nothing has been counted for it."""
    place = {
        "org_id": limit.org_id,
        "limit_id": limit.limit_id,
        "livemode": livemode,
        "subject": subject,
        "now": now,
    }
    return (await tx.execute(_RESET_SUBJECT, place)).rowcount == 1


async def totals(
    tx: Connection, org_id: UUID, limits: Sequence[UUID], *, livemode: bool
) -> dict[UUID, Counter]:
    """Counters of limits that count everything together."""
    async with tx.cursor(row_factory=kwargs_row(Counter)) as cursor:
        asked = {"org_id": org_id, "limits": list(limits), "livemode": livemode}
        await cursor.execute(_TOTALS, asked)
        return {counter.limit_id: counter for counter in await cursor.fetchall()}


async def list_counters(
    tx: Connection,
    limit: Limit,
    *,
    livemode: bool,
    since: datetime,
    after: str | None,
    count: int,
) -> list[Counter]:
    """Counters of a period that began at `since` or later, by subject."""
    asked = {
        "org_id": limit.org_id,
        "limit_id": limit.limit_id,
        "livemode": livemode,
        "since": since,
        "after": after,
        "limit": count,
    }
    async with tx.cursor(row_factory=kwargs_row(Counter)) as cursor:
        await cursor.execute(_SUBJECTS, asked)
        return await cursor.fetchall()


async def find_reached(connection: Connection, count: int) -> list[Reached]:
    async with connection.cursor(row_factory=kwargs_row(_reached)) as cursor:
        await cursor.execute(_TELLING, {"limit": count})
        return await cursor.fetchall()


async def write_told(tx: Connection, reached: Reached) -> bool:
    """Return False when somebody else was faster, or the period is over."""
    counter = reached.counter
    place = {
        "org_id": counter.org_id,
        "limit_id": counter.limit_id,
        "livemode": counter.livemode,
        "subject": counter.subject,
        "period_start": counter.period_start,
        "told": counter.told_percent,
        "percent": reached.percent,
    }
    return (await tx.execute(_TOLD, place)).rowcount == 1


async def _one(tx: Connection, query: LiteralString, **values: object) -> Limit | None:
    async with tx.cursor(row_factory=kwargs_row(_limit)) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchone()


def _written(limit: Limit) -> dict[str, Any]:
    return {
        **asdict(limit),
        "measure": limit.measure.value,
        "period": limit.period.value,
        "enforcement": limit.enforcement.value,
        "alert_percents": list(limit.alert_percents),
    }


def _limit(
    *, measure: str, period: str, enforcement: str, alert_percents: list[int], **columns: Any
) -> Limit:
    return Limit(
        measure=Measure(measure),
        period=Period(period),
        enforcement=Enforcement(enforcement),
        alert_percents=tuple(alert_percents),
        **columns,
    )


def _reached(
    *,
    livemode: bool,
    subject: str,
    period_start: datetime,
    used: int,
    told_percent: int,
    percent: int,
    **columns: Any,
) -> Reached:
    limit = _limit(**columns)
    counter = Counter(
        org_id=limit.org_id,
        limit_id=limit.limit_id,
        livemode=livemode,
        subject=subject,
        period_start=period_start,
        used=used,
        held=0,
        told_percent=told_percent,
    )
    return Reached(limit, counter, percent)
