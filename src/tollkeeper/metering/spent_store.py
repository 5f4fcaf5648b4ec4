"""What organizations spent, from the sums: of all of them, so that no record is read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, LiteralString, NamedTuple
from uuid import UUID

from tollkeeper.db import Connection

# Each stretch is a range of the key of each wallet that was used since; OFFSET 0 keeps it so.
SPENT: Final[LiteralString] = """
SELECT w.org_id, w.currency, s.place, sum(r.amount)::bigint, sum(r.calls)::bigint
FROM wallet w
CROSS JOIN unnest(%(places)s::integer[], %(grains)s::text[], %(sinces)s::timestamptz[],
                  %(untils)s::timestamptz[]) AS s (place, grain, since, until)
CROSS JOIN LATERAL (
    SELECT sum(r.amount) AS amount, sum(r.calls) AS calls
    FROM usage_rollup r
    WHERE r.org_id = w.org_id AND r.wallet_id = w.wallet_id AND r.cut = 'model'
      AND r.grain = s.grain AND r.slot >= s.since AND r.slot < s.until
    UNION ALL
    SELECT sum(c.amount), 0
    FROM usage_correction c
    WHERE c.org_id = w.org_id AND c.wallet_id = w.wallet_id
      AND c.started_at >= s.since AND c.started_at < s.until
    OFFSET 0
) r
WHERE w.livemode = %(livemode)s AND w.usage_seq > 0 AND w.newest_at >= %(first)s
  AND (%(org_ids)s::uuid[] IS NULL OR w.org_id = ANY (%(org_ids)s))
  AND r.amount IS NOT NULL
GROUP BY 1, 2, 3
"""
_DAY: Final = timedelta(days=1)


class Spent(NamedTuple):
    """Of one organization in one currency, in the span at `place` of those that were asked for."""

    org_id: UUID
    currency: str
    place: int
    amount: int
    calls: int


class Stretch(NamedTuple):
    place: int
    grain: str
    since: datetime
    until: datetime


def stretches(spans: Sequence[tuple[datetime, datetime]]) -> list[Stretch]:
    """Cover spans, whose ends lie on hours of UTC, with whole days and the hours beside them."""
    found: list[Stretch] = []
    for place, (since, until) in enumerate(spans):
        first, last = _day_from(since), _day_of(until)
        if first >= last:
            found.append(Stretch(place, "hour", since, until))
            continue
        parts = (("hour", since, first), ("day", first, last), ("hour", last, until))
        found += [Stretch(place, *part) for part in parts if part[1] < part[2]]
    return found


async def spent_by_all(
    connection: Connection,
    spans: Sequence[tuple[datetime, datetime]],
    *,
    livemode: bool,
    org_ids: Sequence[UUID] | None = None,
) -> list[Spent]:
    """What calls that began in each span were charged; those of the last seconds may be missing.

    Of these organizations, or of all. Spans begin and end on an hour of UTC.
    """
    asked = stretches(spans)
    values = {
        "places": [one.place for one in asked],
        "grains": [one.grain for one in asked],
        "sinces": [one.since for one in asked],
        "untils": [one.until for one in asked],
        "first": min(since for since, _ in spans),
        "livemode": livemode,
        "org_ids": None if org_ids is None else list(org_ids),
    }
    found = await connection.execute(SPENT, values)
    return [Spent(*row) for row in await found.fetchall()]


def _day_of(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _day_from(moment: datetime) -> datetime:
    day = _day_of(moment)
    return day if day == moment else day + _DAY
