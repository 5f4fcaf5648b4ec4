"""Our estimate of a provider's costs against its own word, by day and model."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from tollkeeper.margins import store
from tollkeeper.margins.adding import Source, margins
from tollkeeper.margins.model import Bucket, Comparison, Margin, Measure, Window
from tollkeeper.pricing import Book, ModelNotPriced

# Less than a cent of a day is no reason to look.
_NO_MATTER_NANOS: Final = 10_000_000
_PERCENT: Final = 100
_DATED: Final = re.compile(r"-(?:\d{4}-\d{2}-\d{2}|\d{8})$")

Day = tuple[str, date]
Ours = Mapping[tuple[str, date, str], Margin]
NameModel = Callable[[str, str, date], str]


async def compare(
    source: Source,
    book: Book,
    days: tuple[date, date],
    *,
    provider: str | None = None,
    tolerance_percent: int,
) -> list[Comparison]:
    """Compare the days [first, behind) of UTC that a provider has told the costs of."""
    first, behind = days
    async with source.database.connection() as connection:
        buckets = await store.read_buckets(connection, first, behind, provider)
    if not buckets:
        return []
    window = Window(since=_midnight(first), until=_midnight(behind))
    ours = await margins(source, window, lambda part: (part.provider, part.day, part.model))

    def name(provider: str, model: str, day: date) -> str:
        return _name(book, provider, model, day)

    return hold_against(ours, buckets, name, tolerance_percent)


def hold_against(
    ours: Ours, buckets: Sequence[Bucket], name: NameModel, tolerance_percent: int
) -> list[Comparison]:
    """Give a row for each model of each day, on either side. Where a provider names no model of a
    day, the day is one row.
    """
    costs = _by_day(buckets, Measure.COST, name)
    tokens = _by_day(buckets, Measure.TOKENS, name)
    rows: list[Comparison] = []
    for (provider, day), said in sorted(costs.items()):
        whole = set(said) == {""}
        mine: dict[str, Margin] = defaultdict(Margin)
        for (whose, when, model), margin in ours.items():
            if (whose, when) == (provider, day):
                mine["" if whole else model].cost += margin.cost
                mine["" if whole else model].tokens += margin.tokens
        counted = tokens.get((provider, day))
        if whole and counted is not None:
            counted = {"": sum(counted.values())}
        for model in sorted({*said, *mine}):
            estimate, told = mine[model].cost, said.get(model, 0)
            if not (estimate or told or whole):
                continue
            rows.append(
                Comparison(
                    day=day,
                    provider=provider,
                    model=model,
                    ours=estimate,
                    theirs=told,
                    tokens_ours=mine[model].tokens,
                    tokens_theirs=None if counted is None else counted.get(model, 0),
                    beyond=_is_beyond(estimate, told, tolerance_percent),
                )
            )
    return rows


def _by_day(
    buckets: Sequence[Bucket], measure: Measure, name: NameModel
) -> dict[Day, dict[str, int]]:
    days: dict[Day, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for bucket in buckets:
        if bucket.measure is measure:
            model = bucket.model and name(bucket.provider, bucket.model, bucket.day)
            days[bucket.provider, bucket.day][model] += bucket.amount
    for said in days.values():
        if len(said) > 1 and not said.get("", 0):
            said.pop("", None)
    return days


def _is_beyond(ours: int, theirs: int, tolerance_percent: int) -> bool:
    difference = abs(theirs - ours)
    allowed = max(abs(ours), abs(theirs)) * tolerance_percent
    return difference > _NO_MATTER_NANOS and difference * _PERCENT > allowed


def _name(book: Book, provider: str, model: str, day: date) -> str:
    """Say a provider's name of a model in the price book's words."""
    at = _midnight(day) + timedelta(days=1)
    for tried in (model, _DATED.sub("", model)):
        try:
            return book.find(provider, tried, at).model
        except ModelNotPriced:
            continue
    return model


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
