"""Statements add up with the ledger to the nano, or are not given."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from uuid import UUID

import msgspec
import pytest
from msgspec import Raw

from tollkeeper import ledger
from tollkeeper.base.errors import InvalidRequest
from tollkeeper.base.ids import uuid7
from tollkeeper.db import Connection, Database
from tollkeeper.invoices import Month, Statement, StatementWrong, make_statement
from tollkeeper.ledger import EntryKind, LotKind, NewCharge, NewLot, Posting, Wallet

BEGINNING = datetime(2027, 12, 20, tzinfo=UTC)
LATER = datetime(2028, 6, 1, tzinfo=UTC)
MONTHS = ["2027-12", "2028-01", "2028-02", "2028-03", "2028-04"]
COMES = {
    EntryKind.PURCHASE: LotKind.PURCHASED,
    EntryKind.AUTO_TOP_UP: LotKind.PURCHASED,
    EntryKind.GRANT: LotKind.PROMOTIONAL,
}
GOES = (EntryKind.REFUND, EntryKind.DISPUTE, EntryKind.EXPIRY, EntryKind.ADJUSTMENT)


async def open_wallet(database: Database) -> Wallet:
    async with database.transaction() as tx:
        return await ledger.open_wallet(
            tx,
            org_id=uuid7(),
            wallet_id=uuid7(),
            livemode=True,
            currency="USD",
            now=BEGINNING,
            overdraft=10**15,
        )


def charge_of(wallet: Wallet, chance: Random, at: datetime) -> NewCharge:
    """A call with some lines; now and then its lines leave a part of the cost unsaid."""
    amounts = [chance.randrange(10**10) for _ in range(chance.randrange(4))]
    lines = [
        [f"sku-{chance.randrange(4)}", "tokens", chance.randrange(1, 10**6), 1, 1, 1, amount]
        for amount in amounts
    ]
    unsaid = chance.choice([0, 0, 1, 10**9])
    detail = {"rating": {"lines": lines}} if lines or chance.random() < 0.5 else {}
    return NewCharge(
        org_id=wallet.org_id,
        wallet_id=wallet.wallet_id,
        usage_id=uuid7(),
        amount=sum(amounts) + unsaid,
        lines=len(lines),
        started_at=at,
        status=200,
        source="reported",
        detail=Raw(msgspec.json.encode(detail)),
    )


async def live(database: Database, wallet: Wallet, chance: Random) -> None:
    """Half a year of a busy wallet, with moments right at the ends of months."""
    ends = [Month.read(month).until for month in MONTHS]
    at = BEGINNING
    async with database.connection() as connection:
        for _ in range(120):
            at += timedelta(seconds=chance.randrange(3 * 86_400))
            due = [end for end in ends if at - timedelta(days=1) < end < at]
            at = due[0] - timedelta(microseconds=chance.randrange(2)) if due else at
            if chance.random() < 0.6:
                calls = [charge_of(wallet, chance, at) for _ in range(chance.randrange(1, 4))]
                await ledger.charge(connection, calls, at)
            else:
                await post(connection, wallet, chance, at)


async def post(connection: Connection, wallet: Wallet, chance: Random, at: datetime) -> None:
    comes = chance.random() < 0.6
    kind = chance.choice([*COMES] if comes else [*GOES])
    amount = chance.randrange(1, 10**11)
    posting = Posting(
        org_id=wallet.org_id,
        wallet_id=wallet.wallet_id,
        entry_id=uuid7(),
        kind=kind,
        amount=amount if comes else -amount,
        lot=NewLot(kind=COMES[kind]) if comes else None,
        reason="told",
    )
    async with connection.transaction():
        await ledger.post(connection, posting, at)


async def statement(database: Database, wallet: Wallet, month: str) -> Statement:
    async with database.transaction() as tx:
        return await make_statement(
            tx, wallet.org_id, "USD", Month.read(month), LATER, livemode=True
        )


async def test_any_history_adds_up_month_by_month(database: Database) -> None:
    for seed in range(6):
        wallet = await open_wallet(database)
        await live(database, wallet, Random(seed))  # noqa: S311 (reproducible)
        made = [await statement(database, wallet, month) for month in MONTHS]
        assert made[0].opening_nanos == 0
        for before, after in pairwise(made):
            assert after.opening_nanos == before.closing_nanos
        entries = await all_entries(database, wallet.org_id, wallet.wallet_id)
        for month in made:
            start, until = month.month.start, month.month.until
            assert_says(month, [e for e in entries if start <= e.posted_at < until])


def assert_says(month: Statement, within: list[ledger.Entry]) -> None:
    consumed = -sum(e.amount for e in within if e.kind is EntryKind.CONSUMPTION)
    assert month.consumed_nanos == consumed
    assert sum(cost.amount_nanos for cost in month.consumption) == consumed
    moved = [e.amount for e in within if e.kind is not EntryKind.CONSUMPTION]
    assert [movement.amount_nanos for movement in month.movements] == moved
    assert month.closing_nanos == month.opening_nanos + sum(e.amount for e in within)
    assert month.complete


async def all_entries(database: Database, org_id: UUID, wallet_id: UUID) -> list[ledger.Entry]:
    async with database.connection() as connection:
        return await ledger.entries(connection, org_id, wallet_id, limit=10_000, descending=False)


@pytest.mark.parametrize(
    "broken",
    [
        "UPDATE entry SET amount = amount + 1 WHERE seq = 2",
        "UPDATE entry SET balance_after = balance_after - 1 WHERE seq = 3",
        "UPDATE usage_record SET amount = amount + 1 WHERE seq = 1",
    ],
)
async def test_a_statement_that_does_not_add_up_is_not_given(
    database: Database, owner: Connection, broken: str
) -> None:
    wallet = await open_wallet(database)
    at = datetime(2028, 2, 29, 12, tzinfo=UTC)
    chance = Random(1)  # noqa: S311 (reproducible)
    async with database.connection() as connection:
        await post(connection, wallet, chance, at)
        call = charge_of(wallet, chance, at)
        await ledger.charge(connection, [msgspec.structs.replace(call, amount=5)], at)
        await post(connection, wallet, chance, at)
    await statement(database, wallet, "2028-02")
    await owner.execute(broken.encode())
    with pytest.raises(StatementWrong):
        await statement(database, wallet, "2028-02")


async def test_a_wallet_without_a_history_has_a_statement(database: Database) -> None:
    wallet = await open_wallet(database)
    made = await statement(database, wallet, "2028-01")
    assert (made.opening_nanos, made.closing_nanos, made.movements) == (0, 0, ())
    for month in ("2028-07", "2099-01"):
        with pytest.raises(InvalidRequest):
            await statement(database, wallet, month)


@pytest.mark.parametrize(
    "text", ["2026", "2026-13", "2026-00", "26-01", "2026-1", "2026-01-01", "9999-12", "٢٠٢٦-01"]
)
def test_what_is_no_month(text: str) -> None:
    with pytest.raises(ValueError, match="such as 2026-11"):
        Month.read(text)


def test_months_end_where_the_next_begins() -> None:
    assert Month.read("2026-12").until == Month.read("2027-01").start
    assert Month.read("2028-02").until - Month.read("2028-02").start == timedelta(days=29)
