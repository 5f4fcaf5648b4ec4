"""SQL of the sums, and this room's reading of the driver's errors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, LiteralString
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from tollkeeper.db import Connection, unavailable

# Beside an absent server: a cancelled statement, a lost race, a system or internal error. The
# same statement may succeed later; nothing in its items is at fault.
_TRANSIENT: Final = ("40", "55", "57", "58", "XX")

# Room to group what a statement takes on; what is compiled for it would be used once.
BE_READY: Final[LiteralString] = "SET LOCAL work_mem = '64MB'; SET LOCAL jit = off"
# A row that is there is left alone: to insert beside it would wait for whoever is adding it up.
BEGIN_SUMS: Final[LiteralString] = """
INSERT INTO usage_summed (org_id, wallet_id, usage_seq)
SELECT t.org_id, t.wallet_id, 0
FROM json_to_recordset(%(wallets)s::json) AS t (org_id uuid, wallet_id uuid)
WHERE NOT EXISTS (
    SELECT FROM usage_summed r WHERE r.org_id = t.org_id AND r.wallet_id = t.wallet_id
)
ORDER BY t.org_id, t.wallet_id
ON CONFLICT (org_id, wallet_id) DO NOTHING
"""

_KEY: Final[LiteralString] = "slot, project_id, key_id, provider, model, operation"
# The key of a record's sums, from the record itself.
_KEY_OF_RECORD: Final[LiteralString] = """
           date_bin('15 minutes', u.started_at, timestamptz '2000-01-01 00:00:00+00') AS slot,
           coalesce(u.project_id, '00000000-0000-0000-0000-000000000000') AS project_id,
           coalesce(u.key_id, '00000000-0000-0000-0000-000000000000') AS key_id,
           coalesce(u.provider, '') AS provider, coalesce(u.model, '') AS model,
           coalesce(u.operation, '') AS operation"""

_COARSE: Final[LiteralString] = "{day,month}"
_FINE: Final[LiteralString] = "{hour,day,month}"
_ALL_GRAINS: Final[LiteralString] = "{quarter,hour,day,month}"
# In a cut '' stands for what a record does not say, whatever its type.
_KEY_ID: Final[LiteralString] = """
         coalesce(nullif(g.key_id, '00000000-0000-0000-0000-000000000000')::text, '')"""
_NAMED: Final[LiteralString] = f"""
         coalesce(nullif(g.project_id, '00000000-0000-0000-0000-000000000000')::text, ''),
         {_KEY_ID}"""

# Which cuts there are is told in `analytics/cuts.py`: whoever changes one changes the other, and
# has the sums made again by a migration.
# Another process that adds up the same wallet is not waited for: it does the work.
# OFFSET 0: the records are a range of the key; joined freely, the whole table would be read, as the
# planner knows nothing of the newest ones.
ADD_UP: Final[LiteralString] = f"""
WITH marked AS MATERIALIZED (
    SELECT m.*
    FROM json_to_recordset(%(wallets)s::json) AS t (org_id uuid, wallet_id uuid)
    CROSS JOIN LATERAL (
        SELECT r.org_id, r.wallet_id, r.usage_seq AS above,
               least(w.usage_seq, r.usage_seq + %(most)s) AS upto, w.usage_seq AS newest
        FROM usage_summed r
        JOIN wallet w ON w.org_id = r.org_id AND w.wallet_id = r.wallet_id
        WHERE r.org_id = t.org_id AND r.wallet_id = t.wallet_id AND w.usage_seq > r.usage_seq
        FOR UPDATE OF r SKIP LOCKED
    ) m
), fresh AS MATERIALIZED (
    SELECT u.org_id, u.wallet_id, u.seq, u.usage_id, u.recorded_at, u.started_at,
           {_KEY_OF_RECORD}, u.status, u.amount,
           u.detail -> 'rating' -> 'lines' AS lines,
           u.detail -> 'rating' ? 'unpriced' AS unpriced,
           coalesce(u.detail ->> 'endUser', '') AS end_user, u.detail -> 'tags' AS tags
    FROM marked m
    CROSS JOIN LATERAL (
        SELECT * FROM usage_record u
        WHERE u.org_id = m.org_id AND u.wallet_id = m.wallet_id
          AND u.seq > m.above AND u.seq <= m.upto
        OFFSET 0
    ) u
), called AS MATERIALIZED (
    SELECT f.org_id, f.wallet_id, {_KEY}, count(*) AS calls,
           count(*) FILTER (WHERE f.status >= 400) AS failed, sum(f.amount)::bigint AS amount
    FROM fresh f
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
), lined AS MATERIALIZED (
    SELECT f.org_id, f.wallet_id, {_KEY}, l ->> 0 AS sku, l ->> 1 AS unit, count(*) AS lines,
           sum((l ->> 2)::numeric) AS quantity, sum((l ->> 6)::bigint)::bigint AS amount
    FROM fresh f CROSS JOIN LATERAL jsonb_array_elements(f.lines) AS l
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
), sums AS (
    INSERT INTO usage_sum AS s (org_id, wallet_id, {_KEY}, calls, failed, amount)
    SELECT org_id, wallet_id, {_KEY}, calls, failed, amount FROM called
    ON CONFLICT ON CONSTRAINT usage_sum_pkey DO UPDATE
    SET calls = s.calls + excluded.calls, failed = s.failed + excluded.failed,
        amount = s.amount + excluded.amount
), line_sums AS (
    INSERT INTO usage_line_sum AS s (org_id, wallet_id, {_KEY}, sku, unit,
                                     lines, quantity, amount)
    SELECT org_id, wallet_id, {_KEY}, sku, unit, lines, quantity, amount FROM lined
    ON CONFLICT ON CONSTRAINT usage_line_sum_pkey DO UPDATE
    SET lines = s.lines + excluded.lines, quantity = s.quantity + excluded.quantity,
        amount = s.amount + excluded.amount
), cuts AS (
    SELECT g.org_id, g.wallet_id, g.slot, c.cut, c.grains, c.dims, g.calls, g.failed,
           0::numeric AS quantity, g.amount
    FROM called g CROSS JOIN LATERAL (VALUES
        ('model', '{_FINE}'::text[], ARRAY[g.provider, g.model, g.operation]),
        ('key', '{_FINE}', ARRAY[{_NAMED}]),
        ('call', '{_FINE}', ARRAY[{_NAMED}, g.provider, g.model, g.operation])
    ) AS c (cut, grains, dims)
    UNION ALL
    SELECT g.org_id, g.wallet_id, g.slot, c.cut, c.grains, c.dims, g.lines, 0, g.quantity, g.amount
    FROM lined g CROSS JOIN LATERAL (VALUES
        ('sku', '{_FINE}'::text[], ARRAY[g.model, g.sku, g.unit]),
        ('keyUnit', '{_COARSE}', ARRAY[{_KEY_ID}, g.unit]),
        ('line', '{_COARSE}',
         ARRAY[{_NAMED}, g.provider, g.model, g.operation, g.sku, g.unit])
    ) AS c (cut, grains, dims)
    UNION ALL
    SELECT f.org_id, f.wallet_id, f.slot, c.cut, '{_ALL_GRAINS}'::text[], c.dims, count(*),
           count(*) FILTER (WHERE f.status >= 400), 0, sum(f.amount)
    FROM fresh f CROSS JOIN LATERAL (
        SELECT 'endUser', ARRAY[f.end_user]
        UNION ALL SELECT 'tag', ARRAY[t.key, t.value] FROM jsonb_each_text(f.tags) AS t
    ) AS c (cut, dims)
    GROUP BY 1, 2, 3, 4, 5, 6
), rolled AS (
    INSERT INTO usage_rollup AS s (org_id, wallet_id, cut, grain, slot, dims,
                                   calls, failed, quantity, amount)
    SELECT c.org_id, c.wallet_id, c.cut, t.grain,
           coalesce(date_bin(t.width, c.slot, timestamptz '2000-01-01 00:00:00+00'),
                    date_trunc('month', c.slot, 'UTC')), c.dims,
           sum(c.calls), sum(c.failed), sum(c.quantity), sum(c.amount)
    FROM cuts c
    JOIN (VALUES ('quarter', interval '15 minutes'), ('hour', '1 hour'), ('day', '1 day'),
                 ('month', NULL))
        AS t (grain, width) ON t.grain = ANY(c.grains)
    GROUP BY 1, 2, 3, 4, 5, 6
    ON CONFLICT ON CONSTRAINT usage_rollup_pkey DO UPDATE
    SET calls = s.calls + excluded.calls, failed = s.failed + excluded.failed,
        quantity = s.quantity + excluded.quantity, amount = s.amount + excluded.amount
), strays AS (
    INSERT INTO usage_stray (org_id, wallet_id, slot, seq)
    SELECT f.org_id, f.wallet_id, f.slot, f.seq FROM fresh f
    WHERE NOT f.recorded_at - f.started_at BETWEEN interval '0' AND interval '1 hour'
), unpriced AS (
    INSERT INTO usage_unpriced (org_id, wallet_id, seq, usage_id, recorded_at)
    SELECT f.org_id, f.wallet_id, f.seq, f.usage_id, f.recorded_at FROM fresh f WHERE f.unpriced
), moved AS (
    UPDATE usage_summed r SET usage_seq = m.upto
    FROM marked m
    WHERE r.org_id = m.org_id AND r.wallet_id = m.wallet_id
)
SELECT coalesce(sum(m.upto - m.above), 0)::bigint, coalesce(bool_or(m.upto < m.newest), false)
FROM marked m
"""

# What the sums say, and what the records say that are not in them yet.
TOTALS: Final[LiteralString] = f"""
WITH part AS (
    SELECT {_KEY}, calls, failed, amount
    FROM usage_sum
    WHERE org_id = %(org_id)s AND wallet_id = %(wallet_id)s
      AND slot >= %(since)s AND slot < %(until)s
    UNION ALL
    SELECT {_KEY_OF_RECORD}, 1, CASE WHEN u.status >= 400 THEN 1 ELSE 0 END, u.amount
    FROM usage_record u
    WHERE u.org_id = %(org_id)s AND u.wallet_id = %(wallet_id)s
      AND u.started_at >= %(since)s AND u.started_at < %(until)s
      AND u.seq > coalesce((
          SELECT r.usage_seq FROM usage_summed r
          WHERE r.org_id = %(org_id)s AND r.wallet_id = %(wallet_id)s
      ), 0)
)
SELECT {_KEY}, sum(calls)::bigint AS calls, sum(failed)::bigint AS failed,
       sum(amount)::bigint AS amount
