"""Calls that run over the end of a period: what they reserved is of the one in which they began."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from ledger_purse import NOW, Purse, findings, open_purse
from tollkeeper import ledger
from tollkeeper.base.ids import uuid7
from tollkeeper.db import Connection
from tollkeeper.ledger import Draw, HoldOutcome, NewHold, store

TOMORROW = NOW + timedelta(days=1)
# First supposed to have room, or weighed at once.
SUPPOSE = pytest.mark.parametrize("suppose", [True, False])


def draw(limit: UUID, ceiling: int, amount: int | None = 1, **more: Any) -> tuple[Draw, ...]:
    given: dict[str, Any] = {"period_start": NOW, "livemode": True, **more}
    return (Draw(limit_id=limit, ceiling=ceiling, amount=amount, **given),)


async def counted(connection: Connection, limit: UUID) -> tuple[datetime, int, int]:
    cursor = await connection.execute(
        "SELECT period_start, used, held FROM counter WHERE limit_id = %s", (limit,)
    )
    (row,) = await cursor.fetchall()
    return row


async def begin(connection: Connection, *wishes: NewHold) -> None:
    told = await ledger.hold(connection, wishes, NOW)
    assert {one.outcome for one in told} == {HoldOutcome.PLACED}


async def end(
    connection: Connection, purse: Purse, wish: NewHold, cost: int, *, suppose: bool
) -> tuple[str, int]:
    """Settle a call as what it was held for; settlements name the period of their beginning."""
    settlement = purse.settlement(wish, cost, draws=wish.draws)
    (row,) = await store.charge(connection, [settlement], NOW, must_fit=False, suppose=suppose)
    return row[0], row[1]


@SUPPOSE
async def test_a_call_is_not_counted_in_the_period_after_its_own(
    connection: Connection, suppose: bool
) -> None:
    purse, rate = await open_purse(connection, 100), uuid7()
    old = purse.hold(5, draws=draw(rate, 2))
    await begin(connection, old)
    await begin(connection, purse.hold(5, draws=draw(rate, 2, period_start=TOMORROW)))
    assert await end(connection, purse, old, 3, suppose=suppose) == ("posted", 3)
    assert await counted(connection, rate) == (TOMORROW, 0, 1)
    # The other call of the new period has its place.
    await begin(connection, purse.hold(5, draws=draw(rate, 2, period_start=TOMORROW)))
    assert await findings(connection) == []


@SUPPOSE
async def test_what_a_call_costs_is_not_taken_from_tomorrow(
    connection: Connection, suppose: bool
) -> None:
    purse, budget = await open_purse(connection, 100), uuid7()
    old = purse.hold(6, draws=draw(budget, 10, None))
    await begin(connection, old)
    await begin(connection, purse.hold(4, draws=draw(budget, 10, None, period_start=TOMORROW)))
    assert await end(connection, purse, old, 5, suppose=suppose) == ("posted", 5)
    assert await counted(connection, budget) == (TOMORROW, 0, 4)


@SUPPOSE
async def test_what_was_reserved_of_an_allowance_pays_after_its_cycle(
    connection: Connection, suppose: bool
) -> None:
    """Without credit, and with room in the new cycle for one more only."""
    purse, allowance = await open_purse(connection), uuid7()
    first, second = (purse.hold(7, draws=draw(allowance, 2, covers=7)) for _ in range(2))
    await begin(connection, first, second)
    new = purse.hold(7, draws=draw(allowance, 2, covers=7, period_start=TOMORROW))
    await begin(connection, new)
    assert await end(connection, purse, first, 7, suppose=suppose) == ("posted", 0)
    assert await counted(connection, allowance) == (TOMORROW, 0, 1)
    await begin(connection, purse.hold(7, draws=new.draws))
    told = await ledger.settle(connection, [purse.settlement(second, 7, draws=second.draws)], NOW)
    assert [one.amount for one in told] == [0]
    assert await counted(connection, allowance) == (TOMORROW, 0, 2)
    assert await purse.balance(connection) == (0, 0)
    assert await findings(connection) == []


async def test_beyond_what_was_reserved_the_running_cycle_pays(connection: Connection) -> None:
    purse, allowance = await open_purse(connection, 100), uuid7()
    old = purse.hold(20, draws=draw(allowance, 4, 10, covers=20))
    await begin(connection, old)
    later = draw(allowance, 4, covers=2, period_start=TOMORROW)
    await begin(connection, purse.hold(2, draws=later))
    # Four units are of the cycle that is over, three of this one, and one is paid.
    done = purse.settlement(old, 16, draws=draw(allowance, 4, 8, covers=16))
    (settled,) = await ledger.settle(connection, [done], NOW)
    assert settled.amount == 2
    assert await counted(connection, allowance) == (TOMORROW, 3, 1)


@SUPPOSE
async def test_a_batch_on_both_sides_of_midnight(connection: Connection, suppose: bool) -> None:
    """The row is taken over by the batch itself in which the old call is settled."""
    purse, rate = await open_purse(connection, 100), uuid7()
    old = purse.hold(5, draws=draw(rate, 9))
    await begin(connection, old)
    batch = [
        purse.settlement(old, 3, draws=old.draws),
        purse.charge(1, draws=draw(rate, 9, period_start=TOMORROW)),
    ]
    rows = await store.charge(connection, batch, NOW, must_fit=False, suppose=suppose)
    assert [row[0] for row in rows] == ["posted", "posted"]
    assert await counted(connection, rate) == (TOMORROW, 1, 0)
