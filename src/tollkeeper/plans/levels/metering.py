"""Each full hour of a level becomes usage, exactly once: unit-hours, whole ones."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from tollkeeper.base.clock import Clock
from tollkeeper.base.ids import named_uuid
from tollkeeper.base.money import divide_up
from tollkeeper.db import Database
from tollkeeper.plans.levels import store
from tollkeeper.plans.levels.store import Level

HOUR: Final = timedelta(hours=1)
# Reports may come so late; only then is an hour added up, and never again.
GRACE: Final = timedelta(minutes=5)
_SECOND: Final = timedelta(seconds=1)
# Thousandths of a unit times seconds.
UNIT_HOUR: Final = 1000 * (HOUR // _SECOND)
_MOST: Final = 500

# (organization, live, name, unit-hours, hour, event id): the same id again must do nothing.
Emit = Callable[[UUID, bool, str, int, datetime, UUID], Awaitable[None]]


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
        exact += milli * ((until - max(since, hour)) // _SECOND)
    units = max(0, divide_up(exact + carry, UNIT_HOUR))
    return units, exact + carry - units * UNIT_HOUR


def hour_of(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


async def emit_due(database: Database, clock: Clock, emit: Emit) -> int:
    """Emit each hour that is over. Returns how many there were.

    What was emitted before a crash is emitted again under the same id, with the same quantity.
    """
    done = 0
    while True:
        until = hour_of(clock.now() - GRACE) - HOUR
        async with database.connection() as connection:
            due = await store.due_hours(connection, until, _MOST)
            levels = [await store.levels_within(connection, meter) for meter in due]
        for meter, held in zip(due, levels, strict=True):
            units, carry = units_of_hour(held, meter.emitted_to, meter.carry)
            if units:
                mode = "live" if meter.livemode else "test"
                said = f"level/{mode}/{meter.name}/{meter.emitted_to.astimezone(UTC).isoformat()}"
                event_id = named_uuid(meter.org_id, said)
                await emit(
                    meter.org_id, meter.livemode, meter.name, units, meter.emitted_to, event_id
                )
            async with database.connection() as connection:
                done += await store.advance(connection, meter, carry)
        if len(due) < _MOST and not any(meter.emitted_to + HOUR <= until for meter in due):
            return done
