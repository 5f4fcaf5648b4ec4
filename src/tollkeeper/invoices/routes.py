"""`/billing/invoices` and `/billing/statements`, by an ADMIN key."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Router, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Response
from litestar.types import ControllerRouterHandler
from msgspec import Meta

from tollkeeper import orgs
from tollkeeper.base.clock import Clock
from tollkeeper.base.errors import InvalidRequest, NotFound
from tollkeeper.base.ids import read_id
from tollkeeper.db import Connection, Database
from tollkeeper.http import (
    Cursors,
    CursorText,
    Limit,
    Page,
    encode_rows,
    list_answer,
    page_of,
    read_path_id,
    wants_csv,
)
from tollkeeper.invoices import store
from tollkeeper.invoices.desk import Desk
from tollkeeper.invoices.errors import StatementWrong
from tollkeeper.invoices.model import DocumentType, Invoice
from tollkeeper.invoices.printing import PdfAnswer, print_invoice, print_statement
from tollkeeper.invoices.shapes import (
    STATEMENT_COLUMNS,
    InvoiceDetailOut,
    InvoiceOut,
    StatementOut,
    statement_rows,
)
from tollkeeper.invoices.statement import Month, Statement
from tollkeeper.invoices.stating import make_statement
from tollkeeper.orgs import Caller

AnyRequest = Request[Any, Any, State]
PDF = {"other_responses": {"application/pdf": bytes}}
Currency = Annotated[FromQuery[str], Meta(description="Which balance.")]


def invoice_routes(desk: Desk) -> list[ControllerRouterHandler]:
    """Routes for organizations."""
    handlers = [list_invoices, read_invoice, _pdf_route(desk), *_statement_routes(desk)]
    return [
        Router("/billing", route_handlers=handlers, guards=[orgs.admin_only], tags=["Invoices"])
    ]


@get(
    "/invoices",
    summary="List invoices and credit notes, newest first",
    opt={"csv": True},
)
async def list_invoices(
    request: AnyRequest,
    database: NamedDependency[Database],
    cursors: NamedDependency[Cursors],
    type: Annotated[FromQuery[DocumentType | None], Meta(description="Only these.")] = None,  # noqa: A002 (the parameter's public name)
    purchase_id: Annotated[str | None, QueryParameter(name="purchaseId")] = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response[Page[InvoiceOut]]:
    caller = orgs.caller_of(request)
    purchase = _purchase(purchase_id)
    bound = ("invoices", caller.org_id, caller.livemode, type, purchase)
    async with database.connection() as connection:
        found = await store.list_invoices(
            connection,
            caller.org_id,
            livemode=caller.livemode,
            below=cursors.after(bound, cursor),
            kind=type,
            purchase_id=purchase,
            limit=limit + 1,
        )
    page = page_of(found, limit, InvoiceOut.of, lambda last: cursors.seal(bound, [last.invoice_id]))
    return list_answer(request, page, InvoiceOut, "invoices.csv")


def _purchase(text: str | None) -> UUID | None:
    if text is None:
        return None
    try:
        return read_id("pur", text)
    except ValueError as error:
        raise InvalidRequest(f"purchaseId: {error}", {"purchaseId": [str(error)]}) from None


@get("/invoices/{invoice_id:str}", summary="Get an invoice or a credit note")
async def read_invoice(
    request: AnyRequest, invoice_id: FromPath[str], database: NamedDependency[Database]
) -> InvoiceDetailOut:
    async with database.connection() as connection:
        return InvoiceDetailOut.of(await _invoice(connection, orgs.caller_of(request), invoice_id))


def _pdf_route(desk: Desk) -> ControllerRouterHandler:
    @get(
        "/invoices/{invoice_id:str}/pdf",
        summary="Download an invoice or a credit note as PDF",
        opt=PDF,
    )
    async def download_invoice(
        request: AnyRequest, invoice_id: FromPath[str], database: NamedDependency[Database]
    ) -> PdfAnswer:
        async with database.connection() as connection:
            invoice = await _invoice(connection, orgs.caller_of(request), invoice_id)
        return PdfAnswer(await print_invoice(desk, invoice), invoice.number)

    return download_invoice


def _statement_routes(desk: Desk) -> list[ControllerRouterHandler]:
    @get(
        "/statements/{month:str}",
        summary="Read a month's statement",
        description="A month of UTC, such as `2026-11`. The amounts add up exactly.",
        opt={"csv": True, "errors": (StatementWrong,)},
    )
    async def read_statement(
        request: AnyRequest,
        month: FromPath[str],
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
        currency: Currency = "USD",
    ) -> Response[StatementOut]:
        made = await _statement(database, orgs.caller_of(request), month, currency, clock)
        out = StatementOut.of(made)
        if not wants_csv(request.headers.get("accept")):
            return Response(out, headers={"vary": "accept"})
        body: Any = encode_rows(statement_rows(out), STATEMENT_COLUMNS)
        name = f"attachment; filename=statement-{made.month}.csv"
        headers = {"content-disposition": name, "vary": "accept"}
        return Response(body, media_type="text/csv", headers=headers)

    @get(
        "/statements/{month:str}/pdf",
        summary="Download a month's statement as PDF",
        opt={**PDF, "errors": (StatementWrong,)},
    )
    async def download_statement(
        request: AnyRequest,
        month: FromPath[str],
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
        currency: Currency = "USD",
    ) -> PdfAnswer:
        caller = orgs.caller_of(request)
        made = await _statement(database, caller, month, currency, clock)
        async with database.connection() as connection:
            account = (await orgs.get_org(connection, caller.org_id)).name
        return PdfAnswer(await print_statement(desk, made, account), f"statement-{made.month}")

    return [read_statement, download_statement]


async def _invoice(connection: Connection, caller: Caller, shown: str) -> Invoice:
    invoice = await store.get_invoice(connection, caller.org_id, read_path_id("inv", shown))
    if invoice.livemode != caller.livemode:
        raise NotFound(f"There is no invoice {shown}")
    return invoice


async def _statement(
    database: Database, caller: Caller, text: str, currency: str, clock: Clock
) -> Statement:
    try:
        month = Month.read(text)
    except ValueError as error:
        raise NotFound(f"There is no statement {text}: it {error}") from None
    async with database.transaction() as tx:
        return await make_statement(
            tx, caller.org_id, currency, month, clock.now(), livemode=caller.livemode
        )
