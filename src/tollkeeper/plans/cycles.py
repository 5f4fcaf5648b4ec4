"""Billing cycles: pure, and the same for whoever asks.

A cycle begins at the anchor's time of day on the anchor's day of the month, in the subscription's
time zone; in a month that is too short, on its last day. Each is worked out from the anchor, not
from the one before, so that January 31 comes back after February 28. A time of day that the clocks
skip is taken an hour later.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo


class Interval(StrEnum):
    MONTH = "month"
    YEAR = "year"


class Cycle(NamedTuple):
    """From `start`, inclusive, to `end`, exclusive; both in UTC."""

    start: datetime
    end: datetime


def cycle_at(anchor: datetime, zone: str, interval: Interval, at: datetime) -> Cycle:
    """Find the cycle that contains `at`."""
    local = anchor.astimezone(zone_of(zone))
    months = 1 if interval is Interval.MONTH else 12
    there = at.astimezone(local.tzinfo)
    passed = (there.year - local.year) * 12 + there.month - local.month
    # A month's beginning is at most a month away from what the calendar alone says.
    count = passed // months
    while _boundary(local, count * months) > at:
        count -= 1
    while (end := _boundary(local, (count + 1) * months)) <= at:
        count += 1
    return Cycle(_boundary(local, count * months), end)


@lru_cache(maxsize=1000)
def zone_of(name: str) -> ZoneInfo:
    """Raises ValueError for what is no IANA time zone."""
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        raise ValueError(f"{name[:100]!r} is no IANA time zone such as Europe/Berlin") from None


def _boundary(local: datetime, months: int) -> datetime:
    year, month = divmod(local.year * 12 + local.month - 1 + months, 12)
    day = min(local.day, monthrange(year, month + 1)[1])
    return local.replace(year=year, month=month + 1, day=day).astimezone(UTC)
