"""Walks an organization's usage records from the newest down, over all its wallets."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol, TypeVar
from uuid import UUID

from tollkeeper.db import Connection
from tollkeeper.metering.billing import store
from tollkeeper.metering.billing.store import Head, Part

# A filter that no index answers looks at so many records at a time, and for one page at no more
# than this many, or than this time allows: what is rare is then found over several pages, each of
# them quick, also where the records have to be fetched from a disk.
_STEP: Final = 4_000
_MOST: Final = 200_000
_PATIENCE_SECONDS: Final = 0.02
# What is recorded later than this after its call began is listed as late (`usage_stray`).
_ON_TIME: Final = timedelta(hours=1)
_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Span:
    """Records numbered above `above` and below `below`, of one wallet."""

    head: Head
    above: int
    below: int

    @property
    def empty(self) -> bool:
        return self.below - self.above <= 1


async def open_spans(
    connection: Connection,
    org_id: UUID,
    heads: Sequence[Head],
    start: datetime | None,
    end: datetime | None,
) -> list[Span]:
    """The records of [start, end), wallet by wallet."""
    ids = [head.wallet_id for head in heads]
    before = {} if start is None else await store.records_before(connection, org_id, ids, start)
    until = {} if end is None else await store.records_before(connection, org_id, ids, end)
    return [
        Span(
            head,
            before[head.wallet_id].records if head.wallet_id in before else 0,
            1 + (until[head.wallet_id].records if head.wallet_id in until else head.records),
        )
        for head in heads
    ]


async def open_spans_of_calls(
    connection: Connection,
    org_id: UUID,
    heads: Sequence[Head],
    start: datetime | None,
    end: datetime | None,
) -> list[Span]:
    """Where the calls that began in [start, end) are found, wallet by wallet; others are too."""
    recorded = None if end is None else end + _ON_TIME
    found = await open_spans(connection, org_id, heads, start, recorded)
    ids = [head.wallet_id for head in heads]
    late = await store.late(connection, org_id, ids, start or _EARLIEST, end or _LATEST)
    return [_stretched(span, late.get(span.head.wallet_id)) for span in found]


def _stretched(span: Span, late: tuple[int, int] | None) -> Span:
    if late is None:
        return span
    below = min(max(span.below, late[1] + 1), span.head.records + 1)
    return replace(span, above=min(span.above, late[0] - 1), below=below)


class Row(Protocol):
    """Whatever form a record is read in."""

    @property
    def seq(self) -> int: ...
    @property
    def recorded_at(self) -> datetime: ...


R = TypeVar("R", bound=Row)
Read = Callable[[Connection, UUID, Head, Part], Awaitable[list[R]]]


async def walk(
    connection: Connection,
    org_id: UUID,
    spans: Sequence[Span],
    filters: dict[str, Any],
    limit: int,
    read: Read[R],
) -> tuple[list[tuple[Head, R]], list[Span]]:
    """The newest `limit` records that pass, as `read` gives them, and the spans that are left.

    There may be fewer, even none, while there are spans left: see `_PATIENCE_SECONDS`.
    """
    found: list[tuple[Head, R]] = []
    reached: list[Span] = []
    frontiers: list[tuple[datetime, UUID]] = []
    patience = _PATIENCE_SECONDS / max(1, len(spans))
    for span in spans:
        enough = time.monotonic() + patience
        rows, rest = await _search(connection, org_id, span, filters, limit, read, enough)
        found += [(span.head, row) for row in rows]
        reached.append(rest)
        if len(rows) < limit and not rest.empty and len(spans) > 1:
            below = await _time_of(connection, org_id, rest, read)
            frontiers.append((below, span.head.wallet_id))
    if len(spans) <= 1:
        return found, reached
    found.sort(key=lambda pair: (*_place(pair), pair[1].seq), reverse=True)
    # What another wallet has not been searched for yet cannot be passed by, not even at one moment.
    oldest = max(frontiers, default=None)
    shown = [pair for pair in found if oldest is None or _place(pair) >= oldest][:limit]
    return shown, [_left(rest, found, shown) for rest in reached]


def _place(pair: tuple[Head, Row]) -> tuple[datetime, UUID]:
    return pair[1].recorded_at, pair[0].wallet_id


def _left(rest: Span, found: Sequence[tuple[Head, Row]], shown: Sequence[tuple[Head, Row]]) -> Span:
    own = [row.seq for head, row in found if head is rest.head]
    own_shown = [row.seq for head, row in shown if head is rest.head]
    if len(own) == len(own_shown):
        return rest
    return replace(rest, below=min(own_shown, default=max(own) + 1))


async def _search(
    connection: Connection,
    org_id: UUID,
    span: Span,
    filters: dict[str, Any],
    limit: int,
    read: Read[R],
    enough: float,
) -> tuple[list[R], Span]:
    """Records that pass, and what is left of the span below the last place looked at: at least one
    step further down, and no further when one more, as long as the last, would end past `enough`.
    """
    rows: list[R] = []
    stepwise = filters and not store.INDEXED & filters.keys()
    floor = max(span.above, span.below - 1 - _MOST) if stepwise else span.above
    below = span.below
    while below - floor > 1 and len(rows) < limit:
        began = time.monotonic()
        above = max(floor, below - 1 - _STEP) if stepwise else floor
        part = Part(above, below, limit - len(rows), filters)
        rows += await read(connection, org_id, span.head, part)
        below = rows[-1].seq if len(rows) == limit else above + 1
        now = time.monotonic()
        if now + (now - began) >= enough:
            break
    return rows, replace(span, below=below)


async def looked_back_to(
    connection: Connection, org_id: UUID, spans: Sequence[Span]
) -> datetime | None:
    """The moment down to which all records were looked at, those of the spans being left."""
    times = [
        await store.recorded_at(connection, org_id, span.head, span.below)
        for span in spans
        if not span.empty
    ]
    return max((at for at in times if at is not None), default=None)


async def _time_of(connection: Connection, org_id: UUID, rest: Span, read: Read[R]) -> datetime:
    """The time of the oldest record that was looked at."""
    at = Part(rest.below - 1, rest.below + 1, 1, {})
    (row,) = await read(connection, org_id, rest.head, at)
    return row.recorded_at
