"""Billing cycles: contiguous, on the anchored day, in any zone and any year."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.plans import Interval, cycle_at

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"]
moments = st.datetimes(datetime(2015, 1, 1), datetime(2045, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 (the zone is given apart)
intervals = st.sampled_from(Interval)


def starts(anchor: str, zone: str, interval: Interval, count: int) -> list[str]:
    at = datetime.fromisoformat(anchor)
    found: list[str] = []
    for _ in range(count):
        cycle = cycle_at(datetime.fromisoformat(anchor), zone, interval, at)
        found.append(cycle.start.astimezone(ZoneInfo(zone)).isoformat()[:16])
        at = cycle.end
    return found


def test_month_ends_come_back() -> None:
    assert starts("2027-01-31T09:30:00+00:00", "UTC", Interval.MONTH, 5) == [
        "2027-01-31T09:30",
        "2027-02-28T09:30",
        "2027-03-31T09:30",
        "2027-04-30T09:30",
        "2027-05-31T09:30",
    ]
    assert starts("2028-01-30T00:00:00+00:00", "UTC", Interval.MONTH, 3)[1] == "2028-02-29T00:00"


def test_leap_days_come_back() -> None:
    assert [day[:10] for day in starts("2024-02-29T00:00:00+00:00", "UTC", Interval.YEAR, 5)] == [
        "2024-02-29",
        "2025-02-28",
        "2026-02-28",
        "2027-02-28",
        "2028-02-29",
    ]


def test_a_zone_keeps_its_midnight_when_the_clocks_change() -> None:
    berlin = starts("2027-02-28T23:00:00+00:00", "Europe/Berlin", Interval.MONTH, 3)
    assert berlin == ["2027-03-01T00:00", "2027-04-01T00:00", "2027-05-01T00:00"]
    cycle = cycle_at(
        datetime(2027, 2, 28, 23, tzinfo=UTC),
        "Europe/Berlin",
        Interval.MONTH,
        datetime(2027, 3, 10, tzinfo=UTC),
    )
    assert cycle.end - cycle.start == timedelta(days=31, hours=-1)


def test_a_skipped_hour_begins_an_hour_later() -> None:
    there = starts("2027-02-28T01:30:00+00:00", "Europe/Berlin", Interval.MONTH, 2)
    assert there == ["2027-02-28T02:30", "2027-03-28T03:30"]


@given(moments, st.sampled_from(ZONES), intervals, moments)
def test_cycles_are_contiguous_and_anchored(
    anchor: datetime, zone: str, interval: Interval, at: datetime
) -> None:
    cycle = cycle_at(anchor, zone, interval, at)
    assert cycle.start <= at < cycle.end
    assert cycle_at(anchor, zone, interval, cycle.end).start == cycle.end
    assert cycle_at(anchor, zone, interval, cycle.start - timedelta(microseconds=1)).end == (
        cycle.start
    )
    assert cycle_at(anchor, zone, interval, anchor).start == anchor
    wanted, start = (at.astimezone(ZoneInfo(zone)) for at in (anchor, cycle.start))
    last = monthrange(start.year, start.month)[1]
    assert start.day == min(wanted.day, last)
    if interval is Interval.YEAR:
        assert start.month == wanted.month


@pytest.mark.parametrize("name", ["Mars/Olympus", "../etc/passwd", ""])
def test_zones_that_are_none(name: str) -> None:
    with pytest.raises(ValueError, match="IANA"):
        cycle_at(datetime(2027, 1, 1, tzinfo=UTC), name, Interval.MONTH, datetime.now(UTC))
