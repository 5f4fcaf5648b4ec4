"""A wallet to spend from, and the waiting for locks that tests stage around it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from msgspec import Raw

from tollkeeper import ledger
from tollkeeper.base.clock import MovableClock
from tollkeeper.base.ids import uuid7
from tollkeeper.db import Connection
from tollkeeper.ledger import EntryKind, LotKind, NewCharge, NewHold, NewLot, Posting, Wallet

NOW = datetime(2026, 1, 1, tzinfo=UTC)

Connect = Callable[[], Awaitable[Connection]]
Result = TypeVar("Result")


@dataclass(frozen=True, order=True)
class Purse:
    org_id: UUID
    wallet_id: UUID

    @property
    def address(self) -> tuple[UUID, UUID]:
        return self.org_id, self.wallet_id

    def hold(self, amount: int, hold_id: UUID | None = None, **more: Any) -> NewHold:
        given: dict[str, Any] = {"expires_at": NOW + timedelta(minutes=10), **more}
        return NewHold(
            org_id=self.org_id,
            wallet_id=self.wallet_id,
            hold_id=hold_id or uuid7(),
            amount=amount,
            **given,
        )

    def charge(self, amount: int, usage_id: UUID | None = None, **more: Any) -> NewCharge:
        given: dict[str, Any] = {
            "org_id": self.org_id,
            "wallet_id": self.wallet_id,
            "usage_id": usage_id or uuid7(),
            "amount": amount,
            "lines": 1,
            "started_at": NOW,
            "status": 200,
            "source": "provider",
            "detail": Raw(b"{}"),
            **more,
        }
        return NewCharge(**given)

    def settlement(self, hold: NewHold, amount: int, **more: Any) -> NewCharge:
        return self.charge(amount, hold.hold_id, hold_id=hold.hold_id, **more)

    def void(self, hold: NewHold) -> tuple[UUID, UUID, UUID]:
        return self.org_id, self.wallet_id, hold.hold_id

    def posting(self, amount: int, kind: EntryKind = EntryKind.PURCHASE, **more: Any) -> Posting:
        given: dict[str, Any] = {
            "lot": NewLot(kind=LotKind.PURCHASED)
            if kind in (EntryKind.PURCHASE, EntryKind.GRANT)
            else None,
            **more,
        }
        return Posting(
            org_id=self.org_id,
            wallet_id=self.wallet_id,
            entry_id=uuid7(),
            kind=kind,
            amount=amount,
            **given,
        )

    async def look(self, connection: Connection) -> Wallet:
        return await ledger.find_wallet(connection, *self.address)

    async def balance(self, connection: Connection) -> tuple[int, int]:
        found = await self.look(connection)
        return found.posted, found.held


async def open_purse(
    connection: Connection,
    amount: int = 0,
    *,
    org_id: UUID | None = None,
    currency: str = "USD",
    overdraft: int = 0,
    expires_at: datetime | None = None,
) -> Purse:
    purse = Purse(org_id or uuid7(), uuid7())
    async with connection.transaction():
        await ledger.open_wallet(
            connection,
            org_id=purse.org_id,
            wallet_id=purse.wallet_id,
            livemode=True,
            currency=currency,
            now=NOW,
            overdraft=overdraft,
        )
        if amount:
            lot = NewLot(kind=LotKind.PURCHASED, expires_at=expires_at)
            await ledger.post(connection, purse.posting(amount, lot=lot), NOW)
    return purse


async def open_purses(connection: Connection, *amounts: int) -> list[Purse]:
    """Open several, in the order in which batches lock them."""
    purses = sorted([await open_purse(connection) for _ in amounts])
    for purse, amount in zip(purses, amounts, strict=True):
        async with connection.transaction():
            await ledger.post(connection, purse.posting(amount), NOW)
    return purses


@asynccontextmanager
async def locked(connection: Connection, purse: Purse) -> AsyncGenerator[None]:
    """Keep others waiting for this purse's wallet to the end of the block."""
    async with connection.transaction():
        await ledger.lock_wallet(connection, *purse.address)
        yield


async def start(waiting: Connection, work: Awaitable[Result]) -> asyncio.Future[Result]:
    """Begin work on a connection that will have to wait for a lock; return when it waits."""
    task = asyncio.ensure_future(work)
    pid, info = waiting.info.backend_pid, waiting.info
    async with await waiting.connect(info.dsn, password=info.password, autocommit=True) as watcher:
        while not task.done():
            cursor = await watcher.execute(
                "SELECT FROM pg_locks WHERE pid = %s AND NOT granted", (pid,)
            )
            if await cursor.fetchone() is not None:
                return task
            await asyncio.sleep(0.005)
    raise AssertionError(f"It did not wait: {task.result()}")


async def findings(connection: Connection, now: datetime = NOW, **options: Any) -> list[str]:
    return [
        finding.sentence
        async for finding in ledger.verify(connection, MovableClock(now), **options)
    ]
