"""All SQL of this room: what calls cost by their own records, and what providers said."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, LiteralString
from uuid import UUID

import msgspec
from psycopg.rows import class_row

from tollkeeper.db import Connection
from tollkeeper.margins.model import Bucket, Measure, Part
from tollkeeper.pricing import INPUT_TOKENS, OUTPUT_TOKENS, OWN
from tollkeeper.pricing.units import FEE

# Which records of live wallets may lie in a window, wallet by wallet. Times of recording never run
# backwards in a wallet, so both ends are found by halving.
RANGES: Final[LiteralString] = """
WITH RECURSIVE known AS MATERIALIZED (
    SELECT w.org_id, w.wallet_id, w.usage_seq
    FROM wallet w
    WHERE w.livemode AND w.usage_seq > 0 AND w.newest_at >= %(since)s
      AND (%(org_id)s::uuid IS NULL OR w.org_id = %(org_id)s)
      AND (w.org_id, w.wallet_id) > (%(after_org)s::uuid, %(after_wallet)s::uuid)
    ORDER BY w.org_id, w.wallet_id
    LIMIT %(limit)s
), search AS (
    SELECT k.org_id, k.wallet_id, t.first, t.at, 0::bigint AS low, k.usage_seq + 1 AS high
    FROM known k
    CROSS JOIN (
        VALUES (true, %(since)s::timestamptz), (false, %(until)s::timestamptz)
    ) AS t (first, at)
    UNION ALL
    SELECT s.org_id, s.wallet_id, s.first, s.at, CASE WHEN u.before THEN m.seq ELSE s.low END,
           CASE WHEN u.before THEN s.high ELSE m.seq END
    FROM search s
    CROSS JOIN LATERAL (SELECT (s.low + s.high) / 2 AS seq) m
    CROSS JOIN LATERAL (
        SELECT u.recorded_at < s.at AS before
        FROM usage_record u
        WHERE u.org_id = s.org_id AND u.wallet_id = s.wallet_id AND u.seq = m.seq
        LIMIT 1
    ) u
    WHERE s.high - s.low > 1
)
SELECT s.org_id, s.wallet_id, min(s.low) FILTER (WHERE s.first) AS above,
       min(s.low) FILTER (WHERE NOT s.first) AS upto
FROM search s
WHERE s.high - s.low = 1
GROUP BY s.org_id, s.wallet_id
ORDER BY s.org_id, s.wallet_id
"""

# What a unit of the wallet's currency was worth, 10^9 for dollars.
_CHARGED: Final[LiteralString] = """
round({} * coalesce((u.detail ->> 'usdValue')::numeric, 1000000000) / 1000000000)
"""
# A call that has nothing rated cost nothing. Of usage without a price or at a plan's price, and of
# an operator's own SKUs, the cost is not known (NULL).
PARTS: Final[LiteralString] = f"""
WITH call AS MATERIALIZED (
    SELECT coalesce(u.provider, '') AS provider, coalesce(u.model, '') AS model,
           (u.started_at AT TIME ZONE 'UTC')::date AS day,
           {_CHARGED.format("u.amount")} AS charged,
           CASE WHEN u.provider = ANY(%(free)s) THEN 0
                WHEN u.detail -> 'rating' ?| ARRAY['unpriced', 'overage'] THEN NULL
                WHEN rated.lines = 0 THEN 0
                WHEN u.provider IS NULL OR u.provider = %(own)s THEN NULL
                ELSE rated.cost END AS cost,
           coalesce(used.tokens, 0) AS tokens
    FROM usage_record u
    CROSS JOIN LATERAL (
        SELECT count(*) AS lines,
               coalesce(sum(round((l ->> 2)::numeric * (l ->> 5)::numeric / (l ->> 3)::numeric))
                   FILTER (WHERE l ->> 1 <> %(fee)s), 0) AS cost
        FROM jsonb_array_elements(coalesce(u.detail -> 'rating' -> 'lines', '[]')) AS l
    ) rated
    CROSS JOIN LATERAL (
        SELECT sum(t.value::numeric) AS tokens
        FROM jsonb_each_text(coalesce(u.detail -> 'rating' -> 'usage', '{{}}')) AS t
        WHERE t.key = ANY(%(tokens)s)
    ) used
    WHERE u.org_id = %(org_id)s AND u.wallet_id = %(wallet_id)s
      AND u.seq > %(above)s AND u.seq <= %(upto)s
      AND u.started_at >= %(since)s AND u.started_at < %(until)s
)
SELECT %(org_id)s::uuid AS org_id, provider, model, day, count(*) AS calls,
       sum(charged)::bigint AS charged, coalesce(sum(cost), 0)::bigint AS cost,
       count(*) FILTER (WHERE cost IS NULL) AS unknown_calls,
       coalesce(sum(charged) FILTER (WHERE cost IS NULL), 0)::bigint AS unknown_charged,
       sum(tokens)::bigint AS tokens
