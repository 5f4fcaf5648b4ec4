"""A credit note by an operator's hand: for a fee, whose money goes back at the processor alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tollkeeper import orgs
from tollkeeper.base.ids import uuid7
from tollkeeper.db import Connection
from tollkeeper.invoices import store
from tollkeeper.invoices.composing import MoneyBack, compose_credit_note
from tollkeeper.invoices.desk import Desk
from tollkeeper.invoices.errors import CreditNoteRefused
from tollkeeper.invoices.fees import CAUSE
from tollkeeper.invoices.model import DocumentType, Invoice
from tollkeeper.invoices.numbering import issue, lock_numbers
from tollkeeper.orgs import By
from tollkeeper.payments import show_minor


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditOrder:
    """What is to be credited of an invoice: all that is left of it, unless an amount is said. The
    reason (`by.why`) is on the document too; the same `run_id` again is done once."""

    org_id: UUID
    invoice_id: UUID
    run_id: UUID
    amount_minor: int | None
    by: By


async def credit_invoice(tx: Connection, desk: Desk, order: CreditOrder, now: datetime) -> Invoice:
    """Issue a credit note for a fee's invoice. Raises NotFound, CreditNoteRefused."""
    invoice = await store.get_invoice(tx, order.org_id, order.invoice_id)
    if not invoice.cause.startswith(CAUSE):
        raise CreditNoteRefused(
            "Only the invoice of a plan's fee is credited by hand; for a purchase, refund it and"
            " the credit note follows by itself"
        )
    await lock_numbers(tx, DocumentType.CREDIT_NOTE, desk.numbering, now, livemode=invoice.livemode)
    cause = f"by_hand:{order.run_id}"
    known = await store.find_by_cause(tx, order.org_id, cause)
    if known is not None:
        return known
    notes = await store.credit_notes_of(tx, order.org_id, order.invoice_id)
    left_minor = invoice.total_minor - sum(note.total_minor for note in notes)
    wanted = left_minor if order.amount_minor is None else order.amount_minor
    back = MoneyBack(cause=cause, disputed=False, amount_minor=wanted, reason=order.by.why, at=now)
    new = compose_credit_note(desk, invoice, notes, back, uuid7())
    if new is None or wanted > left_minor:
        shown = show_minor(left_minor, invoice.currency)
        raise CreditNoteRefused(f"At most {shown} of {invoice.number} can be credited")
    issued = await issue(tx, new, desk.numbering, now)
    await orgs.note(
        tx,
        order.by,
        "invoice.credit",
        order.org_id,
        now,
        invoice=invoice.number,
        creditNote=issued.number,
        amount=show_minor(issued.total_minor, issued.currency),
    )
    return issued