FROM part
GROUP BY {_KEY}
ORDER BY {_KEY}
"""
LINE_TOTALS: Final[LiteralString] = f"""
WITH part AS (
    SELECT {_KEY}, sku, unit, lines, quantity, amount
    FROM usage_line_sum
    WHERE org_id = %(org_id)s AND wallet_id = %(wallet_id)s
      AND slot >= %(since)s AND slot < %(until)s
    UNION ALL
    SELECT {_KEY_OF_RECORD}, l ->> 0, l ->> 1, 1, (l ->> 2)::numeric, (l ->> 6)::bigint
    FROM usage_record u
    CROSS JOIN LATERAL jsonb_array_elements(u.detail -> 'rating' -> 'lines') AS l
    WHERE u.org_id = %(org_id)s AND u.wallet_id = %(wallet_id)s
      AND u.started_at >= %(since)s AND u.started_at < %(until)s
      AND u.seq > coalesce((
          SELECT r.usage_seq FROM usage_summed r
          WHERE r.org_id = %(org_id)s AND r.wallet_id = %(wallet_id)s
      ), 0)
)
SELECT {_KEY}, sku, unit, sum(lines)::bigint AS lines, sum(quantity) AS quantity,
       sum(amount)::bigint AS amount
FROM part
GROUP BY {_KEY}, sku, unit
ORDER BY {_KEY}, sku, unit
"""

LAGGING_WALLETS: Final[LiteralString] = """
SELECT w.org_id, w.wallet_id
FROM wallet w
LEFT JOIN usage_summed r ON r.org_id = w.org_id AND r.wallet_id = w.wallet_id
WHERE w.usage_seq > coalesce(r.usage_seq, 0)
  AND (w.org_id, w.wallet_id) > (%(org_id)s, %(wallet_id)s)
