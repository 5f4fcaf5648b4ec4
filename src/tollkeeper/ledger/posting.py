"""Entries that are not consumption: credit that comes, leaves, and is put right.

Run these in a transaction. The wallet stays locked until it ends, so it is short, and who posts to
two wallets does so in the order of their ids, as the hot statements lock them.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from tollkeeper.base.errors import NotFound
from tollkeeper.base.money import MAX_NANOS, format_nanos
from tollkeeper.db import Connection
from tollkeeper.ledger import store
from tollkeeper.ledger.model import (
    ACCOUNT_OF,
    Account,
    BalanceTooLarge,
    Entry,
    EntryKind,
    Lot,
    NewLot,
    Posting,
    SourceReused,
)


async def post(
    tx: Connection,
    posting: Posting,
    now: datetime,
    *,
    account: Account | None = None,
    reverses_seq: int | None = None,
) -> Entry:
    """Write one entry and move the wallet with it.

    Raises NotFound for an unknown wallet or lot, BalanceTooLarge, and SourceReused when `source`
    has posted another entry; the same posting again gives the first entry back.
    """
    if posting.kind is EntryKind.CONSUMPTION:
        raise ValueError("Consumption is charged with its usage record, not posted")
    wallet = await store.lock_wallet(tx, posting.org_id, posting.wallet_id)
    if posting.source is not None:
        first = await store.entry_by_source(tx, posting.org_id, posting.source)
        if first is not None:
            return _same(first, posting)
    if posting.lot_id is not None and not await store.has_lot(tx, wallet, posting.lot_id):
        raise NotFound("This balance has no such lot")
    balance = wallet.posted + posting.amount
    if abs(balance) > MAX_NANOS:
        raise BalanceTooLarge(f"No balance goes beyond {format_nanos(MAX_NANOS)}, up or down")
    draft = Entry(
        org_id=posting.org_id,
        wallet_id=posting.wallet_id,
        seq=0,
        entry_id=posting.entry_id,
        kind=posting.kind,
        account=account or ACCOUNT_OF[posting.kind],
        amount=posting.amount,
        balance_after=balance,
        posted_at=now,
        lot_id=posting.lot_id if posting.lot is None else posting.entry_id,
        source=posting.source,
        reverses_seq=reverses_seq,
        actor=posting.actor,
        reason=posting.reason,
    )
    entry = await store.insert_entry(tx, draft, now)
    if posting.lot is not None:
        lot = _lot_of(entry, posting.lot)
        await store.insert_lot(tx, lot, entry.org_id, entry.wallet_id)
    return entry


async def reverse(
    tx: Connection, entry: Entry, *, entry_id: UUID, actor: str, reason: str, now: datetime
) -> Entry:
    """Write the entry that undoes this one, as it was booked. Raises AlreadyReversed."""
    posting = Posting(
        org_id=entry.org_id,
        wallet_id=entry.wallet_id,
        entry_id=entry_id,
        kind=EntryKind.ADJUSTMENT,
        amount=-entry.amount,
        lot_id=entry.lot_id,
        actor=actor,
        reason=reason,
    )
    # A savepoint: the caller may go on after a refusal.
    async with tx.transaction():
        return await post(tx, posting, now, account=entry.account, reverses_seq=entry.seq)


def _same(first: Entry, posting: Posting) -> Entry:
    asked = (posting.wallet_id, posting.kind, posting.amount)
    if asked != (first.wallet_id, first.kind, first.amount):
        raise SourceReused(f"{posting.source} has already posted entry {first.seq}")
    return first


def _lot_of(entry: Entry, new: NewLot) -> Lot:
    return Lot(
        lot_id=entry.entry_id,
        entry_seq=entry.seq,
        kind=new.kind,
        amount=entry.amount,
        priority=new.priority,
        arrived_at=entry.posted_at,
        expires_at=new.expires_at,
        label=new.label,
    )
