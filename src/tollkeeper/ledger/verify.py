"""Books that prove themselves: replay everything, compare to the last nano, name what is wrong."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, LiteralString, NamedTuple
from uuid import UUID

from tollkeeper.base.clock import Clock
from tollkeeper.db import Connection
from tollkeeper.ledger import verify_everywhere as everywhere
from tollkeeper.ledger import verify_store as store
from tollkeeper.ledger.guards import check_guards
from tollkeeper.ledger.lots import Drawn, draw
from tollkeeper.ledger.model import Finding

# Wallets and rows that one transaction looks at: long enough to be fast, short enough that nobody
# waits for it. A single wallet is not divided.
_WALLETS: Final = 500
_ROWS: Final = 200_000

# `expire_lots` looks again after a second; nobody's clock is exact.
_EXPIRY_SLACK: Final = timedelta(seconds=10)


class Check(NamedTuple):
    rule: str
    table: str
    statement: LiteralString
    because: str


CHECKS: Final = (
    Check("L2", "entry", store.ENTRY_CHAIN, "as it follows from the entry before it"),
    Check("L2", "usage_record", store.USAGE_CHAIN, "as it follows from the record before it"),
    Check("L2", "entry", store.CONSUMPTION, "as its usage records make it"),
    Check("L2", "entry", store.REVERSALS, "as the entry that it reverses has it"),
    Check("L11", "entry", store.LOTS_OF_ENTRIES, "since it moves a lot of this wallet"),
    Check("L11", "lot", store.ENTRIES_OF_LOTS, "as the entry that brought it has it"),
    Check("L3", "wallet", store.WALLET_HEADS, "as its entries, records and holds make it"),
)
EVERYWHERE: Final = (
    Check("L11", "wallet", everywhere.TOTALS, "as every entry has two sides"),
    Check("L4", "hold", everywhere.OVERDUE_HOLDS, "as its time is over"),
    Check("L3", "hold", everywhere.DRAWS_OF_HOLDS, "as what it has reserved of counters"),
    Check("L3", "counter", everywhere.COUNTERS, "as the open holds have reserved it"),
    Check("L3", "entry", everywhere.ENTRIES_WITHOUT_WALLET, "as every entry belongs to one"),
    Check("L3", "usage_record", everywhere.USAGE_WITHOUT_WALLET, "as every record belongs to one"),
    Check("L3", "lot", everywhere.LOTS_WITHOUT_WALLET, "as every lot belongs to one"),
    Check("L3", "hold", everywhere.HOLDS_WITHOUT_WALLET, "as every hold belongs to one"),
)


@dataclass(frozen=True, slots=True)
class Progress:
    """Entries and usage records that were looked at, of how many there were at the beginning."""

    done: int
    total: int


async def verify(
    connection: Connection,
    clock: Clock,
    *,
    org_id: UUID | None = None,
    slack: timedelta = timedelta(minutes=5),
    progress: Callable[[Progress], None] | None = None,
) -> AsyncGenerator[Finding]:
    """Replay the books of one organization, or of all, and yield what is wrong; nothing if none.

    `slack` is how long a hold may stay open past its time, as the job that ends it comes by now
    and then. Runs beside traffic: what it compares, it reads in one snapshot. That costs
    (L6) were worked out right is for whoever worked them out; they yield `Finding`s too.
    """
    async with connection.transaction():
        await store.begin(connection)
        found = await check_guards(connection)
        for check in EVERYWHERE:
            rows = await store.check_all(connection, check.statement, org_id, clock.now() - slack)
            found += _findings(check, rows)
        total = await store.count_rows(connection, org_id)
    for finding in found:
        yield finding
    done = 0
    async for wallets, rows in _chunks(connection, org_id):
        for finding in await _check_wallets(connection, wallets, clock):
            yield finding
        done += rows
        if progress is not None:
            progress(Progress(done, max(total, done)))


async def _chunks(
    connection: Connection, org_id: UUID | None
) -> AsyncGenerator[tuple[list[store.Name], int]]:
    after = (UUID(int=0), UUID(int=0))
    while page := await store.wallets_after(connection, org_id, after, _WALLETS):
        chunk: list[store.Name] = []
        rows = 0
        for org, wallet, size in page:
            if chunk and rows + size > _ROWS:
                yield chunk, rows
                chunk, rows = [], 0
            chunk.append((org, wallet))
            rows += size
        yield chunk, rows
        after = page[-1][:2]


async def _check_wallets(
    connection: Connection, wallets: Sequence[store.Name], clock: Clock
) -> list[Finding]:
    found: list[Finding] = []
    async with connection.transaction():
        await store.begin(connection)
        for check in CHECKS:
            found += _findings(
                check, await store.check_wallets(connection, check.statement, wallets)
            )
        drawings = await store.drawings(connection, wallets)
    # After the snapshot: whatever is in it was written before this moment.
    now = clock.now()
    for drawing in drawings:
        found += _check_lots(drawing, now)
    return found


def _check_lots(drawing: store.Drawing, now: datetime) -> Iterator[Finding]:
    drawn = draw(drawing.lots, drawing.movements, drawing.posted)
    org_id, wallet_id = drawing.wallet
    amounts = {entry.seq: entry.amount for entry in drawing.movements}
    for seq, left in drawn.expired_beyond.items():
        yield Finding(
            rule="L11",
            org_id=org_id,
            wallet_id=wallet_id,
            table="entry",
            seq=seq,
            row=f"entry {seq}",
            column="amount",
            expected=f"{-left} or more",
            found=str(amounts[seq]),
            because="as that is what its lot had left to expire",
        )
    owned = sum(drawn.remaining.values()) - drawn.debt
    if owned != drawing.posted:
        yield _wallet_finding(
            drawing, "L11", "posted", owned, drawing.posted, "as its lots and debt make it"
        )
    due = _next_expiry(drawn)
    at = drawing.next_expiry_at
    if due is not None and (at is None or at > max(due, now) + _EXPIRY_SLACK):
        yield _wallet_finding(
            drawing, "L7", "next_expiry_at", due, at, "as a lot with credit left expires then"
        )


def _next_expiry(drawn: Drawn) -> datetime | None:
    return min((lot.expires_at for lot in drawn.left if lot.expires_at), default=None)


def _wallet_finding(
    drawing: store.Drawing, rule: str, column: str, expected: object, found: object, because: str
) -> Finding:
    org_id, wallet_id = drawing.wallet
    return Finding(
        rule=rule,
        org_id=org_id,
        wallet_id=wallet_id,
        table="wallet",
        seq=None,
        row="wallet",
        column=column,
        expected=str(expected),
        found=str(found),
        because=because,
    )


def _findings(check: Check, rows: Iterable[store.Row]) -> Iterator[Finding]:
    for org_id, wallet_id, seq, row, column, expected, found in rows:
        yield Finding(
            rule=check.rule,
            org_id=org_id,
            wallet_id=wallet_id,
            table=check.table,
            seq=seq,
            row=row,
            column=column,
            expected=expected or "none",
            found=found or "none",
            because=check.because,
        )
