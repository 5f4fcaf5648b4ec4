"""What is read of the sums covers each place of an answer once, and is little."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.metering.analytics.cuts import CUTS, Cut, Grain, Segment, cover
from tollkeeper.metering.analytics.zones import starts

ZONES = ["UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"]
QUARTER = timedelta(minutes=15)


def widths(segments: list[Segment]) -> dict[Grain, int]:
    """How many slots are read at each grain."""
    lengths = {Grain.DAY: timedelta(days=1), Grain.HOUR: timedelta(hours=1), Grain.QUARTER: QUARTER}
    found: dict[Grain, int] = {}
    for one in segments:
        if one.grain in lengths:
            slots = (one.until - one.since) // lengths[one.grain]
            found[one.grain] = found.get(one.grain, 0) + slots
    return found


@given(
    cut=st.sampled_from(CUTS),
    zone=st.sampled_from(ZONES),
    granularity=st.sampled_from([None, "hour", "day", "week", "month", "year"]),
    after=st.timedeltas(timedelta(), timedelta(days=180)),
    length=st.timedeltas(timedelta(seconds=1), timedelta(days=70)),
)
def test_each_moment_counts_where_it_belongs_and_nowhere_else(
    cut: Cut, zone: str, granularity: Any, after: timedelta, length: timedelta
) -> None:
    start = datetime(2011, 11, 1, tzinfo=UTC) + after
    end = start + length
    bounds = [*starts(granularity, ZoneInfo(zone), start, end), end]
    segments = cover(cut, bounds)
    edges = {edge for one in segments for edge in (one.since, one.until)} | {*bounds}
    for moment in sorted(edges | {start - QUARTER, end + QUARTER})[:500]:
        counted: dict[int | None, int] = {}
        place = next((n for n, (a, b) in enumerate(pairwise(bounds)) if a <= moment < b), None)
        for one in segments:
            if one.since <= moment < one.until:
                gains = place if one.grain is Grain.RECORD else one.gains
                counted[gains] = counted.get(gains, 0) + 1
                counted[one.loses] = counted.get(one.loses, 0) - 1
        counted.pop(None, None)
        assert {n: times for n, times in counted.items() if times} == (
            {} if place is None else {place: 1}
        )


@pytest.mark.parametrize(
    ("zone", "read"),
    [
        ("UTC", {Grain.DAY: 90}),
        ("America/New_York", {Grain.DAY: 90, Grain.HOUR: 91 * 4}),
        ("Asia/Kolkata", {Grain.DAY: 90, Grain.HOUR: 91 * 5, Grain.QUARTER: 91 * 2}),
    ],
)
def test_days_of_a_zone_are_days_of_utc_and_their_edges(zone: str, read: dict[Grain, int]) -> None:
    start = datetime(2026, 4, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    end = start + timedelta(days=90)
    segments = cover(CUTS[0], [*starts("day", ZoneInfo(zone), start, end), end])
    assert widths(segments) == read


def test_a_quarter_of_a_year_is_three_months() -> None:
    whole = [datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)]
    assert cover(CUTS[0], whole) == [Segment(Grain.MONTH, whole[0], whole[1], 0)]
