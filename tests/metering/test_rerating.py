"""Usage that had no price is charged once it has one (B5, M14)."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from metered import DOLLAR, GPT, Purse, rated

from tollkeeper import ledger
from tollkeeper.base.errors import NotFound
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.db import Database
from tollkeeper.ledger import Account, Entry, EntryKind
from tollkeeper.metering import Call, Meter, list_unpriced, new_charge, rerate, sums
from tollkeeper.pricing import Book, Markup, ModelNotPriced, PriceVersion, Rate, rate, seal

WITH_IMAGES = seal(
    PriceVersion(
        provider="openai",
        model="gpt-5",
        effective_from=GPT.effective_from + timedelta(days=1),
        source="a test",
        rates={**GPT.rates, "image": Rate(40_000_000, 1)},
    )
)
BOOK = Book([GPT, WITH_IMAGES])


async def rerated(database: Database, purse: Purse, usage_id: UUID, book: Book) -> Entry | None:
    async with database.transaction() as tx:
        return await rerate(
            tx,
            purse.org_id,
            usage_id,
            book,
            actor="opk_1 us",
            now=purse.clock.now(),
        )


async def test_what_was_left_out_is_charged_once(
    database: Database, meter: Meter, purse: Purse
) -> None:
    charge = rated(purse, usage={"input": 1000, "image": 3})
    assert (await meter.settle(charge)).amount == 1_250_000
    await sums.sweep(database)
    async with database.connection() as connection:
        (listed,) = await list_unpriced(connection, None, 10)
        assert listed.usage_id == charge.usage_id
        assert await list_unpriced(connection, listed, 10) == []
    entry = await rerated(database, purse, charge.usage_id, BOOK)
    assert entry is not None
    assert (entry.kind, entry.account) == (EntryKind.ADJUSTMENT, Account.REVENUE)
    assert (entry.amount, entry.balance_after) == (-120_000_000, 100 * DOLLAR - 121_250_000)
    assert entry.source == f"rerate:{show_id('use', charge.usage_id)}"
    assert entry.reason is not None
    assert "3 image = 0.12" in entry.reason
    again = await rerated(database, purse, charge.usage_id, BOOK)
    assert again == entry
    async with database.connection() as connection:
        wallet = await ledger.find_wallet(connection, purse.org_id, purse.wallet_id)
        assert wallet.posted == 100 * DOLLAR - 121_250_000
        assert wallet.spent == 121_250_000
        assert await list_unpriced(connection, None, 10) == []


async def test_still_without_a_price(database: Database, meter: Meter, purse: Purse) -> None:
    charge = rated(purse, usage={"image": 3})
    await meter.settle(charge)
    with pytest.raises(ModelNotPriced):
        await rerated(database, purse, charge.usage_id, Book([GPT]))
    with pytest.raises(ModelNotPriced):
        await rerated(database, purse, charge.usage_id, Book())


async def test_nothing_was_left_out(database: Database, meter: Meter, purse: Purse) -> None:
    charge = rated(purse)
    await meter.settle(charge)
    assert await rerated(database, purse, charge.usage_id, BOOK) is None
    with pytest.raises(NotFound):
        await rerated(database, purse, uuid7(), BOOK)


async def test_a_fixed_fee_is_not_charged_again(
    database: Database, meter: Meter, purse: Purse
) -> None:
    call = Call(
        org_id=purse.org_id,
        wallet_id=purse.wallet_id,
        usage_id=uuid7(),
        started_at=purse.clock.now(),
    )
    rating = rate(GPT, {"input": 1000, "image": 1}, markup=Markup(500_000, 1_000_000))
    await meter.settle(new_charge(call, rating))
    entry = await rerated(database, purse, call.usage_id, BOOK)
    assert entry is not None
    assert entry.amount == -60_000_000


async def test_free_after_all_is_done_with(database: Database, meter: Meter, purse: Purse) -> None:
    charge = rated(purse, usage={"image": 3})
    await meter.settle(charge)
    await sums.sweep(database)
    async with database.connection() as connection:
        assert len(await list_unpriced(connection, None, 10)) == 1
    free = seal(
        PriceVersion(
            provider="openai",
            model="gpt-5",
            effective_from=GPT.effective_from + timedelta(days=1),
            source="a test",
            rates={**GPT.rates, "image": Rate(0, 1)},
        )
    )
    assert await rerated(database, purse, charge.usage_id, Book([GPT, free])) is None
    await sums.rebuild_all(database)
    async with database.connection() as connection:
        assert await list_unpriced(connection, None, 10) == []
    assert await rerated(database, purse, charge.usage_id, BOOK) is None, "what was free stays so"
    async with database.connection() as connection:
        assert (await ledger.find_wallet(connection, purse.org_id, purse.wallet_id)).spent == 0
