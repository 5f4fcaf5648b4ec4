"""What costs come to, as a chart and a table show them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Final

from tollkeeper import metering
from tollkeeper.base.money import Money
from tollkeeper.console.customer.analytics_asked import Asked
from tollkeeper.console.customer.naming import Names
from tollkeeper.console.rendering import say
from tollkeeper.metering import Cost
from tollkeeper.pricing import TOKENS

SERIES: Final = 8
_THOUSAND: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What the calls of one value came to. `query` narrows the log to them; `key` is its colour."""

    value: str | None
    label: str
    amount: int
    calls: int
    failed: int
    tokens: int | None
    query: Mapping[str, str] | None
    key: int
    share: str

    @property
    def cost(self) -> Money:
        return Money(self.amount)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """What the calls of an interval came to: in all, and by the key of its series."""

    start: datetime
    end: datetime
    amount: int
    calls: int
    parts: Mapping[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    amount: int
    calls: int
    tokens: int | None

    @property
    def cost(self) -> Money:
        return Money(self.amount)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    groups: Sequence[Group]
    slots: Sequence[Slot]
    before: Sequence[Slot]
    total: Total
    total_before: Total | None

    @property
    def series(self) -> list[tuple[int, str, Mapping[str, str] | None]]:
        """The key, the name and the query of each; the last may stand for all that are left."""
        if len(self.groups) <= SERIES:
            return [(one.key, one.label, one.query) for one in self.groups]
        own = [(one.key, one.label, one.query) for one in self.groups[: SERIES - 1]]
        return [*own, (SERIES - 1, say("analytics.other"), None)]


def sum_up(
    asked: Asked,
    names: Names,
    rows: Sequence[Cost],
    before: Sequence[Cost],
    tokens: tuple[Sequence[Cost], Sequence[Cost]] | None,
    until: datetime,
    parts: Sequence[Cost] | None = None,
) -> Summary:
    """`tokens` are costs by SKU, of the time and of the one before it, which ends at `until`.

    `parts` are the costs of the intervals, where `rows` are of the whole time.
    """
    groups = _groups(asked, names, rows, None if tokens is None else _by_value(tokens[0]))
    keys = {one.value: one.key for one in groups}
    bounds = [*metering.starts(asked.each, asked.zone, asked.start, asked.end), asked.end]
    since = asked.before_until(until)[0]
    bounds_before = [*metering.starts(asked.each, asked.zone, since, asked.start), asked.start]
    used = [None if tokens is None else sum(_by_value(tokens[n]).values()) for n in (0, 1)]
    return Summary(
        groups=groups,
        slots=_slots(asked, rows if parts is None else parts, bounds, keys),
        before=_slots(asked, before, bounds_before, {}) if asked.compares else (),
        total=_total(rows, used[0]),
        total_before=_total(before, used[1]) if asked.compares else None,
    )


def biggest(asked: Asked, rows: Iterable[Cost]) -> list[str | None]:
    """The values of the group, that of which there was most first."""
    sums: defaultdict[str | None, int] = defaultdict(int)
    for row in rows:
        sums[row.group[0]] += _measured(asked, row)
    return sorted(sums, key=lambda value: (-sums[value], value is None, value or ""))


def with_rest(rows: Sequence[Cost], totals: Sequence[Cost], rest: str | None) -> list[Cost]:
    """Add to each interval what its total has beyond its rows, as costs of `rest`."""
    found: defaultdict[datetime, list[Cost]] = defaultdict(list)
    for row in rows:
        found[row.start].append(row)
    left = [
        replace(
            total,
            group=(rest,),
            calls=total.calls - sum(row.calls for row in found[total.start]),
            amount=total.amount - sum(row.amount for row in found[total.start]),
        )
        for total in totals
    ]
    return [*rows, *left]


def say_change(now: int | None, before: int | None) -> str:
    """In percent, to one decimal; nothing where nothing can be compared."""
    if now is None or not before:
        return ""
    tenths, sign = (
        abs(now - before) * _THOUSAND // before,
        "+" if now >= before else "\N{MINUS SIGN}",
    )
    return f"{sign}{tenths // 10:,}.{tenths % 10} %"


def _groups(
    asked: Asked, names: Names, rows: Sequence[Cost], tokens: Mapping[str | None, int] | None
) -> list[Group]:
    found: defaultdict[str | None, list[Cost]] = defaultdict(list)
    for row in rows:
        found[row.group[0]].append(row)
    sums = {value: sum(_measured(asked, row) for row in of) for value, of in found.items()}
    ordered = biggest(asked, rows)
    whole = sum(sums.values())
    return [
        Group(
            value=value,
            label=_label(asked, names, value),
            amount=sum(row.amount for row in found[value]),
            calls=sum(row.calls for row in found[value]),
            failed=sum(row.failed or 0 for row in found[value]),
            tokens=None if tokens is None else tokens.get(value, 0),
            query=_query(asked, value),
            key=min(number, SERIES - 1),
            share=tenth(1000 * sums[value] // whole) if whole else "0",
        )
        for number, value in enumerate(ordered)
    ]


def tenth(tenths: int) -> str:
    """Write a number that is given in tenths."""
    return f"{tenths // 10}.{tenths % 10}"


def _measured(asked: Asked, row: Cost) -> int:
    return row.amount if asked.measure == "cost" else row.calls


def _slots(
    asked: Asked,
    rows: Iterable[Cost],
    bounds: Sequence[datetime],
    keys: Mapping[str | None, int],
) -> list[Slot]:
    by_start: defaultdict[datetime, list[Cost]] = defaultdict(list)
    for row in rows:
        by_start[row.start].append(row)
    slots: list[Slot] = []
    for start, end in pairwise(bounds):
        parts: defaultdict[int, int] = defaultdict(int)
        for row in by_start[start]:
            if row.group:
                parts[keys[row.group[0]]] += _measured(asked, row)
        slots.append(
            Slot(
                start=start,
                end=end,
                amount=sum(row.amount for row in by_start[start]),
                calls=sum(row.calls for row in by_start[start]),
                parts=parts,
            )
        )
    return slots


def _total(rows: Iterable[Cost], tokens: int | None) -> Total:
    pairs = [(row.amount, row.calls) for row in rows]
    return Total(
        amount=sum(amount for amount, _ in pairs),
        calls=sum(calls for _, calls in pairs),
        tokens=tokens,
    )


def _by_value(rows: Iterable[Cost]) -> dict[str | None, int]:
    """Tokens by the first group's value, where there is one beside the SKU."""
    found: defaultdict[str | None, Decimal] = defaultdict(Decimal)
    for row in rows:
        if row.unit in TOKENS and row.quantity is not None:
            found[row.group[0] if len(row.group) > 1 else None] += row.quantity
    return {value: int(quantity) for value, quantity in found.items()}


def _label(asked: Asked, names: Names, value: str | None) -> str:
    if value is None:
        return say("analytics.nothing", what=asked.name or say(f"narrow.{asked.by}").lower())
    return names.of(asked.by, shown_value(asked, value) or "") or say("analytics.blank")


def shown_value(asked: Asked, value: str | None) -> str | None:
    """A value as customers know it."""
    return metering.show_value(asked.group or "", value)


def _query(asked: Asked, value: str | None) -> dict[str, str] | None:
    """What narrows the log to it; None where two tags would have to be said."""
    if asked.by != "tag":
        shown = shown_value(asked, value)
        return {"without": asked.by} if shown is None else {asked.by: shown}
    if "tag" in asked.said:
        return None
    return {"without": f"tag:{asked.name}"} if value is None else {"tag": f"{asked.name}:{value}"}
