"""Credit and cards that are about to expire are told of beforehand, once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from selling import DOLLAR, Seller, open_seller
from shops import Shop

from tollkeeper import ledger
from tollkeeper.base.ids import uuid7
from tollkeeper.credits.foretelling import foretell, foretell_cards
from tollkeeper.ledger import EntryKind, LotKind, NewLot, Posting


@pytest.fixture
async def seller(sandbox_shop: Shop) -> Seller:
    return await open_seller(sandbox_shop)


async def grant(seller: Seller, dollars: int, expires_at: datetime | None) -> None:
    posting = Posting(
        org_id=seller.org_id,
        wallet_id=seller.wallet_id,
        entry_id=uuid7(),
        kind=EntryKind.GRANT,
        amount=dollars * DOLLAR,
        lot=NewLot(kind=LotKind.PROMOTIONAL, expires_at=expires_at),
    )
    async with seller.shop.database.transaction() as tx:
        await ledger.post(tx, posting, seller.shop.clock.now())


async def told(seller: Seller, type_: str) -> list[Any]:
    async with seller.shop.database.connection() as connection:
        found = await connection.execute(
            "SELECT data FROM notice WHERE type = %s ORDER BY notice_id", (type_,)
        )
        return [row[0] for row in await found.fetchall()]


async def test_credit_that_expires_is_told_of_on_the_days_that_are_set(seller: Seller) -> None:
    now = seller.shop.clock.now()
    await grant(seller, 5, now + timedelta(days=9, hours=12))
    await grant(seller, 7, now + timedelta(days=33))
    await grant(seller, 9, None)
    await seller.spend(2)
    days = list[int]()
    for day in range(36):
        for _ in range(2):  # a job that failed half-way is run again
            await foretell(seller.shop.till)
        days += [day] * (len(await told(seller, "credit_expiring")) - len(days))
        await seller.shop.wait(days=1)
    amounts = [notice["amount"] for notice in await told(seller, "credit_expiring")]
    assert sorted(amounts) == [3, 3, 7, 7, 7]  # what is spent already does not expire
    half = (now + timedelta(days=9, hours=12)).date() - now.date()
    assert days == sorted([half.days - 7, half.days - 1, 3, 26, 32])


async def test_what_comes_anew_each_day_is_not_told_of_each_day(seller: Seller) -> None:
    await grant(seller, 5, seller.shop.clock.now() + timedelta(days=1))
    await foretell(seller.shop.till)
    assert await told(seller, "credit_expiring") == []


@pytest.mark.parametrize("late", [-10, 10])
async def test_a_job_that_starts_early_or_late_leaves_out_nobody(seller: Seller, late: int) -> None:
    now = seller.shop.clock.now()
    nine = (now + timedelta(days=1)).replace(hour=9, minute=0, second=0)
    seller.shop.clock.advance(nine - now)
    for seconds in (-15, -5, 5, 15):
        await grant(seller, 5, nine + timedelta(days=8, seconds=seconds))
    for _ in range(4):
        await foretell(seller.shop.till)
        await seller.shop.wait(days=1, seconds=late)
    assert len(await told(seller, "credit_expiring")) == 4


async def test_credit_that_is_spent_does_not_expire(seller: Seller) -> None:
    await grant(seller, 5, seller.shop.clock.now() + timedelta(days=6, hours=12))
    await seller.spend(5)
    await foretell(seller.shop.till)
    assert await told(seller, "credit_expiring") == []


async def test_a_card_is_told_of_in_its_last_month(seller: Seller) -> None:
    method = await seller.card()
    assert method.exp_year is not None
    assert method.exp_month is not None
    last = datetime(method.exp_year, method.exp_month, 1, 9, tzinfo=UTC)
    assert await foretell_cards(seller.shop.till, last - timedelta(days=1)) == 0
    assert await foretell_cards(seller.shop.till, last) == 1
    (only,) = await told(seller, "payment_method_expiring")
    assert (only["last4"], only["expYear"]) == ("4242", method.exp_year)
    assert await foretell_cards(seller.shop.till, last + timedelta(days=31)) == 0
    assert await foretell_cards(seller.shop.till, last.replace(year=last.year + 1)) == 0
