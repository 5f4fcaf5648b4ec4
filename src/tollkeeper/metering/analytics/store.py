"""SQL of analytics: one statement answers a question, from sums, late records and corrections.

What the statement reads is put together here from whole parts, because which parts a question needs
depends on its dimensions and times. It is one statement, so that it sees one moment: no record is
missed or counted twice while sums move on beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, LiteralString, NamedTuple
from uuid import UUID

from psycopg.rows import class_row

from tollkeeper.db import Connection
from tollkeeper.metering.analytics.cuts import (
    ALL_CUT,
    TAG,
    TAG_CUT,
    Cut,
    Grain,
    Segment,
    cover,
    find_cut,
)
from tollkeeper.metering.billing.store import records_before

# A record of a call that is recorded within this time is found by when it was recorded.
_ON_TIME: Final = timedelta(hours=1)

WALLETS: Final[LiteralString] = """
SELECT wallet_id, currency FROM wallet
WHERE org_id = %(org_id)s AND livemode = %(livemode)s
  AND (%(currency)s::text IS NULL OR currency = %(currency)s)
ORDER BY currency
"""
KEYS: Final[LiteralString] = """
SELECT key_id, name, member_id FROM api_key WHERE org_id = %(org_id)s ORDER BY key_id
"""
ADD_CORRECTION: Final[LiteralString] = """
INSERT INTO usage_correction (org_id, wallet_id, started_at, usage_id, amount, lines)
VALUES (%(org_id)s, %(wallet_id)s, %(started_at)s, %(usage_id)s, %(amount)s, %(lines)s::jsonb)
ON CONFLICT ON CONSTRAINT usage_correction_pkey DO NOTHING
"""
CORRECTED: Final[LiteralString] = """
SELECT amount FROM usage_correction
WHERE org_id = %(org_id)s AND wallet_id = %(wallet_id)s AND started_at = %(started_at)s
  AND usage_id = %(usage_id)s
