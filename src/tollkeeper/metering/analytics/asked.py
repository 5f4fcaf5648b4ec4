"""What `/billing/costs` is asked: dimensions, values, times and their zone, all faults at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter
from msgspec import Meta

from tollkeeper.base.check import Faults
from tollkeeper.base.ids import read_id
from tollkeeper.base.settings import Settings
from tollkeeper.metering.analytics.costs import CostQuery
from tollkeeper.metering.analytics.cuts import TAG, read_tag
from tollkeeper.metering.analytics.zones import Granularity, find_zone, midnight
from tollkeeper.metering.billing.asked import check, check_currency
from tollkeeper.metering.record import LONGEST_NAME

DIMENSIONS: Final = (
    "project",
    "apiKey",
    "member",
    "model",
    "provider",
    "operation",
    "endUser",
    "sku",
)
_PREFIXES: Final = {"project": "prj", "apiKey": "key", "member": "mem"}
_MOST_DIMENSIONS: Final = 5
_MOST_VALUES: Final = 100
_DAY: Final = len("2026-01-31")
_LONGEST: Final = 40
_EARLIEST: Final = datetime(1970, 1, 2, tzinfo=UTC)
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
_USUAL: Final = timedelta(days=30)
_WHEN: Final = "must be a date or a date and time of ISO 8601, such as 2026-01-31T08:00:00Z"

Texts = list[str] | None
Ask = Callable[[datetime], CostQuery]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The values of each dimension that calls are narrowed to, and what is wrong with them."""

    filters: dict[str, tuple[str, ...]]
    faults: Faults


def read_wanted(
    project: FromQuery[Texts] = None,
    api_key: Annotated[Texts, QueryParameter(name="apiKey")] = None,
    member: FromQuery[Texts] = None,
    model: FromQuery[Texts] = None,
    provider: FromQuery[Texts] = None,
    operation: FromQuery[Texts] = None,
    end_user: Annotated[Texts, QueryParameter(name="endUser")] = None,
    sku: FromQuery[Texts] = None,
    tag: Annotated[
        FromQuery[Texts],
        Meta(
            description="`<name>:<value>`, with `\\:` for a colon in the name; of one name, any of"
            " the values."
        ),
    ] = None,
) -> Wanted:
    faults: Faults = {}
    said = {
        "project": project,
        "apiKey": api_key,
        "member": member,
        "model": model,
        "provider": provider,
        "operation": operation,
        "endUser": end_user,
        "sku": sku,
    }
    return Wanted(_filters(said, tag, faults), faults)


@dataclass(frozen=True, slots=True)
class Times:
    """Of which times rows are wanted, as far as that was said."""

    start: datetime | None
    end: datetime | None
    granularity: Granularity | None
    zone: ZoneInfo
    faults: Faults


def read_times(
    start: Annotated[
        FromQuery[str | None],
        Meta(description="A date or a moment; 30 days before `end` unless it is said."),
    ] = None,
    end: Annotated[
        FromQuery[str | None],
        Meta(description="A date, with its whole day, or the moment behind the last; or now."),
    ] = None,
    granularity: Annotated[
        FromQuery[Granularity | None],
        Meta(description="One row for each; without it, for the whole time."),
    ] = None,
    timezone: Annotated[
        FromQuery[str], Meta(description="Whose days and hours these are, as IANA names it.")
    ] = "UTC",
) -> Times:
    faults: Faults = {}
    zone = find_zone(timezone)
    if zone is None:
        faults["timezone"] = ["must be a time zone's name by IANA, such as Europe/Berlin"]
    known = zone or ZoneInfo("UTC")
    since = _moment(start, "start", known, faults)
    until = _moment(end, "end", known, faults, inclusive=True)
    return Times(since, until, granularity, known, faults)


