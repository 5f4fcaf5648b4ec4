"""Periods follow each other without a gap, whatever the clocks of a place do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tollkeeper.limits.periods import Period, span_at, zone_of

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",  # moves its clocks by half an hour
    "America/Havana",  # at midnight
    "America/St_Johns",  # once at one minute past midnight
    "Pacific/Apia",  # left a date out
)
FINITE = [period for period in Period if period is not Period.LIFETIME]
moments = st.datetimes(datetime(1980, 1, 1), datetime(2040, 1, 1)).map(  # noqa: DTZ001 (UTC is added)
    lambda at: at.replace(tzinfo=UTC)
)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@given(st.sampled_from(FINITE), st.sampled_from(ZONES), moments)
@example(Period.HOUR, "Australia/Lord_Howe", utc("2026-04-04T15:10"))
@example(Period.HOUR, "Australia/Lord_Howe", utc("2026-10-03T15:31"))
@example(Period.DAY, "America/St_Johns", utc("1990-10-28T02:30:30"))
@example(Period.DAY, "America/St_Johns", utc("1990-10-28T03:00"))
@example(Period.DAY, "America/Havana", utc("2026-11-01T05:30"))
@example(Period.DAY, "Pacific/Apia", utc("2011-12-30T10:00"))
@example(Period.DAY, "Pacific/Apia", utc("2011-12-30T09:59"))
def test_periods_are_contiguous(period: Period, zone: str, at: datetime) -> None:
    place = zone_of(zone)
    start, end = span_at(period, place, at)
    assert end is not None
    assert start <= at < end
    assert span_at(period, place, start) == (start, end)
    assert span_at(period, place, end - timedelta(microseconds=1)) == (start, end)
    following = span_at(period, place, end)
    assert following.start == end
    before = span_at(period, place, start - timedelta(microseconds=1))
    assert before.end == start


@given(st.sampled_from(ZONES), moments)
def test_each_begins_where_calendar_and_clock_say(zone: str, at: datetime) -> None:
    place = zone_of(zone)
    day = span_at(Period.DAY, place, at)
    week = span_at(Period.WEEK, place, at)
    month = span_at(Period.MONTH, place, at)
    hour = span_at(Period.HOUR, place, at)
    assert day.start >= week.start
    assert day.start >= month.start
    assert hour.end is not None
    assert hour.end - hour.start <= timedelta(hours=1)
    if zone in ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"):
        shown = [span.start.astimezone(place) for span in (hour, day, week, month)]
        assert all((one.minute, one.second, one.microsecond) == (0, 0, 0) for one in shown)
        assert [one.hour for one in shown[1:]] == [0, 0, 0]
        assert shown[2].weekday() == 0
        assert shown[3].day == 1


@pytest.mark.parametrize(
    ("period", "zone", "at", "start", "end"),
    [
        ("minute", "Asia/Kathmandu", "2026-03-01T10:20:30", "2026-03-01T10:20", "2026-03-01T10:21"),
        # 15:45 and 16:45 there.
        ("hour", "Asia/Kathmandu", "2026-03-01T10:20", "2026-03-01T10:15", "2026-03-01T11:15"),
        ("day", "Asia/Kathmandu", "2026-03-01T18:15", "2026-03-01T18:15", "2026-03-02T18:15"),
        # Clocks forward: a day of 23 hours. Back: one of 25.
        ("day", "Europe/Berlin", "2026-03-29T12:00", "2026-03-28T23:00", "2026-03-29T22:00"),
        ("day", "Europe/Berlin", "2026-10-25T12:00", "2026-10-24T22:00", "2026-10-25T23:00"),
        ("hour", "Europe/Berlin", "2026-10-25T00:30", "2026-10-25T00:00", "2026-10-25T01:00"),
        ("hour", "Europe/Berlin", "2026-10-25T01:30", "2026-10-25T01:00", "2026-10-25T02:00"),
        ("day", "America/New_York", "2026-11-01T12:00", "2026-11-01T04:00", "2026-11-02T05:00"),
        ("week", "America/New_York", "2026-03-09T03:59", "2026-03-02T05:00", "2026-03-09T04:00"),
        ("week", "UTC", "2026-11-22T23:59", "2026-11-16T00:00", "2026-11-23T00:00"),
        ("month", "UTC", "2028-02-29T23:59", "2028-02-01T00:00", "2028-03-01T00:00"),
        ("month", "Europe/Berlin", "2026-01-31T23:00", "2026-01-31T23:00", "2026-02-28T23:00"),
        ("month", "America/New_York", "2026-12-31T12:00", "2026-12-01T05:00", "2027-01-01T05:00"),
    ],
)
def test_by_hand(period: str, zone: str, at: str, start: str, end: str) -> None:
    assert span_at(Period(period), zone_of(zone), utc(at)) == (utc(start), utc(end))


def test_a_lifetime_has_no_end() -> None:
    first = span_at(Period.LIFETIME, UTC, utc("2026-01-01"))
    assert first.end is None
    assert span_at(Period.LIFETIME, ZoneInfo("Asia/Kathmandu"), utc("2039-01-01")) == first


@pytest.mark.parametrize(
    "name", ["Mars/Olympus", "Europe", "../../etc/passwd", "", "/etc/localtime"]
)
def test_what_is_no_time_zone(name: str) -> None:
    with pytest.raises(ValueError, match="is no time zone"):
        zone_of(name)
