"""Adds the books of all wallets up, a page at a time: memory does not grow with their number."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final
from uuid import UUID

from tollkeeper.credits.revenue import store
from tollkeeper.credits.revenue.model import Month, months_in
from tollkeeper.db import Database

_PAGE: Final = 100


async def revenue(
    database: Database,
    moments: list[datetime],
    *,
    livemode: bool = True,
    org_id: UUID | None = None,
    progress: Callable[[int], None] | None = None,
) -> dict[str, list[Month]]:
    """By currency, a month between each two of `moments`; of one organization, or of all."""
    sums: dict[str, list[Month]] = {}
    after, done = None, 0
    while True:
        async with database.transaction() as tx:
            books = await store.books(
                tx, moments, livemode=livemode, org_id=org_id, after=after, limit=_PAGE
            )
        for book in books:
            known = sums.setdefault(book.currency, [Month() for _ in moments[1:]])
            for whole, part in zip(known, months_in(book), strict=True):
                whole.add(part)
        done += len(books)
        if progress is not None:
            progress(done)
        if len(books) < _PAGE:
            return dict(sorted(sums.items()))
        after = (books[-1].org_id, books[-1].wallet_id)
