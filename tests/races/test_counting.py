"""Budgets and allowances between eight processes: no room is sold twice, none is left unsold."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest
from courses import Race, flat, item

from ledger_purse import NOW, Purse, findings, open_purse, open_purses
from tollkeeper.base.ids import uuid7
from tollkeeper.db import Connection

PROCESSES = 8
TODAY = NOW.isoformat()


def dealt(acts: list[Any]) -> list[list[Any]]:
    return [acts[nth::PROCESSES] for nth in range(PROCESSES)]


async def counters(connection: Connection, org_id: UUID) -> dict[str, tuple[int, int]]:
    cursor = await connection.execute(
        "SELECT limit_id::text, used, held FROM counter WHERE org_id = %s", (org_id,)
    )
    return {limit: (used, held) for limit, used, held in await cursor.fetchall()}


@pytest.mark.parametrize("verb", ["charge", "call"])
async def test_a_budget_of_37_calls_pays_37_of_240(
    connection: Connection, race: Race, verb: str
) -> None:
    purse, limit = await open_purse(connection, 10_000), str(uuid7())
    acts = [
        [verb, [[*item(purse, 10), [limit, 370, None, None, TODAY]] for _ in range(size)]]
        for size in (1, 2, 3) * 40
    ]
    outcomes = Counter(flat(await race(*dealt(acts))))
    assert outcomes == {"posted": 37, "limited": 203}
    assert await counters(connection, purse.org_id) == {limit: (370, 0)}
    assert await purse.balance(connection) == (10_000 - 370, 0)
    assert await findings(connection) == []


async def test_what_an_allowance_drew_and_credit_paid_is_what_calls_cost(
    connection: Connection, race: Race
) -> None:
    """Each unit costs 7: 500 units are included, and the rest is paid, to the nano."""
    purse, included = await open_purse(connection, 1_000_000), str(uuid7())
    chance = Random(7)  # noqa: S311 (nothing is kept secret by it)
    sizes = [chance.randint(0, 30) for _ in range(160)]
    acts = [
        ["call", [[*item(purse, 7 * units), [included, 500, units, 7 * units, TODAY]]]]
        for units in sizes
    ]
    assert set(flat(await race(*dealt(acts)))) == {"posted"}
    ((used, held),) = (await counters(connection, purse.org_id)).values()
    posted, reserved = await purse.balance(connection)
    assert (used, held, reserved) == (500, 0, 0)
    assert 1_000_000 - posted == 7 * (sum(sizes) - 500)
    assert await findings(connection) == []


async def test_a_cycle_begins_anew_once(connection: Connection, race: Race) -> None:
    """Half of the processes are in the new cycle already: it is counted from nothing, once."""
    purse, limit = await open_purse(connection, 100_000), str(uuid7())
    tomorrow = (NOW + timedelta(days=1)).isoformat()
    before = [["charge", [[*item(purse, 1), [limit, 50, 1, None, TODAY]]]] for _ in range(60)]
    assert Counter(flat(await race(*dealt(before)))) == {"posted": 50, "limited": 10}
    after = [["charge", [[*item(purse, 1), [limit, 50, 1, None, tomorrow]]]] for _ in range(120)]
    assert Counter(flat(await race(*dealt(after)))) == {"posted": 50, "limited": 70}
    assert await counters(connection, purse.org_id) == {limit: (50, 0)}


async def test_two_wallets_under_the_same_budgets_do_not_wait_for_each_other_for_ever(
    connection: Connection, race: Race
) -> None:
    first, *others = await open_purses(connection, 10_000, 10_000)
    twin = Purse(first.org_id, others[0].wallet_id)
    await connection.execute(
        "UPDATE wallet SET org_id = %s, livemode = false WHERE wallet_id = %s",
        (first.org_id, twin.wallet_id),
    )
    limits = [str(uuid7()) for _ in range(4)]
    chance = Random(3)  # noqa: S311 (nothing is kept secret by it)
    acts: list[Any] = []
    for _ in range(120):
        batch: list[Any] = []
        for purse in chance.sample([first, twin], 2):
            chosen = [[limit, 150, 1, None, TODAY] for limit in chance.sample(limits, 3)]
            batch.append([*item(purse, 1), *chosen])
        acts.append([chance.choice(["charge", "call", "hold"]), batch])
    outcomes = Counter(flat(await race(*dealt(acts))))
    assert set(outcomes) <= {"posted", "limited", "placed"}
    counted = await counters(connection, first.org_id)
    assert all(used + held <= 150 for used, held in counted.values())
    # Whatever was let through took three units; room is left only where something else was short.
    assert sum(used + held for used, held in counted.values()) == 3 * (
        outcomes["posted"] + outcomes["placed"]
    )
    held = await connection.execute("SELECT count(*) FROM hold WHERE state = 'open'")
    assert (await held.fetchall())[0][0] == outcomes["placed"]
