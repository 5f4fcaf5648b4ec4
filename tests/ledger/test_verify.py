"""Break one row by hand, as a superuser can, and verify names it; leave it whole, and it is silent.

`damage` is SQL about the wallet of a history in which everything occurs. What must be found is
(rule, row, column); consequences of the same damage elsewhere may be found beside it.
"""

from __future__ import annotations

import asyncio
import importlib
from datetime import timedelta
from typing import Any, LiteralString

import psycopg
import pytest

from ledger_purse import NOW, Purse, findings, open_purse
from tollkeeper import ledger
from tollkeeper.base.clock import MovableClock
from tollkeeper.base.ids import uuid7
from tollkeeper.db import Connection
from tollkeeper.ledger import EntryKind, Finding, LotKind, NewLot, Progress

LATER = NOW + timedelta(days=40)
HOUR = timedelta(hours=1)

# The entries that `purse` makes: 1 purchase, 2 grant, 3 consumption of three records, 4 refund,
# 5 consumption of one record, 6 adjustment that reverses 4, 7 expiry of the grant, 8 consumption.
DAMAGES: dict[str, tuple[LiteralString, tuple[str, str, str]]] = {
    "an entry's amount": (
        "UPDATE entry SET amount = amount - 1 WHERE seq = 4",
        ("L2", "entry 4", "balance_after"),
    ),
    "an entry's balance": (
        "UPDATE entry SET balance_after = balance_after + 1 WHERE seq = 2",
        ("L2", "entry 2", "balance_after"),
    ),
    "a consumption entry's amount": (
        "UPDATE entry SET amount = amount - 1 WHERE seq = 3",
        ("L2", "entry 3", "amount"),
    ),
    "an entry that is gone": ("DELETE FROM entry WHERE seq = 4", ("L2", "entry 5", "seq")),
    "the first entry that is gone": ("DELETE FROM entry WHERE seq = 1", ("L2", "entry 2", "seq")),
    "the last entry that is gone": (
        "DELETE FROM entry WHERE seq = 8",
        ("L3", "wallet", "entry_seq"),
    ),
    "an entry that nobody posted": (
        """
        INSERT INTO entry (org_id, wallet_id, seq, entry_id, kind, account, amount, balance_after,
                           posted_at)
        SELECT org_id, wallet_id, 9, gen_random_uuid(), 'purchase', 'cash', 5, balance_after + 5,
               posted_at
        FROM entry WHERE seq = 8
        """,
        ("L3", "wallet", "entry_seq"),
    ),
    "an entry's time": (
        "UPDATE entry SET posted_at = posted_at - interval '1 hour' WHERE seq = 4",
        ("L2", "entry 4", "posted_at"),
    ),
    "an entry's account": (
        "UPDATE entry SET account = 'refunds' WHERE seq = 1",
        ("L2", "entry 1", "account"),
    ),
    "an entry's account, in the wallet": (
        "UPDATE wallet SET cash = cash - 1, refunds = refunds + 1",
        ("L3", "wallet", "cash"),
    ),
    "an entry's kind": (
        "UPDATE entry SET kind = 'adjustment', account = 'adjustments' WHERE seq = 5",
        ("L2", "entry 5", "kind"),
    ),
    "an entry's lot": (
        "UPDATE entry SET lot_id = gen_random_uuid() WHERE seq = 4",
        ("L11", "entry 4", "lot_id"),
    ),
    "a reversal's amount": (
        "UPDATE entry SET amount = amount + 1, balance_after = balance_after + 1 WHERE seq = 6",
        ("L2", "entry 6", "amount"),
    ),
    "a reversal of nothing": (
        "UPDATE entry SET reverses_seq = 7 WHERE seq = 6",
        ("L2", "entry 6", "reverses_seq"),
    ),
    "a reversal's account": (
        "UPDATE entry SET account = 'cash' WHERE seq = 6",
        ("L2", "entry 6", "account"),
    ),
    "a reversal's lot": (
        "UPDATE entry SET lot_id = NULL WHERE seq = 6",
        ("L2", "entry 6", "lot_id"),
    ),
    "an expiry before its day": (
        "UPDATE lot SET expires_at = expires_at + interval '1 year' WHERE entry_seq = 2",
        ("L11", "entry 7", "posted_at"),
    ),
    "an expiry of what never expires": (
        "UPDATE lot SET expires_at = NULL WHERE entry_seq = 2",
        ("L11", "entry 7", "posted_at"),
    ),
    "an expiry of no lot": (
        "UPDATE entry SET lot_id = NULL WHERE seq = 7",
        ("L11", "entry 7", "lot_id"),
    ),
    "an expiry of more than was left": (
        "UPDATE entry SET amount = amount - 5 WHERE seq = 7",
        ("L11", "entry 7", "amount"),
    ),
    "a record's amount": (
        "UPDATE usage_record SET amount = amount + 1 WHERE seq = 2",
        ("L2", "usage record 2", "balance_after"),
    ),
    "a record's amount, told by its entry": (
        "UPDATE usage_record SET amount = amount + 1 WHERE seq = 2",
        ("L2", "entry 3", "amount"),
    ),
    "the first record of a batch": (
        "UPDATE usage_record SET amount = amount + 1 WHERE seq = 1",
        ("L2", "usage record 1", "balance_after"),
    ),
    "a record's balance": (
        "UPDATE usage_record SET balance_after = balance_after + 1 WHERE seq = 2",
        ("L2", "usage record 2", "balance_after"),
    ),
    "the balance of a record without cost": (
        "UPDATE usage_record SET balance_after = balance_after + 1 WHERE seq = 5",
        ("L2", "usage record 5", "balance_after"),
    ),
    "a record's entry": (
        "UPDATE usage_record SET entry_seq = 5 WHERE seq = 2",
        ("L2", "entry 3", "amount"),
    ),
    "a record without cost in an entry": (
        "UPDATE usage_record SET entry_seq = 5 WHERE seq = 5",
        ("L2", "usage record 5", "entry_seq"),
    ),
    "a record of an entry that is not there": (
        "UPDATE usage_record SET entry_seq = 99 WHERE seq = 4",
        ("L2", "entry 99", "kind"),
    ),
    "the id of the last record of an entry": (
        "UPDATE usage_record SET usage_id = gen_random_uuid() WHERE seq = 3",
        ("L2", "entry 3", "entry_id"),
    ),
    "a consumption entry's id": (
        "UPDATE entry SET entry_id = gen_random_uuid() WHERE seq = 5",
        ("L2", "entry 5", "entry_id"),
    ),
    "a record that is gone": (
        "DELETE FROM usage_record WHERE seq = 2",
        ("L2", "usage record 3", "seq"),
    ),
    "the last record that is gone": (
        "DELETE FROM usage_record WHERE seq = 6",
        ("L3", "wallet", "usage_seq"),
    ),
    "a record's lines": (
        "UPDATE usage_record SET lines = lines + 1 WHERE seq = 3",
        ("L2", "usage record 3", "line_seq"),
    ),
    "a record's line sequence": (
        "UPDATE usage_record SET line_seq = line_seq + 1 WHERE seq = 3",
        ("L2", "usage record 3", "line_seq"),
    ),
    "a record's time": (
        "UPDATE usage_record SET recorded_at = recorded_at - interval '1 hour' WHERE seq = 4",
        ("L2", "usage record 4", "recorded_at"),
    ),
    "the wallet's balance": (
        "UPDATE wallet SET posted = posted + 1, cash = cash - 1",
        ("L3", "wallet", "posted"),
    ),
    "what the wallet holds": ("UPDATE wallet SET held = held + 1", ("L3", "wallet", "held")),
    "a hold's amount": (
        "UPDATE hold SET amount = amount - 1 WHERE state = 'open'",
        ("L3", "wallet", "held"),
    ),
    "a hold that is gone": ("DELETE FROM hold WHERE state = 'open'", ("L3", "wallet", "held")),
    "the overrun": ("UPDATE wallet SET overrun = overrun + 1", ("L3", "wallet", "overrun")),
    "the wallet's newest time": (
        "UPDATE wallet SET newest_at = newest_at + interval '1 hour'",
        ("L3", "wallet", "newest_at"),
    ),
    "the wallet's line sequence": (
        "UPDATE wallet SET line_seq = line_seq + 1",
        ("L3", "wallet", "line_seq"),
    ),
    "a lot's amount": (
        "UPDATE lot SET amount = amount + 1 WHERE entry_seq = 1",
        ("L11", "lot", "amount"),
    ),
    "a lot's entry": (
        "UPDATE lot SET entry_seq = 3 WHERE entry_seq = 1",
        ("L11", "lot", "entry_seq"),
    ),
    "the lot of an entry that brought it": (
        "UPDATE entry SET lot_id = (SELECT lot_id FROM lot WHERE entry_seq = 1) WHERE seq = 2",
        ("L11", "lot", "lot_id"),
    ),
    "a lot's arrival": (
        "UPDATE lot SET arrived_at = arrived_at + interval '1 day' WHERE entry_seq = 1",
        ("L11", "lot", "arrived_at"),
    ),
    "a lot that is gone": (
        "DELETE FROM lot WHERE entry_seq = 1",
        ("L11", "entry 1", "lot_id"),
    ),
    "a forgotten expiry": (
        """
        UPDATE lot SET expires_at = arrived_at + interval '80 days' WHERE entry_seq = 1
        """,
        ("L7", "wallet", "next_expiry_at"),
    ),
    "a wallet that is gone": ("DELETE FROM wallet", ("L3", "wallet", "wallet_id")),
    "a hold past its time": (
        "UPDATE hold SET expires_at = expires_at - interval '9 hours' WHERE state = 'open'",
        ("L4", "hold", "state"),
    ),
}


