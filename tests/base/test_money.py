"""Money: exact in text, and rounded in the direction that is said."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.base.money import (
    MAX_NANOS,
    Money,
    MoneyIn,
    NonNegativeMoneyIn,
    NumberText,
    PositiveMoneyIn,
    divide_half_up,
    divide_up,
    format_nanos,
    parse_nanos,
)

NANOS = st.integers(-MAX_NANOS, MAX_NANOS)


@given(NANOS)
def test_text_goes_round(nanos: int) -> None:
    text = format_nanos(nanos)
    assert parse_nanos(text) == nanos
    assert Decimal(text) * 10**9 == nanos
    assert "e" not in text.lower()
    assert not text.endswith(".")
    assert "." not in text or not text.endswith("0")


@pytest.mark.parametrize(
    ("nanos", "text"),
    [
        (0, "0"),
        (132_000, "0.000132"),
        (12_500_000_000, "12.5"),
        (-3_000_000_000, "-3"),
        (-1, "-0.000000001"),
    ],
)
def test_text(nanos: int, text: str) -> None:
    assert format_nanos(nanos) == str(Money(nanos)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        ".5",
        "5.",
        "1e3",
        "\N{FULLWIDTH DIGIT ONE}",
        "+1",
        " 1",
        "1 ",
        "1_0",
        "0.0000000001",
        "1,5",
        "NaN",
        "inf",
        "0x1",
    ],
)
def test_what_is_not_plain_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="plain decimal"):
        parse_nanos(text)


def test_the_largest_amount() -> None:
    assert parse_nanos(format_nanos(MAX_NANOS)) == MAX_NANOS
    with pytest.raises(ValueError, match="beyond the largest amount"):
        parse_nanos(format_nanos(MAX_NANOS + 1))


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**15))
def test_rounding(numerator: int, denominator: int) -> None:
    exact = Fraction(numerator, denominator)
    nearest = divide_half_up(numerator, denominator)
    assert abs(nearest - exact) <= Fraction(1, 2)
    assert abs(nearest) >= abs(exact) or abs(nearest - exact) < Fraction(1, 2)
    assert 0 <= divide_up(numerator, denominator) - exact < 1


def test_amounts_coming_in_know_their_bounds() -> None:
    assert MoneyIn.read(NumberText("-0.5")) == -500_000_000
    assert NonNegativeMoneyIn.read(0) == 0
    for kind, text in [(NonNegativeMoneyIn, "-0.000000001"), (PositiveMoneyIn, "0.0")]:
        with pytest.raises(ValueError, match="must be an amount"):
            kind.read(NumberText(text))
    for other in (True, 1.5, "1", None, Decimal(1)):
        with pytest.raises(ValueError, match="must be an amount"):
            MoneyIn.read(other)


def test_money_is_a_value() -> None:
    assert {Money(1), Money(1)} == {Money(1)}
    assert Money(1) != 1
    assert repr(Money(1_500_000_000)) == "Money(1.5)"
