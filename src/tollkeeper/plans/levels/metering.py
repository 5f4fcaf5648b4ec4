"""Each full hour of a level becomes usage, exactly once: unit-hours, whole ones."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from tollkeeper.base.clock import Clock
from tollkeeper.base.ids import named_uuid
from tollkeeper.base.money import divide_up
from tollkeeper.db import Database
from tollkeeper.plans.levels import store
from tollkeeper.plans.levels.store import Level, LevelMeter

HOUR: Final = timedelta(hours=1)
# Reports may come so late; only then is an hour added up, and never again.
GRACE: Final = timedelta(minutes=5)
# What was told in time may be committed, or heard of by another's clock, a little later.
_QUIET: Final = GRACE + timedelta(minutes=1)
_MICROSECOND: Final = timedelta(microseconds=1)
# Thousandths of a unit times microseconds.
UNIT_HOUR: Final = 1000 * (HOUR // _MICROSECOND)
_MOST: Final = 500


class LevelHour(NamedTuple):
    """Whole units of a level in an hour; `began_at` is when there was a level first within it."""

    org_id: UUID
    livemode: bool
    name: str
    units: int
    began_at: datetime
    event_id: UUID


# Says of each whether it is usage now; the same id again must do nothing, and is usage as well.
Emit = Callable[[Sequence[LevelHour]], Awaitable[Sequence[bool]]]


def units_of_hour(levels: Sequence[Level], hour: datetime, carry: int) -> tuple[int, int]:
    """Add up an hour: whole unit-hours, rounded up, and the new carry.

    `levels` are the one that held when the hour began, if there was one, and those within it, in
    order. The carry is what was rounded up so far, negative; so the sum over all hours is never a
    whole unit more than the exact one.
    """
    end = hour + HOUR
    exact = 0
    for place, (since, milli) in enumerate(levels):
        until = levels[place + 1].since if place + 1 < len(levels) else end
        exact += milli * ((until - max(since, hour)) // _MICROSECOND)
    units = max(0, divide_up(exact + carry, UNIT_HOUR))
    return units, exact + carry - units * UNIT_HOUR


def hour_of(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


async def emit_due(database: Database, clock: Clock, emit: Emit) -> int:
    """Emit each hour that is over. Returns how many there were.

    What was emitted before a crash is emitted again under the same id, with the same quantity. An
    hour that cannot become usage yet waits, and the later ones of its level with it.
    """
    until = hour_of(clock.now() - _QUIET) - HOUR
    done = 0
    after: LevelMeter | None = None
    while True:
        async with database.connection() as connection:
            due = await store.due_hours(connection, until, after, _MOST)
        if not due:
            return done
        after = due[-1]
        while due:
            advanced = await _emit(database, due, emit)
            done += len(advanced)
            due = [meter for meter in advanced if meter.emitted_to <= until]


async def _emit(database: Database, due: Sequence[LevelMeter], emit: Emit) -> list[LevelMeter]:
    """Emit the next hour of each, and give those meters as they are afterwards that went on."""
    async with database.connection() as connection:
        held = [await store.levels_within(connection, meter) for meter in due]
    worked_out = [_hour_of_level(meter, levels) for meter, levels in zip(due, held, strict=True)]
    told = [hour for hour, _ in worked_out if hour.units]
    answers = await emit(told) if told else ()
    waiting = {hour.event_id for hour, is_usage in zip(told, answers, strict=True) if not is_usage}
    advanced: list[LevelMeter] = []
    async with database.connection() as connection:
        for meter, (hour, carry) in zip(due, worked_out, strict=True):
            if hour.event_id in waiting:
                continue
            # Where another process was faster, it also goes on.
            if await store.advance(connection, meter, carry):
                advanced.append(meter._replace(emitted_to=meter.emitted_to + HOUR, carry=carry))
    return advanced


def _hour_of_level(meter: LevelMeter, levels: Sequence[Level]) -> tuple[LevelHour, int]:
    hour = meter.emitted_to.astimezone(UTC)
    units, carry = units_of_hour(levels, hour, meter.carry)
    mode = "live" if meter.livemode else "test"
    began_at = max(hour, levels[0].since.astimezone(UTC)) if levels else hour
    event_id = named_uuid(meter.org_id, f"level/{mode}/{meter.name}/{hour.isoformat()}")
    return LevelHour(*meter[:3], units, began_at, event_id), carry
