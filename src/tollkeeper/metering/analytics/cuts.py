"""Which sums answer a question, and between which moments each of them does.

A cut is a set of dimensions whose sums are kept by hour, day and month of UTC
(`metering/store.py`, ADD_UP). A question is answered from the smallest cut that has all its
dimensions: from months and days, set right at their ends by hours and quarters of hours, and from
records where not even a quarter lies within one row.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from typing import Final


class Grain(StrEnum):
    RECORD = "record"
    QUARTER = "quarter"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


# Of a month, what it has at least.
_LENGTHS: Final = {
    Grain.MONTH: timedelta(days=28),
    Grain.DAY: timedelta(days=1),
    Grain.HOUR: timedelta(hours=1),
    Grain.QUARTER: timedelta(minutes=15),
}
_LONGEST_MONTH: Final = timedelta(days=31)
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_FINE: Final = (Grain.MONTH, Grain.DAY, Grain.HOUR)
_COARSE: Final = (Grain.MONTH, Grain.DAY)
TAG: Final = "tag:"
# In a name, a backslash makes a colon one of the name, and a backslash one backslash.
_TAG_SAID: Final = re.compile(r"((?:\\[\\:]|\\(?![\\:])|[^\\:])+):(.*)", re.DOTALL)


def read_tag(said: str) -> tuple[str, str] | None:
    """Read a name and a value with a colon between them; None for what is no such thing."""
    found = _TAG_SAID.fullmatch(said)
    return found and (re.sub(r"\\([\\:])", r"\1", found[1]), found[2])


def write_tag(name: str, value: str) -> str:
    """Write what `read_tag` reads."""
    return re.sub(r"([\\:])", r"\\\1", name) + ":" + value


@dataclass(frozen=True, slots=True)
class Cut:
    """`dims` are in the order in which they stand in `usage_rollup.dims`. Its grains are from the
    coarsest to the finest; quarters of hours there are of all."""

    name: str
    dims: tuple[str, ...]
    grains: tuple[Grain, ...] = _FINE
    lines: bool = False
    # Whether its quarters of hours are in `usage_rollup`; else in `usage_sum`, `usage_line_sum`.
    own_quarters: bool = False


@dataclass(frozen=True, slots=True)
class Segment:
    """A time that is read at one grain: the place that it is added to, and the one that it is
    taken off. Records go where they belong by their own time."""

    grain: Grain
    since: datetime
    until: datetime
    gains: int | None = None
    loses: int | None = None


_Span = tuple[Grain, datetime, datetime]
_Shares = dict[int, int]  # the place by the sign


# From the smallest to the largest.
CUTS: Final = (
    Cut("model", ("provider", "model", "operation")),
    Cut("key", ("project", "apiKey")),
    Cut("call", ("project", "apiKey", "provider", "model", "operation")),
    Cut("endUser", ("endUser",), own_quarters=True),
    Cut("sku", ("model", "sku", "unit"), lines=True),
    Cut("keyUnit", ("apiKey", "unit"), _COARSE, lines=True),
    Cut(
        "line",
        ("project", "apiKey", "provider", "model", "operation", "sku", "unit"),
        _COARSE,
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
    """Say how to read [bounds[0], bounds[-1]), each place between two neighbours for itself.

    Sums up to a moment are those up to the nearest midnight, and the hours from there to the
    moment: added, or taken off. So a day of any zone is a day of UTC and a few hours at its ends,
    and what one place loses to its neighbour is read once. Not even a quarter of an hour that lies
    across a bound is in the sums: it is read from the records.
    """
    return list(_cover(cut, tuple(bounds)))


# The same days and hours are asked for again and again, whoever it is.
@lru_cache(maxsize=256)
def _cover(cut: Cut | None, bounds: tuple[datetime, ...]) -> tuple[Segment, ...]:
    found: list[Segment] = []
    edges: dict[_Span, _Shares] = {}
    for place, (since, until) in enumerate(pairwise(bounds)):
        first, last = _up(since), _down(until)
        if cut is None or first >= last:
            _read(found, since, until)
            continue
        _read(found, since, first)
        _read(found, last, until)
        for sign, span in _spans(cut, first, last):
            edges.setdefault(span, {})[sign] = place
    found += [Segment(*span, s.get(1), s.get(-1)) for span, s in edges.items()]
    return tuple(found)


def _read(found: list[Segment], since: datetime, until: datetime) -> None:
    if since >= until:
        return
    if found and found[-1].until == since:
        since = found.pop().since
    found.append(Segment(Grain.RECORD, since, until))


def _spans(cut: Cut, since: datetime, until: datetime) -> Iterator[tuple[int, _Span]]:
    grains = [g for g in cut.grains if _LENGTHS[g] <= until - since] + [Grain.QUARTER]
    coarsest, *finer = grains
    begin, end = _nearest(coarsest, since), _nearest(coarsest, until)
    if begin < end:
        yield 1, (coarsest, begin, end)
    for sign, moment, mark in ((-1, since, begin), (1, until, end)):
        marks = [mark]
        for grain in finer:
            marks.append(_nearest(grain, moment, later=marks[-1] > moment))
        for grain, (at, then) in zip(finer, pairwise(marks), strict=True):
            if at < then:
                yield sign, (grain, at, then)
            elif then < at:
                yield -sign, (grain, then, at)


def _nearest(grain: Grain, moment: datetime, *, later: bool = False) -> datetime:
    """Of two that are as near, the later if that is said."""
    if grain is Grain.MONTH:
        before = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        after = (before + _LONGEST_MONTH).replace(day=1)
    else:
        before = moment - (moment - _EPOCH) % _LENGTHS[grain]
        after = before + _LENGTHS[grain]
    if moment - before == after - moment:
        return after if later else before
    return min(before, after, key=lambda mark: abs(mark - moment))


def _down(moment: datetime) -> datetime:
    return moment - (moment - _EPOCH) % _LENGTHS[Grain.QUARTER]


def _up(moment: datetime) -> datetime:
    return moment + (_EPOCH - moment) % _LENGTHS[Grain.QUARTER]