@pytest.fixture
async def purse(connection: Connection) -> Purse:
    purse = await open_purse(connection, 100)
    gift = NewLot(kind=LotKind.PROMOTIONAL, expires_at=NOW + timedelta(days=30))
    async with connection.transaction():
        await ledger.post(connection, purse.posting(50, EntryKind.GRANT, lot=gift), NOW)
    batch = [purse.charge(3, lines=2), purse.charge(4), purse.charge(5)]
    await ledger.charge(connection, batch, NOW)
    async with connection.transaction():
        lot_id = (await ledger.find_entry(connection, *purse.address, 1)).lot_id
        refund = purse.posting(-10, EntryKind.REFUND, lot_id=lot_id)
        refunded = await ledger.post(connection, refund, NOW)
    await ledger.charge(connection, [purse.charge(6)], NOW)
    await ledger.charge(connection, [purse.charge(0)], NOW)
    async with connection.transaction():
        await ledger.reverse(
            connection, refunded, entry_id=uuid7(), actor="ada", reason="failed", now=NOW
        )
    await ledger.expire_lots(connection, *purse.address, LATER)
    await ledger.charge(connection, [purse.charge(7)], LATER)
    hold = purse.hold(20, expires_at=LATER + 8 * HOUR)
    given_up = purse.hold(5)
    await ledger.hold(connection, [hold, given_up], LATER)
    await ledger.void(connection, [purse.void(given_up)], LATER)
    return purse