def cost_reader(settings: Settings) -> Callable[..., Ask]:
    """Read a query from its parameters; it is whole once it is told what time it is."""

    def read_query(
        times: NamedDependency[Times],
        wanted: NamedDependency[Wanted],
        group_by: Annotated[
            Texts,
            QueryParameter(
                name="groupBy",
                description=f"Any of {', '.join(DIMENSIONS)}, and `tag:<name>`; with commas or"
                " repeated.",
            ),
        ] = None,
        currency: FromQuery[str | None] = None,
        fill: Annotated[
            FromQuery[bool], Meta(description="Whether rows of nothing are shown too.")
        ] = False,
    ) -> Ask:
        faults: Faults = {**wanted.faults, **times.faults}
        groups = _groups(group_by, faults)
        check_currency(currency, settings.currencies, faults)
        if len({*groups, *wanted.filters}) > _MOST_DIMENSIONS:
            faults["groupBy"] = [f"and filters together name more than {_MOST_DIMENSIONS}"]
        check(faults)

        def ask(now: datetime) -> CostQuery:
            start, end = _span(times, now)
            return CostQuery(
                start=start,
                end=end,
                granularity=times.granularity,
                zone=times.zone,
                groups=groups,
                filters=wanted.filters,
                currency=currency,
                fill=fill,
            )

        return ask

    return read_query


def _span(times: Times, now: datetime) -> tuple[datetime, datetime]:
    """Say from when to when: until now, and for 30 whole days before, where it was not said."""
    end = times.end or now
    if times.start is not None:
        start = times.start
    else:
        day = (end - _USUAL).astimezone(times.zone)
        start = midnight(day.year, day.month, day.day, times.zone)
    if start >= end:
        check({"end": ["must lie after start"]})
    return start, end


def _groups(said: Texts, faults: Faults) -> tuple[str, ...]:
    groups = list(dict.fromkeys(name for text in said or () for name in text.split(",")))
    for name in groups:
        if name.startswith(TAG) and 0 < len(name) - len(TAG) <= LONGEST_NAME:
            continue
        if name not in DIMENSIONS:
            allowed = ", ".join(DIMENSIONS)
            faults["groupBy"] = [f"must name any of {allowed}, and tag:<name>"]
    return tuple(groups)


def _filters(said: dict[str, Texts], tags: Texts, faults: Faults) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name, texts in said.items():
        if texts is not None:
            found[name] = tuple(_value(name, text, faults) for text in texts)
    for text in tags or ():
        said_tag = read_tag(text)
        if said_tag is None:
            faults["tag"] = ["must be a tag's name, a colon, and its value"]
            continue
        name, value = said_tag
        found[TAG + name] = (*found.get(TAG + name, ()), value)
    for name, values in found.items():
        if len(values) > _MOST_VALUES:
            faults[name] = [f"must be at most {_MOST_VALUES} values"]
    return found


def _value(name: str, text: str, faults: Faults) -> str:
    prefix = _PREFIXES.get(name)
    if prefix is None:
        return text
    try:
        return str(read_id(prefix, text))
    except ValueError as fault:
        faults[name] = [str(fault)]
        return str(UUID(int=0))


def _moment(
    text: str | None, name: str, zone: ZoneInfo, faults: Faults, *, inclusive: bool = False
) -> datetime | None:
    """Read a day of the zone, or a moment: of the zone too, if it does not say another."""
    if text is None:
        return None
    try:
        found = _day(text, zone, inclusive) if len(text) <= _DAY else _time(text, zone)
    except (ValueError, OverflowError):
        faults[name] = [_WHEN]
        return None
    if not _EARLIEST <= found < _LATEST:
        faults[name] = ["must be between 1970 and 2200"]
        return None
    return found


def _day(text: str, zone: ZoneInfo, inclusive: bool) -> datetime:
    day = date.fromisoformat(text) + timedelta(days=int(inclusive))
    return midnight(day.year, day.month, day.day, zone)


def _time(text: str, zone: ZoneInfo) -> datetime:
    if len(text) > _LONGEST:
        raise ValueError
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
