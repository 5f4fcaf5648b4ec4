"""Nanos to cents and back, or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.base.money import parse_nanos
from tollkeeper.payments import AmountNotPayable, show_minor, to_minor, to_nanos


@pytest.mark.parametrize(
    ("amount", "currency", "minor", "shown"),
    [
        ("25", "USD", 2500, "25.00 USD"),
        ("0.01", "USD", 1, "0.01 USD"),
        ("1000.5", "EUR", 100_050, "1000.50 EUR"),
        ("1200", "JPY", 1200, "1200 JPY"),
        ("999999999.99", "USD", 99_999_999_999, "999999999.99 USD"),
    ],
)
def test_whole_amounts_are_converted(amount: str, currency: str, minor: int, shown: str) -> None:
    assert to_minor(parse_nanos(amount), currency) == minor
    assert to_nanos(minor, currency) == parse_nanos(amount)
    assert show_minor(minor, currency) == shown


@pytest.mark.parametrize(
    ("amount", "currency", "said"),
    [
        ("0.005", "USD", "must be a multiple of 0.01 USD, and 0.005 is not"),
        ("25.000000001", "USD", "must be a multiple of 0.01 USD, and 25.000000001 is not"),
        ("0.5", "JPY", "must be a multiple of 1 JPY, and 0.5 is not"),
        ("0", "USD", "must be above 0"),
        ("-1", "USD", "must be above 0"),
        ("1", "DIEM", "cannot be paid in DIEM, only in USD, EUR,"),
    ],
)
def test_what_is_not_whole_is_refused(amount: str, currency: str, said: str) -> None:
    with pytest.raises(AmountNotPayable) as refused:
        to_minor(parse_nanos(amount), currency)
    assert refused.value.faults["amount"][0].startswith(said)


@given(st.integers(min_value=1, max_value=10**14), st.sampled_from(["USD", "JPY", "GBP"]))
def test_there_and_back(minor: int, currency: str) -> None:
    assert to_minor(to_nanos(minor, currency), currency) == minor


@given(st.integers(min_value=-(10**12), max_value=10**12))
def test_never_rounded(nanos: int) -> None:
    try:
        minor = to_minor(nanos, "USD")
    except AmountNotPayable:
        assert nanos <= 0 or nanos % 10_000_000
    else:
        assert minor * 10_000_000 == nanos
