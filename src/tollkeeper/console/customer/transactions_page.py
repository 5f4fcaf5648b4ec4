"""Transactions: what changed the balance, and the invoice of each purchase."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from litestar import get
from litestar.params import FromQuery
from litestar.response import Response, Stream
from litestar.types import ControllerRouterHandler

from tollkeeper import credits, invoices, ledger  # noqa: A004 (the room's name)
from tollkeeper.base.errors import InvalidRequest
from tollkeeper.base.ids import show_id
from tollkeeper.console.customer.credits_page import Movement
from tollkeeper.console.customer.wallets import wallet_of
from tollkeeper.console.doors import AnyRequest, Door, money_only, session_of
from tollkeeper.console.model import USD, Session
from tollkeeper.console.shelves import Shelves
from tollkeeper.credits import Transaction, transaction_of
from tollkeeper.db import Connection
from tollkeeper.http import csv_stream
from tollkeeper.ledger import Entry, EntryKind

_PAGE: Final = 25
_BATCH: Final = 1000
_BOUGHT: Final = (EntryKind.PURCHASE, EntryKind.AUTO_TOP_UP)
_PATH: Final = "/console/transactions"
_COLUMNS: Final = [field.encode_name for field in msgspec.structs.fields(Transaction)]

# Purchases by hand alone are a filter too, beside purchases of both kinds.
_SHOWN: Final[dict[str, Sequence[EntryKind] | None]] = {
    "purchases": _BOUGHT,
    "all": None,
    **{kind.value: (kind,) for kind in EntryKind},
}


def transaction_pages(door: Door, shelves: Shelves) -> list[ControllerRouterHandler]:
    cursors = shelves.cursors

    @get("/transactions", include_in_schema=False, guards=[money_only])
    async def show_transactions(
        request: AnyRequest,
        show: FromQuery[str] = "purchases",
        before: FromQuery[str | None] = None,
    ) -> Response[bytes]:
        kinds = _kinds(show)
        session = session_of(request)
        bound = ("console-transactions", session.org_id, session.livemode, show)
        below = None if not before else cursors.open(bound, before, tuple[int])[0]
        async with door.database.connection() as connection:
            found = await _entries(connection, session, kinds, below, _PAGE + 1)
            papers = await _invoices(connection, session, found[:_PAGE])
        older = None
        if len(found) > _PAGE:
            sealed = cursors.seal(bound, [found[_PAGE - 1].seq])
            older = f"{_PATH}?{urlencode({'show': show, 'before': sealed})}"
        return door.page(
            request,
            "customer/transactions.html",
            movements=[Movement.of(entry) for entry in found[:_PAGE]],
            papers=papers,
            shown=show,
            kinds=[name for name in _SHOWN if name not in {"purchases", "all"}],
            older=older,
            newest=f"{_PATH}?{urlencode({'show': show})}" if before else None,
        )

    @get("/transactions/download", include_in_schema=False, guards=[money_only])
    async def download(request: AnyRequest, show: FromQuery[str] = "purchases") -> Stream:
        batches = _every_row(door, session_of(request), _kinds(show))
        return csv_stream(_COLUMNS, batches, "transactions.csv", {"cache-control": "no-store"})

    return [show_transactions, download]


def _kinds(show: str) -> Sequence[EntryKind] | None:
    if show not in _SHOWN:
        raise InvalidRequest(f"There is no type {show}")
    return _SHOWN[show]


async def _entries(
    connection: Connection,
    session: Session,
    kinds: Sequence[EntryKind] | None,
    below: int | None,
    limit: int,
) -> list[Entry]:
    wallet = await wallet_of(connection, session)
    if wallet is None:
        return []
    return await ledger.entries(
        connection, session.org_id, wallet.wallet_id, limit=limit, below=below, kinds=kinds
    )


async def _every_row(
    door: Door, session: Session, kinds: Sequence[EntryKind] | None
) -> AsyncIterator[list[list[object]]]:
    """All of them, newest first; entries never change, so each batch takes a connection anew."""
    below: int | None = None
    while True:
        async with door.database.connection() as connection:
            found = await _entries(connection, session, kinds, below, _BATCH)
        yield [_row(entry) for entry in found]
        if len(found) < _BATCH:
            return
        below = found[-1].seq


def _row(entry: Entry) -> list[object]:
    return list(msgspec.structs.astuple(transaction_of(entry, USD)))


async def _invoices(
    connection: Connection, session: Session, entries: list[Entry]
) -> dict[UUID, tuple[str, str]]:
    """The invoice's id and number, by the entry of its purchase."""
    bought = {
        entry.entry_id: purchase_id
        for entry in entries
        if entry.kind in _BOUGHT and (purchase_id := credits.purchase_of(entry)) is not None
    }
    papers = await invoices.invoices_of_purchases(
        connection, session.org_id, list(bought.values()), livemode=session.livemode
    )
    shown = {one: (show_id("inv", known), number) for one, (known, number) in papers.items()}
    return {
        entry_id: shown[purchase_id]
        for entry_id, purchase_id in bought.items()
        if purchase_id in shown
    }
