"""What is worked out from a price version once, so that every call only looks it up."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from typing import NamedTuple

from tollkeeper.pricing.units import Quantity


class Row(NamedTuple):
    """`numerator / denominator` is the exact charge in nanos for one unit, mark-up included."""

    sku: str
    per: int
    list_nanos: int
    price_nanos: int
    numerator: int
    denominator: int


class Sheet(NamedTuple):
    """`rows[i]` holds between the cliffs `thresholds[i - 1]` and `thresholds[i]`."""

    thresholds: tuple[int, ...]
    rows: tuple[dict[str, Row], ...]

    def rows_at(self, input_tokens: Quantity) -> dict[str, Row]:
        return self.rows[bisect_left(self.thresholds, input_tokens)]


class Dearest(NamedTuple):
    """The dearest bucket in reach of a bound, and how many lines its tokens could become."""

    price: int
    lines: int


class Step(NamedTuple):
    """Prices, over one denominator, that can hold for more than `threshold` input tokens."""

    threshold: int
    prices: Mapping[str, Dearest]


class Ceiling(NamedTuple):
    denominator: int
    steps: tuple[Step, ...]
