"""Numbers as people type them: what may be meant in two ways is asked about."""

from __future__ import annotations

import re
from html import unescape
from typing import Final

import pytest
from browsing import signed_in

from tollkeeper.console.forms import Form
from whole import Customer, Whole

_FAULT: Final = re.compile(r'id="\w+-fault"[^>]*>([^<]*)<')


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


async def test_what_is_no_number_is_said_beside_its_field(whole: Whole, customer: Customer) -> None:
    fields = {"name": "x", "measure": "cost", "period": "month", "timeZone": "UTC"}
    async with signed_in(whole, customer) as one:
        token = (await one.open("/console/limits/new")).form_token
        said: list[tuple[int, str]] = []
        for amount, percent in (
            ("5'000", "0"),
            ("5\"000'", "0"),
            ("5", "9" * 5_000),
            ("5", "٣"),
            ("9" * 5_000, "0"),
        ):
            sent = fields | {"amount": amount, "tolerancePercent": percent}
            page = await one.submit("/console/limits", form_token=token, **sent)
            said.append((page.status, unescape("".join(_FAULT.findall(page.text)))))
    amounts = "Must be 0 or more: USD such as 12.50, or a whole number of tokens or requests."
    percents = "Must be a whole number from 0 to 100."
    assert said == [
        (400, amounts),
        (400, amounts),
        (400, percents),
        (400, percents),
        (400, amounts),
    ]
