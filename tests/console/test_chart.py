"""The chart's own markup: what is said in it is escaped, and its parts stand on each other."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from tollkeeper.base.money import NANOS_PER_UNIT
from tollkeeper.console.customer.analytics_view import on_axis
from tollkeeper.console.customer.chart import HEIGHT, TOP, Chart, Words, draw
from tollkeeper.console.customer.summing import Slot

DAY = datetime(2026, 11, 20, tzinfo=UTC)


def drawn(*parts: dict[int, int], lines: bool = False) -> Chart:
    slots = [
        Slot(
            start=DAY + timedelta(days=number),
            end=DAY + timedelta(days=number + 1),
            amount=sum(of.values()),
            calls=1,
            parts=of,
        )
        for number, of in enumerate(parts)
    ]
    words = Words(exact=lambda n: f'{n} <"&>', short=lambda n, _: str(n), label=lambda _: "")
    return draw(slots, [], lambda slot: slot.amount, words, lines=lines, begun=len(slots))


def test_what_words_say_is_escaped() -> None:
    for chart in (drawn({0: 5}), drawn({0: 5}, lines=True)):
        assert 'data-amount="5 &lt;&#34;&amp;&gt;"/>' in chart.bars[0].parts


def test_parts_of_a_bar_stand_on_each_other() -> None:
    chart = drawn({1: 30, 0: 50, 2: 0, 3: 20}, {})
    found = re.findall(
        r's(\d)" .*? y="([\d.]+)" height="([\d.]+)" data-key="(\d)"', chart.bars[0].parts
    )
    assert [(int(color), int(key)) for color, _, _, key in found] == [(0, 0), (1, 1), (3, 3)]
    below = float(TOP + HEIGHT)
    for _, top, height, _ in found:
        assert round(float(top) + float(height), 1) == below
        below = float(top)
    assert chart.bars[1].parts == ""
    assert chart.rises == ""


def test_a_line_leads_from_the_middle_of_each_interval_to_the_next() -> None:
    chart = drawn({0: 100}, {0: 50}, {}, {0: 100}, lines=True)
    found = re.findall(r'x1="(.*?)" y1="(.*?)" x2="(.*?)" y2="(.*?)"', chart.rises)
    middles = [bar.middle for bar in chart.bars]
    floor, half, top = chart.floor, f"{TOP + HEIGHT // 2}.0", f"{TOP}.0"
    assert found == [
        (middles[0], top, middles[1], half),
        (middles[1], half, middles[2], floor),
        (middles[2], floor, middles[3], top),
    ]


@pytest.mark.parametrize(
    ("step", "labels"),
    [
        (NANOS_PER_UNIT // 2, ["$0", "$0.50", "$1.00", "$1.50"]),
        (NANOS_PER_UNIT // 200, ["$0", "$0.005", "$0.010", "$0.015"]),
        (NANOS_PER_UNIT * 2, ["$0", "$2", "$4", "$6"]),
        (NANOS_PER_UNIT * 500, ["$0", "$500", "$1K", "$1.5K"]),
    ],
)
def test_an_axis_has_as_many_decimals_as_its_steps(step: int, labels: list[str]) -> None:
    say = on_axis("USD")
    assert [say(step * number, step) for number in range(4)] == labels
    assert on_axis("DIEM")(step, step) == labels[1].removeprefix("$")
