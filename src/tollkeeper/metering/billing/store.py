"""SQL of the usage lists.

A wallet's records are numbered without gaps (`seq`), their lines are counted (`line_seq`), and
their times never run backwards. So a moment or a line is found by halving: some twenty look-ups by
primary key however long the history is, where OFFSET and count(*) would read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString, NamedTuple
from uuid import UUID

from psycopg.rows import class_row

from tollkeeper.db import Connection

HEADS: Final[LiteralString] = """
SELECT wallet_id, currency, usage_seq AS records, line_seq AS lines
FROM wallet
WHERE org_id = %(org_id)s AND livemode = %(livemode)s
  AND (%(currency)s::text IS NULL OR currency = %(currency)s)
ORDER BY wallet_id
"""

# `low` is before the moment and `high` is not, in each step and for each wallet.
RECORDS_BEFORE: Final[LiteralString] = """
WITH RECURSIVE search AS (
    SELECT w.wallet_id, 0::bigint AS low, w.usage_seq + 1 AS high
    FROM wallet w
    WHERE w.org_id = %(org_id)s AND w.wallet_id = ANY(%(wallet_ids)s)
    UNION ALL
    SELECT s.wallet_id, CASE WHEN u.before THEN m.seq ELSE s.low END,
           CASE WHEN u.before THEN s.high ELSE m.seq END
    FROM search s
    CROSS JOIN LATERAL (SELECT (s.low + s.high) / 2 AS seq) m
    CROSS JOIN LATERAL (
        SELECT u.recorded_at < %(at)s AS before
        FROM usage_record u
        WHERE u.org_id = %(org_id)s AND u.wallet_id = s.wallet_id AND u.seq = m.seq
        LIMIT 1
    ) u
    WHERE s.high - s.low > 1
)
SELECT s.wallet_id, s.low AS records, coalesce(u.line_seq, 0) AS lines
FROM search s
LEFT JOIN LATERAL (
    SELECT u.line_seq FROM usage_record u
    WHERE u.org_id = %(org_id)s AND u.wallet_id = s.wallet_id AND u.seq = s.low
    LIMIT 1
) u ON true
WHERE s.high - s.low = 1
"""

LINES: Final[LiteralString] = """
WITH RECURSIVE search AS (
    SELECT t.line, 0::bigint AS low, %(records)s::bigint AS high
    FROM unnest(ARRAY[%(first)s, %(last)s]::bigint[]) AS t (line)
    UNION ALL
    SELECT s.line, CASE WHEN u.before THEN m.seq ELSE s.low END,
           CASE WHEN u.before THEN s.high ELSE m.seq END
    FROM search s
    CROSS JOIN LATERAL (SELECT (s.low + s.high) / 2 AS seq) m
    CROSS JOIN LATERAL (
        SELECT u.line_seq < s.line AS before
        FROM usage_record u
        WHERE u.org_id = %(org_id)s AND u.wallet_id = %(wallet_id)s AND u.seq = m.seq
        LIMIT 1
    ) u
    WHERE s.high - s.low > 1
), bounds AS (
    SELECT min(high) AS first, max(high) AS last FROM search WHERE high - low = 1
)
SELECT u.*
FROM bounds b
CROSS JOIN LATERAL (
    SELECT u.line_seq, u.lines, u.recorded_at, u.usage_id, u.project_id, u.key_id, u.request_id,
           u.duration_ms, u.provider, u.model, u.operation, (u.detail -> 'rating')::text AS rating,
           u.detail ->> 'notes' AS notes
    FROM usage_record u
    WHERE u.org_id = %(org_id)s AND u.wallet_id = %(wallet_id)s
      AND u.seq >= b.first AND u.seq <= b.last AND u.lines > 0
    ORDER BY u.seq
    LIMIT %(most)s
) u
"""

# Records whose time of recording says nothing of when their call began, and those that nobody has
# looked at for that yet: the first and the last number of each wallet.
LATE: Final[LiteralString] = """
SELECT w.wallet_id, min(x.seq), max(x.seq)
FROM unnest(%(wallet_ids)s::uuid[]) AS w (wallet_id)
CROSS JOIN LATERAL (
    SELECT t.seq FROM usage_stray t
    WHERE t.org_id = %(org_id)s AND t.wallet_id = w.wallet_id
      AND t.slot >= date_bin('15 minutes', %(since)s, timestamptz '2000-01-01 00:00:00+00')
      AND t.slot < %(until)s
    UNION ALL
    SELECT u.seq FROM usage_record u
    WHERE u.org_id = %(org_id)s AND u.wallet_id = w.wallet_id
      AND u.seq > (SELECT coalesce(max(m.usage_seq), 0) FROM usage_summed m
                   WHERE m.org_id = %(org_id)s AND m.wallet_id = w.wallet_id)
      AND u.seq < 9223372036854775807
      AND u.started_at >= %(since)s AND u.started_at < %(until)s
) x
GROUP BY w.wallet_id
"""

_RECORD: Final[LiteralString] = """
SELECT u.org_id, u.wallet_id, u.seq, u.usage_id, u.amount, u.balance_after, u.held, u.late,
       u.recorded_at, u.started_at, u.duration_ms, u.project_id, u.key_id, u.request_id,
       u.status, u.source, u.provider, u.model, u.operation, u.thread_id, u.detail::text AS detail
