"""When a period began, and when the next one does: pure, in any time zone.

Days, weeks and months begin with the first instant of their first date there. Hours begin where
the clocks show a full hour; where clocks are moved by half an hour, an hour ends early. Periods
follow each other without a gap, whatever clocks do.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

_ALWAYS: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_INSTANT: Final = timedelta(microseconds=1)


class Period(StrEnum):
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    BILLING_CYCLE = "billing_cycle"
    LIFETIME = "lifetime"


class Span(NamedTuple):
    """Half open, in UTC; without an end it lasts for ever."""

    start: datetime
    end: datetime | None


@lru_cache(maxsize=1_000)
def zone_of(name: str) -> tzinfo:
    """Find a time zone by its IANA name. Raises ValueError."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise ValueError(f"{name!r} is no time zone such as Europe/Berlin") from None


def span_at(period: Period, zone: tzinfo, at: datetime) -> Span:
    """Give the period that `at` lies in. A billing cycle is taken as a calendar month."""
    match period:
        case Period.LIFETIME:
            return Span(_ALWAYS, None)
        case Period.MINUTE:
            start = at.astimezone(UTC).replace(second=0, microsecond=0)
            return Span(start, start + _MINUTE)
        case Period.HOUR:
            return _hour(zone, at)
        case Period.DAY | Period.WEEK | Period.MONTH | Period.BILLING_CYCLE:
            return _dates(period, zone, at)


def _hour(zone: tzinfo, at: datetime) -> Span:
    start = _hour_begun(zone, at)
    end = start + _HOUR - _into_hour(start.astimezone(zone))
    if _offset(zone, end) != _offset(zone, start):
        # The clocks were moved at or before then, which begins an hour of its own.
        end = _hour_begun(zone, end)
    return Span(start, end)


def _hour_begun(zone: tzinfo, at: datetime) -> datetime:
    shown = at.astimezone(zone)
    start = at.astimezone(UTC) - _into_hour(shown)
    return start if _offset(zone, start) == shown.utcoffset() else _moved(zone, start, at)


def _into_hour(shown: datetime) -> timedelta:
    return timedelta(minutes=shown.minute, seconds=shown.second, microseconds=shown.microsecond)


def _moved(zone: tzinfo, low: datetime, high: datetime) -> datetime:
    """Find the instant between these at which the clocks were moved."""
    high = high.astimezone(UTC)
    after = _offset(zone, high)
    while high - low > _INSTANT:
        middle = low + (high - low) // 2
        if _offset(zone, middle) == after:
            high = middle
        else:
            low = middle
    return high


def _offset(zone: tzinfo, at: datetime) -> timedelta | None:
    return at.astimezone(zone).utcoffset()


def _dates(period: Period, zone: tzinfo, at: datetime) -> Span:
    first = _first(period, at.astimezone(zone).date())
    if _begins(zone, first) > at:
        first = _first(period, first - _DAY)
    following = _next(period, first)
    # Where clocks were put back over midnight, or a date was left out.
    while _begins(zone, following) <= at:
        first, following = following, _next(period, following)
    return Span(_begins(zone, first), _begins(zone, following))


def _begins(zone: tzinfo, day: date) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _first(period: Period, day: date) -> date:
    if period is Period.DAY:
        return day
    if period is Period.WEEK:
        return day - timedelta(days=day.weekday())
    return day.replace(day=1)


def _next(period: Period, first: date) -> date:
    if period is Period.DAY:
        return first + _DAY
    if period is Period.WEEK:
        return first + timedelta(days=7)
    return (first + timedelta(days=31)).replace(day=1)
