"""Large numbers, large batches, odd texts: what they cost, and whom."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from typing import Any, LiteralString

import psycopg
import pytest
from msgspec import Raw
from msgspec.structs import replace

from ledger_purse import NOW, findings, open_purse
from tollkeeper import ledger
from tollkeeper.base.money import MAX_NANOS
from tollkeeper.db import Connection, Database
from tollkeeper.ledger import (
    BalanceTooLarge,
    ChargeOutcome,
    EntryKind,
    HoldOutcome,
    counted_statements,
    roomy_statements,
    statements,
)


async def test_the_largest_amounts_fit(connection: Connection) -> None:
    purse = await open_purse(connection, MAX_NANOS, overdraft=MAX_NANOS)
    holds = [purse.hold(MAX_NANOS) for _ in range(3)]
    placed = await ledger.hold(connection, holds, NOW)
    assert [result.outcome for result in placed] == [
        HoldOutcome.PLACED,
        HoldOutcome.PLACED,
        HoldOutcome.INSUFFICIENT,
    ]
    settled = await ledger.settle(
        connection, [purse.settlement(hold, MAX_NANOS) for hold in holds], NOW
    )
    assert [result.outcome for result in settled] == [
        ChargeOutcome.POSTED,
        ChargeOutcome.POSTED,
        ChargeOutcome.INSUFFICIENT,
    ]
    assert await purse.balance(connection) == (-MAX_NANOS, 0)
    assert await findings(connection) == []


async def test_a_wallet_in_the_abyss_does_not_take_its_neighbours_along(
    connection: Connection,
) -> None:
    deep, sound = await open_purse(connection), await open_purse(connection, 10)
    for _ in range(3):
        batch = [deep.charge(MAX_NANOS), sound.charge(1), deep.charge(MAX_NANOS)]
        results = await ledger.settle(connection, batch, NOW)
        assert results[1].outcome is ChargeOutcome.POSTED
    assert await sound.balance(connection) == (7, 0)
    assert await deep.balance(connection) == (-MAX_NANOS, 0)
    assert (await deep.look(connection)).overrun == MAX_NANOS
    # A call that cost nothing, or less than the abyss has left, is recorded all the same.
    (free,) = await ledger.settle(connection, [deep.charge(0)], NOW)
    assert free.outcome is ChargeOutcome.POSTED
    assert await findings(connection) == []


async def test_revenue_ends_where_numbers_do(connection: Connection) -> None:
    purse = await open_purse(connection)
    for _ in range(3):
        async with connection.transaction():
            await ledger.post(connection, purse.posting(MAX_NANOS), NOW)
        (result,) = await ledger.settle(connection, [purse.charge(MAX_NANOS)], NOW)
        assert result.outcome is ChargeOutcome.POSTED
    async with connection.transaction():
        await ledger.post(connection, purse.posting(MAX_NANOS - 1), NOW)
    batch = [purse.charge(MAX_NANOS - 1), purse.charge(1)]
    results = await ledger.settle(connection, batch, NOW)
    assert [result.outcome for result in results] == [
        ChargeOutcome.POSTED,
        ChargeOutcome.INSUFFICIENT,
    ]
    assert (await purse.look(connection)).spent == 2**63 - 1
    assert await findings(connection) == []


@pytest.mark.parametrize("amount", [1, -1])
async def test_no_balance_grows_beyond_what_can_be_kept(
    connection: Connection, amount: int
) -> None:
    purse = await open_purse(connection)
    async with connection.transaction():
        full = purse.posting(MAX_NANOS * amount, EntryKind.ADJUSTMENT)
        await ledger.post(connection, full, NOW)
    with pytest.raises(BalanceTooLarge, match=r"2305843009\.213693952"):
        async with connection.transaction():
            await ledger.post(connection, purse.posting(amount, EntryKind.ADJUSTMENT), NOW)


def test_the_limits_in_the_statements_are_those_of_money() -> None:
    assert f"w.posted + {MAX_NANOS}," in statements.CHARGE
    assert f"{2**63 - 1} - greatest(w.revenue, 0)" in statements.CHARGE


@pytest.mark.parametrize("overdraft", [-1, MAX_NANOS + 1])
async def test_an_overdraft_has_limits(connection: Connection, overdraft: int) -> None:
    purse = await open_purse(connection)
    with pytest.raises(ValueError, match="An overdraft lies between"):
        await ledger.set_overdraft(connection, *purse.address, overdraft)
    with pytest.raises(ValueError, match="An overdraft lies between"):
        await open_purse(connection, overdraft=overdraft)


ODD: dict[str, dict[str, Any]] = {
    "a text with NUL": {"thread_id": "a\0b"},
    "JSON with NUL": {"detail": Raw(b'{"input":"\\u0000"}')},
    "half of a JSON": {"detail": Raw(b"{")},
    "an unknown source": {"source": "guessed"},
    "a huge status": {"status": 2**40},
    "less than nothing": {"amount": -1},
    "more than a number": {"amount": 2**63},
}


@pytest.mark.parametrize("odd", ODD)
async def test_an_item_that_cannot_be_kept_fails_its_batch_whole(
    connection: Connection, odd: str
) -> None:
    """And leaves nothing behind: whoever sends batches can send the others again."""
    purse = await open_purse(connection, 100)
    good = purse.charge(1)
    with pytest.raises(psycopg.Error):
        await ledger.settle(connection, [good, replace(purse.charge(1), **ODD[odd])], NOW)
    assert await purse.balance(connection) == (100, 0)
    (result,) = await ledger.settle(connection, [good], NOW)
    assert result.outcome is ChargeOutcome.POSTED
    assert await findings(connection) == []


async def test_texts_are_kept_as_they_are(connection: Connection, owner: Connection) -> None:
    odd = "\\u0000 'quoted' \"twice\" %s {} \u2028 🜚 \ufffd \x7f -- ;"
    purse = await open_purse(connection, 100)
    charge = purse.charge(1, thread_id=odd, model=odd, operation=odd, request_id=odd)
    await ledger.settle(connection, [charge], NOW)
    cursor = await owner.execute("SELECT thread_id, model, operation, request_id FROM usage_record")
    assert await cursor.fetchall() == [(odd, odd, odd, odd)]


async def test_hundreds_of_wallets_in_one_batch(connection: Connection) -> None:
    purses = [await open_purse(connection, 5) for _ in range(300)]
    holds = [purse.hold(2) for purse in purses for _ in range(3)]
    results = await ledger.hold(connection, holds[::-1], NOW)
    outcomes = [result.outcome for result in results]
    assert outcomes.count(HoldOutcome.PLACED) == 600
    assert outcomes.count(HoldOutcome.INSUFFICIENT) == 300
    assert {await purse.balance(connection) for purse in purses} == {(5, 4)}
    items = [purse.charge(1) for purse in purses]
    charged = await ledger.charge(connection, items, NOW)
    assert {result.outcome for result in charged} == {ChargeOutcome.POSTED}
    assert await findings(connection) == []


async def test_one_id_a_thousand_times_in_one_batch(connection: Connection) -> None:
    purse = await open_purse(connection, 100)
    call = purse.charge(1)
    results = await ledger.settle(connection, [call] * 1_500, NOW)
    assert [result.outcome for result in results].count(ChargeOutcome.POSTED) == 1
    hold = purse.hold(1)
    placed = await ledger.hold(connection, [hold] * 1_500, NOW)
    assert [result.outcome for result in placed].count(HoldOutcome.PLACED) == 1
    assert await purse.balance(connection) == (99, 1)


async def test_sizes_made_to_need_many_rounds(connection: Connection) -> None:
    """Each round decides one small hold, and one large hold that was just too large."""
    purse = await open_purse(connection, 100)
    sizes = [size for left in range(100, 40, -1) for size in (1, left)]
    results = await ledger.hold(connection, [purse.hold(size) for size in sizes], NOW)
    outcomes = [result.outcome for result in results]
    assert outcomes[::2] == [HoldOutcome.PLACED] * 60
    assert outcomes[1::2] == [HoldOutcome.INSUFFICIENT] * 60
    assert await purse.balance(connection) == (100, 60)


async def test_many_items_that_are_due_for_expiry_expire_once(connection: Connection) -> None:
    after = NOW + timedelta(days=1)
    purse = await open_purse(connection, 500, expires_at=after)
    results = await ledger.charge(connection, [purse.charge(1) for _ in range(300)], after)
    assert {result.outcome for result in results} == {ChargeOutcome.INSUFFICIENT}
    entries = await ledger.entries(connection, *purse.address, limit=10)
    assert [entry.kind for entry in entries] == [EntryKind.EXPIRY, EntryKind.PURCHASE]


PLANS: dict[str, LiteralString] = {
    "hold": statements.HOLD,
    "charge": statements.CHARGE,
    "end": statements.END_HOLDS,
    "roomy hold": roomy_statements.HOLD,
    "roomy charge": roomy_statements.CHARGE,
    "counted hold": counted_statements.HOLD,
    "counted charge": counted_statements.CHARGE,
}
GIVEN: dict[str, tuple[LiteralString, LiteralString]] = {
    **dict.fromkeys(("items", "counters", "draws"), ("json", "'[]'")),
    **dict.fromkeys(("places", "numbers", "units"), ("bigint[]", "'{}'")),
    **dict.fromkeys(("must_fit", "expire"), ("boolean", "true")),
    "now": ("timestamptz", "now()"),
}


@pytest.mark.parametrize("name", PLANS)
async def test_a_plan_made_while_tables_are_empty_reads_no_table_of_records(
    shared_database_url: str, name: str
) -> None:
    """A batch once hashed all usage records, because there were so few when it was planned.

    In a database where no row ever was: of one that was emptied and vacuumed the planner knows
    that there is nothing to read.
    """
    async with (
        Database.open(shared_database_url) as database,
        await database.dedicated() as connection,
    ):
        await ledger.prepare(connection)
        plan = await planned(connection, PLANS[name])
    assert "Seq Scan" not in plan
    assert "hashed SubPlan" not in plan
    assert "Merge" not in plan


@pytest.mark.parametrize("name", [name for name in PLANS if " " in name])
async def test_a_few_of_many_counters_are_found_by_their_keys(
    connection: Connection, owner: Connection, name: str
) -> None:
    """All of some thousand were read once, since that seemed cheaper than to look up a few."""
    await owner.execute(
        "INSERT INTO counter (org_id, limit_id, livemode, subject, period_start)"
        " SELECT gen_random_uuid(), gen_random_uuid(), true, '', now()"
        " FROM generate_series(1, 3000)"
    )
    await owner.execute("ANALYZE counter")
    plan = await planned(connection, PLANS[name])
    found = re.findall(r"Scan (?:using counter_pkey )?on counter k_?\d*\n +(\w+ \w+)", plan)
    assert len(found) == 2
    assert set(found) == {"Index Cond"}


async def planned(connection: Connection, statement: str) -> str:
    given = {name: one for name, one in GIVEN.items() if f"%({name})s" in statement}
    for nth, parameter in enumerate(given, 1):
        statement = statement.replace(f"%({parameter})s", f"${nth}")
    types, arguments = (", ".join(words) for words in zip(*given.values(), strict=True))
    await connection.execute(f"PREPARE planned ({types}) AS {statement}".encode())
    cursor = await connection.execute(f"EXPLAIN (COSTS OFF) EXECUTE planned ({arguments})".encode())
    return "\n".join(line for (line,) in await cursor.fetchall())


async def test_a_batch_takes_milliseconds(connection: Connection) -> None:
    """A generous bound, for a machine that does other things: what is meant is no square of it."""
    purse = await open_purse(connection, MAX_NANOS)
    took = 0.0
    for _ in range(3):
        holds = [purse.hold(2) for _ in range(2_000)]
        began = time.monotonic()
        await ledger.hold(connection, holds, NOW)
        await ledger.settle(connection, [purse.settlement(h, 1) for h in holds], NOW)
        took = time.monotonic() - began
    assert took < 5
