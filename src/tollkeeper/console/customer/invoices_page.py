"""Invoices, credit notes and monthly statements, to read and to download."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from babel.dates import format_date
from litestar import get
from litestar.params import FromPath, FromQuery
from litestar.response import Response
from litestar.types import ControllerRouterHandler

from tollkeeper import invoices, ledger, orgs, payments, profiles
from tollkeeper.base.errors import NotFound
from tollkeeper.base.ids import show_id
from tollkeeper.base.money import Money
from tollkeeper.console.customer.wallets import wallet_of
from tollkeeper.console.doors import AnyRequest, Door, money_only, session_of
from tollkeeper.console.model import USD, Session
from tollkeeper.console.shelves import Shelves
from tollkeeper.db import Connection
from tollkeeper.http import read_path_id
from tollkeeper.invoices import Desk, DocumentType, Invoice, Month

_PAGE: Final = 25
_MONTHS: Final = 12
_PATH: Final = "/console/invoices"


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """A document in the list. What goes back to the customer is below zero."""

    id: str
    number: str
    kind: DocumentType
    corrects: str | None
    issued_at: datetime
    net: Money
    tax: Money
    total: Money

    @classmethod
    def of(cls, one: Invoice) -> Paper:
        sign = -1 if one.type is DocumentType.CREDIT_NOTE else 1

        def money(minor: int) -> Money:
            return Money(sign * payments.to_nanos(minor, one.currency))

        return cls(
            id=show_id("inv", one.invoice_id),
            number=one.number,
            kind=one.type,
            corrects=one.corrects_number,
            issued_at=one.issued_at,
            net=money(one.net_minor),
            tax=money(one.tax_minor),
            total=money(one.total_minor),
        )


def invoice_pages(door: Door, shelves: Shelves) -> list[ControllerRouterHandler]:
    return [
        _list_page(door, shelves),
        _invoice_file(door, shelves.invoices),
        _statement_file(door, shelves.invoices),
    ]


def _list_page(door: Door, shelves: Shelves) -> ControllerRouterHandler:
    cursors = shelves.cursors

    @get("/invoices", include_in_schema=False, guards=[money_only])
    async def show_invoices(
        request: AnyRequest, before: FromQuery[str | None] = None
    ) -> Response[bytes]:
        session = session_of(request)
        bound = ("console-invoices", session.org_id, session.livemode)
        below = None if not before else cursors.open(bound, before, tuple[UUID])[0]
        async with door.database.connection() as connection:
            found = await invoices.list_invoices(
                connection, session.org_id, livemode=session.livemode, below=below, limit=_PAGE + 1
            )
            months = [] if before else await _months(connection, session, door.clock.now())
            profile = await profiles.read_profile(connection, session.org_id)
        older = None
        if len(found) > _PAGE:
            sealed = cursors.seal(bound, [found[_PAGE - 1].invoice_id])
            older = f"{_PATH}?before={sealed}"
        return door.page(
            request,
            "customer/invoices.html",
            papers=[Paper.of(one) for one in found[:_PAGE]],
            months=[(str(month), _name_of(month)) for month in months],
            emails=() if profile is None else profile.emails,
            named=None if profile is None else profile.name,
            older=older,
            newest=_PATH if before else None,
        )

    return show_invoices


def _invoice_file(door: Door, desk: Desk) -> ControllerRouterHandler:
    @get("/invoices/{invoice_id:str}", include_in_schema=False, guards=[money_only])
    async def download_invoice(request: AnyRequest, invoice_id: FromPath[str]) -> Response[bytes]:
        session, known = session_of(request), read_path_id("inv", invoice_id)
        async with door.database.connection() as connection:
            invoice = await invoices.get_invoice(connection, session.org_id, known)
        if invoice.livemode != session.livemode:
            raise NotFound(f"There is no invoice {invoice_id}")
        return _file(await invoices.print_invoice(desk, invoice), invoice.number)

    return download_invoice


def _statement_file(door: Door, desk: Desk) -> ControllerRouterHandler:
    @get("/statements/{month:str}", include_in_schema=False, guards=[money_only])
    async def download_statement(request: AnyRequest, month: FromPath[str]) -> Response[bytes]:
        session = session_of(request)
        try:
            wanted = Month.read(month)
        except ValueError:
            raise NotFound(f"There is no statement {month}") from None
        async with door.database.transaction() as tx:
            made = await invoices.make_statement(
                tx, session.org_id, USD, wanted, door.clock.now(), livemode=session.livemode
            )
        async with door.database.connection() as connection:
            account = (await orgs.get_org(connection, session.org_id)).name
        return _file(await invoices.print_statement(desk, made, account), f"statement-{made.month}")

    return download_statement


def _file(pdf: bytes, name: str) -> Response[bytes]:
    return Response(
        pdf,
        media_type="application/pdf",
        headers={
            "content-disposition": f'attachment; filename="{name}.pdf"',
            "cache-control": "private, no-store",
            "x-content-type-options": "nosniff",
        },
    )


async def _months(connection: Connection, session: Session, now: datetime) -> list[Month]:
    """The last months in which there was a balance, this one first."""
    wallet = await wallet_of(connection, session)
    if wallet is None:
        return []
    first = await ledger.entries(
        connection, session.org_id, wallet.wallet_id, limit=1, descending=False
    )
    if not first:
        return []
    return list(_back_to(first[0].posted_at, now))


def _name_of(month: Month) -> str:
    return format_date(month.start, "MMMM y", "en_US")


def _back_to(first: datetime, now: datetime) -> Iterator[Month]:
    month = Month.read(f"{now:%Y-%m}")
    for _ in range(_MONTHS):
        if month.until <= first:
            return
        yield month
        month = Month.read(f"{month.start - timedelta(days=1):%Y-%m}")
