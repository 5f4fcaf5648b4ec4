"""The log of calls for people: pages of it, what came since, and all of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

import msgspec

from tollkeeper import pricing
from tollkeeper.db import Database
from tollkeeper.http import Cursors
from tollkeeper.metering.billing import store
from tollkeeper.metering.billing.records import (
    Query,
    Reader,
    RecordReader,
    UsageRecord,
    members_of,
)
from tollkeeper.metering.billing.spans import Span
from tollkeeper.metering.billing.store import Head, RecordRow
from tollkeeper.metering.record import Detail
from tollkeeper.pricing import TOKENS

_BATCH: Final = 1_000
# How many records each currency had when a page was read.
_Mark = tuple[list[tuple[str, int]]]

_decode: Final = msgspec.json.Decoder(Detail).decode


class LoggedCall(UsageRecord, frozen=True, kw_only=True, rename="camel"):
    """A call, and how many tokens it was charged for; None where it was not priced."""

    tokens: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """Newest first. `mark` is where `read_newer` goes on, None on pages behind the first.

    There may be fewer calls than asked for, even none, while there is a next page: then all that
    were recorded after `looked_back_to` were looked at.
    """

    calls: list[LoggedCall]
    next_cursor: str | None
    mark: str | None
    looked_back_to: datetime | None = None


async def read_log(
    database: Database,
    cursors: Cursors,
    reader: Reader,
    query: Query,
    *,
    cursor: str | None = None,
    limit: int,
) -> Log:
    """Raises InvalidRequest for a cursor of another question."""
    records = RecordReader(database, cursors, reader, query)
    opened = await records.begin(cursor)
    found, left = await records.rows(opened, limit)
    heads = [span.head for span in opened]
    next_cursor = records.seal(left)
    short = len(found) < limit and next_cursor is not None
    return Log(
        calls=[_logged(head, row) for head, row in found],
        next_cursor=next_cursor,
        mark=_seal(cursors, reader, query, heads) if cursor is None else None,
        looked_back_to=await records.looked_back_to(left) if short else None,
    )


async def read_newer(
    database: Database, cursors: Cursors, reader: Reader, query: Query, *, mark: str, limit: int
) -> Log:
    """What was recorded since; with a `next_cursor` when it was more than `limit`."""
    (known,) = cursors.open(_bound(reader, query), mark, _Mark)
    seen = dict(known)
    async with database.connection() as connection:
        heads = await store.heads(connection, reader.org_id, reader.livemode, query.currency)
    spans = [Span(head, seen.get(head.currency, 0), head.records + 1) for head in heads]
    records = RecordReader(database, cursors, reader, query)
    some = any(not span.empty for span in spans)
    found, left = await records.rows(spans, limit) if some else ([], spans)
    return Log(
        calls=[_logged(head, row) for head, row in found],
        next_cursor=records.seal(left),
        mark=_seal(cursors, reader, query, heads),
    )


async def read_whole_log(
    database: Database, cursors: Cursors, reader: Reader, query: Query
) -> AsyncIterator[list[LoggedCall]]:
    """All calls that were recorded when it began; no connection is kept while a client reads."""
    records = RecordReader(database, cursors, reader, query)
    rest = await records.begin(None)
    while not all(span.empty for span in rest):
        found, rest = await records.rows(rest, _BATCH)
        yield [_logged(head, row) for head, row in found]


def _bound(reader: Reader, query: Query) -> tuple[object, ...]:
    return ("newer", *query.bound(reader))


def _seal(cursors: Cursors, reader: Reader, query: Query, heads: list[Head]) -> str:
    counts = [(head.currency, head.records) for head in heads]
    return cursors.seal(_bound(reader, query), [counts])


def _logged(head: Head, row: RecordRow) -> LoggedCall:
    detail = _decode(row.detail)
    return LoggedCall(**members_of(head, row, detail), tokens=_tokens(detail))


def _tokens(detail: Detail) -> int | None:
    if detail.rating is None:
        return None
    lines = pricing.from_record(detail.rating).lines
    found = [Decimal(line.quantity) for line in lines if line.unit in TOKENS]
    return int(sum(found, Decimal())) if found else None
