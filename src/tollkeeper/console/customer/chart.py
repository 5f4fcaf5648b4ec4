"""Bars and lines as SVG: numbers for its attributes, so that a page needs no style for them.

Across they are in per cent, so that a chart fills its place at any width; down they are in pixels.
What there are hundreds of, the parts of bars and the pieces of lines, is written here, each bar's
as one text: a template takes ten times as long over so many small ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from markupsafe import Markup, escape

from tollkeeper.console.customer.summing import Slot, tenth

TOP: Final = 10
HEIGHT: Final = 232
_STEPS: Final = 4
_LABELS: Final = 8
_MANY: Final = 70
# So many points of a line are told apart.
_POINTS: Final = 70
_FLOOR: Final = (TOP + HEIGHT) * 10  # In tenths of a pixel.

Say = Callable[[int], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """`label` is written below it when `shown`; `left` to `right` is where it is drawn."""

    slot: Slot
    place: str
    width: str
    left: str
    right: str
    middle: str
    parts: Markup
    total: str
    before: str
    ghost: str | None
    label: str
    shown: bool
    spare: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    bars: Sequence[Bar]
    rises: Markup
    grid: Sequence[tuple[str, str]]
    floor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """How amounts are written, exactly and on an axis of such steps, and how intervals are."""

    exact: Say
    short: Callable[[int, int], str]
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
        rises=_rises(slots[:begun], top, len(slots)) if lines else Markup(),
        grid=[
            (_down(step * number, top), words.short(step * number, step))
            for number in range(steps + 1)
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
    left, middle = _across(number * 100 + air, count), _across(number * 100 + 50, count)
    thick = _across(100 - 2 * air, count)
    return Bar(
        slot=slot,
        place=_across(number * 100, count),
        width=_across(100, count),
        left=left,
        right=_across(number * 100 + 100 - air, count),
        middle=middle,
        parts=(
            _points(slot, top, words, middle, _radius(count))
            if lines
            else _stack(slot, top, words, left, thick)
        ),
        total=words.exact(total),
        before="" if old is None else words.exact(old),
        ghost=None if not old or lines else _down(old, top),
        label=words.label(slot) if shown else "",
        shown=shown,
        spare=number // every % 2 == 1,
    )


def _stack(slot: Slot, top: int, words: Words, left: str, thick: str) -> Markup:
    written: list[str] = []
    under = low = 0
    for key, amount in sorted(slot.parts.items()):
        if amount <= 0:
            continue
        under += amount
        high = _tall(under, top)
        written.append(
            f'<rect class="part s{key}" x="{left}" width="{thick}" y="{tenth(_FLOOR - high)}"'
            f' height="{tenth(high - low)}"{_says(key, amount, words)}/>'
        )
        low = high
    return _whole(written)


def _points(slot: Slot, top: int, words: Words, middle: str, radius: int) -> Markup:
    return _whole(
        f'<circle class="point s{key}" cx="{middle}" cy="{_down(amount, top)}" r="{radius}"'
        f"{_says(key, amount, words)}/>"
        for key, amount in sorted(slot.parts.items())
    )


def _says(key: int, amount: int, words: Words) -> str:
    return f' data-key="{key}" data-amount="{escape(words.exact(amount))}"'


def _rises(slots: Sequence[Slot], top: int, count: int) -> Markup:
    """The pieces of each line, from one interval's middle to the next one's."""
    keys = sorted({key for slot in slots for key in slot.parts})
    middles = [_across(number * 100 + 50, count) for number in range(len(slots))]
    written: list[str] = []
    for key in keys:
        tops = [_down(slot.parts.get(key, 0), top) for slot in slots]
        written += [
            f'<line class="rise s{key}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>'
            for (x1, y1), (x2, y2) in pairwise(zip(middles, tops, strict=True))
        ]
    return _whole(written)


def _whole(written: Iterable[str]) -> Markup:
    return Markup("".join(written))  # noqa: S704 (numbers and keys; what words say is escaped)


def _radius(count: int) -> int:
    return 3 if count <= _POINTS else 1


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
    return tenth(_FLOOR - _tall(amount, top))


def _across(hundredths: int, count: int) -> str:
    """In per cent, to a thousandth: `hundredths` of one of `count` places."""
    thousandths = hundredths * 1000 // count
    return f"{thousandths // 1000}.{thousandths % 1000:03d}%"
