"""What takes nothing of a wallet fits into one that is below zero; and what a refusal says."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from ledger_purse import NOW, Purse, findings, open_purse
from tollkeeper import ledger
from tollkeeper.base.ids import uuid7
from tollkeeper.db import Connection
from tollkeeper.ledger import ChargeOutcome, Draw, HoldOutcome, Short, store


def covered(limit: UUID, ceiling: int, units: int, covers: int | None = None, **more: Any) -> Draw:
    return Draw(
        limit_id=limit,
        ceiling=ceiling,
        amount=units,
        covers=units if covers is None else covers,
        period_start=NOW,
        livemode=True,
        **more,
    )


async def in_debt(connection: Connection) -> Purse:
    purse = await open_purse(connection)
    await ledger.settle(connection, [purse.charge(5)], NOW)
    return purse


@pytest.mark.parametrize("suppose", [True, False])
async def test_an_allowance_pays_for_who_is_in_debt(connection: Connection, suppose: bool) -> None:
    purse, allowance = await in_debt(connection), uuid7()
    draws = (covered(allowance, 9, 4),)
    wishes = [purse.hold(4, draws=draws), purse.hold(0)]
    rows = await store.hold(connection, wishes, NOW, suppose=suppose)
    assert [row[0] for row in rows] == ["placed", "placed"]
    charges = [purse.charge(4, draws=draws), purse.charge(0)]
    rows = await store.charge(connection, charges, NOW, must_fit=True, suppose=suppose)
    assert [row[0] for row in rows] == ["posted", "posted"]
    assert await purse.balance(connection) == (-5, 0)
    assert await findings(connection) == []


async def test_who_is_in_debt_gets_nothing_that_costs_credit(connection: Connection) -> None:
    purse, allowance = await in_debt(connection), uuid7()
    draws = (covered(allowance, 9, 4),)
    wishes = [purse.hold(1), purse.hold(0), purse.hold(5, draws=draws), purse.hold(4, draws=draws)]
    told = await ledger.hold(connection, wishes, NOW)
    assert [one.outcome for one in told] == ["insufficient", "placed", "insufficient", "placed"]
    charges = [purse.charge(1), purse.charge(0), purse.charge(5, draws=draws)]
    posts = await ledger.charge(connection, charges, NOW)
    assert [one.outcome for one in posts] == ["insufficient", "posted", "insufficient"]
    assert await purse.balance(connection) == (-5, 0)
    async with connection.transaction():
        await ledger.freeze(connection, *purse.address, "a dispute")
    free = [purse.hold(0), purse.hold(4, draws=draws)]
    assert {one.outcome for one in await ledger.hold(connection, free, NOW)} == {HoldOutcome.FROZEN}
    (frozen,) = await ledger.charge(connection, [purse.charge(0)], NOW)
    assert frozen.outcome is ChargeOutcome.FROZEN


async def test_what_was_too_little_is_named_and_what_would_have_done(
    connection: Connection,
) -> None:
    purse, allowance = await open_purse(connection, 3), uuid7()
    (short,) = await ledger.hold(
        connection, [purse.hold(20, draws=(covered(allowance, 10, 20),))], NOW
    )
    assert (short.outcome, short.spendable) == (HoldOutcome.INSUFFICIENT, 13)
    assert short.limits == (Short(allowance, 10, 20),)
    # No allowance helps with the five that none covers.
    (charged,) = await ledger.charge(
        connection, [purse.charge(6, draws=(covered(allowance, 10, 1),))], NOW
    )
    assert (charged.outcome, charged.spendable) == (ChargeOutcome.INSUFFICIENT, 3)
    assert charged.limits == ()
    # Credit helps with nothing that must be included, beside the two that are not.
    (whole,) = await ledger.hold(
        connection, [purse.hold(22, draws=(covered(allowance, 10, 20, whole=True),))], NOW
    )
    assert (whole.outcome, whole.spendable) == (HoldOutcome.LIMITED, 12)
    most = purse.hold(13, draws=(covered(allowance, 10, 13),))
    (placed,) = await ledger.hold(connection, [most], NOW)
    assert (placed.outcome, placed.amount) == (HoldOutcome.PLACED, 3)


async def test_an_allowance_with_room_is_not_in_the_way(connection: Connection) -> None:
    """Nor does it make a call possible for which another one is too small."""
    purse, read, written = await open_purse(connection), uuid7(), uuid7()
    draws = (covered(read, 1_000, 2), covered(written, 5, 8))
    (short,) = await ledger.hold(connection, [purse.hold(10, draws=draws)], NOW)
    assert (short.outcome, short.spendable) == (HoldOutcome.INSUFFICIENT, 7)
    assert short.limits == (Short(written, 5, 8),)
