"""All SQL about plans, subscriptions, and the counters of allowances."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from psycopg.errors import UniqueViolation
from psycopg.rows import TupleRow

from tollkeeper.db import Connection
from tollkeeper.plans.errors import AlreadySubscribed, PlanVersionConflict
from tollkeeper.plans.model import PlanTerms, PlanVersion, Source, Status, Subscription

_REVISION: Final = """
SELECT (SELECT count(*) FROM plan_version), count(*), max(changed_at) FROM plan
"""
_PLANS: Final = """
SELECT v.version_id, v.code, v.name, v.effective_from, v.terms, v.published_at, v.published_by,
    p.retired_at
FROM plan_version v JOIN plan p ON p.code = v.code
ORDER BY v.code, v.effective_from
"""
_LOCK_PLAN: Final = """
INSERT INTO plan (code, created_at) VALUES (%(code)s, %(now)s)
ON CONFLICT (code) DO UPDATE SET changed_at = clock_timestamp()
"""
_INSERT_VERSION: Final = """
INSERT INTO plan_version (
    version_id, code, name, effective_from, terms, published_at, published_by
) VALUES (
    %(version_id)s, %(code)s, %(name)s, %(effective_from)s, %(terms)s, %(published_at)s,
    %(published_by)s
)
"""
_RETIRE: Final = """
UPDATE plan SET retired_at = %(at)s, changed_at = clock_timestamp() WHERE code = %(code)s
RETURNING code
"""
_COLUMNS: Final = """
    org_id, subscription_id, livemode, version_id, status, started_at, anchor, zone,
    next_version_id, next_at, cancel_at, source, ref
"""
_CHANGED: Final = f"""
SELECT asked.at, {_COLUMNS}
FROM (SELECT clock_timestamp() AS at) asked
LEFT JOIN subscription ON CASE
    WHEN %(since)s::timestamptz IS NULL THEN status <> 'cancelled'
    ELSE changed_at >= %(since)s::timestamptz - make_interval(secs => %(overlap)s)
END
ORDER BY changed_at, status = 'cancelled' DESC
"""
_LOCK_CURRENT: Final = f"""
SELECT {_COLUMNS} FROM subscription
WHERE org_id = %(org_id)s AND livemode = %(livemode)s AND status <> 'cancelled'
FOR NO KEY UPDATE
"""
_LOCK: Final = f"""
SELECT {_COLUMNS} FROM subscription
WHERE org_id = %(org_id)s AND subscription_id = %(subscription_id)s
FOR NO KEY UPDATE
"""
_BY_REF: Final = f"""
SELECT {_COLUMNS} FROM subscription
WHERE org_id = %(org_id)s AND source = %(source)s AND ref = %(ref)s
"""
_OF_ORG: Final = f"""
SELECT {_COLUMNS} FROM subscription
WHERE org_id = %(org_id)s AND livemode = %(livemode)s
ORDER BY status <> 'cancelled' DESC, started_at DESC, subscription_id DESC
LIMIT 1
"""
_INSERT: Final = f"""
INSERT INTO subscription ({_COLUMNS}) VALUES (
    %(org_id)s, %(subscription_id)s, %(livemode)s, %(version_id)s, %(status)s, %(started_at)s,
    %(anchor)s, %(zone)s, %(next_version_id)s, %(next_at)s, %(cancel_at)s, %(source)s, %(ref)s
)
"""
_UPDATE: Final = """
UPDATE subscription SET
    version_id = %(version_id)s, status = %(status)s, anchor = %(anchor)s, zone = %(zone)s,
    next_version_id = %(next_version_id)s, next_at = %(next_at)s, cancel_at = %(cancel_at)s,
    changed_at = clock_timestamp()
WHERE org_id = %(org_id)s AND subscription_id = %(subscription_id)s
"""
_COUNTED: Final = """
SELECT c.limit_id, c.used, c.held FROM counter c
WHERE c.org_id = %(org_id)s AND c.limit_id = ANY (%(limits)s) AND c.livemode = %(livemode)s
    AND c.subject = '' AND c.period_start = %(period_start)s
"""
_USED_UP: Final = """
SELECT c.org_id, c.livemode, c.limit_id
FROM unnest(%(orgs)s::uuid[], %(limits)s::uuid[], %(modes)s::boolean[], %(starts)s::timestamptz[],
    %(included)s::bigint[]) AS asked (org_id, limit_id, livemode, period_start, included)
JOIN counter c ON c.org_id = asked.org_id AND c.limit_id = asked.limit_id
    AND c.livemode = asked.livemode AND c.subject = '' AND c.period_start = asked.period_start
WHERE c.used >= asked.included AND c.told_percent < 100
"""
_TELL: Final = """
UPDATE counter SET told_percent = 100
WHERE org_id = %(org_id)s AND limit_id = %(limit_id)s AND livemode = %(livemode)s
    AND subject = '' AND period_start = %(period_start)s AND told_percent < 100
