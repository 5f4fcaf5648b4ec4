"""`GET /billing/usage-analytics` (V3): spending by day, model and key, in Venice's shape."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromQuery, QueryParameter
from msgspec import Meta, Struct

from tollkeeper.base.check import Faults
from tollkeeper.base.clock import Clock
from tollkeeper.base.ids import show_id
from tollkeeper.base.money import NANOS_PER_UNIT, Money, divide_half_up
from tollkeeper.base.settings import Settings
from tollkeeper.db import Connection, Database
from tollkeeper.metering.analytics import store
from tollkeeper.metering.analytics.kinds import kind_of, type_of
from tollkeeper.metering.analytics.store import KeyName, Question, Sum
from tollkeeper.metering.billing.asked import AnyRequest, check
from tollkeeper.orgs import Caller, caller_of

_MOST_DAYS: Final = 90
_TOP: Final = 8
_DAY: Final = timedelta(days=1)
_SHOWN: Final = 6
_KEYLESS: Final = "Without a key"
_NAMELESS: Final = "Without a model"

DayText = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}\Z")]
Lookback = Annotated[
    str, Meta(pattern=r"^[1-9]\d*d\Z", description="7d unless it is said; 90d at most.")
]
Spent = dict[str, int]  # nanos by currency


class UsageAnalytics(Struct, frozen=True, kw_only=True, rename="camel"):
    """Days are of UTC. Lists are by spend, the highest first; the daily ones name the first eight,
    in USD worth. `date` in those is Unix time in milliseconds."""

    lookback: str
    by_date: list[dict[str, Any]]
    by_model: list[dict[str, Any]]
    by_model_daily: list[dict[str, Any]]
    top_models: list[str]
    by_key: list[dict[str, Any]]
    by_key_daily: list[dict[str, Any]]
    top_key_names: list[str]


class _Found:
    """What was read: amounts by currency, of each day and name, and units of each name."""

    def __init__(self) -> None:
        self.currencies: list[str] = []
        self.daily: defaultdict[str | None, dict[int, Spent]] = defaultdict(dict)
        self.keys_daily: defaultdict[str | None, dict[int, Spent]] = defaultdict(dict)
        # By unit: the quantity, and what it cost.
        self.units: defaultdict[str | None, dict[str, tuple[Decimal, Spent]]] = defaultdict(dict)
        self.key_units: defaultdict[str | None, dict[str, tuple[Decimal, Spent]]] = defaultdict(
            dict
        )


def overview_route(settings: Settings) -> HTTPRouteHandler:
    worth = settings.spending

    @get(
        "/usage-analytics",
        summary="Sum up spending by day, model and key",
        description="For `lookback` days up to today, or from `startDate` to `endDate`.",
    )
    async def get_usage_analytics(
        request: AnyRequest,
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
        lookback: FromQuery[Lookback] = "7d",
        start_date: Annotated[DayText | None, QueryParameter(name="startDate")] = None,
        end_date: Annotated[DayText | None, QueryParameter(name="endDate")] = None,
    ) -> UsageAnalytics:
        said, days = _days(lookback, start_date, end_date, clock.now())
        async with database.transaction() as tx:
            await store.see_one_moment(tx)
            keys = await store.keys(tx, caller_of(request).org_id)
            found = await _read(tx, caller_of(request), days)
        return _shown(said, days, found, keys, worth)

    return get_usage_analytics


def _days(
    lookback: str, start: str | None, end: str | None, now: datetime
) -> tuple[str, list[datetime]]:
    """Return the echo, and the bounds of the days."""
    if start is None and end is None:
        # So many digits that they cannot be read are clamped as well.
        count = min(int(lookback[:5].rstrip("d")), _MOST_DAYS)
        today = now.astimezone(UTC).date()
        return f"{count}d", _bounds(today - (count - 1) * _DAY, count)
    faults: Faults = {}
    first, last = _date(start, "startDate", faults), _date(end, "endDate", faults)
    check(faults)
    if last < first:
        check({"endDate": ["must not lie before startDate"]})
    count = (last - first).days + 1
    if count > _MOST_DAYS:
        check({"endDate": [f"must lie within {_MOST_DAYS} days of startDate, both included"]})
    return f"{first}:{last}", _bounds(first, count)


def _date(text: str | None, name: str, faults: Faults) -> date:
    try:
        found = None if text is None else date.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or not 1970 <= found.year < 2200:  # noqa: PLR2004 (years)
        said = "is required with the other" if text is None else "must be a day, YYYY-MM-DD"
        faults[name] = [said]
        return date(1970, 1, 1)
    return found


def _bounds(first: date, count: int) -> list[datetime]:
    start = datetime.combine(first, time(), UTC)
    return [start + number * _DAY for number in range(count + 1)]


async def _read(tx: Connection, caller: Caller, days: Sequence[datetime]) -> _Found:
    found = _Found()
    whole = [days[0], days[-1]]
    for wallet_id, currency in await store.wallets(tx, caller.org_id, livemode=caller.livemode):
        found.currencies.append(currency)

        async def ask(
            bounds: Sequence[datetime],
            *groups: str,
            lines: bool = False,
            wallet_id: UUID = wallet_id,
        ) -> list[Sum]:
            asked = Question(
                org_id=caller.org_id,
                wallet_id=wallet_id,
                bounds=bounds,
                groups=groups,
                filters={},
                lines=lines,
            )
            # Days, models, keys and units are in the sums, so no record is read one by one.
            return await store.sums(tx, asked, 0)

        _add_days(found.daily, await ask(days, "model"), currency)
        _add_days(found.keys_daily, await ask(days, "apiKey"), currency)
        _add_units(found.units, await ask(whole, "model", "unit", lines=True), currency)
        _add_units(found.key_units, await ask(whole, "apiKey", "unit", lines=True), currency)
    return found


def _add_days(
    daily: defaultdict[str | None, dict[int, Spent]], sums: Iterable[Sum], currency: str
) -> None:
    for one in sums:
        if one.amount:
            daily[one.dims[0]].setdefault(one.place, {})[currency] = one.amount


def _add_units(
    units: defaultdict[str | None, dict[str, tuple[Decimal, Spent]]],
    sums: Iterable[Sum],
    currency: str,
) -> None:
    for one in sums:
        unit = one.dims[1] or ""
        quantity, spent = units[one.dims[0]].get(unit, (Decimal(0), {}))
        units[one.dims[0]][unit] = quantity + one.quantity, {**spent, currency: one.amount}


def _shown(
    said: str,
    days: Sequence[datetime],
    found: _Found,
    keys: Mapping[UUID, KeyName],
    worth: Mapping[str, int],
) -> UsageAnalytics:
    def usd(spent: Spent) -> int:
        """In nanos of USD times 10⁹, so that nothing is rounded where things are compared."""
        return sum(amount * worth.get(code, NANOS_PER_UNIT) for code, amount in spent.items())

    def by_spend(daily: Mapping[str | None, Mapping[int, Spent]]) -> list[tuple[str | None, Spent]]:
        totals = [(name, _total(of_days.values())) for name, of_days in daily.items()]
        return sorted(totals, key=lambda pair: (-usd(pair[1]), pair[0] or ""))

    models, used_keys = by_spend(found.daily), by_spend(found.keys_daily)
    model_names = {name: _free(name or _NAMELESS) for name, _ in models}
    key_names = _key_names([name for name, _ in used_keys], keys)
    top_models = [name for name, _ in models][:_TOP]
    top_keys = [name for name, _ in used_keys][:_TOP]
    codes = list(dict.fromkeys(["USD", *found.currencies]))
    return UsageAnalytics(
        lookback=said,
        by_date=_by_date(days, found, codes),
        by_model=[
            {"modelName": model_names[name], **_of_model(found.units[name], usd, codes)}
            | _totals(spent, codes)
            for name, spent in models
        ],
        by_model_daily=_daily(days, found.daily, top_models, model_names, usd),
        top_models=[model_names[name] for name in top_models],
        by_key=[
            {
                "apiKeyId": None if name is None else show_id("key", UUID(name)),
                "description": key_names[name],
                **_totals(spent, codes),
                "totalUnits": _units(
                    sum((q for q, _ in found.key_units[name].values()), Decimal())
                ),
            }
            for name, spent in used_keys
        ],
        by_key_daily=_daily(days, found.keys_daily, top_keys, key_names, usd),
        top_key_names=[key_names[name] for name in top_keys],
    )


def _by_date(days: Sequence[datetime], found: _Found, codes: Sequence[str]) -> list[dict[str, Any]]:
    sums = [
        _total(of_days.get(place, {}) for of_days in found.daily.values())
        for place in range(len(days) - 1)
    ]
    return [
        {"date": f"{day:%Y-%m-%d}", **{code: Money(spent.get(code, 0)) for code in codes}}
        for day, spent in zip(days, sums, strict=False)
    ]


def _daily(
    days: Sequence[datetime],
    daily: Mapping[str | None, Mapping[int, Spent]],
    top: Sequence[str | None],
    names: Mapping[str | None, str],
    usd: Callable[[Spent], int],
) -> list[dict[str, Any]]:
    return [
        {
            "date": int(day.timestamp()) * 1000,
            **{
                names[name]: Money(divide_half_up(usd(daily[name].get(place, {})), NANOS_PER_UNIT))
                for name in top
            },
        }
        for place, day in enumerate(days[:-1])
    ]


def _of_model(
    units: Mapping[str, tuple[Decimal, Spent]],
    usd: Callable[[Spent], int],
    codes: Sequence[str],
) -> dict[str, Any]:
    """Say what a model counts in: the kind of unit that most was spent on."""
    by_kind: defaultdict[str, list[str]] = defaultdict(list)
    by_type: defaultdict[str, list[str]] = defaultdict(list)
    for unit in units:
        by_kind[kind_of(unit).units].append(unit)
        by_type[type_of(unit)].append(unit)
    if not units:
        return {"unitType": "tokens", "modelType": None, "totalUnits": 0}
    main = max(by_kind, key=lambda kind: sum(usd(units[unit][1]) for unit in by_kind[kind]))
    said: dict[str, Any] = {
        "unitType": main,
        "modelType": kind_of(by_kind[main][0]).model,
        "totalUnits": _units(_quantity(units[unit] for unit in by_kind[main])),
    }
    if len(by_type) > 1:
        parts = [
            (
                type_,
                _total(units[unit][1] for unit in of),
                sum((units[u][0] for u in of), Decimal()),
            )
            for type_, of in by_type.items()
        ]
        parts.sort(key=lambda part: -usd(part[1]))
        said["breakdown"] = [
            {
                "type": type_,
                **{_camel(code): Money(spent.get(code, 0)) for code in codes},
                "units": _units(quantity),
            }
            for type_, spent, quantity in parts
        ]
    return said


def _quantity(parts: Iterable[tuple[Decimal, Spent]]) -> Decimal:
    return sum((quantity for quantity, _ in parts), Decimal())


def _total(parts: Iterable[Spent]) -> Spent:
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return dict(total)


def _totals(spent: Spent, codes: Sequence[str]) -> dict[str, Money]:
    """`totalUsd`, `totalDiem`, `totalBundledCredits`."""
    return {
        "total" + _camel(code)[:1].upper() + _camel(code)[1:]: Money(spent.get(code, 0))
        for code in codes
    }


def _camel(code: str) -> str:
    first, *others = code.lower().split("_")
    return first + "".join(word.capitalize() for word in others)


def _units(quantity: Decimal) -> Money:
    top, bottom = quantity.as_integer_ratio()
    return Money(divide_half_up(top * NANOS_PER_UNIT, bottom))


def _key_names(used: Sequence[str | None], keys: Mapping[UUID, KeyName]) -> dict[str | None, str]:
    """Name keys so that no two have one name, nor that of the days' own member."""
    found: dict[str | None, str] = {}
    for key in used:
        known = None if key is None else keys.get(UUID(key))
        last = "" if key is None else UUID(key).hex[-_SHOWN:]
        unnamed = _KEYLESS if key is None else f"Key ...{last}"
        found[key] = _free(unnamed if known is None else known.name)
    shared = Counter(found.values())
    return {
        key: f"{name} (...{UUID(key).hex[-_SHOWN:]})" if key and shared[name] > 1 else name
        for key, name in found.items()
    }


def _free(name: str) -> str:
    return "date (...)" if name == "date" else name
