"""What goes out over HTTP, in camelCase."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Self

from msgspec import Struct

from tollkeeper.base.ids import show_id
from tollkeeper.base.money import Money
from tollkeeper.invoices.model import DocumentType, Invoice, Party
from tollkeeper.invoices.statement import Statement
from tollkeeper.payments import to_nanos

PPM_OF_PERCENT = 10_000


class Out(Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class InvoiceOut(Out, frozen=True):
    """An invoice or a credit note; of a credit note the amounts are what is given back."""

    id: str
    number: str
    type: DocumentType
    purchase_id: str | None
    corrects_id: str | None
    corrects_number: str | None
    issued_at: datetime
    currency: str
    net: Money
    tax: Money
    total: Money
    livemode: bool

    @classmethod
    def of(cls, invoice: Invoice) -> Self:
        return cls(**_summary(invoice))


class PartyOut(Out, frozen=True):
    name: str
    address: list[str]
    country: str | None
    tax_ids: list[str]
    email: str | None

    @classmethod
    def of(cls, party: Party) -> PartyOut:
        return cls(
            name=party.name,
            address=[*party.address],
            country=party.country,
            tax_ids=[*party.tax_ids],
            email=party.email,
        )


class LineOut(Out, frozen=True):
    description: str
    detail: str | None
    net: Money


class TaxLineOut(Out, frozen=True):
    """`ratePercent` is text such as `19` or `8.875`."""

    label: str
    rate_percent: str
    base: Money
    tax: Money
    reverse_charge: bool
    note: str | None


class PaidByOut(Out, frozen=True):
    method: str | None
    last4: str | None
    at: datetime


class InvoiceDetailOut(InvoiceOut, frozen=True):
    """A document with every word that is printed on it."""

    language: str
    seller: PartyOut
    buyer: PartyOut
    lines: list[LineOut]
    taxes: list[TaxLineOut]
    paid_by: PaidByOut | None
    reason: str | None
    footer: str | None

    @classmethod
    def of(cls, invoice: Invoice) -> Self:
        content, currency = invoice.content, invoice.currency
        paid = content.paid_by
        return cls(
            **_summary(invoice),
            language=content.language,
            seller=PartyOut.of(content.seller),
            buyer=PartyOut.of(content.buyer),
            lines=[
                LineOut(
                    description=line.description,
                    detail=line.detail,
                    net=_money(line.net_minor, currency),
                )
                for line in content.lines
            ],
            taxes=[
                TaxLineOut(
                    label=tax.label,
                    rate_percent=f"{(Decimal(tax.rate_ppm) / PPM_OF_PERCENT).normalize():f}",
                    base=_money(tax.base_minor, currency),
                    tax=_money(tax.tax_minor, currency),
                    reverse_charge=tax.reverse_charge,
                    note=tax.note,
                )
                for tax in content.taxes
            ],
            paid_by=paid and PaidByOut(method=paid.method, last4=paid.last4, at=paid.at),
            reason=content.reason,
            footer=content.footer,
        )


class MovementOut(Out, frozen=True):
    """An entry other than consumption; `kind` as in transactions."""

    kind: str
    amount: Money
    timestamp: datetime
    description: str | None


class SkuCostOut(Out, frozen=True):
    """What was consumed of one SKU; `sku` is null for cost that no line explains."""

    sku: str | None
    unit: str | None
    quantity: str | None
    amount: Money


class StatementOut(Out, frozen=True):
    """`opening` + `purchases` + `refunds` + `other` less `consumption` = `closing`, exactly.

    `complete` is false while the month is running.
    """

    month: str
    start: datetime
    end: datetime
    complete: bool
    currency: str
    livemode: bool
    opening: Money
    purchases: Money
    refunds: Money
    other: Money
    consumption: Money
    closing: Money
    movements: list[MovementOut]
    consumption_by_sku: list[SkuCostOut]

    @classmethod
    def of(cls, statement: Statement) -> Self:
        return cls(
            month=str(statement.month),
            start=statement.month.start,
            end=statement.month.until,
            complete=statement.complete,
            currency=statement.currency,
            livemode=statement.livemode,
            opening=Money(statement.opening_nanos),
            purchases=Money(statement.purchased_nanos),
            refunds=Money(statement.refunded_nanos),
            other=Money(statement.other_nanos),
            consumption=Money(statement.consumed_nanos),
            closing=Money(statement.closing_nanos),
            movements=[
                MovementOut(
                    kind=moved.kind,
                    amount=Money(moved.amount_nanos),
                    timestamp=moved.at,
                    description=moved.reason,
                )
                for moved in statement.movements
            ],
            consumption_by_sku=[
                SkuCostOut(
                    sku=cost.sku,
                    unit=cost.unit,
                    quantity=None if cost.quantity is None else f"{cost.quantity:f}",
                    amount=Money(cost.amount_nanos),
                )
                for cost in statement.consumption
            ],
        )


STATEMENT_COLUMNS = ("section", "timestamp", "name", "unit", "quantity", "amount", "description")


def statement_rows(out: StatementOut) -> list[tuple[object, ...]]:
    """The statement as rows whose amounts add up to the closing balance, which is the last."""
    return [
        ("opening", out.start, None, None, None, out.opening, None),
        *(
            ("movement", moved.timestamp, moved.kind, None, None, moved.amount, moved.description)
            for moved in out.movements
        ),
        *(
            (
                "consumption",
                None,
                cost.sku,
                cost.unit,
                cost.quantity,
                Money(-cost.amount.nanos),
                None,
            )
            for cost in out.consumption_by_sku
        ),
        ("closing", out.end, None, None, None, out.closing, None),
    ]


def _summary(invoice: Invoice) -> dict[str, Any]:
    currency, purchase_id, corrects_id = invoice.currency, invoice.purchase_id, invoice.corrects_id
    return {
        "id": show_id("inv", invoice.invoice_id),
        "number": invoice.number,
        "type": invoice.type,
        "purchase_id": None if purchase_id is None else show_id("pur", purchase_id),
        "corrects_id": None if corrects_id is None else show_id("inv", corrects_id),
        "corrects_number": invoice.corrects_number,
        "issued_at": invoice.issued_at,
        "currency": currency,
        "net": _money(invoice.net_minor, currency),
        "tax": _money(invoice.tax_minor, currency),
        "total": _money(invoice.total_minor, currency),
        "livemode": invoice.livemode,
    }


def _money(minor: int, currency: str) -> Money:
    return Money(to_nanos(minor, currency))