ORDER BY w.org_id, w.wallet_id
LIMIT %(limit)s
"""
SUMMED_WALLETS: Final[LiteralString] = """
SELECT org_id, wallet_id FROM usage_summed ORDER BY org_id, wallet_id
"""
LOCK_SUMMED: Final[LiteralString] = """
SELECT usage_seq FROM usage_summed
WHERE org_id = %(org_id)s AND wallet_id = %(wallet_id)s
FOR UPDATE
"""
FORGET_SUMS: Final[LiteralString] = """
DELETE FROM usage_sum WHERE org_id = %(org_id)s AND wallet_id = %(wallet_id)s
"""
FORGET_LINE_SUMS: Final[LiteralString] = """
DELETE FROM usage_line_sum WHERE org_id = %(org_id)s AND wallet_id = %(wallet_id)s
"""
FORGET_UNPRICED: Final[LiteralString] = """
DELETE FROM usage_unpriced WHERE org_id = %(org_id)s AND wallet_id = %(wallet_id)s
"""
FORGET_ROLLUPS: Final[LiteralString] = """
DELETE FROM usage_rollup WHERE org_id = %(org_id)s AND wallet_id = %(wallet_id)s
"""
FORGET_STRAYS: Final[LiteralString] = """
DELETE FROM usage_stray WHERE org_id = %(org_id)s AND wallet_id = %(wallet_id)s
"""
FORGET_MARK: Final[LiteralString] = """
UPDATE usage_summed SET usage_seq = 0
WHERE org_id = %(org_id)s AND wallet_id = %(wallet_id)s
"""

# Rated again means: there is a correction that says so, of nothing where it turned out to be free.
UNPRICED: Final[LiteralString] = """
SELECT u.org_id, u.wallet_id, u.usage_id, u.recorded_at
FROM usage_unpriced u
WHERE (u.recorded_at, u.usage_id) > (%(recorded_at)s, %(usage_id)s)
  AND NOT EXISTS (
      SELECT FROM usage_record r
      JOIN usage_correction c USING (org_id, wallet_id, started_at, usage_id)
      WHERE r.org_id = u.org_id AND r.usage_id = u.usage_id
  )
