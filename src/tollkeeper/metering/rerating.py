"""Usage that had no price when it was recorded, charged by an adjusting entry once it has one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from tollkeeper import ledger, pricing
from tollkeeper.base.errors import NotFound
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.base.money import format_nanos
from tollkeeper.db import Connection
from tollkeeper.ledger import Account, Entry, EntryKind, Posting
from tollkeeper.metering import store
from tollkeeper.metering.analytics.store import add_correction
from tollkeeper.metering.billing.store import RecordRow, record
from tollkeeper.metering.record import Detail
from tollkeeper.metering.store import Unpriced
from tollkeeper.metering.worth import convert_lines
from tollkeeper.pricing import Book, Line, ModelNotPriced, Rating

_decode: Final = msgspec.json.Decoder(Detail).decode


async def list_unpriced(
    connection: Connection, after: Unpriced | None, limit: int
) -> list[Unpriced]:
    """Records with usage that was not priced and has not been charged since, oldest first."""
    return await store.unpriced(connection, after, limit)


async def rerate(
    tx: Connection, org_id: UUID, usage_id: UUID, book: Book, *, actor: str, now: datetime
) -> Entry | None:
    """Charge what a record left out. The same record again gives the first entry back.

    The price is the one of the time of the call, or today's where there was none then. None when
    the record left nothing out, or what it left out is free, which it then stays. Raises NotFound,
    and ModelNotPriced while there is still no price.
    """
    row = await record(tx, org_id, usage_id)
    if row is None:
        raise NotFound(f"There is no usage record {show_id('use', usage_id)}")
    detail = _decode(row.detail)
    rating = None if detail.rating is None else pricing.from_record(detail.rating)
    if rating is None or not rating.unpriced:
        return None
    lines = convert_lines(_price(rating, book, row, now), detail.usd_value)
    # Kept once, also where it is nothing: then the record is done with, and stays free.
    cost_nanos = await add_correction(
        tx,
        org_id,
        row.wallet_id,
        usage_id,
        started_at=row.started_at,
        amount=sum(line.amount_nanos for line in lines),
        lines=_correction(lines),
    )
    if not cost_nanos:
        return None
    posting = Posting(
        org_id=org_id,
        wallet_id=row.wallet_id,
        entry_id=uuid7(),
        kind=EntryKind.ADJUSTMENT,
        amount=-cost_nanos,
        source=f"rerate:{show_id('use', usage_id)}",
        actor=actor,
        reason=f"{show_id('use', usage_id)} rated again: {_explain(lines)}",
    )
    return await ledger.post(tx, posting, now, account=Account.REVENUE)


def _price(rating: Rating, book: Book, row: RecordRow, now: datetime) -> list[Line]:
    """Rate the whole call again, and keep the lines that it had no price for."""
    sold = book.version(rating.version_id)
    if sold is None:
        raise ModelNotPriced(f"The book has no price version {rating.version_id}")
    for at in (row.started_at, now):
        version = book.find(sold.provider, sold.model, at)
        again = pricing.rate(
            version,
            rating.usage,
            markup=rating.markup,
            service_tier=rating.service_tier,
            overage=rating.overage,
        )
        if not rating.unpriced.keys() & again.unpriced.keys():
            return [line for line in again.lines if line.unit in rating.unpriced]
    missing = ", ".join(rating.unpriced)
    raise ModelNotPriced(f"There is no price yet for {missing} of {sold.provider} {sold.model}")


def _correction(lines: Sequence[Line]) -> str:
    said = [[n.sku, n.unit, f"{n.quantity:f}", n.amount_nanos] for n in lines]
    return msgspec.json.encode(said).decode()


def _explain(lines: Sequence[Line]) -> str:
    return ", ".join(
        f"{line.quantity} {line.unit} = {format_nanos(line.amount_nanos)}" for line in lines
    )
