"""How fast credit is spent, when it ends, and what is far above what is usual: arithmetic alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median_low
from typing import Final

from tollkeeper.base.money import divide_half_up

DAYS: Final = 7
HOURS_OF_DAY: Final = 24
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
_DAY_MICROSECONDS: Final = 86_400_000_000
# Later than this, nobody can mean it.
_FURTHEST: Final = timedelta(days=36_500)
# Somebody who has just begun has no usual yet.
_LEAST_DAYS: Final = 3


@dataclass(frozen=True, slots=True)
class Burn:
    """Nanos for each day: what is likely, and between what."""

    likely: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Spike:
    """Nanos that an hour or a day came to, where `usual` is usual."""

    spent: int
    usual: int
    start: datetime
    end: datetime


def hours_until(now: datetime, days: int) -> list[datetime]:
    """Return the bounds of the hours of so many days, the running hour the last of them."""
    end = now.replace(minute=0, second=0, microsecond=0) + HOUR
    return [end - number * HOUR for number in range(days * HOURS_OF_DAY, -1, -1)]


def by_day(hours: Sequence[int]) -> list[int]:
    """Add up days of 24 hours, the newest last."""
    return [
        sum(hours[place : place + HOURS_OF_DAY]) for place in range(0, len(hours), HOURS_OF_DAY)
    ]


def burn_rate(days: Sequence[int]) -> Burn | None:
    """Weigh the newest of seven days seven times, the oldest once, since the first with spending.

    The interval is as wide as the days lie from that on the (weighted) average. None when nothing
    was spent.
    """
    since = next((place for place, spent in enumerate(days) if spent > 0), None)
    if since is None:
        return None
    weighed = [(place + 1, spent) for place, spent in enumerate(days) if place >= since]
    weights = sum(weight for weight, _ in weighed)
    likely = divide_half_up(sum(weight * spent for weight, spent in weighed), weights)
    spread = divide_half_up(sum(w * abs(spent - likely) for w, spent in weighed), weights)
    return Burn(likely, max(0, likely - spread), likely + spread)


def credit_ends(
    lots: Sequence[tuple[int, datetime | None]], rate: int, now: datetime
) -> datetime | None:
    """Say when credit is used up that is spent at `rate` nanos a day, in the order of `lots`.

    What expires before its turn, or while it is spent, is lost. None when it lasts a century.
    """
    at, furthest = now, now + _FURTHEST
    for left, expires_at in lots:
        if expires_at is not None and expires_at <= at:
            continue
        used_up = furthest
        if rate > 0 and left // rate < _FURTHEST.days:
            rest = divide_half_up(left % rate * _DAY_MICROSECONDS, rate)
            used_up = at + timedelta(days=left // rate, microseconds=rest)
        at = used_up if expires_at is None else min(used_up, expires_at)
        if at >= furthest:
            return None
    return at


def find_spike(hours: Sequence[int], end: datetime, factor: int, minimum: int) -> Spike | None:
    """Compare the last hour with the busiest hours of the seven days before, the last day with
    those days: more than `factor` times their median, and by `minimum` above it.

    `hours` are those of eight days, up to `end`. The busiest hour of a day, because nights say
    nothing about noon; the median, because one wild day is not what is usual.
    """
    before, today = hours[:-HOURS_OF_DAY], hours[-HOURS_OF_DAY:]
    days = by_day(before)
    if sum(spent > 0 for spent in days) < _LEAST_DAYS:
        return None
    busiest = [
        max(before[place : place + HOURS_OF_DAY]) for place in range(0, len(before), HOURS_OF_DAY)
    ]
    measures = ((sum(today), median_low(days), DAY), (today[-1], median_low(busiest), HOUR))
    for spent, usual, length in measures:
        if spent > factor * usual and spent - usual >= minimum:
            return Spike(spent, usual, end - length, end)
    return None