ORDER BY u.recorded_at, u.usage_id
LIMIT %(limit)s
"""

FIRST_CHARGE: Final[LiteralString] = """
SELECT usage_id, wallet_id, key_id, amount, balance_after, late, fingerprint,
       coalesce(detail ->> 'currency', 'USD') AS currency
FROM usage_record
WHERE org_id = %(org_id)s AND usage_id = %(usage_id)s
"""

WALLETS_OF_MANY: Final[LiteralString] = """
SELECT w.org_id, w.livemode, w.currency, w.wallet_id
FROM unnest(%(org_ids)s::uuid[]) AS o (org_id)
CROSS JOIN LATERAL (
    SELECT w.org_id, w.livemode, w.currency, w.wallet_id FROM wallet w WHERE w.org_id = o.org_id
) w
"""

_NIL: Final = UUID(int=0)
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpriced:
    """A record with usage that had no price."""

    org_id: UUID
    wallet_id: UUID
    usage_id: UUID
    recorded_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstCharge:
    """What a call was charged, as it was answered the first time."""

    usage_id: UUID
    wallet_id: UUID
    key_id: UUID | None
    amount: int
    balance_after: int
    late: bool
    fingerprint: int | None
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """What a quarter of an hour saw of one combination; '' and the nil UUID stand for nothing."""

    slot: datetime
    project_id: UUID
    key_id: UUID
    provider: str
    model: str
    operation: str
    calls: int
    failed: int
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LineTotal:
    """The same by SKU; `quantity` is counted in single units."""

    slot: datetime
    project_id: UUID
    key_id: UUID
    provider: str
    model: str
    operation: str
    sku: str
    unit: str
    lines: int
    quantity: Decimal
    amount: int


def is_outage(error: BaseException) -> bool:
    """Tell whether the database is at fault, and not what was sent to it."""
    if isinstance(error, TimeoutError) or unavailable(error) is not None:
        return True
    state = error.sqlstate if isinstance(error, psycopg.Error) else None
    return state is not None and state[:2] in _TRANSIENT


async def first_charge(connection: Connection, org_id: UUID, usage_id: UUID) -> FirstCharge | None:
    async with connection.cursor(row_factory=class_row(FirstCharge)) as cursor:
        await cursor.execute(FIRST_CHARGE, {"org_id": org_id, "usage_id": usage_id})
        return await cursor.fetchone()


async def wallets_of_many(
    connection: Connection, org_ids: Sequence[UUID]
) -> list[tuple[UUID, bool, str, UUID]]:
    """Rows of (organization, live mode, currency, wallet)."""
    return await (await connection.execute(WALLETS_OF_MANY, {"org_ids": org_ids})).fetchall()


async def unpriced(connection: Connection, after: Unpriced | None, limit: int) -> list[Unpriced]:
    parameters = {
        "recorded_at": _BEGINNING if after is None else after.recorded_at,
        "usage_id": _NIL if after is None else after.usage_id,
        "limit": limit,
    }
    async with connection.cursor(row_factory=class_row(Unpriced)) as cursor:
        await cursor.execute(UNPRICED, parameters)
        return await cursor.fetchall()


async def add_up(
    connection: Connection, wallets: Sequence[tuple[UUID, UUID]], most: int
) -> tuple[int, bool]:
    """Add up to `most` records of each wallet; say how many, and whether any has more."""
    named = [{"org_id": str(org_id), "wallet_id": str(wallet)} for org_id, wallet in wallets]
    parameters = {"wallets": json.dumps(named), "most": most}
    async with connection.transaction():
        await connection.execute(BE_READY)
        await connection.execute(BEGIN_SUMS, parameters)
        cursor = await connection.execute(ADD_UP, parameters)
        ((added, more),) = await cursor.fetchall()
    return added, more


async def lagging_wallets(
    connection: Connection, after: tuple[UUID, UUID] | None, limit: int
) -> list[tuple[UUID, UUID]]:
    org_id, wallet_id = after or (_NIL, _NIL)
    parameters = {"org_id": org_id, "wallet_id": wallet_id, "limit": limit}
    cursor = await connection.execute(LAGGING_WALLETS, parameters)
    return await cursor.fetchall()


async def summed_wallets(connection: Connection) -> list[tuple[UUID, UUID]]:
    cursor = await connection.execute(SUMMED_WALLETS)
    return await cursor.fetchall()


async def totals(
    connection: Connection, org_id: UUID, wallet_id: UUID, since: datetime, until: datetime
) -> list[Total]:
    parameters = {"org_id": org_id, "wallet_id": wallet_id, "since": since, "until": until}
    async with connection.cursor(row_factory=class_row(Total)) as cursor:
        await cursor.execute(TOTALS, parameters)
        return await cursor.fetchall()


async def line_totals(
    connection: Connection, org_id: UUID, wallet_id: UUID, since: datetime, until: datetime
) -> list[LineTotal]:
    parameters = {"org_id": org_id, "wallet_id": wallet_id, "since": since, "until": until}
    async with connection.cursor(row_factory=class_row(LineTotal)) as cursor:
        await cursor.execute(LINE_TOTALS, parameters)
        return await cursor.fetchall()


async def forget_sums(tx: Connection, org_id: UUID, wallet_id: UUID) -> None:
    parameters = {"org_id": org_id, "wallet_id": wallet_id}
    # The mark is what others lock before they add; so none of them adds in between.
    await tx.execute(LOCK_SUMMED, parameters)
    for statement in (
        FORGET_SUMS,
        FORGET_LINE_SUMS,
        FORGET_UNPRICED,
        FORGET_ROLLUPS,
        FORGET_STRAYS,
        FORGET_MARK,
    ):
        await tx.execute(statement, parameters)
