"""What the page of analytics is asked: of which time, by what, how it is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final, get_args
from zoneinfo import ZoneInfo

from tollkeeper import metering
from tollkeeper.base.errors import InvalidRequest
from tollkeeper.console.customer.narrowing import (
    DIMENSIONS,
    read_said,
    zone_of,
)
from tollkeeper.console.forms import AnyRequest
from tollkeeper.console.rendering import say
from tollkeeper.metering import Granularity

PERIODS: Final = ("today", "7d", "30d", "90d", "month", "last-month", "year")
EACH: Final[tuple[Granularity, ...]] = ("hour", "day", "week", "month")
GROUPS: Final = ("model", "key", "project", "member", "provider", "operation", "endUser", "tag")
NARROWED: Final = (*DIMENSIONS, "tag")

_DAYS: Final = {"today": 1, "7d": 7, "30d": 30, "90d": 90}
_KEPT: Final = (
    "period",
    "from",
    "to",
    "by",
    "name",
    "each",
    "zone",
    "measure",
    "shape",
    "compare",
    "currency",
)
_MONTHS: Final = 12
_LONGEST: Final = 3660
# Sums are kept by this: what is older and lies between is read from the calls themselves.
_SUMMED: Final = timedelta(minutes=15)
_FIRST: Final = date(1971, 1, 1)
_LAST: Final = date(2190, 1, 1)
# As many bars are still told apart; and what is drawn of itself.
_MOST_DAYS: Final[dict[Granularity, int]] = {"hour": 8, "day": 186, "week": 1400}
_COARSEST: Final[Granularity] = "month"
_USUAL: Final[tuple[tuple[int, Granularity], ...]] = ((2, "hour"), (92, "day"), (186, "week"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """`said` narrows; `kept` is what else stands in the address. `name` is a tag's."""

    period: str
    first: date
    last: date
    before: date
    by: str
    name: str
    each: Granularity
    zone: ZoneInfo
    measure: str
    shape: str
    compares: bool
    currency: str
    said: Mapping[str, str]
    kept: Mapping[str, str]

    @property
    def start(self) -> datetime:
        return _midnight(self.first, self.zone)

    @property
    def end(self) -> datetime:
        return _midnight(self.last + timedelta(days=1), self.zone)

    def before_until(self, now: datetime) -> tuple[datetime, datetime]:
        """The period before, as far as this one has come: where it is drawn by days or longer, to
        the quarter of an hour."""
        start = _midnight(self.before, self.zone)
        gone = min(max(now, self.start), self.end) - self.start
        if self.each != "hour":
            gone -= gone % _SUMMED
        return start, min(start + gone, self.start) if gone else start

    def named(self, tag: str) -> Asked:
        return replace(self, name=tag)

    @property
    def group(self) -> str | None:
        """What metering calls it; None for a tag without a name."""
        if self.by != "tag":
            return DIMENSIONS[self.by]
        return f"tag:{self.name}" if self.name else None


def read_asked(request: AnyRequest, now: datetime, *, sees_money: bool) -> Asked:
    """Raises InvalidRequest for what cannot be read."""
    kept, zone = read_said(request, _KEPT), zone_of(request)
    today = now.astimezone(zone).date()
    period = kept.get("period", "30d")
    if "from" in kept or "to" in kept:
        period = "custom"
        first, last, before = _between(kept, today)
    elif period in PERIODS:
        first, last, before = _days_of(period, today)
    else:
        raise InvalidRequest(say("analytics.period_fault"))
    by = _one_of(kept, "by", GROUPS)
    return Asked(
        period=period,
        first=first,
        last=last,
        before=before,
        by=by,
        name=kept.get("name", ""),
        each=_each(kept, period, (last - first).days + 1),
        zone=zone,
        measure=_one_of(kept, "measure", ("cost", "calls") if sees_money else ("calls",)),
        shape=_one_of(kept, "shape", ("bars", "lines")),
        compares=_one_of(kept, "compare", ("before", "none")) == "before",
        currency=kept.get("currency", "USD"),
        said=read_said(request, NARROWED),
        kept=kept,
    )


def _one_of(kept: Mapping[str, str], name: str, known: tuple[str, ...]) -> str:
    found = kept.get(name, known[0])
    if found not in known:
        raise InvalidRequest(say("analytics.choice_fault", name=name, known=", ".join(known)))
    return found


def _days_of(period: str, today: date) -> tuple[date, date, date]:
    """The first day, the last one, and the first of the period before."""
    if period in _DAYS:
        first = today - timedelta(days=_DAYS[period] - 1)
        return first, today, first - timedelta(days=_DAYS[period])
    month = today.replace(day=1)
    if period == "month":
        return month, _month(month, 1) - timedelta(days=1), _month(month, -1)
    if period == "last-month":
        return _month(month, -1), month - timedelta(days=1), _month(month, -2)
    first = _month(month, 1 - _MONTHS)
    return first, _month(month, 1) - timedelta(days=1), _month(first, -_MONTHS)


def _month(month: date, later: int) -> date:
    months = month.year * _MONTHS + month.month - 1 + later
    return date(months // _MONTHS, months % _MONTHS + 1, 1)


def _between(kept: Mapping[str, str], today: date) -> tuple[date, date, date]:
    last = _read_day(kept["to"]) if "to" in kept else today
    first = _read_day(kept["from"]) if "from" in kept else last - timedelta(days=29)
    first, last = min(first, last), max(first, last)
    days = (last - first).days + 1
    if days > _LONGEST:
        raise InvalidRequest(say("analytics.long_fault"))
    return first, last, first - timedelta(days=days)


def _read_day(text: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = date.min
    if not _FIRST <= found < _LAST:
        raise InvalidRequest(say("narrow.time_fault"))
    return found


def _each(kept: Mapping[str, str], period: str, days: int) -> Granularity:
    """What was asked for, or coarser where it would be too many."""
    said = kept.get("each")
    if said is not None and said not in get_args(Granularity):
        raise InvalidRequest(say("analytics.choice_fault", name="each", known=", ".join(EACH)))
    usual = next((each for most, each in _USUAL if days <= most), _COARSEST)
    if period == "year":
        usual = _COARSEST
    wanted = next((one for one in EACH if one == said), usual)
    finer = EACH[EACH.index(wanted) :]
    for one in finer:
        if days <= _MOST_DAYS.get(one, days):
            return one
    return _COARSEST


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return metering.midnight(day.year, day.month, day.day, zone)