FROM call
GROUP BY provider, model, day
"""
# What rating usage again has charged later belongs to the day of the call.
CORRECTED: Final[LiteralString] = f"""
SELECT c.org_id, coalesce(u.provider, '') AS provider, coalesce(u.model, '') AS model,
       (c.started_at AT TIME ZONE 'UTC')::date AS day, 0 AS calls,
       sum({_CHARGED.format("c.amount")})::bigint AS charged, 0 AS cost, 0 AS unknown_calls,
       sum({_CHARGED.format("c.amount")})::bigint AS unknown_charged, 0 AS tokens
FROM usage_correction c
JOIN usage_record u ON u.org_id = c.org_id AND u.usage_id = c.usage_id
WHERE c.org_id = %(org_id)s AND c.wallet_id = %(wallet_id)s
  AND c.started_at >= %(since)s AND c.started_at < %(until)s
GROUP BY 1, 2, 3, 4
"""

FORGET_BUCKETS: Final[LiteralString] = """
DELETE FROM provider_cost c
USING json_to_recordset(%(buckets)s::json) AS t (provider text, day date, measure text)
WHERE c.provider = t.provider AND c.day = t.day AND c.measure = t.measure
"""
INSERT_BUCKETS: Final[LiteralString] = """
INSERT INTO provider_cost (provider, day, measure, model, amount, imported_at, imported_by)
SELECT t.provider, t.day, t.measure, t.model, t.amount, %(at)s, %(who)s
FROM json_to_recordset(%(buckets)s::json)
    AS t (provider text, day date, measure text, model text, amount bigint)
"""
# One import at a time: the second replaces what the first has written.
LOCK_BUCKETS: Final[LiteralString] = """
LOCK TABLE provider_cost IN SHARE ROW EXCLUSIVE MODE
"""
READ_BUCKETS: Final[LiteralString] = """
SELECT provider, day, measure, model, amount
FROM provider_cost
WHERE day >= %(first)s AND day < %(behind)s
  AND (%(provider)s::text IS NULL OR provider = %(provider)s)
ORDER BY provider, day, measure, model
"""

_NIL: Final = UUID(int=0)
_TOKENS: Final = [*INPUT_TOKENS, *OUTPUT_TOKENS]
_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Records of a wallet numbered above `above`, up to and with `upto`."""

    org_id: UUID
    wallet_id: UUID
    above: int
    upto: int


async def ranges(
    connection: Connection,
    since: datetime,
    until: datetime,
    *,
    org_id: UUID | None,
    after: Range | None,
    limit: int,
) -> list[Range]:
    """Live wallets by id, each with its records that were recorded in [since, until)."""
    asked = {
        "since": since,
        "until": until,
        "org_id": org_id,
        "after_org": _NIL if after is None else after.org_id,
        "after_wallet": _NIL if after is None else after.wallet_id,
        "limit": limit,
    }
    async with connection.cursor(row_factory=class_row(Range)) as cursor:
        await cursor.execute(RANGES, asked)
        return await cursor.fetchall()


async def parts(
    connection: Connection,
    within: Range,
    since: datetime,
    until: datetime,
    free: Collection[str],
) -> list[Part]:
    """What the calls of some records came to that began in [since, until)."""
    asked = {
        "org_id": within.org_id,
        "wallet_id": within.wallet_id,
        "above": within.above,
        "upto": within.upto,
        "since": since,
        "until": until,
        "free": list(free),
        "own": OWN,
        "fee": FEE,
        "tokens": _TOKENS,
    }
    async with connection.cursor(row_factory=class_row(Part)) as cursor:
        await cursor.execute(PARTS, asked)
        return await cursor.fetchall()


async def corrected(
    connection: Connection, wallet: Range, since: datetime, until: datetime
) -> list[Part]:
    asked = {
        "org_id": wallet.org_id,
        "wallet_id": wallet.wallet_id,
        "since": since,
        "until": until,
    }
    async with connection.cursor(row_factory=class_row(Part)) as cursor:
        await cursor.execute(CORRECTED, asked)
        return await cursor.fetchall()


async def replace_buckets(
    tx: Connection, buckets: Sequence[Bucket], who: str, now: datetime
) -> None:
    """Put these in the place of everything known of their days."""
    asked = {"buckets": _encode(buckets).decode(), "at": now, "who": who}
    await tx.execute(LOCK_BUCKETS)
    await tx.execute(FORGET_BUCKETS, asked)
    await tx.execute(INSERT_BUCKETS, asked)


async def read_buckets(
    connection: Connection, first: date, behind: date, provider: str | None
) -> list[Bucket]:
    asked = {"first": first, "behind": behind, "provider": provider}
    found = await connection.execute(READ_BUCKETS, asked)
    return [
        Bucket(provider=row[0], day=row[1], measure=Measure(row[2]), model=row[3], amount=row[4])
        for row in await found.fetchall()
    ]