"""
COUNT_STRAYS: Final[LiteralString] = """
SELECT count(*) FROM (
    SELECT FROM usage_stray
    WHERE org_id = %(org_id)s AND wallet_id = %(wallet_id)s
      AND slot >= date_bin('15 minutes', %(since)s, timestamptz '2000-01-01 00:00:00+00')
      AND slot < %(until)s
    LIMIT %(most)s
) s
"""
_MARK: Final[LiteralString] = """
    (SELECT coalesce(max(m.usage_seq), 0) FROM usage_summed m
     WHERE m.org_id = %(org_id)s AND m.wallet_id = %(wallet_id)s)"""
# OFFSET 0: each time is a range of the index; joined freely, every sum would meet every time.
_SUMS: Final[LiteralString] = """
    FROM unnest(%({which}_grains)s::text[], %({which}_sinces)s::timestamptz[],
                %({which}_untils)s::timestamptz[], %({which}_gains)s::integer[],
                %({which}_loses)s::integer[]) AS s (grain, since, until, gains, loses)
    CROSS JOIN LATERAL (
        SELECT r.* FROM {table} r
        WHERE r.org_id = %(org_id)s AND r.wallet_id = %(wallet_id)s {cut}
          AND r.slot >= s.since AND r.slot < s.until
        OFFSET 0
    ) AS r
    CROSS JOIN LATERAL (VALUES (s.gains, 1), (s.loses, -1)) AS d (place, sign)"""
_PLACED: Final[LiteralString] = "d.place IS NOT NULL"
_ROLLED: Final[LiteralString] = (
    _SUMS.replace("{table}", "usage_rollup")
    .replace("{cut}", "AND r.cut = {cut} AND r.grain = s.grain")
    .replace("{which}", "rolled")
)
# The same with the quarters of hours, for the cuts that have their own.
_ROLLED_OWN: Final[LiteralString] = _ROLLED.replace("%(rolled_", "%(summed_")
# For a cut of one dimension of which a few values are asked for: each interval and value is looked
# up by itself, however many other values there are.
_NAMED: Final[LiteralString] = """
    FROM unnest(%(summed_grains)s::text[], %(summed_sinces)s::timestamptz[],
                %(summed_untils)s::timestamptz[], %(summed_gains)s::integer[],
                %(summed_loses)s::integer[]) AS s (grain, since, until, gains, loses)
    CROSS JOIN LATERAL generate_series(
        s.since, s.until - interval '1 microsecond',
        CASE s.grain WHEN 'quarter' THEN interval '15 minutes' ELSE ('1 ' || s.grain)::interval END
    ) AS i (slot)
    CROSS JOIN unnest(%(named)s::text[]) AS n (value)
    CROSS JOIN LATERAL (
        SELECT r.* FROM usage_rollup r
        WHERE r.org_id = %(org_id)s AND r.wallet_id = %(wallet_id)s AND r.cut = {cut}
          AND r.grain = s.grain AND r.slot = i.slot AND r.dims = ARRAY[n.value]
        OFFSET 0
    ) AS r
    CROSS JOIN LATERAL (VALUES (s.gains, 1), (s.loses, -1)) AS d (place, sign)"""
_FEW: Final = 20
_QUARTERS: Final[LiteralString] = _SUMS.replace("{cut}", "").replace("{which}", "quarter")
_QUARTER_CALLS: Final[LiteralString] = _QUARTERS.replace("{table}", "usage_sum")
_QUARTER_LINES: Final[LiteralString] = _QUARTERS.replace("{table}", "usage_line_sum")
_COUNTED: Final[LiteralString] = (
    "d.sign * r.calls, d.sign * r.failed, d.sign * r.quantity, d.sign * r.amount"
)
_COUNTED_CALLS: Final[LiteralString] = (
    "d.sign * r.calls, d.sign * r.failed, 0::numeric, d.sign * r.amount"
)
_COUNTED_LINES: Final[LiteralString] = "d.sign * r.lines, 0, d.sign * r.quantity, d.sign * r.amount"
_CUT_IS: Final[dict[str, LiteralString]] = {
    "model": "'model'",
    "key": "'key'",
    "call": "'call'",
    "endUser": "'endUser'",
    "tag": "'tag'",
    "sku": "'sku'",
    "keyUnit": "'keyUnit'",
    "line": "'line'",
}
# Not in the sums yet. With an upper end the planner takes them for few, which they are.
_TAIL: Final[LiteralString] = f"""
        SELECT u.* FROM usage_record u
        WHERE u.org_id = %(org_id)s AND u.wallet_id = %(wallet_id)s AND u.seq > {_MARK}
          AND u.seq < 9223372036854775807
          AND u.started_at >= %(start)s AND u.started_at < %(end)s"""
_SINGLE: Final[LiteralString] = f"""
        UNION ALL
        SELECT u.*
        FROM unnest(%(lows)s::bigint[], %(highs)s::bigint[], %(record_sinces)s::timestamptz[],
                    %(record_untils)s::timestamptz[]) AS s (low, high, since, until)
        CROSS JOIN LATERAL (
            SELECT u.* FROM usage_record u
            WHERE u.org_id = %(org_id)s AND u.wallet_id = %(wallet_id)s
              AND u.seq > s.low AND u.seq <= least(s.high, {_MARK})
              AND u.started_at >= s.since AND u.started_at < s.until
              AND u.recorded_at - u.started_at BETWEEN interval '0' AND interval '1 hour'
            OFFSET 0
        ) AS u
        UNION ALL
        SELECT u.*
        FROM unnest(%(record_sinces)s::timestamptz[], %(record_untils)s::timestamptz[])
            AS s (since, until)
        CROSS JOIN LATERAL (
            SELECT t.* FROM usage_stray t
            WHERE t.org_id = %(org_id)s AND t.wallet_id = %(wallet_id)s
              AND t.slot >= date_bin('15 minutes', s.since, timestamptz '2000-01-01 00:00:00+00')
              AND t.slot < s.until
            OFFSET 0
        ) AS t
        CROSS JOIN LATERAL (
            SELECT u.* FROM usage_record u
            WHERE u.org_id = t.org_id AND u.wallet_id = t.wallet_id AND u.seq = t.seq
              AND u.started_at >= s.since AND u.started_at < s.until
            OFFSET 0
        ) AS u"""
_PLACE_OF_RECORD: Final[LiteralString] = "width_bucket(u.started_at, %(starts)s::timestamptz[]) - 1"
_PLACE_OF_CORRECTION: Final[LiteralString] = (
    "width_bucket(c.started_at, %(starts)s::timestamptz[]) - 1"
)
_CORRECTIONS: Final[LiteralString] = """
    FROM usage_correction c
    JOIN usage_record u ON u.org_id = c.org_id AND u.usage_id = c.usage_id"""
_CORRECTED: Final[LiteralString] = """
    c.org_id = %(org_id)s AND c.wallet_id = %(wallet_id)s
    AND c.started_at >= %(start)s AND c.started_at < %(end)s"""

_NUMBERS: Final[tuple[LiteralString, ...]] = ("1", "2", "3", "4", "5", "6", "7", "8", "9")
_NIL: Final[LiteralString] = "'00000000-0000-0000-0000-000000000000'"
_OF_QUARTER: Final[dict[str, LiteralString]] = {
    "project": f"nullif(r.project_id, {_NIL})::text",
    "apiKey": f"nullif(r.key_id, {_NIL})::text",
    "provider": "nullif(r.provider, '')",
    "model": "nullif(r.model, '')",
    "operation": "nullif(r.operation, '')",
}
_OF_LINE_QUARTER: Final[dict[str, LiteralString]] = {
    **_OF_QUARTER,
    "sku": "r.sku",
    "unit": "r.unit",
}
_OF_RECORD: Final[dict[str, LiteralString]] = {
    "project": "u.project_id::text",
    "apiKey": "u.key_id::text",
    "provider": "nullif(u.provider, '')",
    "model": "nullif(u.model, '')",
    "operation": "nullif(u.operation, '')",
    "endUser": "nullif(u.detail ->> 'endUser', '')",
    "sku": "l ->> 0",
    "unit": "l ->> 1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What calls of a wallet came to between each two neighbours of `bounds`, by `groups`.

    Groups and filters are named as in `cuts`; a tag is `tag:<name>`. Filters map to the texts that
    are wanted, None being what was not said (of tags it cannot be asked). With `lines`, lines of
    calls are counted, by SKU and unit; without, calls.
    """

    org_id: UUID
    wallet_id: UUID
    bounds: Sequence[datetime]
    groups: Sequence[str] = ()
    filters: Mapping[str, Sequence[str | None]]
    lines: bool = False

    @property
    def needed(self) -> set[str]:
        return {*self.groups, *self.filters}


