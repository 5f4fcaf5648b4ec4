"""Credit that is past its day leaves by an entry, before the next call can spend it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from tollkeeper.base.ids import uuid7
from tollkeeper.db import Connection
from tollkeeper.ledger import store
from tollkeeper.ledger.lots import Drawn, draw
from tollkeeper.ledger.model import EntryKind, Lot, Posting
from tollkeeper.ledger.posting import post

# Expired credit that running calls hold is looked at again this much later. What they give back
# can be spent by new calls until then, so it is short.
_HELD_RETRY: Final = timedelta(seconds=1)


async def expire_lots(connection: Connection, org_id: UUID, wallet_id: UUID, now: datetime) -> int:
    """Post what is left of this wallet's expired lots as `expiry` entries. Returns the nanos.

    What running calls hold is left to them; it expires once they have ended.
    """
    async with connection.transaction():
        wallet = await store.lock_wallet(connection, org_id, wallet_id)
        drawn = await drawn_lots(connection, org_id, wallet_id, wallet.posted)
        free = max(wallet.available, 0)
        expired = 0
        due = _due(drawn, now)
        for lot in due:
            amount = min(drawn.remaining[lot.lot_id], free - expired)
            if amount > 0:
                await post(connection, _expiry_of(lot, org_id, wallet_id, amount), now)
                expired += amount
        left = sum(drawn.remaining[lot.lot_id] for lot in due) - expired
        upcoming = [
            lot.expires_at for lot in drawn.lots.values() if lot.expires_at and lot.expires_at > now
        ]
        if left:
            upcoming.append(now + _HELD_RETRY)
        await store.set_next_expiry(connection, org_id, wallet_id, min(upcoming, default=None))
    return expired


async def expire_due_lots(connection: Connection, now: datetime, *, limit: int = 100) -> int:
    """Expire in up to `limit` wallets. Returns how many; call again while it equals `limit`."""
    wallets = await store.wallets_with_expiry_due(connection, now, limit)
    for org_id, wallet_id in wallets:
        await expire_lots(connection, org_id, wallet_id, now)
    return len(wallets)


async def wallets_expiring(
    connection: Connection, before: datetime, limit: int
) -> list[tuple[UUID, UUID]]:
    """Organizations and wallets with credit that expires before then, up to `limit` of them."""
    return await store.wallets_with_expiry_due(connection, before, limit)


async def drawn_lots(connection: Connection, org_id: UUID, wallet_id: UUID, posted: int) -> Drawn:
    """What is left of each lot when the balance is `posted`."""
    lots = await store.lots(connection, org_id, wallet_id)
    movements = await store.movements(connection, org_id, wallet_id)
    return draw(lots, movements, posted)


def _due(drawn: Drawn, now: datetime) -> list[Lot]:
    return [lot for lot in drawn.left if lot.expires_at is not None and lot.expires_at <= now]


def _expiry_of(lot: Lot, org_id: UUID, wallet_id: UUID, amount: int) -> Posting:
    return Posting(
        org_id=org_id,
        wallet_id=wallet_id,
        entry_id=uuid7(),
        kind=EntryKind.EXPIRY,
        amount=-amount,
        lot_id=lot.lot_id,
        reason=f"expired {lot.expires_at:%Y-%m-%d %H:%M} UTC",
    )
