"""Where limits have room, all is decided at once; where not, call by call, with the same words."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from msgspec import Raw
from msgspec.structs import replace
from psycopg.errors import DivisionByZero

from ledger_purse import NOW, Connect, findings, open_purse
from tollkeeper import ledger
from tollkeeper.base.ids import uuid7
from tollkeeper.db import Connection
from tollkeeper.ledger import (
    ChargeOutcome,
    Draw,
    HoldOutcome,
    counted_statements,
    roomy_statements,
    store,
)

SEVERAL = 4


@pytest.fixture
def weighing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOLD", "CHARGE"):
        monkeypatch.setattr(counted_statements, name, "SELECT 1 / 0")


def draw(limit_id: UUID, ceiling: int | None, amount: int | None = 1, **more: Any) -> Draw:
    return Draw(
        limit_id=limit_id, ceiling=ceiling, amount=amount, period_start=NOW, livemode=True, **more
    )


async def counted(connection: Connection, limit_id: UUID) -> tuple[int, int]:
    cursor = await connection.execute(
        "SELECT used, held FROM counter WHERE limit_id = %s", (limit_id,)
    )
    ((used, held),) = await cursor.fetchall()
    return used, held


@pytest.mark.usefixtures("weighing_fails")
async def test_what_has_room_is_not_weighed(connection: Connection) -> None:
    purse, budget, allowance = await open_purse(connection, 100), uuid7(), uuid7()
    draws = (draw(allowance, 40, 5, covers=6), draw(budget, 40, None))
    wishes = [purse.hold(10, draws=draws) for _ in range(4)]
    placed = await ledger.hold(connection, wishes, NOW)
    assert [(one.outcome, one.amount) for one in placed] == [(HoldOutcome.PLACED, 4)] * 4
    assert await counted(connection, budget) == (0, 16)
    done = [purse.settlement(wish, 10, draws=draws) for wish in wishes[:3]]
    settled = await ledger.settle(connection, done, NOW)
    assert [(one.outcome, one.amount) for one in settled] == [(ChargeOutcome.POSTED, 4)] * 3
    (charged,) = await ledger.charge(connection, [purse.charge(9, draws=draws)], NOW)
    assert (charged.outcome, charged.amount) == (ChargeOutcome.POSTED, 3)
    assert (await counted(connection, budget), await counted(connection, allowance)) == (
        (15, 4),
        (20, 5),
    )
    assert await findings(connection) == []


@pytest.mark.usefixtures("weighing_fails")
async def test_a_unit_too_many_for_all_together_is_weighed(connection: Connection) -> None:
    one, other, third = [await open_purse(connection, 100) for _ in range(3)]
    limit = uuid7()
    half = (draw(limit, 9, 5),)
    with pytest.raises(DivisionByZero):
        await ledger.hold(connection, [one.hold(1, draws=half), one.hold(1, draws=half)], NOW)
    beyond = (draw(limit, 9, 10),)
    with pytest.raises(DivisionByZero):
        await ledger.charge(connection, [other.charge(1, draws=beyond)], NOW)
    # What has happened is counted past a budget, so that its room says nothing.
    (settled,) = await ledger.settle(connection, [third.charge(1, draws=beyond)], NOW)
    assert settled.outcome is ChargeOutcome.POSTED
    with pytest.raises(DivisionByZero):
        covered = (draw(limit, 19, 10, covers=1),)
        await ledger.settle(connection, [third.charge(1, draws=covered)], NOW)


async def test_who_lately_had_no_room_is_weighed_at_once(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    purse, limit = await open_purse(connection, 100), uuid7()
    full, roomy = (draw(limit, 0),), (draw(limit, 9),)
    await ledger.hold(connection, [purse.hold(1, draws=full)], NOW)
    for name in ("HOLD", "CHARGE"):
        monkeypatch.setattr(roomy_statements, name, "SELECT 1 / 0")
    (placed,) = await ledger.hold(connection, [purse.hold(1, draws=roomy)], NOW)
    assert placed.outcome is HoldOutcome.PLACED
    with pytest.raises(DivisionByZero):
        later = NOW + timedelta(seconds=10)
        await ledger.hold(connection, [purse.hold(1, draws=roomy)], later)


async def test_a_hold_that_had_too_little_room_is_the_same_one_when_there_is_more(
    connection: Connection,
) -> None:
    purse, limit = await open_purse(connection, 100), uuid7()
    wish = purse.hold(10, draws=(draw(limit, 3, 5, covers=10),))
    (placed,) = await ledger.hold(connection, [wish], NOW)
    assert (placed.outcome, placed.amount) == (HoldOutcome.PLACED, 4)
    again = replace(wish, draws=(draw(limit, 300, 5, covers=10),))
    (same,) = await ledger.hold(connection, [again], NOW + timedelta(seconds=11))
    assert same.outcome is HoldOutcome.EXISTS
    assert await counted(connection, limit) == (0, 3)


async def test_who_has_no_room_does_not_hinder_others(connection: Connection) -> None:
    full, roomy = await open_purse(connection, 100), await open_purse(connection, 100)
    limit, other = uuid7(), uuid7()
    wishes = [
        full.hold(1, draws=(draw(limit, 1),)),
        roomy.hold(1, draws=(draw(other, 9),)),
        full.hold(1, draws=(draw(limit, 1),)),
        full.hold(1, draws=(draw(other, 9),)),
    ]
    supposed = await store.hold(connection, wishes, NOW, suppose=True)
    assert [row[0] for row in supposed] == ["tight", "placed", "tight", "tight"]
    placed = await ledger.hold(connection, wishes, NOW)
    assert [one.outcome for one in placed] == ["placed", "exists", "limited", "placed"]


@pytest.mark.parametrize("suppose", [True, False])
async def test_the_record_is_the_same_either_way(connection: Connection, suppose: bool) -> None:
    purse, one, other = await open_purse(connection, 100), uuid7(), uuid7()
    exact = "0.1000000000000000055511151231257827021181583404541015625"
    lines = [["sku", "unit", exact, 1, 1, 1, amount, "more"] for amount in (13, 11, 7)]
    detail = json.dumps({"rating": {"lines": lines, "cost": 31, "x": [0.5]}, "tags": {"a": "ü\n"}})
    charge = purse.charge(
        31,
        lines=3,
        detail=Raw(detail.replace(f'"{exact}"', exact).encode()),
        draws=(
            draw(one, 10, 2, covers=18, lines=(1, 2)),
            draw(other, 9, 3, covers=0, lines=()),
            draw(other, 9, 0, covers=0),
        ),
    )
    (row,) = await store.charge(connection, [charge], NOW, must_fit=True, suppose=suppose)
    assert row[:3] == ("posted", 13, 87)
    cursor = await connection.execute(
        "SELECT detail::text FROM usage_record WHERE usage_id = %s", (charge.usage_id,)
    )
    ((kept,),) = await cursor.fetchall()
    for line, left in zip(lines, (13, 0, 0), strict=True):
        line[6] = left
    assert kept.count(exact) == 3
    assert json.loads(kept.replace(exact, f'"{exact}"')) == {
        "rating": {"lines": lines, "cost": 13, "x": [0.5]},
        "tags": {"a": "ü\n"},
        "allowances": [[str(one), 2, 2, 18, [1, 2]], [str(other), 3, 3, 0, []]],
    }


@pytest.mark.parametrize("suppose", [True, False])
async def test_what_is_included_and_free_is_noted(connection: Connection, suppose: bool) -> None:
    purse, limit = await open_purse(connection, 100), uuid7()
    draws = (draw(limit, 9, 2, covers=0, lines=(0,)),)
    charge = purse.charge(5, draws=draws, detail=Raw(b'{"rating": {"lines": [[1,2,3,4,5,6,0]]}}'))
    await store.charge(connection, [charge], NOW, must_fit=True, suppose=suppose)
    cursor = await connection.execute(
        "SELECT detail -> 'allowances' FROM usage_record WHERE usage_id = %s", (charge.usage_id,)
    )
    assert await cursor.fetchall() == [([[str(limit), 2, 2, 0, [0]]],)]


@pytest.mark.parametrize("detail", ["{}", '{"rating": {}}', '{"rating": {"lines": []}}'])
async def test_a_record_without_lines_stays_as_it_is(connection: Connection, detail: str) -> None:
    purse, limit = await open_purse(connection, 100), uuid7()
    draws = (draw(limit, 9, 2, covers=3, lines=(0,)),)
    charge = purse.charge(5, draws=draws, detail=Raw(detail.encode()))
    for suppose in (True, False):
        row = await store.charge(connection, [charge], NOW, must_fit=True, suppose=suppose)
        assert row[0][1] == 2
    cursor = await connection.execute(
        "SELECT detail FROM usage_record WHERE usage_id = %s", (charge.usage_id,)
    )
    assert await cursor.fetchall() == [(json.loads(detail),)]


async def test_a_limit_holds_for_many_at_once(connection: Connection, connect: Connect) -> None:
    """The last batches find no room for all of theirs, and take exactly what is left."""
    purse, limit = await open_purse(connection, 1_000), uuid7()

    async def call(spender: Connection) -> list[HoldOutcome]:
        told: list[HoldOutcome] = []
        for _ in range(12):
            wishes = [purse.hold(2, draws=(draw(limit, 201, None),)) for _ in range(5)]
            told += [one.outcome for one in await ledger.hold(spender, wishes, NOW)]
        return told

    told = await asyncio.gather(*[call(await connect()) for _ in range(SEVERAL)])
    outcomes = [outcome for one in told for outcome in one]
    assert outcomes.count(HoldOutcome.PLACED) == 100
    assert outcomes.count(HoldOutcome.LIMITED) == 5 * 12 * SEVERAL - 100
    assert await counted(connection, limit) == (0, 200)
    assert await findings(connection) == []