class Sum(NamedTuple):
    """`place` counts the intervals between bounds from 0. None in `dims` is what was not said."""

    place: int
    dims: tuple[str | None, ...]
    calls: int
    failed: int
    quantity: Decimal
    amount: int


@dataclass(frozen=True, slots=True)
class KeyName:
    key_id: UUID
    name: str
    member_id: UUID | None


class TooManyRecords(Exception):
    """No sums answer this question, and reading the records would take too long."""

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self.most = most


async def sums(connection: Connection, asked: Question, most_records: int) -> list[Sum]:
    """Answer from the sums as far as they go. Raises TooManyRecords."""
    cut = find_cut(asked.needed, lines=asked.lines)
    segments = cover(cut, asked.bounds)
    parameters = _parameters(asked, segments) | {"named": _named(asked, cut)}
    parameters |= await _single_records(connection, asked, segments, most_records)
    parts = _record_parts(asked, segments) + _cut_parts(asked, cut, segments)
    cursor = await connection.execute(_statement(asked, parts), parameters, prepare=True)
    return [
        Sum(row[0], tuple(row[1:-4]), row[-4], row[-3], row[-2], row[-1])
        for row in await cursor.fetchall()
    ]


async def see_one_moment(tx: Connection) -> None:
    """Have all that this transaction reads be of one moment. It must be its first statement.

    How many records are not in the sums yet, and what stands on a few edges, the planner cannot
    know: what it prepares for many (other processes, machine code) takes longer than the answer.
    """
    await tx.execute(
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;"
        " SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL jit = off;"
        " SET LOCAL work_mem = '64MB';"
        " SET LOCAL plan_cache_mode = force_generic_plan"
    )


async def wallets(
    connection: Connection, org_id: UUID, *, livemode: bool, currency: str | None = None
) -> list[tuple[UUID, str]]:
    """Each wallet's id and currency."""
    parameters = {"org_id": org_id, "livemode": livemode, "currency": currency}
    return await (await connection.execute(WALLETS, parameters)).fetchall()


async def keys(connection: Connection, org_id: UUID) -> dict[UUID, KeyName]:
    async with connection.cursor(row_factory=class_row(KeyName)) as cursor:
        await cursor.execute(KEYS, {"org_id": org_id})
        return {key.key_id: key for key in await cursor.fetchall()}


async def add_correction(
    tx: Connection, org_id: UUID, wallet_id: UUID, usage_id: UUID, **said: object
) -> int:
    """Keep what rating again charges: `started_at`, `amount`, and `lines` as JSON text. Return the
    amount that is kept: what was kept before stays."""
    named = {"org_id": org_id, "wallet_id": wallet_id, "usage_id": usage_id, **said}
    await tx.execute(ADD_CORRECTION, named)
    (kept,) = await (await tx.execute(CORRECTED, named)).fetchone() or (0,)
    return kept


