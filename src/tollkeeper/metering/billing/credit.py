"""`GET /billing/entries` and `/billing/lots`: how credit came and went."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromQuery
from litestar.response import Response
from msgspec import Meta, Struct

from tollkeeper import ledger
from tollkeeper.base.ids import show_id
from tollkeeper.base.money import Money
from tollkeeper.db import Connection, Database
from tollkeeper.http import Cursors, CursorText, Limit, Page, invalid, list_answer, page_of
from tollkeeper.ledger import Drawn, Entry, EntryKind, LotKind, Wallet
from tollkeeper.metering.billing.asked import AnyRequest
from tollkeeper.orgs import Caller, caller_of

Currency = Annotated[FromQuery[str], Meta(description="Whose entries; each has its own balance.")]


class EntryOut(Struct, frozen=True, kw_only=True, rename="camel"):
    """One movement, with the balance after it. One `consumption` may cover many calls."""

    id: str
    seq: int
    timestamp: datetime
    kind: EntryKind
    amount: Money
    balance_after: Money
    currency: str
    lot_id: str | None
    reason: str | None


class LotOut(Struct, frozen=True, kw_only=True, rename="camel"):
    """Credit that arrived together. `left` = `granted` - `drawn` - `expired` - `takenBack`."""

    id: str
    kind: LotKind
    label: str | None
    granted: Money
    drawn: Money
    expired: Money
    taken_back: Money
    left: Money
    currency: str
    priority: int
    arrived_at: datetime
    expires_at: datetime | None


@get("/entries", summary="List movements of the balance, newest first", opt={"csv": True})
async def list_entries(
    request: AnyRequest,
    database: NamedDependency[Database],
    cursors: NamedDependency[Cursors],
    kind: Annotated[FromQuery[list[EntryKind] | None], Meta(description="Only these.")] = None,
    currency: Currency = "USD",
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response[Page[EntryOut]]:
    caller = caller_of(request)
    bound = ("entries", caller.org_id, caller.livemode, currency, kind)
    below = None if cursor is None else cursors.open(bound, cursor, tuple[int])[0]
    async with database.connection() as connection:
        wallet = await _wallet(connection, caller, currency)
        found = await ledger.entries(
            connection,
            caller.org_id,
            wallet.wallet_id,
            limit=limit + 1,
            below=below,
            kinds=kind,
        )

    def show(entry: Entry) -> EntryOut:
        return _entry(entry, currency)

    page = page_of(found, limit, show, lambda last: cursors.seal(bound, [last.seq]))
    return list_answer(request, page, EntryOut, "entries.csv")


@get("/lots", summary="List credit by where it came from, oldest first", opt={"csv": True})
async def list_lots(
    request: AnyRequest,
    database: NamedDependency[Database],
    cursors: NamedDependency[Cursors],
    currency: Currency = "USD",
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response[Page[LotOut]]:
    caller = caller_of(request)
    bound = ("lots", caller.org_id, caller.livemode, currency)
    above = 0 if cursor is None else cursors.open(bound, cursor, tuple[int])[0]
    async with database.transaction() as tx:
        wallet = await _wallet(tx, caller, currency)
        drawn = await ledger.drawn_lots(tx, caller.org_id, wallet.wallet_id, wallet.posted)
    known = sorted(drawn.lots.values(), key=lambda lot: lot.entry_seq)
    found = [lot.lot_id for lot in known if lot.entry_seq > above][: limit + 1]
    page = page_of(
        found,
        limit,
        lambda lot_id: _lot(drawn, lot_id, currency),
        lambda last: cursors.seal(bound, [drawn.lots[last].entry_seq]),
    )
    return list_answer(request, page, LotOut, "lots.csv")


def _entry(entry: Entry, currency: str) -> EntryOut:
    return EntryOut(
        id=show_id("ent", entry.entry_id),
        seq=entry.seq,
        timestamp=entry.posted_at,
        kind=entry.kind,
        amount=Money(entry.amount),
        balance_after=Money(entry.balance_after),
        currency=currency,
        lot_id=None if entry.lot_id is None else show_id("lot", entry.lot_id),
        reason=entry.reason,
    )


def _lot(drawn: Drawn, lot_id: UUID, currency: str) -> LotOut:
    lot = drawn.lots[lot_id]
    return LotOut(
        id=show_id("lot", lot_id),
        kind=lot.kind,
        label=lot.label,
        granted=Money(lot.amount),
        drawn=Money(drawn.spent[lot_id]),
        expired=Money(drawn.expired[lot_id]),
        taken_back=Money(drawn.taken_back[lot_id]),
        left=Money(drawn.remaining[lot_id]),
        currency=currency,
        priority=lot.priority,
        arrived_at=lot.arrived_at,
        expires_at=lot.expires_at,
    )


async def _wallet(connection: Connection, caller: Caller, currency: str) -> Wallet:
    for wallet in await ledger.wallets_of(connection, caller.org_id):
        if (wallet.livemode, wallet.currency) == (caller.livemode, currency):
            return wallet
    raise invalid({"currency": ["is no currency of this organization"]})
