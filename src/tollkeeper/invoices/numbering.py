"""Issue a document: take the next number of its series and write it down, once per cause."""

from __future__ import annotations

from datetime import datetime

from tollkeeper.db import Connection
from tollkeeper.invoices import store
from tollkeeper.invoices.errors import CauseReused
from tollkeeper.invoices.model import DocumentType, Invoice, NewInvoice, Numbering, Place


async def issue(tx: Connection, new: NewInvoice, numbering: Numbering, now: datetime) -> Invoice:
    """Write the document with the next number. The same cause again gives the first one back.

    The series stays locked until the transaction ends, so call it last; and undo the transaction
    if it raises. Raises CauseReused when the cause has issued another document.
    """
    first = await store.find_by_cause(tx, new.org_id, new.cause)
    if first is not None:
        return _same(first, new)
    place = _place(new.type, numbering, now, livemode=new.livemode)
    number = await store.lock_series(tx, place) + 1
    # Whoever held the lock before may have issued for this very cause.
    first = await store.find_by_cause(tx, new.org_id, new.cause)
    if first is not None:
        return _same(first, new)
    await store.insert_invoice(tx, new, place, number, now)
    return await store.get_invoice(tx, new.org_id, new.invoice_id)


async def lock_numbers(
    tx: Connection, kind: DocumentType, numbering: Numbering, now: datetime, *, livemode: bool
) -> None:
    """Let nobody else issue such a document until the transaction ends: what has been issued so
    far is then all there is."""
    await store.lock_series(tx, _place(kind, numbering, now, livemode=livemode))


def _place(kind: DocumentType, numbering: Numbering, now: datetime, *, livemode: bool) -> Place:
    return Place(
        entity=numbering.entity,
        livemode=livemode,
        series=numbering.series_of(kind),
        year=now.astimezone(numbering.zone).year,
    )


def _same(first: Invoice, new: NewInvoice) -> Invoice:
    asked = (new.type, new.livemode, new.currency, new.content.total_minor)
    if asked != (first.type, first.livemode, first.currency, first.total_minor):
        raise CauseReused(f"{new.cause} has already issued {first.number}")
    return first
