"""Burn rate, the day credit ends, and what counts as a spike: by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tollkeeper.metering.analytics.burning import (
    Burn,
    Spike,
    burn_rate,
    credit_ends,
    find_spike,
    hours_until,
)

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
DAY = timedelta(days=1)


def test_the_newest_day_weighs_most() -> None:
    assert burn_rate([0] * 7) is None
    assert burn_rate([28, 28, 28, 28, 28, 28, 28]) == Burn(28, 28, 28)
    assert burn_rate([0, 0, 0, 0, 0, 0, 28]) == Burn(28, 28, 28), "days before the first are none"
    # (6 x 13 + 7 x 26) / 13 = 20; the days lie 7 and 6 from it: (6 x 7 + 7 x 6) / 13 = 6.46
    assert burn_rate([0, 0, 0, 0, 0, 13, 26]) == Burn(20, 14, 26)
    assert burn_rate([700, 0, 0, 0, 0, 0, 0]) == Burn(25, 0, 73)


def test_credit_ends_where_it_is_used_up_or_expires() -> None:
    assert credit_ends([(100, None)], 10, NOW) == NOW + 10 * DAY
    assert credit_ends([(5, None)], 10, NOW) == NOW + DAY / 2
    assert credit_ends([(100, NOW + 2 * DAY), (30, None)], 10, NOW) == NOW + 5 * DAY
    assert credit_ends([(20, NOW + 9 * DAY), (30, NOW + 1 * DAY)], 10, NOW) == NOW + 2 * DAY
    assert credit_ends([(20, None)], 0, NOW) is None
    assert credit_ends([(20, NOW + DAY)], 0, NOW) == NOW + DAY
    assert credit_ends([(2**61, None)], 1, NOW) is None
    assert credit_ends([(2**61, NOW + DAY), (10, None)], 10, NOW) == NOW + 2 * DAY


def test_credit_that_lasts_a_century_has_no_end_however_many_lots_it_is_in() -> None:
    years = 60 * 365
    assert credit_ends([(years, None)], 1, NOW) == NOW + years * DAY
    assert credit_ends([(years, None)] * 2, 1, NOW) is None
    assert credit_ends([(years, None)] * 200, 1, NOW) is None
    assert credit_ends([(10, NOW + 2 * years * DAY)], 0, NOW) is None
    assert credit_ends([(years, None), (years, NOW + 3 * years * DAY)], 1, NOW) is None


def test_a_spike_is_far_above_what_is_usual() -> None:
    end = hours_until(NOW, 8)[-1]
    assert end == datetime(2026, 11, 20, 13, tzinfo=UTC)
    day = [0] * 20 + [10, 50, 30, 10]
    usual, zero = day * 7, [0] * 24
    assert find_spike(usual + day, end, 3, 1) is None
    assert find_spike([*usual, *zero[:-1], 151], end, 3, 1) == Spike(
        151, 50, end - timedelta(hours=1), end
    )
    assert find_spike([*usual, *zero[:-1], 150], end, 3, 1) is None
    assert find_spike([*usual, *zero[:-1], 151], end, 3, 102) is None, "not by enough"
    assert find_spike([*usual, *([100] * 4), *zero[4:]], end, 3, 1) == Spike(
        400, 100, end - DAY, end
    )
    assert find_spike([*usual, *([99] * 3), *zero[3:]], end, 3, 1) is None
    wild = day * 3 + [9999] * 24 + day * 3
    assert find_spike([*wild, *([100] * 4), *zero[4:]], end, 3, 1) is not None
    assert find_spike(zero * 5 + day * 2 + [900] * 24, end, 3, 1) is None, "no usual yet"
