"""Where minutes, hours, days, weeks, months and years begin, in any time zone of IANA."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

Granularity = Literal["minute", "hour", "day", "week", "month", "year"]

_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)
_LAST_MONTH: Final = 12


@lru_cache(maxsize=1)
def _names() -> frozenset[str]:
    return frozenset(available_timezones())


def find_zone(name: str) -> ZoneInfo | None:
    """Return the zone of this name. Only names that IANA lists are looked up in files."""
    if name not in _names():
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return None


def starts(
    granularity: Granularity | None, zone: ZoneInfo, start: datetime, end: datetime
) -> Iterator[datetime]:
    """Give `start`, and every later beginning of a minute, hour, … before `end`, in UTC.

    Hours are those of the wall clock, of which a change of its offset may make one longer or
    shorter; one that is gone through twice is two. Days begin with their first instant.
    """
    yield start
    if granularity is None:
        return
    step = _STEPS[granularity]
    at = step(start, zone)
    while at < end:
        yield at
        at = step(at, zone)


def midnight(year: int, month: int, day: int, zone: ZoneInfo) -> datetime:
    """Return the first instant of a day: where clocks skip midnight, the one they skip to."""
    return datetime(year, month, day, tzinfo=zone).astimezone(UTC)


def _next_minute(at: datetime, _: ZoneInfo) -> datetime:
    return at.replace(second=0, microsecond=0) + _MINUTE


def _next_hour(at: datetime, zone: ZoneInfo) -> datetime:
    usual = at + _HOUR - _into_hour(at, zone)
    if _offset(at, zone) == _offset(usual, zone):
        return usual
    changed = _change(at, usual, zone)
    if _hour(at, zone) != _hour(changed, zone) or not _into_hour(changed, zone):
        return changed
    return changed + _HOUR - _into_hour(changed, zone)


def _offset(at: datetime, zone: ZoneInfo) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta()


def _hour(at: datetime, zone: ZoneInfo) -> datetime:
    return at.astimezone(zone).replace(minute=0, second=0, microsecond=0, tzinfo=None)


def _into_hour(at: datetime, zone: ZoneInfo) -> timedelta:
    local = at.astimezone(zone)
    return timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)


def _change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Find the second at which the offset changes, between two moments that differ in it."""
    low, high = before.replace(microsecond=0), after
    old = _offset(before, zone)
    while high - low > timedelta(seconds=1):
        middle = (low + (high - low) / 2).replace(microsecond=0)
        if _offset(middle, zone) == old:
            low = middle
        else:
            high = middle
    return high


def _next_midnight(at: datetime, zone: ZoneInfo, of: Callable[[datetime], datetime]) -> datetime:
    """Walk on from a local day until its midnight is later: a zone may skip a whole day."""
    day = at.astimezone(zone).replace(tzinfo=None)
    while True:
        day = of(day)
        found = midnight(day.year, day.month, day.day, zone)
        if found > at:
            return found


def _next_day(at: datetime, zone: ZoneInfo) -> datetime:
    return _next_midnight(at, zone, lambda day: day + timedelta(days=1))


def _next_week(at: datetime, zone: ZoneInfo) -> datetime:
    return _next_midnight(at, zone, lambda day: day + timedelta(days=7 - day.weekday()))


def _next_month(at: datetime, zone: ZoneInfo) -> datetime:
    return _next_midnight(at, zone, _month_after)


def _next_year(at: datetime, zone: ZoneInfo) -> datetime:
    return _next_midnight(at, zone, lambda day: day.replace(year=day.year + 1, month=1, day=1))


def _month_after(day: datetime) -> datetime:
    if day.month == _LAST_MONTH:
        return day.replace(year=day.year + 1, month=1, day=1)
    return day.replace(month=day.month + 1, day=1)


_STEPS: Final[dict[Granularity, Callable[[datetime, ZoneInfo], datetime]]] = {
    "minute": _next_minute,
    "hour": _next_hour,
    "day": _next_day,
    "week": _next_week,
    "month": _next_month,
    "year": _next_year,
}
