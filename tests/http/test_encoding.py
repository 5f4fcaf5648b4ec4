"""Money and times, in and out of JSON, to the last digit."""

from __future__ import annotations

import json
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from tollkeeper.base.errors import InvalidRequest, NotFound
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.base.money import MAX_NANOS, Money, MoneyIn, NonNegativeMoneyIn, PositiveMoneyIn
from tollkeeper.http import JsonReader, encode_json, read_moment, read_path_id

NANOS = st.integers(-MAX_NANOS, MAX_NANOS)


class Priced(Struct, forbid_unknown_fields=True):
    any: MoneyIn
    positive: PositiveMoneyIn | None = None
    owed: list[NonNegativeMoneyIn] = []


read_priced = JsonReader(Priced)


def fault_of(text: str) -> str:
    with pytest.raises(InvalidRequest) as caught:
        read_priced(text.encode())
    ((_, sentences),) = caught.value.faults.items()
    return sentences[0]


@given(NANOS)
def test_money_goes_out_and_comes_back_exactly(nanos: int) -> None:
    written = encode_json({"any": Money(nanos)})
    assert b"e" not in written.lower().replace(b"any", b"")
    back = read_priced(written)
    assert back.any == nanos
    assert isinstance(back.any, MoneyIn)
    assert json.loads(written, parse_float=Decimal)["any"] * 10**9 == nanos


@given(
    st.decimals(
        allow_nan=False, allow_infinity=False, places=9, min_value=-(10**9), max_value=10**9
    )
)
def test_every_plain_decimal_is_read_exactly(amount: Decimal) -> None:
    assert read_priced(f'{{"any": {amount:f}}}'.encode()).any == int(amount * 10**9)


@pytest.mark.parametrize(
    "number",
    [
        "1e5",
        "1E-3",
        "0.0000000001",
        "1.0000000000",
        "3000000000",
        "-3000000000",
        "1e400",
        "9" * 400,
    ],
)
def test_what_is_no_plain_amount_is_refused(number: str) -> None:
    assert fault_of(f'{{"any": {number}}}').startswith("must be an amount such as 12.50")


@pytest.mark.parametrize("value", ['"1.5"', "true", "null", "[]", "{}"])
def test_what_is_no_number_is_refused(value: str) -> None:
    assert fault_of(f'{{"any": {value}}}').startswith("must be an amount such as 12.50")


@given(st.integers(-MAX_NANOS, 0))
def test_a_positive_amount_is_above_zero(nanos: int) -> None:
    sentence = fault_of(f'{{"any": 1, "positive": {Money(nanos)}}}')
    assert sentence == "must be an amount above 0 such as 12.50, with at most 9 decimals"


def test_amounts_in_lists_are_named_by_their_place() -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_priced(b'{"any": 1, "owed": [0, -0.5, 2, 1e1]}')
    assert set(caught.value.faults) == {"owed.1", "owed.3"}
    assert read_priced(b'{"any": -0.0, "owed": [0]}').any == 0


def test_times_go_out_in_utc_with_a_z() -> None:
    moment = datetime(2026, 1, 31, 8, 0, 0, 132, tzinfo=UTC)
    assert encode_json([moment]) == b'["2026-01-31T08:00:00.000132Z"]'


def test_moments_come_in_as_utc_or_not_at_all() -> None:
    east = timezone(timedelta(hours=14))
    read = read_moment(datetime(2026, 1, 1, tzinfo=east), "at")
    assert (read, read.tzinfo) == (datetime(2025, 12, 31, 10, tzinfo=UTC), UTC)
    for bad in (
        datetime(1, 1, 1, tzinfo=east),
        datetime.max.replace(tzinfo=UTC),
        datetime(2026, 1, 1),  # noqa: DTZ001 (that is the fault)
    ):
        with pytest.raises(InvalidRequest):
            read_moment(bad, "at")


@given(st.text())
def test_a_path_id_that_is_none_names_nothing(text: str) -> None:
    with pytest.raises(NotFound):
        read_path_id("key", text)


def test_a_path_id_is_read() -> None:
    made = uuid7()
    assert read_path_id("key", show_id("key", made)) == made
    for bad in (made.hex.upper(), str(made), f"{{{made.hex}}}", f"0x{made.hex[2:]}"):
        with pytest.raises(NotFound):
            read_path_id("key", f"key_{bad}")


class Anything(Struct, forbid_unknown_fields=True):
    text: str
    number: int
    money: MoneyIn
    deep: dict[str, list[Anything]] = {}
    maybe: Anything | None = None


read_anything = JsonReader(Anything)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
NAMES = ("text", "number", "money", "deep", "maybe", "_errors", "other")
NEARLY = st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, JSON))


@given(NEARLY | JSON)
def test_a_body_is_read_unless_there_are_faults(value: Any) -> None:
    body = json.dumps(value).encode()
    faults = read_anything.faults_of(body)
    assert all(found and all(found) for found in faults.values())
    encode_json(faults)
    with pytest.raises(InvalidRequest) if faults else nullcontext() as refused:
        read_anything(body)
    assert refused is None or refused.value.faults == faults


@given(st.binary())
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read_anything(body)


@pytest.mark.parametrize("number", ["0.5", "1e999", "-0.0", "7"])
def test_a_number_is_not_taken_for_text(number: str) -> None:
    body = f'{{"text": {number}, "number": 1, "money": 0.5}}'.encode()
    with pytest.raises(InvalidRequest) as refused:
        read_anything(body)
    assert refused.value.faults == {"text": ["must be text"]}


def test_what_cannot_be_read_is_named() -> None:
    huge = b"9" * 5_000
    with pytest.raises(InvalidRequest) as refused:
        read_anything(b'{"text": "a", "number": %s, "deep": {"a": [%s]}}' % (huge, huge))
    said = ["cannot be read: integer value out of range"]
    assert refused.value.faults == {"number": said, "deep": said}


def test_the_fast_way_and_the_thorough_way_agree() -> None:
    good = b'{"text": "a", "number": 1, "money": 0.5, "maybe": null}'
    assert read_anything.faults_of(good) == {}
    assert read_anything(good).money == 500_000_000
