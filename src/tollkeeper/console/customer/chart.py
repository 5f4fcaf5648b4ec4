"""Bars and lines as SVG: numbers for its attributes, so that a page needs no style for them.

Across they are in per cent, so that a chart fills its place at any width; down they are in pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tollkeeper.console.customer.summing import Slot, tenth

TOP: Final = 10
HEIGHT: Final = 232
_STEPS: Final = 4
_LABELS: Final = 8
_MANY: Final = 70

Say = Callable[[int], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    key: int
    y: str
    height: str
    amount: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """`label` is written below it when `shown`; `left` to `right` is where it is drawn."""

    slot: Slot
    place: str
    width: str
    left: str
    right: str
    thick: str
    middle: str
    parts: Sequence[Part]
    total: str
    before: str
    ghost: str | None
    label: str
    shown: bool
    spare: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Rise:
    """A piece of a line, from one interval's middle to the next one's."""

    key: int
    x1: str
    y1: str
    x2: str
    y2: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    bars: Sequence[Bar]
    rises: Sequence[Rise]
    grid: Sequence[tuple[str, str]]
    floor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """How amounts are written, exactly and on the axis, and how intervals are."""

    exact: Say
    short: Say
    label: Callable[[Slot], str]


def draw(
    slots: Sequence[Slot],
    before: Sequence[int],
    measure: Callable[[Slot], int],
    words: Words,
    *,
    lines: bool,
    begun: int,
) -> Chart:
    """`before` are the amounts of the period before, as far as there are; lines end with the last
    interval that has begun."""
    most = max([0, *(before if not lines else ())])
    for slot in slots:
        most = max(most, *slot.parts.values(), 0) if lines else max(most, measure(slot))
    step = _nice(-(-most // _STEPS)) if most else 1
    steps = -(-most // step)
    top = step * max(steps, 1)
    bars = [
        _bar(number, slots, before, measure(slots[number]), top, words, lines=lines)
        for number in range(len(slots))
    ]
    return Chart(
        bars=bars,
        rises=_rises(slots[:begun], top, len(slots)) if lines else (),
        grid=[
            (_down(step * number, top), words.short(step * number)) for number in range(steps + 1)
        ],
        floor=_down(0, top),
    )


def _bar(
    number: int,
    slots: Sequence[Slot],
    before: Sequence[int],
    total: int,
    top: int,
    words: Words,
    *,
    lines: bool,
) -> Bar:
    count, slot = len(slots), slots[number]
    air = 14 if count < _MANY else 6
    every = -(-count // _LABELS)
    shown = number % every == every // 2
    old = before[number] if number < len(before) else None
    return Bar(
        slot=slot,
        place=_across(number * 100, count),
        width=_across(100, count),
        left=_across(number * 100 + air, count),
        right=_across(number * 100 + 100 - air, count),
        thick=_across(100 - 2 * air, count),
        middle=_across(number * 100 + 50, count),
        parts=_points(slot, top, words) if lines else _stack(slot, top, words),
        total=words.exact(total),
        before="" if old is None else words.exact(old),
        ghost=None if not old or lines else _down(old, top),
        label=words.label(slot) if shown else "",
        shown=shown,
        spare=number // every % 2 == 1,
    )


def _stack(slot: Slot, top: int, words: Words) -> list[Part]:
    parts: list[Part] = []
    under = 0
    for key, amount in sorted(slot.parts.items()):
        if amount <= 0:
            continue
        parts.append(
            Part(
                key=key,
                y=_down(under + amount, top),
                height=tenth(_tall(under + amount, top) - _tall(under, top)),
                amount=words.exact(amount),
            )
        )
        under += amount
    return parts


def _points(slot: Slot, top: int, words: Words) -> list[Part]:
    return [
        Part(key=key, y=_down(amount, top), height="0", amount=words.exact(amount))
        for key, amount in sorted(slot.parts.items())
    ]


def _rises(slots: Sequence[Slot], top: int, count: int) -> list[Rise]:
    keys = sorted({key for slot in slots for key in slot.parts})
    return [
        Rise(
            key=key,
            x1=_across(number * 100 + 50, count),
            y1=_down(slots[number].parts.get(key, 0), top),
            x2=_across(number * 100 + 150, count),
            y2=_down(slots[number + 1].parts.get(key, 0), top),
        )
        for key in keys
        for number in range(len(slots) - 1)
    ]


def _nice(least: int) -> int:
    """The smallest of 1, 2, 2.5 and 5 times a power of ten that is no less."""
    power = 1
    while True:
        for step in (power, 2 * power, 5 * power // 2, 5 * power):
            if step >= least and (power > 1 or step != 5 * power // 2):
                return step
        power *= 10


def _tall(amount: int, top: int) -> int:
    """In tenths of a pixel."""
    return amount * HEIGHT * 10 // top


def _down(amount: int, top: int) -> str:
    return tenth((TOP + HEIGHT) * 10 - _tall(amount, top))


def _across(hundredths: int, count: int) -> str:
    """In per cent, to a thousandth: `hundredths` of one of `count` places."""
    thousandths = hundredths * 1000 // count
    return f"{thousandths // 1000}.{thousandths % 1000:03d}%"
