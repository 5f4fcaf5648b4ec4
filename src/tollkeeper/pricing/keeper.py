"""Keeps the book that this process sells by."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from tollkeeper.base.errors import Unavailable
from tollkeeper.db import Database
from tollkeeper.pricing.book import Book
from tollkeeper.pricing.store import load_book, read_revision

_SECONDS: Final = 1.0

_log = structlog.get_logger(__name__)


class BookKeeper:
    """Holds the current Book in memory, and a newer one at most a second after it is published.

    Published prices and mark-ups never change, so a book that is late is incomplete, not wrong;
    dates do their work without being asked.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._book = Book()

    @property
    def book(self) -> Book:
        return self._book

    async def refresh(self) -> bool:
        """Read the book if there is anything new in it, and say whether there was."""
        async with self._database.connection() as connection:
            if await read_revision(connection) == self._book.revision:
                return False
            self._book = await load_book(connection)
        return True

    async def run(self, seconds: float = _SECONDS) -> None:
        """Refresh again and again until cancelled. While the database is away, the book stays."""
        while True:
            try:
                await self.refresh()
            except Unavailable as outage:
                _log.warning("price_book_not_refreshed", reason=str(outage))
            await asyncio.sleep(seconds)
