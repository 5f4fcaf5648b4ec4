"""From what was sold, and what went back, to the documents that say so. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tollkeeper.base.money import divide_half_up
from tollkeeper.invoices.desk import Desk
from tollkeeper.invoices.document import show_nanos
from tollkeeper.invoices.model import (
    Content,
    DocumentType,
    Invoice,
    Line,
    NewInvoice,
    PaidBy,
    Party,
    TaxLine,
)
from tollkeeper.invoices.words import WORDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """A purchase that was paid. `price_minor` is for the credit; with fee and taxes the total."""

    org_id: UUID
    purchase_id: UUID
    livemode: bool
    automatic: bool
    credit_nanos: int
    credit_currency: str
    currency: str
    price_minor: int
    fee_minor: int
    taxes: tuple[TaxLine, ...]
    buyer: Party
    paid_by: PaidBy | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyBack:
    """Money of a purchase that went back. `cause` is unique to it: `refund:…`, `dispute:…`."""

    cause: str
    disputed: bool
    amount_minor: int
    reason: str | None
    at: datetime


def cause_of(purchase_id: UUID) -> str:
    return f"purchase:{purchase_id}"


def reinstating(note: Invoice) -> str:
    return f"{note.cause}:failed"


def numbered(cause: str, before: int) -> str:
    """Name what a cause issues after `before` others."""
    return f"{cause}:{before}" if before else cause


def is_of(document: Invoice, cause: str) -> bool:
    rest = document.cause.removeprefix(f"{cause}:")
    return document.cause == cause or (rest != document.cause and rest.isdecimal())


def compose_invoice(desk: Desk, sale: Sale, invoice_id: UUID) -> NewInvoice:
    words = WORDS[desk.language]
    worth = show_nanos(sale.credit_nanos, sale.credit_currency, desk.language)
    lines = [
        Line(
            description=words["top_up" if sale.automatic else "credit"],
            detail=words["credit_worth"].format(amount=worth),
            net_minor=sale.price_minor,
        )
    ]
    if sale.fee_minor:
        lines.append(Line(description=words["fee"], net_minor=sale.fee_minor))
    return NewInvoice(
        org_id=sale.org_id,
        invoice_id=invoice_id,
        livemode=sale.livemode,
        type=DocumentType.INVOICE,
        cause=cause_of(sale.purchase_id),
        currency=sale.currency,
        purchase_id=sale.purchase_id,
        content=Content(
            seller=desk.seller,
            buyer=sale.buyer,
            lines=tuple(lines),
            taxes=sale.taxes,
            paid_by=sale.paid_by,
            footer=desk.footer,
            language=desk.language,
        ),
    )


def compose_credit_note(
    desk: Desk, invoice: Invoice, notes: Sequence[Invoice], back: MoneyBack, note_id: UUID
) -> NewInvoice | None:
    """Give back a part of an invoice, beside what its `notes` have given back already.

    Net and taxes go back in the same proportion, so that a whole refund in any number of parts is
    the whole invoice. None when there is nothing left to give back.
    """
    before = sum(note.total_minor for note in notes)
    back_minor = min(back.amount_minor, invoice.total_minor - before)
    if back_minor <= 0:
        return None
    taxes = _taxes_back(invoice, notes, before, back_minor)
    net_minor = back_minor - sum(tax.tax_minor for tax in taxes)
    content, words = invoice.content, WORDS[invoice.content.language]
    reason = back.reason or (words["dispute_reason"] if back.disputed else None)
    given = words["refund"] if invoice.purchase_id else content.lines[0].description
    return NewInvoice(
        org_id=invoice.org_id,
        invoice_id=note_id,
        livemode=invoice.livemode,
        type=DocumentType.CREDIT_NOTE,
        cause=back.cause,
        currency=invoice.currency,
        purchase_id=invoice.purchase_id,
        corrects_id=invoice.invoice_id,
        content=Content(
            seller=desk.seller,
            buyer=content.buyer,
            lines=(
                Line(
                    description=words["dispute"] if back.disputed else given,
                    net_minor=net_minor,
                ),
            ),
            taxes=tuple(taxes),
            paid_by=None if back.disputed else _back_to(content.paid_by, back.at),
            reason=reason,
            footer=desk.footer,
            language=content.language,
        ),
    )


def compose_reinstatement(
    desk: Desk, note: Invoice, made_good: Sequence[Invoice], back_minor: int, invoice_id: UUID
) -> NewInvoice:
    """Make good a part of a credit note whose money came back, beside what is `made_good`."""
    words = WORDS[note.content.language]
    before = sum(invoice.total_minor for invoice in made_good)
    taxes = _taxes_back(note, made_good, before, back_minor)
    line = Line(
        description=words["refund_failed"].format(number=note.number),
        net_minor=back_minor - sum(tax.tax_minor for tax in taxes),
    )
    return NewInvoice(
        org_id=note.org_id,
        invoice_id=invoice_id,
        livemode=note.livemode,
        type=DocumentType.INVOICE,
        cause=numbered(reinstating(note), len(made_good)),
        currency=note.currency,
        purchase_id=note.purchase_id,
        content=Content(
            seller=desk.seller,
            buyer=note.content.buyer,
            lines=(line,),
            taxes=tuple(taxes),
            footer=desk.footer,
            language=note.content.language,
        ),
    )


def _taxes_back(
    invoice: Invoice, notes: Sequence[Invoice], before: int, back_minor: int
) -> list[TaxLine]:
    taxes = invoice.content.taxes
    given = [sum(note.content.taxes[n].tax_minor for note in notes) for n in range(len(taxes))]
    left = [tax.tax_minor - gone for tax, gone in zip(taxes, given, strict=True)]
    # What all taxes come to by now, and what that is more than before.
    upto = divide_half_up(invoice.tax_minor * (before + back_minor), invoice.total_minor)
    shares = _share(upto - sum(given), left)
    net_minor = back_minor - sum(shares)
    return [
        TaxLine(
            label=tax.label,
            rate_ppm=tax.rate_ppm,
            base_minor=min(net_minor, _part(tax.base_minor, net_minor, invoice.net_minor)),
            tax_minor=share,
            reverse_charge=tax.reverse_charge,
            note=tax.note,
        )
        for tax, share in zip(taxes, shares, strict=True)
    ]


def _share(amount: int, among: Sequence[int]) -> list[int]:
    """Split an amount in proportion, whole, and to nobody more than what is theirs."""
    whole, so_far, given = sum(among), 0, 0
    shares: list[int] = []
    for part in among:
        so_far += part
        upto = _part(amount, so_far, whole)
        shares.append(upto - given)
        given = upto
    return shares


def _part(amount: int, numerator: int, denominator: int) -> int:
    return divide_half_up(amount * numerator, denominator) if denominator else 0


def _back_to(paid: PaidBy | None, at: datetime) -> PaidBy | None:
    return None if paid is None else PaidBy(method=paid.method, last4=paid.last4, at=at)
