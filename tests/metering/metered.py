"""A purse to spend from, for the tests of this room."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from msgspec import Raw

from tollkeeper import ledger
from tollkeeper.base.clock import MovableClock
from tollkeeper.base.ids import uuid7
from tollkeeper.db import Database
from tollkeeper.ledger import EntryKind, LotKind, NewCharge, NewHold, NewLot, Posting

DOLLAR = 1_000_000_000
START = datetime(2026, 11, 20, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Purse:
    """One organization's wallet, and what a test says about it."""

    org_id: UUID
    wallet_id: UUID
    clock: MovableClock

    def hold(self, amount: int, hold_id: UUID | None = None) -> NewHold:
        return NewHold(
            org_id=self.org_id,
            wallet_id=self.wallet_id,
            hold_id=hold_id or uuid7(),
            amount=amount,
            expires_at=self.clock.now() + timedelta(minutes=20),
        )

    def charge(self, amount: int, usage_id: UUID | None = None, **more: Any) -> NewCharge:
        given: dict[str, Any] = {
            "org_id": self.org_id,
            "wallet_id": self.wallet_id,
            "usage_id": usage_id or uuid7(),
            "amount": amount,
            "lines": 1,
            "started_at": self.clock.now(),
            "status": 200,
            "source": "reported",
            "detail": Raw(b"{}"),
            **more,
        }
        return NewCharge(**given)


async def open_purse(
    database: Database,
    clock: MovableClock,
    amount: int = 0,
    *,
    org_id: UUID | None = None,
    livemode: bool = False,
    currency: str = "USD",
) -> Purse:
    org_id = org_id or uuid7()
    async with database.transaction() as tx:
        wallet = await ledger.open_wallet(
            tx,
            org_id=org_id,
            wallet_id=uuid7(),
            livemode=livemode,
            currency=currency,
            now=clock.now(),
        )
        if amount:
            posting = Posting(
                org_id=org_id,
                wallet_id=wallet.wallet_id,
                entry_id=uuid7(),
                kind=EntryKind.GRANT,
                amount=amount,
                lot=NewLot(kind=LotKind.PROMOTIONAL),
            )
            await ledger.post(tx, posting, clock.now())
    return Purse(org_id, wallet.wallet_id, clock)
