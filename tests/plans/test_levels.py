"""Levels become unit-hours: exact over time, whole each hour, each hour once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper import orgs
from tollkeeper.base.clock import MovableClock
from tollkeeper.base.errors import InvalidRequest
from tollkeeper.base.ids import uuid7
from tollkeeper.db import Database
from tollkeeper.plans.levels import Level, LevelHour, emit_due, report_level, units_of_hour
from tollkeeper.plans.levels.metering import UNIT_HOUR

NOON = datetime(2027, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def moment(said: tuple[int, int]) -> int:
    return said[0]


def test_an_hour_is_added_up_by_its_seconds() -> None:
    changes = [Level(NOON - HOUR, 12_500), Level(NOON + HOUR / 2, 20_000)]
    units, carry = units_of_hour(changes, NOON, 0)
    assert units == 17  # 16.25, and three quarters charged ahead
    assert carry == -(3 * UNIT_HOUR) // 4
    assert units_of_hour([Level(NOON, 12_500)], NOON, carry)[0] == 12


@given(
    st.lists(
        st.tuples(st.integers(0, 6 * 3600), st.integers(0, 10**6)), min_size=1, unique_by=moment
    )
)
def test_the_sum_is_exact_to_less_than_one_unit(said: Sequence[tuple[int, int]]) -> None:
    levels = [Level(NOON + timedelta(seconds=at), milli) for at, milli in sorted(said)]
    end, total, carry = NOON + 7 * HOUR, 0, 0
    for number in range(7):
        hour = NOON + number * HOUR
        before = [one for one in levels if one.since <= hour][-1:]
        within = [one for one in levels if hour < one.since < hour + HOUR]
        units, carry = units_of_hour([*before, *within], hour, carry)
        total += units
    ends = [one.since for one in levels[1:]] + [end]
    exact = sum(
        one.milli * ((until - one.since) // timedelta(microseconds=1))
        for one, until in zip(levels, ends, strict=True)
    )
    assert exact <= total * UNIT_HOUR < exact + UNIT_HOUR


async def test_each_hour_is_emitted_once_whatever_is_killed(database: Database) -> None:
    clock = MovableClock(NOON + timedelta(minutes=10))
    emitted: dict[UUID, tuple[str, int, datetime]] = {}
    falls = True

    async def emit(hours: Sequence[LevelHour]) -> list[bool]:
        for hour in hours:
            said = (hour.name, hour.units, hour.began_at)
            assert emitted.setdefault(hour.event_id, said) == said
        if falls:
            raise RuntimeError("killed")
        return [True] * len(hours)

    async with database.transaction() as tx:
        org = (await orgs.create_org(tx, org_id=uuid7(), name="o", now=NOON)).org_id
        for _ in range(2):
            await report_level(
                tx, (org, True), "storage_gb_hours", 12_500, since=NOON, now=clock.now()
            )
    assert await emit_due(database, clock, emit) == 0
    clock.advance(HOUR + timedelta(minutes=-6))
    assert await emit_due(database, clock, emit) == 0
    clock.advance(2 * HOUR + timedelta(minutes=2))
    with pytest.raises(RuntimeError):
        await emit_due(database, clock, emit)
    falls = False
    assert await emit_due(database, clock, emit) == 3
    assert [(units, hour) for _, units, hour in emitted.values()] == [
        (13, NOON),
        (12, NOON + HOUR),
        (13, NOON + 2 * HOUR),
    ]
    assert await emit_due(database, clock, emit) == 0
    async with database.transaction() as tx:
        with pytest.raises(InvalidRequest):
            await report_level(
                tx, (org, True), "storage_gb_hours", 1, since=NOON + HOUR, now=clock.now()
            )
