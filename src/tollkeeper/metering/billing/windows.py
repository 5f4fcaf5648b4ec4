"""Where pages of usage lines begin: arithmetic on line numbers, not reading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from tollkeeper.db import Connection
from tollkeeper.metering.billing import store
from tollkeeper.metering.billing.store import Head, LinesRow

# Between these two every record lies, and a moment is found in some fifty steps.
_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
_TICK: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Window:
    """Lines numbered above `low`, up to and with `high`, of one wallet."""

    head: Head
    low: int
    high: int

    @property
    def size(self) -> int:
        return self.high - self.low


@dataclass(frozen=True, slots=True)
class Lines:
    """Some lines of one record: those at `places` among its lines."""

    head: Head
    row: LinesRow
    places: range

    @property
    def order(self) -> tuple[datetime, UUID, int]:
        return self.row.recorded_at, self.head.wallet_id, self.row.line_seq


async def open_windows(
    connection: Connection,
    org_id: UUID,
    heads: Sequence[Head],
    start: datetime | None,
    end: datetime | None,
) -> list[Window]:
    """The lines recorded in [start, end), wallet by wallet."""
    ids = [head.wallet_id for head in heads]
    before = {} if start is None else await store.records_before(connection, org_id, ids, start)
    until = {} if end is None else await store.records_before(connection, org_id, ids, end)
    windows: list[Window] = []
    for head in heads:
        low = before[head.wallet_id].lines if head.wallet_id in before else 0
        high = until[head.wallet_id].lines if head.wallet_id in until else head.lines
        # What was recorded since the heads were read belongs to the next page asked for.
        windows.append(Window(head, min(low, head.lines), max(low, min(high, head.lines))))
    return windows


async def skip(
    connection: Connection, org_id: UUID, windows: Sequence[Window], offset: int
) -> list[Window]:
    """Leave out the first `offset` lines of all windows in the order of time.

    Lines of the same moment follow one another by wallet, then by number.
    """
    filled = [window for window in windows if window.size]
    if len(filled) <= 1:
        return [replace(window, low=window.low + offset) for window in filled]
    moment = await _moment_of(connection, org_id, filled, offset)
    before = await _lows_at(connection, org_id, filled, moment)
    through = await _lows_at(connection, org_id, filled, moment + _TICK)
    left = offset - sum(low - window.low for window, low in zip(filled, before, strict=True))
    skipped: list[Window] = []
    for window, low, next_low in zip(filled, before, through, strict=True):
        taken = min(left, next_low - low)
        left -= taken
        skipped.append(replace(window, low=low + taken))
    return skipped


async def read(
    connection: Connection, org_id: UUID, windows: Sequence[Window], limit: int
) -> list[Lines]:
    """The first `limit` lines of the windows, oldest first."""
    found: list[Lines] = []
    for window in windows:
        if window.size:
            last = min(window.high, window.low + limit)
            rows = await store.lines(connection, org_id, window.head, window.low + 1, last)
            found += [_within(window.head, row, window.low, last) for row in rows]
    if len(windows) > 1:
        found.sort(key=lambda lines: lines.order)
    return _cut(found, limit)


def after(windows: Sequence[Window], shown: Sequence[Lines]) -> list[Window]:
    """What is left of the windows behind the lines that were read from their beginning."""
    lows = {window.head.wallet_id: window.low for window in windows}
    for lines in shown:
        lows[lines.head.wallet_id] += len(lines.places)
    return [replace(window, low=lows[window.head.wallet_id]) for window in windows]


async def _moment_of(
    connection: Connection, org_id: UUID, windows: Sequence[Window], offset: int
) -> datetime:
    """The time of the line behind the first `offset` ones: the last before which they fit."""
    low, high = 0, (_LATEST - _EARLIEST) // _TICK
    while high - low > 1:
        middle = (low + high) // 2
        lows = await _lows_at(connection, org_id, windows, _EARLIEST + middle * _TICK)
        fit = sum(at - window.low for window, at in zip(windows, lows, strict=True)) <= offset
        low, high = (middle, high) if fit else (low, middle)
    return _EARLIEST + low * _TICK


async def _lows_at(
    connection: Connection, org_id: UUID, windows: Sequence[Window], at: datetime
) -> list[int]:
    ids = [window.head.wallet_id for window in windows]
    counts = await store.records_before(connection, org_id, ids, at)
    return [
        max(window.low, min(window.high, counts[window.head.wallet_id].lines)) for window in windows
    ]


def _within(head: Head, row: LinesRow, low: int, high: int) -> Lines:
    first = row.line_seq - row.lines
    return Lines(head, row, range(max(low - first, 0), min(high - first, row.lines)))


def _cut(found: Sequence[Lines], limit: int) -> list[Lines]:
    kept: list[Lines] = []
    for lines in found:
        if limit <= 0:
            break
        kept.append(replace(lines, places=lines.places[:limit]))
        limit -= len(lines.places)
    return kept
