"""Cursors go where they came from, and nothing else opens."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tollkeeper.base.errors import InvalidRequest
from tollkeeper.http import Cursors, page_of

CURSORS = Cursors(b"s" * 32)
MOMENTS = st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 (hypothesis adds the zone)
POSITIONS = st.tuples(MOMENTS, st.uuids(), st.integers(-(2**63), 2**63 - 1), st.text())
FILTERS = st.lists(
    st.none() | st.text() | st.integers(-(2**63), 2**63 - 1) | st.uuids(), max_size=4
)
Position = tuple[datetime, UUID, int, str]


@given(FILTERS, POSITIONS)
def test_a_cursor_opens_where_it_was_sealed(bound: list[Any], position: Position) -> None:
    sealed = CURSORS.seal(bound, position)
    assert sealed.isascii()
    assert "=" not in sealed
    assert CURSORS.open(bound, sealed, Position) == position


@given(FILTERS, FILTERS, st.uuids())
def test_a_cursor_opens_with_the_same_filters_only(
    bound: list[Any], other: list[Any], position: UUID
) -> None:
    assume([str(part) for part in bound] != [str(part) for part in other])
    sealed = CURSORS.seal(bound, [position])
    with pytest.raises(InvalidRequest) as caught:
        CURSORS.after(other, sealed)
    assert set(caught.value.faults) == {"cursor"}


@given(st.uuids(), st.integers(0, 10**6), st.characters())
def test_a_changed_cursor_does_not_open(position: UUID, place: int, put: str) -> None:
    sealed = CURSORS.seal(["keys"], [position])
    place %= len(sealed)
    changed = sealed[:place] + put + sealed[place + 1 :]
    assume(changed != sealed)
    for text in (changed, sealed[:place], sealed + put, put + sealed):
        with pytest.raises(InvalidRequest):
            CURSORS.after(["keys"], text)


@given(st.text())
def test_any_text_is_no_cursor(text: str) -> None:
    with pytest.raises(InvalidRequest):
        CURSORS.after(["keys"], text)


def test_another_installation_does_not_open_it() -> None:
    sealed = CURSORS.seal(["keys"], [UUID(int=7)])
    with pytest.raises(InvalidRequest):
        Cursors(b"t" * 32).after(["keys"], sealed)


@given(st.lists(st.integers(), max_size=30), st.integers(1, 10))
def test_pages_hold_every_row_once(rows: list[int], limit: int) -> None:
    seen: list[int] = []
    start = 0
    while True:
        page = page_of(rows[start : start + limit + 1], limit, lambda row: row, str)
        seen += page.data
        start += limit
        if page.next_cursor is None:
            break
        assert len(page.data) == limit
    assert seen == rows