async def test_a_whole_history_is_clean(connection: Connection, purse: Purse) -> None:
    kinds = [entry.kind for entry in await all_entries(connection, purse)]
    assert kinds == [
        EntryKind.PURCHASE,
        EntryKind.GRANT,
        EntryKind.CONSUMPTION,
        EntryKind.REFUND,
        EntryKind.CONSUMPTION,
        EntryKind.ADJUSTMENT,
        EntryKind.EXPIRY,
        EntryKind.CONSUMPTION,
    ]
    assert await findings(connection, LATER) == []


@pytest.mark.parametrize("damage", DAMAGES)
async def test_damage_is_named(
    connection: Connection, owner: Connection, purse: Purse, damage: str
) -> None:
    statement, expected = DAMAGES[damage]
    await owner.execute(statement)
    found = await verify(connection)
    named = [(f.rule, f.row.partition(" 0")[0], f.column) for f in found]
    assert expected in named, [finding.sentence for finding in found]
    assert len(named) <= 6, "one broken row is no flood of findings"
    assert all(f.expected != f.found for f in found)
    assert all(f.wallet_id == purse.wallet_id for f in found)


@pytest.mark.parametrize(
    ("table", "column", "row"),
    [("usage_record", "balance_after", "usage record 2"), ("entry", "balance_after", "entry 2")],
)
@pytest.mark.usefixtures("purse")
async def test_a_wrong_balance_is_not_told_of_the_row_behind_it(
    connection: Connection, owner: Connection, table: str, column: str, row: str
) -> None:
    await owner.execute(f"UPDATE {table} SET {column} = {column} + 1 WHERE seq = 2".encode())
    (finding,) = await verify(connection)
    assert (finding.row, finding.seq, finding.column) == (row, 2, column)