def _statement(asked: Question, parts: Iterable[LiteralString]) -> LiteralString:
    count = len(asked.groups)
    names = "".join([f"p.g{number}, " for number in _NUMBERS[:count]])
    positions = ", ".join(_NUMBERS[: count + 1])
    union = "\n    UNION ALL".join(parts)
    return f"""
SELECT p.place, {names}
       sum(p.calls)::bigint, sum(p.failed)::bigint, sum(p.quantity), sum(p.amount)::bigint
FROM ({union}
) AS p
GROUP BY {positions}
HAVING sum(p.calls) <> 0 OR sum(p.amount) <> 0
ORDER BY {positions}"""


def _parameters(asked: Question, segments: Sequence[Segment]) -> dict[str, Any]:
    summed = [s for s in segments if s.grain is not Grain.RECORD]
    kinds = {
        "summed": summed,
        "rolled": [s for s in summed if s.grain is not Grain.QUARTER],
        "quarter": [s for s in summed if s.grain is Grain.QUARTER],
    }
    parameters: dict[str, Any] = {
        "org_id": asked.org_id,
        "wallet_id": asked.wallet_id,
        "starts": _array(asked.bounds[:-1]),
        "start": asked.bounds[0],
        "end": asked.bounds[-1],
        **{f"tag{n}": tag[len(TAG) :] for n, tag in zip(_NUMBERS, _tags(asked), strict=False)},
        **{
            f"filter{n}": list(wanted)
            for n, wanted in zip(_NUMBERS, asked.filters.values(), strict=False)
        },
    }
    for kind, chosen in kinds.items():
        parameters |= {
            f"{kind}_grains": _array([s.grain.value for s in chosen]),
            f"{kind}_sinces": _array([s.since for s in chosen]),
            f"{kind}_untils": _array([s.until for s in chosen]),
            f"{kind}_gains": _array([s.gains for s in chosen]),
            f"{kind}_loses": _array([s.loses for s in chosen]),
        }
    return parameters


def _array(values: Sequence[datetime | int | str | None]) -> str:
    """Write an array as PostgreSQL reads it: of hundreds, the driver takes each by itself, which
    costs more than the answer. No text among them needs quotes: they are grains."""
    return f"{{{','.join(['NULL' if one is None else str(one) for one in values])}}}"


async def _single_records(
    connection: Connection, asked: Question, segments: Sequence[Segment], most: int
) -> dict[str, Any]:
    """Find between which numbers the records stand that must be read one by one."""
    single = [s for s in segments if s.grain is Grain.RECORD]
    lows, highs, count = list[int](), list[int](), 0
    whose = {"org_id": asked.org_id, "wallet_id": asked.wallet_id, "most": most + 1}
    for segment in single:
        for moment, found in ((segment.since, lows), (segment.until + _ON_TIME, highs)):
            before = await records_before(connection, asked.org_id, [asked.wallet_id], moment)
            found.append(before[asked.wallet_id].records if before else 0)
        times = {"since": segment.since, "until": segment.until}
        cursor = await connection.execute(COUNT_STRAYS, {**whose, **times})
        ((strays,),) = await cursor.fetchall()
        count += highs[-1] - lows[-1] + strays
        if count > most:
            raise TooManyRecords(most)
    return {
        "lows": lows,
        "highs": highs,
        "record_sinces": [s.since for s in single],
        "record_untils": [s.until for s in single],
    }


def _record_parts(asked: Question, segments: Sequence[Segment]) -> list[LiteralString]:
    """What is read from records: the newest, those of broken quarters, and what was corrected."""
    single = any(s.grain is Grain.RECORD for s in segments)
    of_record: dict[str, LiteralString] = {**_OF_RECORD, **_of_tags(asked)}
    records: LiteralString = f"""
    FROM ({_TAIL}{_SINGLE if single else ""}
    ) AS u"""
    if asked.lines:
        records += " CROSS JOIN LATERAL jsonb_array_elements(u.detail -> 'rating' -> 'lines') AS l"
        counted: LiteralString = "1, 0, (l ->> 2)::numeric, (l ->> 6)::bigint"
        corrected: LiteralString = (
            _CORRECTIONS + " CROSS JOIN LATERAL jsonb_array_elements(c.lines) AS l"
        )
        added = "1, 0, (l ->> 2)::numeric, (l ->> 3)::bigint"
    else:
        counted = "1, CASE WHEN u.status >= 400 THEN 1 ELSE 0 END, 0::numeric, u.amount"
        corrected, added = _CORRECTIONS, "0, 0, 0::numeric, c.amount"
    return [
        _part(asked, _PLACE_OF_RECORD, of_record, counted, records),
        _part(asked, _PLACE_OF_CORRECTION, of_record, added, corrected, _CORRECTED),
    ]


