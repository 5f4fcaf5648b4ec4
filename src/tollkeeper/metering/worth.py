"""Prices are in dollars; what a wallet of another currency pays for them is worked out here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from tollkeeper.base.money import NANOS_PER_UNIT, divide_up
from tollkeeper.pricing import Line, Rating

# More than any wallet covers, and still what a column takes.
_BEYOND: Final = 2**63 - 1


def convert(usd_nanos: int, usd_value: int) -> int:
    """Give an amount of dollars in a currency of which one unit is worth `usd_value` nanos.

    Rounded up, so that what is deducted is never worth less than the price.
    """
    if usd_value == NANOS_PER_UNIT:
        return usd_nanos
    return min(divide_up(usd_nanos * NANOS_PER_UNIT, usd_value), _BEYOND)


def worth_in(usd_nanos: int, usd_value: int) -> int:
    """The same, rounded down."""
    return usd_nanos * NANOS_PER_UNIT // usd_value


def worth_of(nanos: int, usd_value: int) -> int:
    """Give the most dollars, in nanos, that this amount of a currency pays for."""
    if usd_value == NANOS_PER_UNIT:
        return nanos
    return nanos * usd_value // NANOS_PER_UNIT


def convert_rating(rating: Rating, usd_value: int) -> Rating:
    """Give a rating with its amounts in another currency; its prices stay in dollars."""
    if usd_value == NANOS_PER_UNIT:
        return rating
    lines = convert_lines(rating.lines, usd_value)
    cost_nanos = sum(line.amount_nanos for line in lines)
    return replace(rating, cost_nanos=cost_nanos, lines=lines)


def convert_lines(lines: Sequence[Line], usd_value: int) -> tuple[Line, ...]:
    """Give lines with their amounts in another currency.

    A line is what it adds to the sum so far, rounded up: the lines add up to the whole cost
    rounded up once, which is never more than the converted hold.
    """
    converted: list[Line] = []
    dollars = paid = 0
    for line in lines:
        dollars += line.amount_nanos
        so_far = convert(dollars, usd_value)
        converted.append(replace(line, amount_nanos=so_far - paid))
        paid = so_far
    return tuple(converted)