async def test_a_finding_says_what_is_wrong_in_a_sentence(
    connection: Connection, owner: Connection, purse: Purse
) -> None:
    await owner.execute("UPDATE usage_record SET balance_after = 999 WHERE seq = 2")
    (finding,) = await verify(connection)
    assert finding == Finding(
        rule="L2",
        org_id=purse.org_id,
        wallet_id=purse.wallet_id,
        table="usage_record",
        seq=2,
        row="usage record 2",
        column="balance_after",
        expected="143",
        found="999",
        because="as it follows from the record before it",
    )
    assert finding.sentence == (
        f"L2: usage record 2 of wallet {purse.wallet_id}: balance_after should be 143, as it"
        " follows from the record before it, but is 999."
    )


@pytest.mark.usefixtures("purse")
async def test_books_out_of_balance_are_told_per_currency(
    connection: Connection, owner: Connection
) -> None:
    await owner.execute("ALTER TABLE wallet DROP CONSTRAINT wallet_books_balance")
    await owner.execute("UPDATE wallet SET breakage = breakage + 3")
    found = {(f.rule, f.row, f.column, f.found) for f in await verify(connection)}
    assert ("L11", "all wallets in USD", "posted", "3") in found
    assert ("L11", "table wallet", "wallet_books_balance", "none") in found


GUARD_DAMAGES: dict[str, tuple[LiteralString, tuple[str, str]]] = {
    "UPDATE on entries": ("GRANT UPDATE ON entry TO tollkeeper_app", ("L1", "entry")),
    "DELETE on lots": ("GRANT DELETE ON lot TO tollkeeper_app", ("L1", "lot")),
    "TRUNCATE on records": (
        "GRANT TRUNCATE ON usage_record TO tollkeeper_app",
        ("L1", "usage_record"),
    ),
    "UPDATE of one column": ("GRANT UPDATE (reason) ON entry TO tollkeeper_app", ("L1", "entry")),
    "UPDATE for everybody": ("GRANT UPDATE ON entry TO PUBLIC", ("L1", "entry")),
    "no hard stop": ("ALTER TABLE wallet DROP CONSTRAINT wallet_hard_stop", ("L3", "wallet")),
    "a softer stop": (
        """
        ALTER TABLE wallet DROP CONSTRAINT wallet_hard_stop;
        ALTER TABLE wallet ADD CONSTRAINT wallet_hard_stop
            CHECK (posted - held + overdraft + overrun >= -5)
        """,
        ("L3", "wallet"),
    ),
    "an unchecked stop": (
        """
        ALTER TABLE wallet DROP CONSTRAINT wallet_hard_stop;
        ALTER TABLE wallet ADD CONSTRAINT wallet_hard_stop
            CHECK (posted - held + overdraft + overrun >= 0) NOT VALID
        """,
        ("L3", "wallet"),
    ),
    "sources that may come twice": ("DROP INDEX entry_once_per_source", ("L5", "entry")),
    "an index that is not valid": (
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'entry_reversed_once'::regclass",
        ("L5", "entry"),
    ),
    "an index that is not unique": (
        """
        DROP INDEX entry_once_per_source;
        CREATE INDEX entry_once_per_source ON entry (org_id, source) WHERE source IS NOT NULL
        """,
        ("L5", "entry"),
    ),
}


@pytest.mark.parametrize("damage", GUARD_DAMAGES)
@pytest.mark.usefixtures("purse")
async def test_a_rule_that_the_database_no_longer_holds_is_named(
    connection: Connection, owner: Connection, damage: str
) -> None:
    statement, expected = GUARD_DAMAGES[damage]
    await owner.execute(statement)
    found = await verify(connection)
    assert [(f.rule, f.table, f.org_id) for f in found] == [(*expected, None)]


