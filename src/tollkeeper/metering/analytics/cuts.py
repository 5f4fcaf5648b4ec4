"""Which sums answer a question, and between which moments each of them does.

A cut is a set of dimensions whose sums are kept by hour and by day (`metering/store.py`, ADD_UP).
A question is answered from the smallest cut that has all its dimensions: from whole days where
they lie within one row of the answer, from hours and quarters of hours around them, and from
records where not even a quarter lies within one row.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Final


class Grain(StrEnum):
    RECORD = "record"
    QUARTER = "quarter"
    HOUR = "hour"
    DAY = "day"


_WIDTHS: Final = {
    Grain.DAY: timedelta(days=1),
    Grain.HOUR: timedelta(hours=1),
    Grain.QUARTER: timedelta(minutes=15),
}
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_FINE: Final = (Grain.HOUR, Grain.DAY)
TAG: Final = "tag:"


@dataclass(frozen=True, slots=True)
class Cut:
    """`dims` are in the order in which they stand in `usage_rollup.dims`."""

    name: str
    dims: tuple[str, ...]
    grains: tuple[Grain, ...] = _FINE
    lines: bool = False
    # Whether its quarters of hours are in `usage_rollup`; else in `usage_sum`, `usage_line_sum`.
    own_quarters: bool = False


@dataclass(frozen=True, slots=True)
class Segment:
    """A time that is read at one grain."""

    grain: Grain
    since: datetime
    until: datetime


# From the smallest to the largest.
CUTS: Final = (
    Cut("model", ("provider", "model", "operation")),
    Cut("key", ("project", "apiKey")),
    Cut("call", ("project", "apiKey", "provider", "model", "operation")),
    Cut("endUser", ("endUser",), own_quarters=True),
    Cut("sku", ("model", "sku", "unit"), lines=True),
    Cut("keyUnit", ("apiKey", "unit"), (Grain.DAY,), lines=True),
    Cut(
        "line",
        ("project", "apiKey", "provider", "model", "operation", "sku", "unit"),
        (Grain.DAY,),
        lines=True,
    ),
)
# Its dimensions are the name and the value.
TAG_CUT: Final = Cut("tag", (TAG,), own_quarters=True)
ALL_CUT: Final = CUTS[0]


def find_cut(needed: Collection[str], *, lines: bool) -> Cut | None:
    """Return the smallest cut that has these dimensions; None where only the records do."""
    tags = {name for name in needed if name.startswith(TAG)}
    if tags:
        return TAG_CUT if len(needed) == len(tags) == 1 and not lines else None
    for cut in CUTS:
        if cut.lines == lines and set(cut.dims) >= set(needed):
            return cut
    return None


def cover(cut: Cut | None, bounds: Sequence[datetime]) -> list[Segment]:
    """Say how to read [bounds[0], bounds[-1]), so that nothing read lies across a bound."""
    found: list[Segment] = []
    grains = [Grain.DAY, Grain.HOUR, Grain.QUARTER]
    usable = [g for g in grains if cut and (g is Grain.QUARTER or g in cut.grains)]
    for since, until in pairwise(bounds):
        for segment in _split(usable, since, until):
            last = found[-1] if found else None
            if last and last.grain is segment.grain and last.until == segment.since:
                found[-1] = Segment(last.grain, last.since, segment.until)
            else:
                found.append(segment)
    return found


def _split(grains: Sequence[Grain], since: datetime, until: datetime) -> Iterator[Segment]:
    if since >= until:
        return
    if not grains:
        yield Segment(Grain.RECORD, since, until)
        return
    coarse, *finer = grains
    width = _WIDTHS[coarse]
    first = since + (_EPOCH - since) % width
    last = until - (until - _EPOCH) % width
    if first >= last:
        yield from _split(finer, since, until)
        return
    yield from _split(finer, since, first)
    yield Segment(coarse, first, last)
    yield from _split(finer, last, until)