def _cut_parts(
    asked: Question, cut: Cut | None, segments: Sequence[Segment]
) -> list[LiteralString]:
    if cut is None:
        return []
    if cut is TAG_CUT:
        return _tag_parts(asked, segments)
    of_rollup: dict[str, LiteralString] = {
        name: f"nullif(r.dims[{number}], '')"
        for name, number in zip(cut.dims, _NUMBERS, strict=False)
    }
    rolled = _ROLLED_OWN if cut.own_quarters else _ROLLED
    if _named(asked, cut):
        rolled = _NAMED
    parts: list[LiteralString] = [
        _summed(asked, of_rollup, _COUNTED, rolled.replace("{cut}", _CUT_IS[cut.name]))
    ]
    if not cut.own_quarters and any(s.grain is Grain.QUARTER for s in segments):
        if cut.lines:
            parts.append(_summed(asked, _OF_LINE_QUARTER, _COUNTED_LINES, _QUARTER_LINES))
        else:
            parts.append(_summed(asked, _OF_QUARTER, _COUNTED_CALLS, _QUARTER_CALLS))
    return parts


def _named(asked: Question, cut: Cut | None) -> list[str]:
    """The values to look up, as they are stored; none where the sums are gone through instead."""
    if cut is None or not cut.own_quarters:
        return []
    wanted = asked.filters.get(cut.dims[0], ())
    return sorted({value or "" for value in wanted}) if len(wanted) <= _FEW else []


def _tag_parts(asked: Question, segments: Sequence[Segment]) -> list[LiteralString]:
    """Calls with the tag; and where it is grouped by, all calls less those, which are without."""
    (tag,) = asked.needed
    named = _ROLLED_OWN.replace("{cut}", _CUT_IS["tag"] + " AND r.dims[1] = %(tag1)s")
    parts: list[LiteralString] = [_summed(asked, {tag: "r.dims[2]"}, _COUNTED, named)]
    if asked.groups and not asked.filters:
        without: dict[str, LiteralString] = {tag: "NULL"}
        less = _COUNTED.replace("d.sign", "-d.sign")
        everything = _ROLLED.replace("{cut}", _CUT_IS[ALL_CUT.name])
        parts.append(_summed(asked, without, less, named))
        parts.append(_summed(asked, without, _COUNTED, everything))
        if any(s.grain is Grain.QUARTER for s in segments):
            parts.append(_summed(asked, without, _COUNTED_CALLS, _QUARTER_CALLS))
    return parts


def _summed(
    asked: Question,
    columns: Mapping[str, LiteralString],
    numbers: LiteralString,
    source: LiteralString,
) -> LiteralString:
    return _part(asked, "d.place", columns, numbers, source, _PLACED)


def _part(
    asked: Question,
    place: LiteralString,
    columns: Mapping[str, LiteralString],
    numbers: LiteralString,
    source: LiteralString,
    condition: LiteralString = "true",
) -> LiteralString:
    """Read one source in the shape that all parts have, narrowed by the filters."""
    groups = "".join(
        [f"{columns[g]} AS g{n}, " for g, n in zip(asked.groups, _NUMBERS, strict=False)]
    )
    wanted = "".join(
        [
            f" AND ({columns[name]} = ANY(%(filter{n})s::text[])"
            + (f" OR {columns[name]} IS NULL)" if None in values else ")")
            for (name, values), n in zip(asked.filters.items(), _NUMBERS, strict=False)
        ]
    )
    return f"""
    SELECT {place} AS place, {groups}v.*
    {source}
    CROSS JOIN LATERAL (VALUES ({numbers})) AS v (calls, failed, quantity, amount)
    WHERE {condition}{wanted}"""


def _tags(asked: Question) -> list[str]:
    return sorted(name for name in asked.needed if name.startswith(TAG))


def _of_tags(asked: Question) -> dict[str, LiteralString]:
    return {
        tag: f"u.detail -> 'tags' ->> %(tag{n})s"
        for tag, n in zip(_tags(asked), _NUMBERS, strict=False)
    }
