"""Margins and comparisons as they are shown."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Final, get_args
from uuid import UUID

from msgspec import Struct

from tollkeeper.base.ids import show_id
from tollkeeper.base.money import Money, divide_half_up
from tollkeeper.base.settings import Settings
from tollkeeper.db import Database
from tollkeeper.margins.adding import Source, margins
from tollkeeper.margins.model import Comparison, Grouping, Margin, Part, Window

GROUPINGS: Final[tuple[Grouping, ...]] = get_args(Grouping)
# What provider and price book may differ by before it is worth a look.
TOLERANCE_PERCENT: Final = 5

_SANDBOX: Final = "sandbox"
_USUAL_DAYS: Final = 30
# A hundredth of a percent.
_STEP_NANOS: Final = 10_000_000

_KEYS: Final[dict[Grouping, Callable[[Part], str]]] = {
    "organization": lambda part: show_id("org", part.org_id),
    "model": lambda part: part.model if not part.provider else f"{part.provider}/{part.model}",
    "provider": lambda part: part.provider,
    "day": lambda part: part.day.isoformat(),
}


class MarginOut(Struct, frozen=True, kw_only=True, rename="camel"):
    """`margin` is `charged` less `unknownCharged` less `cost`: of calls whose cost is known.
    `marginPercent` is its share in what those were charged, `unknownPercent` the share of
    `unknownCharged` in `charged`; both are null where there is nothing to be a share of.
    """

    key: str
    calls: int
    charged: Money
    cost: Money
    margin: Money
    margin_percent: Money | None
    unknown_calls: int
    unknown_charged: Money
    unknown_percent: Money | None

    @classmethod
    def of(cls, key: str, found: Margin) -> MarginOut:
        return cls(
            key=key,
            calls=found.calls,
            charged=Money(found.charged),
            cost=Money(found.cost),
            margin=Money(found.margin),
            margin_percent=_percent(found.margin, found.charged - found.unknown_charged),
            unknown_calls=found.unknown_calls,
            unknown_charged=Money(found.unknown_charged),
            unknown_percent=_percent(found.unknown_charged, found.charged),
        )


class ComparisonOut(Struct, frozen=True, kw_only=True, rename="camel"):
    """`difference` is `theirs` less `ours`, `differencePercent` its share in `theirs`."""

    day: date
    provider: str
    model: str
    ours: Money
    theirs: Money
    difference: Money
    difference_percent: Money | None
    tokens_ours: int
    tokens_theirs: int | None
    beyond_tolerance: bool

    @classmethod
    def of(cls, found: Comparison) -> ComparisonOut:
        return cls(
            day=found.day,
            provider=found.provider,
            model=found.model,
            ours=Money(found.ours),
            theirs=Money(found.theirs),
            difference=Money(found.difference),
            difference_percent=_percent(found.difference, found.theirs),
            tokens_ours=found.tokens_ours,
            tokens_theirs=found.tokens_theirs,
            beyond_tolerance=found.beyond,
        )


def source_of(settings: Settings, database: Database) -> Source:
    simulated = (name for name, said in settings.providers.items() if said.kind == _SANDBOX)
    return Source(
        database=database,
        # A call is recorded at its end, an event at the latest when it is not taken any more.
        late=timedelta(days=settings.metering.late_limit_days + 1),
        free=(_SANDBOX, *simulated),
    )


async def report(
    source: Source, window: Window, group_by: Grouping, org_id: UUID | None = None
) -> tuple[list[MarginOut], MarginOut]:
    """Return a row per key, by key, and the total of them all."""
    found = await margins(source, window, _KEYS[group_by], org_id)
    total = Margin()
    for margin in found.values():
        total.calls += margin.calls
        total.charged += margin.charged
        total.cost += margin.cost
        total.unknown_calls += margin.unknown_calls
        total.unknown_charged += margin.unknown_charged
    rows = [MarginOut.of(key, found[key]) for key in sorted(found)]
    return rows, MarginOut.of("total", total)


def days_before(now: datetime) -> tuple[date, date]:
    """The thirty days of UTC before today."""
    today = now.astimezone(UTC).date()
    return today - timedelta(days=_USUAL_DAYS), today


def _percent(part: int, whole: int) -> Money | None:
    if whole == 0:
        return None
    sign = 1 if whole > 0 else -1
    return Money(divide_half_up(sign * part * 10_000, abs(whole)) * _STEP_NANOS)
