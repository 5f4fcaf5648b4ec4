"""The revenue view over HTTP: what it says of a year is what the entries say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from msgspec import Raw

from tollkeeper import ledger
from tollkeeper.base.clock import MovableClock
from tollkeeper.base.ids import uuid7
from tollkeeper.credits.granting.recurring import give_due
from tollkeeper.ledger import EntryKind, LotKind, NewCharge, NewLot, Posting, Wallet
from whole import DOLLAR, Customer, Whole, whole_served

YEAR = 2091
START = datetime(YEAR, 1, 1, tzinfo=UTC)
BY_MONTH = """
SELECT to_char(posted_at AT TIME ZONE 'UTC', 'YYYY-MM'), account, sum(amount)
FROM entry JOIN wallet USING (org_id, wallet_id)
WHERE livemode AND currency = 'USD'
GROUP BY 1, 2
"""
POSTED = "SELECT sum(posted) FROM wallet WHERE livemode AND currency = 'USD'"
COLUMNS = {
    "cash": ("purchased", 1),
    "refunds": ("refunded", -1),
    "disputes": ("disputed", -1),
    "promotional": ("granted", 1),
    "revenue": ("earned", -1),
    "breakage": ("breakage", -1),
    "adjustments": ("adjusted", 1),
}
KINDS = (EntryKind.PURCHASE, EntryKind.GRANT, EntryKind.REFUND, EntryKind.ADJUSTMENT)


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(START)


@pytest.fixture
async def whole(database_url: str, clock: MovableClock) -> AsyncIterator[Whole]:
    async with whole_served(database_url, clock=clock) as served:
        yield served


async def wallet_of(whole: Whole, customer: Customer) -> Wallet:
    async with whole.database.connection() as connection:
        wallets = await ledger.wallets_of(connection, customer.org_id)
    return next(wallet for wallet in wallets if wallet.livemode)


async def post(whole: Whole, wallet: Wallet, kind: EntryKind, amount: int, chance: Random) -> None:
    now = whole.app.rooms.clock.now()
    lot = None
    if kind in (EntryKind.PURCHASE, EntryKind.GRANT):
        lives = chance.choice([None, None, 20, 90])
        lot = NewLot(
            kind=LotKind.PURCHASED if kind is EntryKind.PURCHASE else LotKind.PROMOTIONAL,
            priority=chance.choice([50, 100]),
            expires_at=None if lives is None else now + timedelta(days=lives),
        )
    posting = Posting(
        org_id=wallet.org_id,
        wallet_id=wallet.wallet_id,
        entry_id=uuid7(),
        kind=kind,
        amount=-amount if kind is EntryKind.REFUND else amount * chance.choice([1, 1, -1]),
        lot=lot,
    )
    if lot is not None:
        posting = Posting(
            org_id=wallet.org_id,
            wallet_id=wallet.wallet_id,
            entry_id=posting.entry_id,
            kind=kind,
            amount=amount,
            lot=lot,
        )
    async with whole.database.transaction() as tx:
        await ledger.post(tx, posting, now)


async def call(whole: Whole, wallet: Wallet, amount: int) -> None:
    now = whole.app.rooms.clock.now()
    charge = NewCharge(
        org_id=wallet.org_id,
        wallet_id=wallet.wallet_id,
        usage_id=uuid7(),
        amount=amount,
        lines=0,
        started_at=now,
        status=200,
        source="reported",
        detail=Raw(b"{}"),
    )
    async with whole.database.connection() as connection:
        await ledger.settle(connection, [charge], now)


async def live_a_year(whole: Whole, clock: MovableClock, seed: int) -> list[Customer]:
    chance = Random(seed)  # noqa: S311 (a history, not a secret)
    customers = [await whole.customer() for _ in range(4)]
    wallets = [await wallet_of(whole, customer) for customer in customers]
    body = {"amount": 3, "every": "month", "reason": "plan"}
    assert (await whole.operate("POST", "/recurring-grants", body)).status == 201
    while clock.now() < START + timedelta(days=330):
        await give_due(whole.database, clock)
        async with whole.database.connection() as connection:
            await ledger.expire_due_lots(connection, clock.now())
        for wallet in wallets:
            amount = chance.randint(1, 5 * DOLLAR)
            if chance.random() < 0.6:
                await call(whole, wallet, amount)
            else:
                await post(whole, wallet, chance.choice(KINDS), amount, chance)
        clock.advance(timedelta(days=chance.randint(1, 9), hours=chance.randint(0, 23)))
    return customers


def dollars(row: dict[str, Any], name: str) -> Decimal:
    return Decimal(str(row[name]))


async def test_a_year_adds_up_to_its_entries(whole: Whole, clock: MovableClock) -> None:
    customers = await live_a_year(whole, clock, seed=1)
    query = f"from={YEAR}-01&to={YEAR}-12"
    answer = await whole.operate("GET", f"/revenue?{query}")
    assert answer.status == 200, answer.text
    rows = answer.json["data"]
    assert [row["month"] for row in rows] == [f"{YEAR}-{month:02}" for month in range(1, 13)]
    assert [row["complete"] for row in rows] == [True] * 10 + [
        clock.now() >= datetime(YEAR, 12, 1, tzinfo=UTC),
        False,
    ]
    booked: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    async with whole.database.connection() as connection:
        for month, account, amount in await (await connection.execute(BY_MONTH)).fetchall():
            booked[month, account] = Decimal(amount) / DOLLAR
        (posted,) = (await (await connection.execute(POSTED)).fetchall())[0]
    opening = Decimal(0)
    for row in rows:
        assert dollars(row, "opening") == opening
        moved = Decimal(0)
        for account, (column, sign) in COLUMNS.items():
            assert dollars(row, column) == sign * booked[row["month"], account], (row, column)
            moved += sign * dollars(row, column)
        opening = dollars(row, "closing")
        assert dollars(row, "opening") + moved == opening
        parts = ("earnedFromPurchased", "earnedFromPromotional", "earnedFromOther")
        assert sum(dollars(row, part) for part in parts) == dollars(row, "earned")
        left = ("closingPurchased", "closingPromotional", "closingOther")
        assert sum(dollars(row, part) for part in left) == opening
        lapsed = ("breakageOfPurchased", "breakageOfPromotional")
        assert sum(dollars(row, part) for part in lapsed) == dollars(row, "breakage")
    assert opening == Decimal(posted) / DOLLAR
    assert {column for column, _ in COLUMNS.values() if any(dollars(r, column) for r in rows)} > {
        "purchased",
        "granted",
        "earned",
        "breakage",
    }
    alone = [
        (await whole.operate("GET", f"/revenue?{query}&organizationId={customer.id}")).json["data"]
        for customer in customers
    ]
    for nth, row in enumerate(rows):
        assert sum(dollars(rows_of[nth], "closing") for rows_of in alone) == dollars(row, "closing")
    late = (await whole.operate("GET", f"/revenue?from={YEAR}-06&to={YEAR}-09")).json["data"]
    assert late == rows[5:9]
    csv = await whole.operate("GET", f"/revenue?{query}", accept="text/csv")
    assert csv.text.splitlines()[0].startswith("month,currency,complete,opening,purchased")
    assert len(csv.text.splitlines()) == 13


async def test_what_is_no_month_is_refused(whole: Whole) -> None:
    for query in (
        "from=2026",
        "from=2026-13",
        "from=2026-05&to=2026-04",
        "from=2001-01&to=2091-01",
    ):
        assert (await whole.operate("GET", f"/revenue?{query}")).status == 400, query
    both = (await whole.operate("GET", "/revenue?from=x&to=y")).json
    assert set(both["details"]) >= {"from", "to"}
    customer = await whole.customer()
    assert (await whole.ask("GET", "/operator/revenue", customer.keys["live ADMIN"])).status == 401


async def test_lots_are_listed_by_their_state(whole: Whole, clock: MovableClock) -> None:
    customer = await whole.customer()
    path = f"/organizations/{customer.id}/lots"
    wallet = await wallet_of(whole, customer)
    for label, days in (("first", 5), ("second", 10), ("third", 400)):
        body = {
            "amount": 4,
            "reason": "test",
            "label": label,
            "expiresAt": (clock.now() + timedelta(days=days)).isoformat(),
        }
        granted = await whole.operate("POST", f"/organizations/{customer.id}/grants", body)
        assert granted.status == 201
    await call(whole, wallet, 6 * DOLLAR)
    clock.advance(timedelta(days=11))
    async with whole.database.connection() as connection:
        await ledger.expire_due_lots(connection, clock.now())

    async def labels(query: str) -> list[str]:
        answer = await whole.operate("GET", f"{path}?{query}")
        assert answer.status == 200, answer.text
        return [lot["label"] for lot in answer.json["data"]]

    assert await labels("state=active") == ["third"]
    assert await labels("state=spent") == ["first"]
    assert await labels("state=expired") == ["second"]
    assert await labels("state=spent&state=active") == ["first", "third"]
    assert await labels(f"expiresBefore={YEAR}-01-15T00:00:00Z") == ["first", "second"]
    page = (await whole.operate("GET", f"{path}?limit=2")).json
    assert len(page["data"]) == 2
    assert await labels(f"limit=2&cursor={page['nextCursor']}") == ["third"]
    own = await whole.ask("GET", "/billing/lots?state=expired", customer.keys["live ADMIN"])
    (lot,) = own.json["data"]
    assert (lot["granted"], lot["drawn"], lot["expired"], lot["left"]) == (4, 2, 2, 0)
    assert (await whole.operate("GET", f"{path}?livemode=false&state=active")).status == 200
    assert (await whole.operate("GET", f"{path}?currency=EUR")).status == 400
