"""CSV that says the same as JSON, and that no spreadsheet runs."""

from __future__ import annotations

import csv
import io
import resource
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, date, datetime
from enum import StrEnum
from uuid import UUID

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from tollkeeper.base.money import Money
from tollkeeper.http import encode_rows, stream_rows, wants_csv

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


class Tag(Struct, rename="camel"):
    first_name: str
    of: list[int]


class Kind(StrEnum):
    ADMIN = "ADMIN"


@pytest.mark.parametrize(
    ("accept", "csv_wanted"),
    [
        (None, False),
        ("", False),
        ("*/*", False),
        ("text/csv", True),
        ("TEXT/CSV", True),
        ("text/*", True),
        ("text/csv; charset=utf-8", True),
        ("application/json, text/csv", False),
        ("text/csv, application/json;q=0.9", True),
        ("text/csv;q=0.5, application/json", False),
        ("text/csv;q=0.5, */*;q=0.1", True),
        ("text/csv;q=0", False),
        ("text/csv;q=nonsense", False),
        ("text/html,application/xhtml+xml,*/*;q=0.8", False),
        ("text/*;q=0.3, text/csv;q=0, */*;q=0.1", False),
        (";;,,q=1", False),
    ],
)
def test_accept_is_weighed(accept: str | None, csv_wanted: bool) -> None:
    assert wants_csv(accept) is csv_wanted


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("plain", "plain"),
        ("=1+1", "'=1+1"),
        ("+1 800", "'+1 800"),
        ("-0.5", "-0.5"),
        ("+7", "+7"),
        ("-1e5", "'-1e5"),
        ("-", "'-"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("\n=x", "'\n=x"),
        (Money(-132_000), "-0.000132"),
        (-7, "-7"),
        (None, ""),
        (True, "true"),
        (Kind.ADMIN, "ADMIN"),
        (datetime(2026, 1, 31, 8, tzinfo=UTC), "2026-01-31T08:00:00Z"),
        (date(2026, 1, 31), "2026-01-31"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ({"=": "-", "no": None}, '{"=":"-","no":null}'),
        ([Kind.ADMIN, 'a"b'], '["ADMIN","a\\"b"]'),
        ([], "[]"),
        (
            (Money(500_000_000), datetime(2026, 1, 31, 8, tzinfo=UTC)),
            '[0.5,"2026-01-31T08:00:00Z"]',
        ),
        (Tag(first_name="a", of=[1]), '{"firstName":"a","of":[1]}'),
    ],
)
def test_cells(value: object, cell: str) -> None:
    assert next(csv.reader(io.StringIO(encode_rows([[value]]).decode(), newline=""))) == [cell]


@given(st.lists(st.lists(TEXT, min_size=2, max_size=2), max_size=20))
def test_no_cell_is_a_formula_and_no_text_is_lost(rows: list[list[str]]) -> None:
    written = encode_rows(rows, ["a", "b"]).decode()
    heading, *read = list(csv.reader(io.StringIO(written, newline="")))
    assert heading == ["a", "b"]
    assert len(read) == len(rows)
    for row, given_row in zip(read, rows, strict=True):
        for cell, text in zip(row, given_row, strict=True):
            assert cell in (text, "'" + text)
            assert cell[:1] not in set("=+-@\t\r\n") or float(cell) == float(text)


ROWS: list[list[object]] = [
    [
        datetime(2026, 1, 31, 8, 0, number, tzinfo=UTC),
        "gpt-5-llm-output-mtoken",
        Money(132_000 + number),
        Money(10_000_000_000),
        Money(-1_320_000),
        "USD",
        "API inference",
        f"req_{number:032x}",
        900 + number,
        1200,
        350,
    ]
    for number in range(50)
]


async def batches(count: int) -> AsyncIterator[Iterable[Sequence[object]]]:
    for _ in range(count // 500):
        yield ROWS * 10


async def test_fifty_thousand_rows_a_second_in_constant_memory() -> None:
    count, size, largest = 100_000, 0, 0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    async for chunk in stream_rows([str(number) for number in range(11)], batches(count)):
        size += len(chunk)
        largest = max(largest, len(chunk))
    rate = count / (time.process_time() - began)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert size > 10_000_000
    assert largest < 256 * 1024
    assert grown < 4 * 1024
    assert rate > 50_000


async def test_a_list_is_the_same_as_csv(client: aiohttp.ClientSession) -> None:
    async with client.get("toys?limit=2", headers={"accept": "text/csv"}) as response:
        assert response.status == 200
        assert response.headers["content-type"] == "text/csv; charset=utf-8"
        assert response.headers["content-disposition"] == "attachment; filename=toys.csv"
        assert response.headers["x-next-cursor"] == "more"
        assert await response.text() == (
            "name,price,madeAt,secret\r\n'=toy 1,-0.000000001,,\r\n'=toy 2,-0.000000002,,\r\n"
        )
    async with client.get("toys?limit=1") as response:
        assert await response.text() == (
            '{"data":[{"name":"=toy 1","price":-0.000000001,"madeAt":null,"secret":null}],'
            '"nextCursor":"more"}'
        )


async def test_an_export_is_streamed(client: aiohttp.ClientSession) -> None:
    async with client.get("toys.csv") as response:
        assert response.status == 200
        assert "content-length" not in response.headers
        assert response.headers["content-disposition"] == "attachment; filename=all_toys.csv"
        assert response.headers["x-count"] == "20000"
        assert response.headers["x-request-id"].startswith("req_")
        lines = (await response.text()).splitlines()
    assert lines[0] == "number,name"
    assert lines[-1] == "19999,toy 19999"
    assert len(lines) == 20_001
