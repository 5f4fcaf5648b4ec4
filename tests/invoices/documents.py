"""Documents for tests: whole ones, with whatever a test wants to be different."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from tollkeeper.base.ids import uuid7
from tollkeeper.invoices import (
    Content,
    DocumentType,
    Invoice,
    Line,
    NewInvoice,
    PaidBy,
    Party,
    TaxLine,
)

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
SELLER = Party(name="Harbourlight AI GmbH", address=("Speicherstraße 12", "20457 Hamburg"))
BUYER = Party(
    name="Northwind Robotics Ltd.",
    address=("221B Quay Road", "Dublin D02 X285", "Ireland"),
    country="IE",
    tax_ids=("VAT ID IE1234567FA",),
)


def content(**changes: Any) -> Content:
    said: dict[str, Any] = {
        "seller": SELLER,
        "buyer": BUYER,
        "lines": (
            Line(description="Prepaid credit", net_minor=25_000),
            Line(description="Payment processing fee", net_minor=137),
        ),
        "taxes": (TaxLine(label="VAT 19 %", rate_ppm=190_000, base_minor=25_137, tax_minor=4_776),),
        "paid_by": PaidBy(method="visa", last4="4242", at=NOW),
    }
    return Content(**(said | changes))


def new_invoice(org_id: UUID, cause: str, **changes: Any) -> NewInvoice:
    said: dict[str, Any] = {
        "org_id": org_id,
        "invoice_id": uuid7(),
        "livemode": True,
        "type": DocumentType.INVOICE,
        "cause": cause,
        "currency": "USD",
        "content": content(),
        "purchase_id": uuid7(),
    }
    return NewInvoice(**(said | changes))


def issued(number: str = "INV-2026-000042", **changes: Any) -> Invoice:
    said = content(**changes)
    return Invoice(
        org_id=uuid7(),
        invoice_id=uuid7(),
        livemode=True,
        type=DocumentType.INVOICE,
        number=number,
        cause="purchase:1",
        purchase_id=None,
        corrects_id=None,
        corrects_number=None,
        issued_at=NOW,
        currency="USD",
        net_minor=said.net_minor,
        tax_minor=said.tax_minor,
        total_minor=said.total_minor,
        content=said,
    )
