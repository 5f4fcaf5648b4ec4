"""What can be exported, and how each is read: a page at a time, oldest first."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import msgspec

from tollkeeper import invoices, ledger, metering
from tollkeeper.base.ids import show_id
from tollkeeper.base.money import Money
from tollkeeper.db import Database
from tollkeeper.invoices import InvoiceOut
from tollkeeper.ledger import Entry, Wallet

# Read and encoded at once, in a process that answers calls meanwhile.
_PAGE: Final = 1_000

Row = Sequence[object]
Pages = AsyncGenerator[Sequence[Row]]
Books = Literal["usage", "entries", "invoices"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """From `start` on, before `end`; None is as far as there is. `livemode` None is both."""

    start: datetime | None
    end: datetime | None
    livemode: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """`columns` name the cells of the rows; customers do not read the last `ours` of them."""

    columns: tuple[str, ...]
    pages: Callable[[Database, UUID, Window], Pages]
    ours: int = 0

    @property
    def shown(self) -> tuple[str, ...]:
        """The columns that customers read."""
        return self.columns[: len(self.columns) - self.ours]


async def _usage(database: Database, org_id: UUID, window: Window) -> Pages:
    shown = show_id("org", org_id)
    found = metering.usage_pages(
        database, org_id, livemode=window.livemode, start=window.start, end=window.end
    )
    async for page in found:
        yield [(shown, *row) for row in page]


_ENTRY_COLUMNS: Final = (
    "organizationId",
    "livemode",
    "currency",
    "seq",
    "id",
    "timestamp",
    "kind",
    "amount",
    "balanceAfter",
    "lotId",
    "reversesSeq",
    "reason",
    "account",
    "source",
    "actor",
)


async def _entries(database: Database, org_id: UUID, window: Window) -> Pages:
    async with database.connection() as connection:
        wallets = await ledger.wallets_of(connection, org_id)
    for wallet in wallets:
        if window.livemode in (None, wallet.livemode):
            async for page in _entries_of(database, wallet, window):
                yield page


async def _entries_of(database: Database, wallet: Wallet, window: Window) -> Pages:
    """What is posted after this began is left for the next export."""
    newest = await _newest(database, wallet)
    above = await _posted_before(database, wallet, newest, window.start)
    while above < newest:
        limit = min(_PAGE, newest - above)
        page = await _page_of_entries(database, wallet, above, limit)
        rows = [
            _entry_row(entry, wallet)
            for entry in page
            if window.end is None or entry.posted_at < window.end
        ]
        if rows:
            yield rows
        if len(rows) < limit:
            return
        above = page[-1].seq


async def _newest(database: Database, wallet: Wallet) -> int:
    async with database.connection() as connection:
        found = await ledger.entries(connection, wallet.org_id, wallet.wallet_id, limit=1)
    return found[0].seq if found else 0


async def _posted_before(
    database: Database, wallet: Wallet, newest: int, at: datetime | None
) -> int:
    """Return the number of the last entry before a moment, found by halving.

    Entries are numbered without gaps, and their times never run backwards.
    """
    low, high = 0, newest + 1
    while at is not None and high - low > 1:
        middle = (low + high) // 2
        [entry] = await _page_of_entries(database, wallet, middle - 1, 1)
        low, high = (middle, high) if entry.posted_at < at else (low, middle)
    return low


async def _page_of_entries(
    database: Database, wallet: Wallet, above: int, limit: int
) -> list[Entry]:
    async with database.connection() as connection:
        return await ledger.entries(
            connection,
            wallet.org_id,
            wallet.wallet_id,
            limit=limit,
            above=above,
            descending=False,
        )


def _entry_row(entry: Entry, wallet: Wallet) -> Row:
    return (
        show_id("org", entry.org_id),
        wallet.livemode,
        wallet.currency,
        entry.seq,
        show_id("ent", entry.entry_id),
        entry.posted_at,
        entry.kind.value,
        Money(entry.amount),
        Money(entry.balance_after),
        None if entry.lot_id is None else show_id("lot", entry.lot_id),
        entry.reverses_seq,
        entry.reason,
        entry.account.value,
        entry.source,
        entry.actor,
    )


_INVOICE_FIELDS: Final = msgspec.structs.fields(InvoiceOut)


async def _invoices(database: Database, org_id: UUID, window: Window) -> Pages:
    shown, above = show_id("org", org_id), None
    while True:
        async with database.connection() as connection:
            page = await invoices.invoices_between(
                connection,
                org_id,
                livemode=window.livemode,
                start=window.start,
                end=window.end,
                above=above,
                limit=_PAGE,
            )
        if not page:
            return
        outs = [InvoiceOut.of(invoice) for invoice in page]
        yield [(shown, *(getattr(out, field.name) for field in _INVOICE_FIELDS)) for out in outs]
        above = page[-1].invoice_id


BOOKS: Final[dict[Books, Book]] = {
    "usage": Book(columns=("organizationId", *metering.USAGE_COLUMNS), pages=_usage),
    "entries": Book(columns=_ENTRY_COLUMNS, pages=_entries, ours=3),
    "invoices": Book(
        columns=("organizationId", *(field.encode_name for field in _INVOICE_FIELDS)),
        pages=_invoices,
    ),
}
