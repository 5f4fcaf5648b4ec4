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

from tollkeeper import payments
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
    is_of,
    numbered,
    reinstating,
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
        if refund.settled_at is None or RefundStatus.SUCCEEDED not in (refund.status, change.was):
            return
        back = MoneyBack(
            cause=f"refund:{refund.refund_id}",
            disputed=False,
            amount_minor=refund.amount_minor,
            reason=refund.reason or None,
            at=refund.settled_at,
        )
        await level_documents(tx, desk, change.payment, back)

    async def dispute_changed(tx: Connection, change: DisputeChanged) -> None:
        dispute = change.dispute
        if DisputeStatus.LOST not in (dispute.status, change.was):
            return
        back = MoneyBack(
            cause=f"dispute:{dispute.dispute_id}",
            disputed=True,
            amount_minor=dispute.amount_minor,
            reason=None,
            at=dispute.settled_at or dispute.opened_at,
        )
        await level_documents(tx, desk, change.payment, back)

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


async def level_documents(
    tx: Connection, desk: Desk, payment: Payment, back: MoneyBack
) -> list[Invoice]:
    """Have the documents of a purchase say what has gone back of it by now, as the ledger does.

    Refunds and disputes overlap: what is credited is all that went back, and at most the whole;
    only what the documents differ from that is issued. `back` is what changed.
    """
    org_id, purchase_id = payment.org_id, payment.subject_id
    first = await store.find_by_cause(tx, org_id, cause_of(purchase_id))
    if first is None:
        _log.warning("no_invoice_to_correct", purchase=show_id("pur", purchase_id))
        return []
    # What other money back has issued is all there once the numbers are locked.
    await lock_numbers(
        tx, DocumentType.CREDIT_NOTE, desk.numbering, back.at, livemode=first.livemode
    )
    found = await _all(tx, org_id, purchase_id)
    credited = first.total_minor - sum(_signed(document) for document in found)
    missing = min(first.total_minor, await _gone(tx, payment)) - credited
    if missing < 0:
        return await _reinstate(tx, desk, found, replace(back, amount_minor=-missing))
    return await _credit(tx, desk, found, replace(back, amount_minor=missing))


async def _gone(tx: Connection, payment: Payment) -> int:
    refunds = await payments.refunds_of(tx, payment.org_id, payment.payment_id)
    disputes = await payments.disputes_of(tx, payment.org_id, payment.payment_id)
    given = sum(one.amount_minor for one in refunds if one.status is RefundStatus.SUCCEEDED)
    return given + sum(one.amount_minor for one in disputes if one.status is DisputeStatus.LOST)


async def _credit(
    tx: Connection, desk: Desk, found: Sequence[Invoice], back: MoneyBack
) -> list[Invoice]:
    """Issue one credit note, or one more for each invoice that it goes past, oldest first."""
    issued: list[Invoice] = []
    before = sum(is_of(document, back.cause) for document in found)
    for invoice in found:
        if invoice.type is not DocumentType.INVOICE:
            continue
        notes = [note for note in found if note.corrects_id == invoice.invoice_id]
        left = replace(
            back,
            cause=numbered(back.cause, before + len(issued)),
            amount_minor=back.amount_minor - sum(note.total_minor for note in issued),
        )
        new = compose_credit_note(desk, invoice, notes, left, uuid7())
        if new is not None:
            issued.append(await issue(tx, new, desk.numbering, back.at))
    return issued


async def _reinstate(
    tx: Connection, desk: Desk, found: Sequence[Invoice], back: MoneyBack
) -> list[Invoice]:
    """A refund came back weeks later, or a lost dispute was won after all: credit notes are made
    good by invoices of as much, those of what came back first."""
    issued: list[Invoice] = []
    left = back.amount_minor
    notes = [document for document in found[::-1] if document.type is DocumentType.CREDIT_NOTE]
    for note in sorted(notes, key=lambda note: not is_of(note, back.cause)):
        made_good = [document for document in found if is_of(document, reinstating(note))]
        part = min(left, note.total_minor - sum(one.total_minor for one in made_good))
        if part > 0:
            new = compose_reinstatement(desk, note, made_good, part, uuid7())
            issued.append(await issue(tx, new, desk.numbering, back.at))
            left -= part
    return issued


def _signed(document: Invoice) -> int:
    credits_it = document.type is DocumentType.CREDIT_NOTE
    return -document.total_minor if credits_it else document.total_minor


async def _all(tx: Connection, org_id: UUID, purchase_id: UUID) -> list[Invoice]:
    """Every document of a purchase, oldest first."""
    found = await store.list_invoices(
        tx, org_id, livemode=None, below=None, purchase_id=purchase_id, limit=_MOST
    )
    return found[::-1]