FROM usage_record u
"""
RECORD: Final[LiteralString] = _RECORD + "WHERE u.org_id = %(org_id)s AND u.usage_id = %(usage_id)s"
RECORDED_AT: Final[LiteralString] = """
SELECT recorded_at FROM usage_record
WHERE org_id = %(org_id)s AND wallet_id = %(wallet_id)s AND seq = %(seq)s
"""
_DOWN: Final[LiteralString] = """
WHERE u.org_id = %(org_id)s AND u.wallet_id = %(wallet_id)s
  AND u.seq > %(above)s AND u.seq < %(below)s
"""
RECORDS_DOWN: Final[LiteralString] = _RECORD + _DOWN
# The same as text, cell by cell in the order of `UsageRecord`: an export of millions of rows has
# no time to make objects of them.
CELLS_DOWN: Final[LiteralString] = (
    """
SELECT u.seq, u.recorded_at,
       'use_' || replace(u.usage_id::text, '-', ''),
       replace(to_char(u.started_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), '.000000Z', 'Z'),
       replace(to_char(u.recorded_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), '.000000Z', 'Z'),
       u.operation, u.detail ->> 'input', 'prj_' || replace(u.project_id::text, '-', ''),
       u.thread_id, trim_scale(u.amount * 0.000000001)::text, %(currency)s::text,
       trim_scale(u.balance_after * 0.000000001)::text, u.status::text, u.duration_ms::text,
       'key_' || replace(u.key_id::text, '-', ''), u.provider, u.model, u.source, u.request_id,
       u.detail ->> 'endUser', u.detail ->> 'tags', u.late::text, u.detail ->> 'error'
FROM usage_record u
"""
    + _DOWN
)
# What a list may be narrowed to, each a condition on `u` with a parameter of its name.
FILTERS: Final[dict[str, LiteralString]] = {
    "operation": " AND u.operation = %(operation)s",
    "thread_id": " AND u.thread_id = %(thread_id)s",
    "project_id": " AND u.project_id = %(project_id)s",
    "key_id": " AND u.key_id = %(key_id)s",
    "model": " AND u.model = %(model)s",
    "status": " AND u.status = %(status)s",
    "success": " AND u.status < 400",
    "error": " AND u.status >= 400",
    "provider": " AND u.provider = %(provider)s",
    "end_user": " AND u.detail ->> 'endUser' = %(end_user)s",
    "keys": " AND u.key_id = ANY(%(keys)s)",
    "tags": " AND u.detail -> 'tags' @> %(tags)s::jsonb",
    "least": " AND u.amount >= %(least)s",
    "most": " AND u.amount <= %(most)s",
    "since": " AND u.started_at >= %(since)s",
    "until": " AND u.started_at < %(until)s",
    # Of calls that did not say it.
    "no_operation": " AND coalesce(u.operation, '') = ''",
    "no_model": " AND coalesce(u.model, '') = ''",
    "no_provider": " AND coalesce(u.provider, '') = ''",
    "no_project": " AND u.project_id IS NULL",
    "no_key": " AND u.key_id IS NULL",
    "no_end_user": " AND coalesce(u.detail ->> 'endUser', '') = ''",
    "no_tag": " AND u.detail -> 'tags' ->> %(no_tag)s::text IS NULL",
    "not_keys": " AND (u.key_id IS NULL OR u.key_id <> ALL(%(not_keys)s))",
}
# Those that an index answers, however few records pass.
INDEXED: Final = frozenset({"thread_id", "error"})
_NEWEST_FIRST: Final[LiteralString] = " ORDER BY u.seq DESC LIMIT %(limit)s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A wallet as far as it is now: how many records it has, and how many lines those have."""

    wallet_id: UUID
    currency: str
    records: int
    lines: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """Records and lines of a wallet before a moment."""

    wallet_id: UUID
    records: int
    lines: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LinesRow:
    """A record with its lines; `line_seq` is the number of the last of them."""

    line_seq: int
    lines: int
    recorded_at: datetime
    usage_id: UUID
    project_id: UUID | None
    key_id: UUID | None
    request_id: str | None
    duration_ms: int | None
    provider: str | None
    model: str | None
    operation: str | None
    rating: str
    notes: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRow:
    org_id: UUID
    wallet_id: UUID
    seq: int
    usage_id: UUID
    amount: int
    balance_after: int
    held: int | None
    late: bool
    recorded_at: datetime
    started_at: datetime
    duration_ms: int | None
    project_id: UUID | None
    key_id: UUID | None
    request_id: str | None
    status: int
    source: str
    provider: str | None
    model: str | None
    operation: str | None
    thread_id: str | None
    detail: str


