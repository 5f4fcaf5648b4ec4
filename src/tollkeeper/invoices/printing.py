"""A document as a file: its name and its PDF."""

from __future__ import annotations

from litestar.response import Response

from tollkeeper.invoices.desk import Desk
from tollkeeper.invoices.document import invoice_data, statement_data
from tollkeeper.invoices.model import Invoice
from tollkeeper.invoices.statement import Statement


class PdfAnswer(Response[bytes]):
    """A PDF to keep; `name` is made of our own letters and figures."""

    def __init__(self, pdf: bytes, name: str) -> None:
        super().__init__(
            pdf,
            media_type="application/pdf",
            headers={
                "content-disposition": f'attachment; filename="{name}.pdf"',
                "cache-control": "private, no-store",
            },
        )


async def print_invoice(desk: Desk, invoice: Invoice) -> bytes:
    data = invoice_data(invoice, desk.zone)
    return await desk.typesetter.set("invoice", data, invoice.issued_at)


async def print_statement(desk: Desk, statement: Statement, account: str) -> bytes:
    """`account` is the organization's name."""
    data = statement_data(statement, desk.seller, account, desk.language)
    return await desk.typesetter.set("statement", data, statement.made_at)
