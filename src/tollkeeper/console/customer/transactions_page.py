"""Transactions: what changed the balance, and the invoice of each purchase."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from litestar import get
from litestar.params import FromPath, FromQuery
from litestar.response import Response
from litestar.types import ControllerRouterHandler

from tollkeeper import credits, invoices, ledger  # noqa: A004 (the room's name)
from tollkeeper.base.errors import InvalidRequest, NotFound
from tollkeeper.base.ids import show_id
from tollkeeper.console.customer.credits_page import USD, Movement
from tollkeeper.console.doors import AnyRequest, Door, money_only, session_of
from tollkeeper.console.model import Session
from tollkeeper.console.shelves import Shelves
from tollkeeper.db import Connection
from tollkeeper.http import read_path_id
from tollkeeper.invoices import DocumentType, Invoice
from tollkeeper.ledger import Entry, EntryKind

_PAGE: Final = 25
_BOUGHT: Final = (EntryKind.PURCHASE, EntryKind.AUTO_TOP_UP)
_PATH: Final = "/console/transactions"

_SHOWN: Final[dict[str, Sequence[EntryKind] | None]] = {
    "purchases": _BOUGHT,
    "all": None,
    **{kind.value: (kind,) for kind in EntryKind if kind is not EntryKind.PURCHASE},
}


def transaction_pages(door: Door, shelves: Shelves) -> list[ControllerRouterHandler]:
    desk, cursors = shelves.invoices, shelves.cursors

    @get("/transactions", include_in_schema=False, guards=[money_only])
    async def show_transactions(
        request: AnyRequest,
        show: FromQuery[str] = "purchases",
        before: FromQuery[str | None] = None,
    ) -> Response[bytes]:
        if show not in _SHOWN:
            raise InvalidRequest(f"There is no type {show}")
        session = session_of(request)
        bound = ("console-transactions", session.org_id, session.livemode, show)
        below = None if not before else cursors.open(bound, before, tuple[int])[0]
        async with door.database.connection() as connection:
            found = await _entries(connection, session, _SHOWN[show], below)
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

    @get("/invoices/{invoice_id:str}", include_in_schema=False, guards=[money_only])
    async def download_invoice(request: AnyRequest, invoice_id: FromPath[str]) -> Response[bytes]:
        session, known = session_of(request), read_path_id("inv", invoice_id)
        async with door.database.connection() as connection:
            invoice = await invoices.get_invoice(connection, session.org_id, known)
        if invoice.livemode != session.livemode:
            raise NotFound(f"There is no invoice {invoice_id}")
        pdf = await invoices.print_invoice(desk, invoice)
        return Response(
            pdf,
            media_type="application/pdf",
            headers={
                "content-disposition": f'attachment; filename="{invoice.number}.pdf"',
                "cache-control": "private, no-store",
                "x-content-type-options": "nosniff",
            },
        )

    return [show_transactions, download_invoice]


async def _entries(
    connection: Connection, session: Session, kinds: Sequence[EntryKind] | None, below: int | None
) -> list[Entry]:
    for wallet in await ledger.wallets_of(connection, session.org_id):
        if (wallet.livemode, wallet.currency) == (session.livemode, USD):
            return await ledger.entries(
                connection,
                session.org_id,
                wallet.wallet_id,
                limit=_PAGE + 1,
                below=below,
                kinds=kinds,
            )
    return []


async def _invoices(
    connection: Connection, session: Session, entries: list[Entry]
) -> dict[UUID, tuple[str, str]]:
    """The invoice's id and number, by the entry of its purchase."""
    found: dict[UUID, tuple[str, str]] = {}
    for entry in entries:
        purchase_id = credits.purchase_of(entry)
        if entry.kind in _BOUGHT and purchase_id is not None:
            papers: list[Invoice] = await invoices.list_invoices(
                connection,
                session.org_id,
                livemode=session.livemode,
                below=None,
                kind=DocumentType.INVOICE,
                purchase_id=purchase_id,
                limit=1,
            )
            for paper in papers:
                found[entry.entry_id] = (show_id("inv", paper.invoice_id), paper.number)
    return found
