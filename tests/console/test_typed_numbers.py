"""Numbers as people type them: what may be meant in two ways is asked about."""

from __future__ import annotations

import pytest

from tollkeeper.console.forms import Form


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("$1,000.50", "1000.50"),
        ("1,000", "1000"),
        ("12,345,678.", "12345678."),
        ("0,050", "0,050"),
        ("0,999.5", "0,999.5"),
        ("000,000", "000,000"),
        ("1,00", "1,00"),
        ("1,0000", "1,0000"),
        ("5.5", "5.5"),
    ],
)
def test_a_comma_is_of_thousands_where_it_can_be_nothing_else(typed: str, read: str) -> None:
    assert Form(values={"amount": typed}).amount("amount") == read
