"""The hard stop between real processes (B1, B2): four of them, many connections, one wallet."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from itertools import chain
from random import Random
from typing import Any

import pytest
from courses import PROCESSES, Race, dealt, flat, item

from ledger_purse import NOW, Purse, findings, locked, open_purse, open_purses, start
from tollkeeper import ledger
from tollkeeper.base.ids import uuid7
from tollkeeper.db import Connection, Database

DOLLAR = 1_000_000_000


@pytest.mark.parametrize("verb", ["charge", "call"])
@pytest.mark.parametrize("batch", [1, 10])
async def test_a_wallet_that_pays_37_calls_pays_37_of_200(
    connection: Connection, race: Race, verb: str, batch: int
) -> None:
    purse = await open_purse(connection, 37 * DOLLAR)
    acts = [[verb, [item(purse, DOLLAR) for _ in range(batch)]] for _ in range(200 // batch)]
    outcomes = Counter(flat(await race(*dealt(acts))))
    # A hold may be refused only for the moment, yet these settle at what they held.
    assert outcomes == {"posted": 37, "insufficient": 163}
    assert await purse.balance(connection) == (0, 0)
    assert await findings(connection) == []


@pytest.mark.parametrize("seed", range(3))
async def test_calls_of_all_sizes_spend_what_there_is_and_no_more(
    connection: Connection, race: Race, seed: int
) -> None:
    """Credit only falls here, so whoever was refused must not fit into what is left in the end."""
    random = Random(seed)  # noqa: S311 (nothing is kept secret by it)
    purse = await open_purse(connection, 500)
    calls = [item(purse, random.choice((1, 2, 3, 5, 8, 40, 90))) for _ in range(240)]
    acts: list[list[Any]] = []
    while calls:
        size = random.choice((1, 1, 3, 12))
        acts.append(["charge", calls[:size]])
        calls = calls[size:]
    courses = dealt(acts)
    told = await race(*courses)
    spent, refused = 0, [10**9]
    for course, answers in zip(courses, told, strict=True):
        for (_, items), answer in zip(course, answers, strict=True):
            for (*_, amount), outcome in zip(items, answer, strict=True):
                assert outcome in ("posted", "insufficient")
                spent += amount if outcome == "posted" else 0
                refused += [amount] if outcome == "insufficient" else []
    left, held = await purse.balance(connection)
    assert (left, held) == (500 - spent, 0)
    assert 0 <= left < min(refused)
    assert await findings(connection) == []


async def test_the_same_calls_in_every_process_are_charged_once(
    connection: Connection, race: Race
) -> None:
    first = await open_purse(connection, 1_000)
    second = await open_purse(connection, 1_000, org_id=first.org_id, currency="DIEM")
    random = Random(7)  # noqa: S311 (nothing is kept secret by it)
    calls = [item(random.choice((first, second)), 3) for _ in range(120)]
    courses: list[list[Any]] = []
    for verb in ("charge", "charge", "settle", "settle"):
        mixed = random.sample(calls, len(calls))
        courses.append([[verb, mixed[at : at + 5]] for at in range(0, len(mixed), 5)])
    told = await race(*courses)
    outcome_of: dict[str, list[str]] = {}
    for course, answers in zip(courses, told, strict=True):
        for (_, items), answer in zip(course, answers, strict=True):
            for (_, _, name, _), outcome in zip(items, answer, strict=True):
                outcome_of.setdefault(name, []).append(outcome)
    for outcomes in outcome_of.values():
        posted = [outcome for outcome in outcomes if outcome != "exists"]
        assert len(posted) == 1, outcomes
        assert posted[0] in ("posted", "posted_late")
    spent = 2_000 - sum([(await purse.balance(connection))[0] for purse in (first, second)])
    assert spent == 3 * 120
    assert await findings(connection) == []


async def test_the_same_holds_in_every_process_are_placed_once(
    connection: Connection, race: Race
) -> None:
    purse = await open_purse(connection, 1_000)
    holds = [item(purse, 2) for _ in range(60)]
    random = Random(3)  # noqa: S311 (nothing is kept secret by it)
    courses: list[list[Any]] = []
    for _ in range(PROCESSES):
        mixed = random.sample(holds, len(holds))
        courses.append([["hold", mixed[at : at + 4]] for at in range(0, len(mixed), 4)])
    outcomes = Counter(flat(await race(*courses)))
    assert outcomes == {"placed": 60, "exists": 180}
    assert await purse.balance(connection) == (1_000, 120)
    assert await findings(connection) == []


async def test_the_same_call_made_by_everybody_is_made_by_one(
    connection: Connection, race: Race
) -> None:
    """Hold and settlement of one id, over and over: after all of it nothing is held."""
    purse = await open_purse(connection, 1_000)
    names = [str(uuid7()) for _ in range(25)]
    acts = [["call", [item(purse, 2, name)]] for name in names for _ in range(3)]
    outcomes = Counter(flat(await race(*[acts] * PROCESSES)))
    assert outcomes["posted"] == 25
    assert set(outcomes) <= {"posted", "exists", "already_charged"}
    assert await purse.balance(connection) == (950, 0)
    assert await findings(connection) == []


async def test_settling_voiding_and_expiring_the_same_holds_at_once(
    connection: Connection, race: Race, database: Database
) -> None:
    """Each hold ends once, each call is charged once, and nobody waits for somebody who waits."""
    purses = [await open_purse(connection, 1_000) for _ in range(3)]
    held = [item(purses[nth % 3], 2) for nth in range(150)]
    await race([["hold", held]])
    later = (NOW + timedelta(hours=1)).isoformat()
    random = Random(11)  # noqa: S311 (nothing is kept secret by it)

    def mixed(verb: str, size: int) -> list[list[Any]]:
        order = random.sample(held, len(held))
        return [[verb, order[at : at + size]] for at in range(0, len(order), size)]

    settles, voids = mixed("settle", 7), mixed("void", 5)
    expiries = [["expire holds", [], later]] * 25
    posts = [["post", [item(purse, 1)]] for purse in purses * 12]
    told = await race(settles, voids, expiries, posts)
    assert set(flat([told[0]])) <= {"posted", "posted_late"}
    voided = dict(zip(names_of(voids), chain(*told[1]), strict=True))
    late = dict(zip(names_of(settles), chain(*told[0]), strict=True))
    for name, outcome in voided.items():
        assert outcome in ("voided", "settled", "expired", "unknown")
        # Who hears `voided` gave it back, so that the settlement cannot have found it open.
        assert outcome != "voided" or late[name] == "posted_late"
        assert outcome != "unknown" or late[name] == "posted"
    assert [await purse.balance(connection) for purse in purses] == [
        (1_000 + 12 - 100, 0) for _ in purses
    ]
    assert await deadlocks(database) == 0
    assert await findings(connection, NOW + timedelta(hours=1)) == []


def names_of(batches: list[list[Any]]) -> list[str]:
    return [name for _, items in batches for _, _, name, _ in items]


async def test_batches_over_the_same_wallets_in_opposite_order(
    connection: Connection, race: Race, database: Database
) -> None:
    purses = [await open_purse(connection, 10_000) for _ in range(12)]

    def batches(order: list[Purse]) -> list[list[Any]]:
        return [["call", [item(purse, 2) for purse in order]] for _ in range(25)]

    courses = [batches(purses), batches(purses[::-1]), batches(purses[6:] + purses[:6])]
    told = await race(*courses, [["expire lots", []], ["expire holds", []]] * 40, lanes=3)
    assert set(flat(told[:3])) == {"posted"}
    assert {await purse.balance(connection) for purse in purses} == {(10_000 - 150, 0)}
    assert await deadlocks(database) == 0
    assert await findings(connection) == []


async def test_a_batch_that_waits_for_one_wallet_keeps_none_behind_it(
    connection: Connection, database: Database
) -> None:
    """Staged: if it locked as its items come, it would now hold what another one waits for."""
    first, second = await open_purses(connection, 10, 10)
    async with await database.dedicated() as other, await database.dedicated() as blocker:
        async with locked(blocker, first):
            one = ledger.hold(connection, [first.hold(1), second.hold(1)], NOW)
            two = ledger.charge(other, [second.charge(1), first.charge(1)], NOW)
            waiting = [await start(connection, one), await start(other, two)]
            async with database.transaction() as tx:
                await tx.execute("SET LOCAL lock_timeout = '1s'")
                await ledger.lock_wallet(tx, *second.address)
        for each in waiting:
            await each
    assert [await purse.balance(connection) for purse in (first, second)] == [(9, 1), (9, 1)]


async def test_credit_expires_while_everybody_wants_it(connection: Connection, race: Race) -> None:
    """Those whose clock is past the day get none of it, those before it may."""
    day = NOW + timedelta(days=30)
    purse = await open_purse(connection, 300, expires_at=day)
    async with connection.transaction():
        await ledger.post(connection, purse.posting(50), NOW)
    after = [["charge", [item(purse, 1)], day.isoformat()] for _ in range(100)]
    holding = [["call", [item(purse, 1)], day.isoformat()] for _ in range(100)]
    sweeping = [["expire lots", [], day.isoformat()]] * 20
    told = await race(after, holding, sweeping, sweeping)
    outcomes = Counter(flat(told[:2]))
    assert outcomes == {"posted": 50, "insufficient": 150}
    assert await purse.balance(connection) == (0, 0)
    entries = await ledger.entries(
        connection, *purse.address, limit=10, kinds=[ledger.EntryKind.EXPIRY]
    )
    assert [entry.amount for entry in entries] == [-300]
    assert await findings(connection, day) == []


async def test_credit_arrives_while_everybody_waits_for_it(
    connection: Connection, race: Race
) -> None:
    """A change that the wallet as it was would have refused is made once it has the credit."""
    purse = await open_purse(connection, 1)
    spending = [["charge", [item(purse, 1), item(purse, 1)]] for _ in range(60)]
    posting = [["post", [item(purse, 1)]] for _ in range(60)]
    calling = [["call", [item(purse, 1), item(purse, 1)]] for _ in range(60)]
    told = await race(spending, calling, posting, posting)
    posted = Counter(flat(told[:2]))["posted"]
    assert await purse.balance(connection) == (1 + 120 - posted, 0)
    assert await findings(connection) == []


async def deadlocks(database: Database) -> int:
    async with database.connection() as connection:
        cursor = await connection.execute(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        )
        row = await cursor.fetchone()
    assert row is not None
    return row[0]
