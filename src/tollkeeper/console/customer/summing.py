"""What costs come to, as a chart and a table show them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Final

from msgspec.structs import replace

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
    in_money = asked.measure == "cost"
    for row in rows:
        sums[row.group[0]] += row.amount if in_money else row.calls
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
    amounts: defaultdict[str | None, int] = defaultdict(int)
    calls: defaultdict[str | None, int] = defaultdict(int)
    failed: defaultdict[str | None, int] = defaultdict(int)
    for row in rows:
        (value,) = row.group
        amounts[value] += row.amount
        calls[value] += row.calls
        failed[value] += row.failed or 0
    sums = amounts if asked.measure == "cost" else calls
    whole = sum(sums.values())
    groups: list[Group] = []
    for number, value in enumerate(biggest(asked, rows)):
        shown = shown_value(asked, value)
        groups.append(
            Group(
                value=value,
                label=_label(asked, names, shown),
                amount=amounts[value],
                calls=calls[value],
                failed=failed[value],
                tokens=None if tokens is None else tokens.get(value, 0),
                query=_query(asked, shown),
                key=min(number, SERIES - 1),
                share=tenth(1000 * sums[value] // whole) if whole else "0",
            )
        )
    return groups


def tenth(tenths: int) -> str:
    """Write a number that is given in tenths."""
    return f"{tenths // 10}.{tenths % 10}"


def _slots(
    asked: Asked,
    rows: Iterable[Cost],
    bounds: Sequence[datetime],
    keys: Mapping[str | None, int],
) -> list[Slot]:
    amounts: defaultdict[datetime, int] = defaultdict(int)
    calls: defaultdict[datetime, int] = defaultdict(int)
    parts: defaultdict[datetime, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    in_money = asked.measure == "cost"
    for row in rows:
        start = row.start
        amounts[start] += row.amount
        calls[start] += row.calls
        if row.group:
            parts[start][keys[row.group[0]]] += row.amount if in_money else row.calls
    return [
        Slot(start=start, end=end, amount=amounts[start], calls=calls[start], parts=parts[start])
        for start, end in pairwise(bounds)
    ]


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


def _label(asked: Asked, names: Names, shown: str | None) -> str:
    if shown is None:
        return say("analytics.nothing", what=asked.name or say(f"narrow.{asked.by}").lower())
    return names.of(asked.by, shown) or say("analytics.blank")


def shown_value(asked: Asked, value: str | None) -> str | None:
    """A value as customers know it."""
    return metering.show_value(asked.group or "", value)


def _query(asked: Asked, shown: str | None) -> dict[str, str] | None:
    """What narrows the log to it; None where two tags would have to be said."""
    if asked.by != "tag":
        return {"without": asked.by} if shown is None else {asked.by: shown}
    if "tag" in asked.said:
        return None
    if shown is None:
        return {"without": f"tag:{asked.name}"}
    return {"tag": metering.write_tag(asked.name, shown)}
