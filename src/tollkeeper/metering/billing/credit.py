"""`GET /billing/entries`: how credit came and went."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

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
from tollkeeper.ledger import Entry, EntryKind, Wallet
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


async def _wallet(connection: Connection, caller: Caller, currency: str) -> Wallet:
    for wallet in await ledger.wallets_of(connection, caller.org_id):
        if (wallet.livemode, wallet.currency) == (caller.livemode, currency):
            return wallet
    raise invalid({"currency": ["is no currency of this organization"]})
