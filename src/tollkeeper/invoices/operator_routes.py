"""`/operator/organizations/…/invoices`, by an operator key: live and test ones alike."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Router, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response import Response
from litestar.types import ControllerRouterHandler
from msgspec import Meta, Struct

from tollkeeper import orgs
from tollkeeper.base.clock import Clock
from tollkeeper.base.ids import uuid7
from tollkeeper.base.money import PositiveMoneyIn
from tollkeeper.db import Database
from tollkeeper.http import (
    OPERATOR_KEY,
    Cursors,
    CursorText,
    Limit,
    Page,
    list_answer,
    page_of,
    read_path_id,
    run_id_of,
)
from tollkeeper.invoices import store
from tollkeeper.invoices.crediting import CreditOrder, credit_invoice
from tollkeeper.invoices.desk import Desk
from tollkeeper.invoices.errors import CreditNoteRefused
from tollkeeper.invoices.model import DocumentType
from tollkeeper.invoices.printing import PdfAnswer, print_invoice
from tollkeeper.invoices.routes import PDF
from tollkeeper.invoices.shapes import InvoiceDetailOut, InvoiceOut
from tollkeeper.orgs import By
from tollkeeper.payments import AmountNotPayable, to_minor

AnyRequest = Request[Any, Any, State]


class NewCreditNote(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Without an `amount`, all that is left of the invoice."""

    reason: Annotated[
        str,
        Meta(min_length=1, max_length=1000, description="For the audit log and on the document."),
    ]
    amount: Annotated[PositiveMoneyIn | None, Meta(description="Tax included.")] = None


def operator_invoice_routes(desk: Desk) -> list[ControllerRouterHandler]:
    handlers = [list_for_operator, read_for_operator, _pdf_route(desk), _credit_route(desk)]
    return [
        Router(
            "/operator/organizations/{organization_id:str}/invoices",
            route_handlers=handlers,
            guards=[orgs.operator_only],
            tags=["Operator"],
            opt={"security": OPERATOR_KEY},
        )
    ]


@get("/", summary="List an organization's invoices and credit notes", opt={"csv": True})
async def list_for_operator(
    request: AnyRequest,
    organization_id: FromPath[str],
    database: NamedDependency[Database],
    cursors: NamedDependency[Cursors],
    type: Annotated[FromQuery[DocumentType | None], Meta(description="Only these.")] = None,  # noqa: A002 (the parameter's public name)
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response[Page[InvoiceOut]]:
    org_id = read_path_id("org", organization_id)
    bound = ("operator invoices", org_id, type)
    async with database.connection() as connection:
        await orgs.get_org(connection, org_id)
        found = await store.list_invoices(
            connection,
            org_id,
            livemode=None,
            below=cursors.after(bound, cursor),
            kind=type,
            limit=limit + 1,
        )
    page = page_of(found, limit, InvoiceOut.of, lambda last: cursors.seal(bound, [last.invoice_id]))
    return list_answer(request, page, InvoiceOut, "invoices.csv")


@get("/{invoice_id:str}", summary="Get an organization's invoice or credit note")
async def read_for_operator(
    organization_id: FromPath[str],
    invoice_id: FromPath[str],
    database: NamedDependency[Database],
) -> InvoiceDetailOut:
    asked = read_path_id("org", organization_id), read_path_id("inv", invoice_id)
    async with database.connection() as connection:
        return InvoiceDetailOut.of(await store.get_invoice(connection, *asked))


def _pdf_route(desk: Desk) -> ControllerRouterHandler:
    @get(
        "/{invoice_id:str}/pdf",
        summary="Download an organization's invoice or credit note as PDF",
        opt=PDF,
    )
    async def download_for_operator(
        organization_id: FromPath[str],
        invoice_id: FromPath[str],
        database: NamedDependency[Database],
    ) -> PdfAnswer:
        asked = read_path_id("org", organization_id), read_path_id("inv", invoice_id)
        async with database.connection() as connection:
            invoice = await store.get_invoice(connection, *asked)
        return PdfAnswer(await print_invoice(desk, invoice), invoice.number)

    return download_for_operator


def _credit_route(desk: Desk) -> ControllerRouterHandler:
    @post(
        "/{invoice_id:str}/credit-notes",
        summary="Issue a credit note for a plan's fee",
        description="When its money was given back at the payment processor: that of fees is not"
        " followed there. No money moves by it. Credit notes of purchases follow their refunds.",
        opt={"errors": (CreditNoteRefused, AmountNotPayable)},
    )
    async def credit_by_operator(
        request: AnyRequest,
        organization_id: FromPath[str],
        invoice_id: FromPath[str],
        data: JSONBody[NewCreditNote],
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
    ) -> InvoiceOut:
        asked = read_path_id("org", organization_id), read_path_id("inv", invoice_id)
        by = By(who=orgs.name_of(orgs.operator_of(request)), why=data.reason)
        async with database.transaction() as tx:
            invoice = await store.get_invoice(tx, *asked)
            order = CreditOrder(
                org_id=invoice.org_id,
                invoice_id=invoice.invoice_id,
                run_id=run_id_of(request) or uuid7(),
                amount_minor=data.amount and to_minor(data.amount, invoice.currency),
                by=by,
            )
            return InvoiceOut.of(await credit_invoice(tx, desk, order, clock.now()))

    return credit_by_operator
