"""Everything that was used without a price, looked at again with the prices of today."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tollkeeper import metering, operator, pricing
from tollkeeper.base.ids import show_id
from tollkeeper.base.money import Money
from tollkeeper.db import Database
from tollkeeper.metering import Unpriced
from tollkeeper.operator import Act
from tollkeeper.pricing import Book, ModelNotPriced

_PAGE: Final = 500


@dataclass(slots=True)
class Rerated:
    charged: int = 0
    unpriced: int = 0


async def rerate_all(database: Database, act: Act, told: Callable[[int], None]) -> Rerated:
    """Each call in a transaction of its own: what is done stays done when this is cut off."""
    done = Rerated()
    after: Unpriced | None = None
    async with database.connection() as connection:
        book = await pricing.load_book(connection)
    while True:
        async with database.connection() as connection:
            page = await metering.list_unpriced(connection, after, _PAGE)
        for unpriced in page:
            await _rerate_one(database, act, unpriced, book, done)
            told(done.charged + done.unpriced)
        if len(page) < _PAGE:
            return done
        after = page[-1]


async def _rerate_one(
    database: Database, act: Act, unpriced: Unpriced, book: Book, done: Rerated
) -> None:
    usage = show_id("use", unpriced.usage_id)
    try:
        async with database.transaction() as tx:
            entry = await metering.rerate(
                tx, unpriced.org_id, unpriced.usage_id, book, actor=act.who, now=act.at
            )
            if entry is not None:
                amount = str(Money(entry.amount))
                details = {"usageId": usage, "amount": amount}
                await operator.note(tx, act, "usage.rerate", unpriced.org_id, **details)
    except ModelNotPriced:
        done.unpriced += 1
    else:
        done.charged += entry is not None