@dataclass(frozen=True, slots=True)
class Part:
    """At most `limit` records numbered between the two (exclusive), narrowed by `FILTERS`."""

    above: int
    below: int
    limit: int
    filters: dict[str, Any]


async def heads(
    connection: Connection, org_id: UUID, livemode: bool, currency: str | None
) -> list[Head]:
    parameters = {"org_id": org_id, "livemode": livemode, "currency": currency}
    async with connection.cursor(row_factory=class_row(Head)) as cursor:
        await cursor.execute(HEADS, parameters)
        return await cursor.fetchall()


async def records_before(
    connection: Connection, org_id: UUID, wallet_ids: Sequence[UUID], at: datetime
) -> dict[UUID, Count]:
    parameters = {"org_id": org_id, "wallet_ids": list(wallet_ids), "at": at}
    async with connection.cursor(row_factory=class_row(Count)) as cursor:
        await cursor.execute(RECORDS_BEFORE, parameters)
        return {count.wallet_id: count for count in await cursor.fetchall()}


async def late(
    connection: Connection,
    org_id: UUID,
    wallet_ids: Sequence[UUID],
    since: datetime,
    until: datetime,
) -> dict[UUID, tuple[int, int]]:
    """Between which numbers calls of [since, until) may stand that were not recorded in time."""
    parameters = {
        "org_id": org_id,
        "wallet_ids": list(wallet_ids),
        "since": since,
        "until": until,
    }
    cursor = await connection.execute(LATE, parameters)
    return {row[0]: (row[1], row[2]) for row in await cursor.fetchall()}


async def lines(
    connection: Connection, org_id: UUID, head: Head, first: int, last: int
) -> list[LinesRow]:
    """The records that the lines numbered `first` to `last` belong to, by sequence."""
    parameters = {
        "org_id": org_id,
        "wallet_id": head.wallet_id,
        "records": head.records,
        "first": first,
        "last": last,
        "most": last - first + 1,
    }
    async with connection.cursor(row_factory=class_row(LinesRow)) as cursor:
        await cursor.execute(LINES, parameters)
        return await cursor.fetchall()


async def record(connection: Connection, org_id: UUID, usage_id: UUID) -> RecordRow | None:
    async with connection.cursor(row_factory=class_row(RecordRow)) as cursor:
        await cursor.execute(RECORD, {"org_id": org_id, "usage_id": usage_id})
        return await cursor.fetchone()


async def recorded_at(
    connection: Connection, org_id: UUID, head: Head, seq: int
) -> datetime | None:
    parameters = {"org_id": org_id, "wallet_id": head.wallet_id, "seq": seq}
    row = await (await connection.execute(RECORDED_AT, parameters)).fetchone()
    return None if row is None else row[0]


class Cells(NamedTuple):
    """A record as text."""

    seq: int
    recorded_at: datetime
    cells: Sequence[str | None]


async def records_down(
    connection: Connection, org_id: UUID, head: Head, part: Part
) -> list[RecordRow]:
    """Records of a part that pass its filters, newest first."""
    async with connection.cursor(row_factory=class_row(RecordRow)) as cursor:
        await cursor.execute(_narrowed(RECORDS_DOWN, part), _parameters(org_id, head, part))
        return await cursor.fetchall()


async def cells_down(connection: Connection, org_id: UUID, head: Head, part: Part) -> list[Cells]:
    """The same as text."""
    cursor = await connection.execute(_narrowed(CELLS_DOWN, part), _parameters(org_id, head, part))
    return [Cells(row[0], row[1], row[2:]) for row in await cursor.fetchall()]


def _narrowed(statement: LiteralString, part: Part) -> LiteralString:
    for name in part.filters:
        statement += FILTERS[name]
    return statement + _NEWEST_FIRST


def _parameters(org_id: UUID, head: Head, part: Part) -> dict[str, Any]:
    return {
        **part.filters,
        "org_id": org_id,
        "wallet_id": head.wallet_id,
        "currency": head.currency,
        "above": part.above,
        "below": part.below,
        "limit": part.limit,
    }
