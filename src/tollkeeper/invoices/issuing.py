"""Where purchases become documents: handlers that act in the transaction of the change.

They are registered last, because from the first number on a series is locked until the transaction
ends, and who holds it must not wait for anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

import structlog

from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.credits import Origin, PurchaseSucceeded, tax_on
from tollkeeper.db import Connection
from tollkeeper.invoices import store
from tollkeeper.invoices.composing import (
    MoneyBack,
    Sale,
    cause_of,
    compose_credit_note,
    compose_invoice,
    compose_reinstatement,
)
from tollkeeper.invoices.desk import Desk
from tollkeeper.invoices.model import DocumentType, Invoice, PaidBy, Party, TaxLine
from tollkeeper.invoices.numbering import issue, lock_numbers
from tollkeeper.payments import Handlers
from tollkeeper.payments.model import (
    DisputeChanged,
    DisputeStatus,
    Payment,
    RefundChanged,
    RefundStatus,
)

_MOST = 1_000

_log = structlog.stdlib.get_logger(__name__)


def hear_of_money_back(handlers: Handlers, desk: Desk) -> None:
    """Have credit notes issued for refunds that succeeded and disputes that were lost."""

    async def refund_changed(tx: Connection, change: RefundChanged) -> None:
        refund = change.refund
        settled, cause = refund.settled_at, f"refund:{refund.refund_id}"
        if settled is None or refund.status is change.was:
            return
        back = MoneyBack(
            cause=cause,
            disputed=False,
            amount_minor=refund.amount_minor,
            reason=refund.reason or None,
            at=settled,
        )
        if refund.status is RefundStatus.SUCCEEDED:
            await issue_credit_notes(tx, desk, refund.org_id, change.payment.subject_id, back)
        elif change.was is RefundStatus.SUCCEEDED:
            await take_back_credit_notes(tx, desk, refund.org_id, change.payment.subject_id, back)

    async def dispute_changed(tx: Connection, change: DisputeChanged) -> None:
        dispute = change.dispute
        if change.was is dispute.status:
            return
        back = MoneyBack(
            cause=f"dispute:{dispute.dispute_id}",
            disputed=True,
            amount_minor=dispute.amount_minor,
            reason=None,
            at=dispute.settled_at or dispute.opened_at,
        )
        if dispute.status is DisputeStatus.LOST:
            await issue_credit_notes(tx, desk, dispute.org_id, change.payment.subject_id, back)
        elif change.was is DisputeStatus.LOST:
            await take_back_credit_notes(tx, desk, dispute.org_id, change.payment.subject_id, back)

    handlers.on(RefundChanged, refund_changed)
    handlers.on(DisputeChanged, dispute_changed)


async def issue_sale(
    tx: Connection, desk: Desk, sale: Sale, now: datetime, payment: Payment | None = None
) -> Invoice:
    """Issue the invoice of a purchase that is paid, once; `payment` says what it was paid with."""
    if payment is not None:
        known = await store.method_of_payment(tx, payment)
        brand, last4 = known or (None, None)
        sale = replace(sale, paid_by=PaidBy(method=brand, last4=last4, at=now))
    return await issue(tx, compose_invoice(desk, sale, uuid7()), desk.numbering, now)


async def issue_for_purchase(tx: Connection, desk: Desk, told: PurchaseSucceeded) -> Invoice:
    """Issue the invoice of a purchase in the transaction that credits it."""
    sold, base_minor = told.purchase, told.purchase.price_minor + told.purchase.fee_minor
    sale = Sale(
        org_id=sold.org_id,
        purchase_id=sold.purchase_id,
        livemode=sold.livemode,
        automatic=sold.origin is Origin.AUTO_TOP_UP,
        credit_nanos=sold.credit_nanos,
        credit_currency=sold.currency,
        currency=sold.currency,
        price_minor=sold.price_minor,
        fee_minor=sold.fee_minor,
        taxes=tuple(
            TaxLine(
                label=tax.label,
                rate_ppm=tax.rate_ppm,
                base_minor=base_minor,
                tax_minor=tax_on(base_minor, tax),
                reverse_charge=tax.reverse_charge,
                note=tax.note,
            )
            for tax in sold.taxes
        ),
        buyer=Party(
            name=sold.buyer.name,
            address=sold.buyer.address,
            country=sold.buyer.country,
            tax_ids=sold.buyer.tax_ids,
            email=sold.buyer.email,
        ),
        paid_by=None,
    )
    return await issue_sale(tx, desk, sale, told.entry.posted_at, told.payment)


async def issue_credit_notes(
    tx: Connection, desk: Desk, org_id: UUID, purchase_id: UUID, back: MoneyBack
) -> list[Invoice]:
    """Issue what gives `back` back: one credit note, or one more for each invoice it goes past."""
    issued: list[Invoice] = []
    first = await store.find_by_cause(tx, org_id, cause_of(purchase_id))
    if first is None:
        _log.warning("no_invoice_to_correct", purchase=show_id("pur", purchase_id))
        return issued
    # What other money back has issued is all there once the numbers are locked.
    await lock_numbers(
        tx, DocumentType.CREDIT_NOTE, desk.numbering, back.at, livemode=first.livemode
    )
    if await store.find_by_cause(tx, org_id, back.cause) is not None:
        return issued
    left = back
    for invoice, notes in await _documents(tx, org_id, purchase_id):
        new = compose_credit_note(desk, invoice, notes, left, uuid7())
        if new is not None:
            issued.append(await issue(tx, new, desk.numbering, back.at))
            left = replace(
                left,
                cause=f"{back.cause}:{len(issued)}",
                amount_minor=left.amount_minor - new.content.total_minor,
            )
    return issued


async def take_back_credit_notes(
    tx: Connection, desk: Desk, org_id: UUID, purchase_id: UUID, back: MoneyBack
) -> list[Invoice]:
    """A refund came back weeks later, or a lost dispute was won after all: its credit notes are
    made good by invoices of the same."""
    notes = [
        document
        for document in await _all(tx, org_id, purchase_id)
        if document.type is DocumentType.CREDIT_NOTE
        and document.cause.removeprefix(back.cause)[:1] in ("", ":")
    ]
    return [
        await issue(tx, compose_reinstatement(desk, note, uuid7()), desk.numbering, back.at)
        for note in notes
    ]


async def _documents(
    tx: Connection, org_id: UUID, purchase_id: UUID
) -> list[tuple[Invoice, Sequence[Invoice]]]:
    """Each invoice of a purchase, oldest first, with its credit notes."""
    found = await _all(tx, org_id, purchase_id)
    return [
        (invoice, [note for note in found if note.corrects_id == invoice.invoice_id])
        for invoice in found
        if invoice.type is DocumentType.INVOICE
    ]


async def _all(tx: Connection, org_id: UUID, purchase_id: UUID) -> list[Invoice]:
    found = await store.list_invoices(
        tx, org_id, livemode=None, below=None, purchase_id=purchase_id, limit=_MOST
    )
    return found[::-1]