@pytest.mark.usefixtures("purse")
async def test_doubles_are_named_when_nothing_refuses_them(
    connection: Connection, owner: Connection
) -> None:
    await owner.execute("ALTER TABLE usage_record DROP CONSTRAINT usage_record_once")
    await owner.execute("DROP INDEX entry_once_per_source")
    await owner.execute("DROP INDEX entry_reversed_once")
    await owner.execute(
        "UPDATE usage_record SET usage_id = (SELECT usage_id FROM usage_record WHERE seq = 1)"
        " WHERE seq = 6"
    )
    await owner.execute("UPDATE entry SET source = 'pay1' WHERE seq IN (1, 2)")
    await owner.execute("UPDATE entry SET reverses_seq = 4 WHERE seq = 7")
    found = {(f.rule, f.row, f.column) for f in await verify(connection)}
    assert found >= {
        ("L5", "usage record 1", "usage_id"),
        ("L5", "usage record 6", "usage_id"),
        ("L5", "entry 1", "source"),
        ("L5", "entry 2", "source"),
        ("L5", "entry 6", "reverses_seq"),
        ("L5", "entry 7", "reverses_seq"),
    }


async def test_a_hold_past_its_time_has_some_slack(connection: Connection) -> None:
    purse = await open_purse(connection, 10)
    await ledger.hold(connection, [purse.hold(1, expires_at=NOW)], NOW)
    assert await findings(connection, NOW + 4 * HOUR, slack=5 * HOUR) == []
    assert len(await findings(connection, NOW + 6 * HOUR, slack=5 * HOUR)) == 1


async def test_one_organization_is_looked_at_alone(
    connection: Connection, owner: Connection
) -> None:
    sound, broken = await open_purse(connection, 10), await open_purse(connection, 10)
    await owner.execute("UPDATE entry SET balance_after = 11 WHERE org_id = %s", (broken.org_id,))
    assert await findings(connection, org_id=sound.org_id) == []
    assert await findings(connection, org_id=broken.org_id) != []
    assert len(await findings(connection)) == len(await findings(connection, org_id=broken.org_id))


async def test_many_wallets_are_looked_at_in_pieces(connection: Connection) -> None:
    purses = [await open_purse(connection, 10) for _ in range(40)]
    for purse in purses:
        await ledger.charge(connection, [purse.charge(1)], NOW)
    seen: list[Progress] = []
    with pytest.MonkeyPatch.context() as patch:
        module = importlib.import_module("tollkeeper.ledger.verify")
        patch.setattr(module, "_WALLETS", 7)
        patch.setattr(module, "_ROWS", 9)
        assert await findings(connection, progress=seen.append) == []
    assert [(each.done, each.total) for each in seen[-1:]] == [(120, 120)]
    assert len(seen) > 10


async def test_verify_reads_one_moment_beside_traffic(connection: Connection, connect: Any) -> None:
    """Calls that go on while it reads are no findings."""
    purse = await open_purse(connection, 1_000_000)
    reader = await connect()
    found: list[str] = []
    for _ in range(30):
        holds = [purse.hold(3) for _ in range(20)]
        await ledger.hold(connection, holds, NOW)
        settling = ledger.settle(connection, [purse.settlement(h, 2) for h in holds], NOW)
        told, _ = await asyncio.gather(findings(reader), settling)
        found += told
    assert found == []


@pytest.mark.usefixtures("purse")
async def test_the_application_cannot_repair_what_it_finds(connection: Connection) -> None:
    for table in ("entry", "lot", "usage_record"):
        for statement in (f"UPDATE {table} SET org_id = org_id", f"DELETE FROM {table}"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await connection.execute(statement.encode())
    assert await findings(connection, LATER) == []


async def verify(connection: Connection) -> list[Finding]:
    return [finding async for finding in ledger.verify(connection, MovableClock(LATER))]


async def test_a_wallet_is_looked_at_as_of_its_own_snapshot(connection: Connection) -> None:
    """Credit past its day that calls hold is looked at again each second, while verify reads."""
    first = await open_purse(connection, 10)
    purse = await open_purse(
        connection, 10, org_id=first.org_id, currency="VCU", expires_at=NOW + HOUR
    )
    await ledger.hold(connection, [purse.hold(10, expires_at=NOW + 3 * HOUR)], NOW)
    clock, minute = MovableClock(NOW + HOUR), timedelta(minutes=1)
    await ledger.expire_lots(connection, *purse.address, clock.now() + minute)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.import_module("tollkeeper.ledger.verify"), "_WALLETS", 1)
        found = ledger.verify(
            connection,
            clock,
            org_id=purse.org_id,
            progress=lambda at: clock.advance(minute) if at.done == 1 else None,
        )
        assert [finding.sentence async for finding in found] == []


async def all_entries(connection: Connection, purse: Purse) -> list[ledger.Entry]:
    return await ledger.entries(connection, *purse.address, limit=100, descending=False)