RETURNING limit_id
"""
_UNTOLD: Final = """
SELECT DISTINCT org_id, livemode FROM counter
WHERE subject = '' AND told_percent < 100 AND used > 0
"""


async def read_revision(connection: Connection) -> object:
    found = await connection.execute(_REVISION)
    return await found.fetchone()


async def read_plans(connection: Connection) -> list[PlanVersion]:
    found = await connection.execute(_PLANS)
    return [_version(row) for row in await found.fetchall()]


async def lock_plan(tx: Connection, code: str, now: datetime) -> None:
    """Make a plan, or wait for whoever else is publishing it."""
    await tx.execute(_LOCK_PLAN, {"code": code, "now": now})


async def insert_version(tx: Connection, version: PlanVersion) -> None:
    values: dict[str, Any] = {
        "version_id": version.version_id,
        "code": version.code,
        "name": version.name,
        "effective_from": version.effective_from,
        "terms": msgspec.json.encode(version.terms).decode(),
        "published_at": version.published_at,
        "published_by": version.published_by,
    }
    try:
        await tx.execute(_INSERT_VERSION, values)
    except UniqueViolation as known:
        said = f"{version.code} has another version from {version.effective_from.isoformat()}"
        raise PlanVersionConflict(said) from known


async def set_retired(tx: Connection, code: str, at: datetime | None) -> bool:
    found = await tx.execute(_RETIRE, {"code": code, "at": at})
    return await found.fetchone() is not None


async def subscriptions_changed_since(
    connection: Connection, since: datetime | None, overlap_seconds: int
) -> tuple[datetime, list[Subscription]]:
    """Return the moment of asking by the server's clock, and the subscriptions that changed."""
    found = await connection.execute(_CHANGED, {"since": since, "overlap": overlap_seconds})
    rows = await found.fetchall()
    return rows[0][0], [_subscription(row[1:]) for row in rows if row[1] is not None]


async def lock_current(tx: Connection, org_id: UUID, livemode: bool) -> Subscription | None:
    found = await tx.execute(_LOCK_CURRENT, {"org_id": org_id, "livemode": livemode})
    return _maybe(await found.fetchone())


async def lock_subscription(
    tx: Connection, org_id: UUID, subscription_id: UUID
) -> Subscription | None:
    asked = {"org_id": org_id, "subscription_id": subscription_id}
    return _maybe(await (await tx.execute(_LOCK, asked)).fetchone())


async def subscription_by_ref(
    connection: Connection, org_id: UUID, source: Source, ref: str
) -> Subscription | None:
    asked = {"org_id": org_id, "source": source.value, "ref": ref}
    return _maybe(await (await connection.execute(_BY_REF, asked)).fetchone())


async def read_subscription(
    connection: Connection,
    org_id: UUID,
    livemode: bool,
) -> Subscription | None:
    """Give the current one, or the last that there was."""
    found = await connection.execute(_OF_ORG, {"org_id": org_id, "livemode": livemode})
    return _maybe(await found.fetchone())


async def insert_subscription(tx: Connection, made: Subscription) -> None:
    """Raises AlreadySubscribed when somebody else was first."""
    try:
        await tx.execute(_INSERT, _values(made))
    except UniqueViolation as known:
        raise AlreadySubscribed("This organization has a plan; change it instead") from known


async def update_subscription(tx: Connection, changed: Subscription) -> None:
    await tx.execute(_UPDATE, _values(changed))


async def counted(
    connection: Connection,
    org_id: UUID,
    limits: Sequence[UUID],
    livemode: bool,
    period_start: datetime,
) -> dict[UUID, tuple[int, int]]:
    """Give what is used and held of each counter in this period; one that is missing is 0."""
    asked = {
        "org_id": org_id,
        "limits": list(limits),
        "livemode": livemode,
        "period_start": period_start,
    }
    found = await connection.execute(_COUNTED, asked)
    return {limit_id: (used, held) for limit_id, used, held in await found.fetchall()}


async def used_up(
    connection: Connection, asked: Sequence[tuple[UUID, UUID, bool, datetime, int]]
) -> list[tuple[UUID, bool, UUID]]:
    """Of (organization, counter, livemode, period, included), give those nobody was told of."""
    if not asked:
        return []
    orgs, limits, modes, starts, included = map(list, zip(*asked, strict=True))
    found = await connection.execute(
        _USED_UP,
        {"orgs": orgs, "limits": limits, "modes": modes, "starts": starts, "included": included},
    )
    return [(org_id, livemode, limit) for org_id, livemode, limit in await found.fetchall()]


async def note_told(
    tx: Connection,
    org_id: UUID,
    limit_id: UUID,
    livemode: bool,
    period_start: datetime,
) -> bool:
    """Say whether this is the first time."""
    asked = {
        "org_id": org_id,
        "limit_id": limit_id,
        "livemode": livemode,
        "period_start": period_start,
    }
    return await (await tx.execute(_TELL, asked)).fetchone() is not None


async def with_untold_counters(connection: Connection) -> list[tuple[UUID, bool]]:
    found = await connection.execute(_UNTOLD)
    return [(org_id, livemode) for org_id, livemode in await found.fetchall()]


def _values(subscription: Subscription) -> dict[str, Any]:
    return {name: getattr(subscription, name) for name in subscription.__slots__} | {
        "status": subscription.status.value,
        "source": subscription.source.value,
    }


def _maybe(row: TupleRow | None) -> Subscription | None:
    return None if row is None else _subscription(row)


def _subscription(row: TupleRow) -> Subscription:
    org_id, subscription_id, livemode, version_id, status, started_at, anchor, zone, *rest = row
    next_version_id, next_at, cancel_at, source, ref = rest
    return Subscription(
        org_id=org_id,
        subscription_id=subscription_id,
        livemode=livemode,
        version_id=version_id,
        status=Status(status),
        started_at=started_at,
        anchor=anchor,
        zone=zone,
        next_version_id=next_version_id,
        next_at=next_at,
        cancel_at=cancel_at,
        source=Source(source),
        ref=ref,
    )


def _version(row: TupleRow) -> PlanVersion:
    version_id, code, name, effective_from, terms, published_at, published_by, retired_at = row
    return PlanVersion(
        version_id=version_id,
        code=code,
        name=name,
        effective_from=effective_from,
        terms=msgspec.convert(terms, PlanTerms),
        published_at=published_at,
        published_by=published_by,
        retired_at=retired_at,
    )
