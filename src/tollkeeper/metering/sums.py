"""Sums of usage, kept up in batches beside the hot path; each record counts once.

A process adds up the wallets that it has touched; a sweep over all wallets now and then finds what
a process left behind when it died. `totals` adds the records that are not in the sums yet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from tollkeeper.db import Connection, Database
from tollkeeper.metering import store
from tollkeeper.metering.store import LineTotal, Total

Wallets = Sequence[tuple[UUID, UUID]]

# Records of one wallet in one statement, and wallets: together what a statement may take on.
_RECORDS: Final = 10_000
_WALLETS: Final = 100
_SWEPT: Final = 1_000


async def add_up(database: Database, wallets: Wallets) -> int:
    """Bring the sums of these wallets up to their newest record. Returns how many were added."""
    total = 0
    for start in range(0, len(wallets), _WALLETS):
        part = wallets[start : start + _WALLETS]
        while True:
            async with database.connection() as connection:
                added, more = await store.add_up(connection, part, _RECORDS)
            total += added
            if not more:
                break
    return total


async def sweep(database: Database) -> int:
    """Find every wallet whose sums lag behind, and bring them up."""
    total = 0
    after: tuple[UUID, UUID] | None = None
    while True:
        async with database.connection() as connection:
            lagging = await store.lagging_wallets(connection, after, _SWEPT)
        if not lagging:
            return total
        total += await add_up(database, lagging)
        after = lagging[-1]


async def rebuild(database: Database, wallets: Wallets) -> None:
    """Forget the sums of these wallets and make them again from the records."""
    for wallet in wallets:
        async with database.transaction() as tx:
            await store.forget_sums(tx, *wallet)
        await add_up(database, [wallet])


async def rebuild_all(database: Database, note: Callable[[int], None] = lambda _: None) -> int:
    """Make all sums again, a wallet at a time, and say how many wallets; `note` hears so far."""
    async with database.connection() as connection:
        wallets = await store.summed_wallets(connection)
    for number, wallet in enumerate(wallets, 1):
        await rebuild(database, [wallet])
        note(number)
    await sweep(database)
    return len(wallets)


async def totals(
    connection: Connection, org_id: UUID, wallet_id: UUID, since: datetime, until: datetime
) -> list[Total]:
    """What calls that began in [since, until) came to, by quarter of an hour and combination.

    Both ends lie on a quarter of an hour. The answer does not depend on how far the sums are.
    """
    return await store.totals(connection, org_id, wallet_id, since, until)


async def line_totals(
    connection: Connection, org_id: UUID, wallet_id: UUID, since: datetime, until: datetime
) -> list[LineTotal]:
    """The same by SKU."""
    return await store.line_totals(connection, org_id, wallet_id, since, until)
