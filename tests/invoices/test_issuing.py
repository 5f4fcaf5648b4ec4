"""A payment's fate on paper: each change told as often as it likes, each document issued once."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, replace
from typing import Any, LiteralString, cast
from uuid import UUID

from documents import BUYER, NOW, SELLER

from tollkeeper import invoices
from tollkeeper.base.ids import uuid7
from tollkeeper.base.settings import Settings
from tollkeeper.db import Connection, Database
from tollkeeper.invoices import Desk, DocumentType, Invoice, TaxLine, Typesetter, desk_of
from tollkeeper.invoices.composing import Sale
from tollkeeper.invoices.issuing import hear_of_money_back, issue_sale
from tollkeeper.payments import Handlers
from tollkeeper.payments.model import (
    Dispute,
    DisputeChanged,
    DisputeStatus,
    Payment,
    PaymentStatus,
    Refund,
    RefundChanged,
    RefundStatus,
)

DESK: Desk = replace(desk_of(Settings(), Typesetter()), seller=SELLER)
ORG = uuid7()
PURCHASE = uuid7()
# What a row of a payment has beside, and these tests do not ask for.
PAID = {
    "description": "",
    "return_url": "",
    "off_session": False,
    "save_method": False,
    "page": "hosted",
    "checks": 0,
    "version": 0,
}


def handlers() -> Handlers:
    made = Handlers()
    hear_of_money_back(made, DESK)
    return made


def payment(**changes: Any) -> Payment:
    nothing: dict[str, Any] = dict.fromkeys(Payment.__slots__)
    said: dict[str, Any] = {
        "org_id": ORG,
        "payment_id": PURCHASE,
        "livemode": False,
        "processor": "sandbox",
        "subject_id": PURCHASE,
        "status": PaymentStatus.SUCCEEDED,
        "amount_minor": 11_900,
        "currency": "USD",
        "method_ref": "pm_1",
        "intended_at": NOW,
        "settled_at": NOW,
    }
    return Payment(**(nothing | said | changes))


def refund(amount_minor: int, status: RefundStatus = RefundStatus.SUCCEEDED) -> Refund:
    return Refund(
        org_id=ORG,
        refund_id=uuid7(),
        payment_id=uuid7(),
        livemode=False,
        processor="sandbox",
        ours=True,
        status=status,
        amount_minor=amount_minor,
        currency="USD",
        reason="Wrong amount",
        ref="re_1",
        failure_detail=None,
        intended_at=NOW,
        settled_at=NOW,
        version=1,
    )


def dispute(amount_minor: int, status: DisputeStatus) -> Dispute:
    return Dispute(
        org_id=ORG,
        dispute_id=uuid7(),
        payment_id=uuid7(),
        livemode=False,
        processor="sandbox",
        ref="dp_1",
        status=status,
        amount_minor=amount_minor,
        currency="USD",
        reason="fraudulent",
        evidence_due_at=None,
        opened_at=NOW,
        settled_at=NOW,
        version=1,
    )


async def sell(database: Database) -> Invoice:
    sale = Sale(
        org_id=ORG,
        purchase_id=PURCHASE,
        livemode=False,
        automatic=False,
        credit_nanos=95_000_000_000,
        credit_currency="USD",
        currency="USD",
        price_minor=9_500,
        fee_minor=500,
        taxes=(TaxLine(label="VAT 19 %", rate_ppm=190_000, base_minor=10_000, tax_minor=1_900),),
        buyer=BUYER,
        paid_by=None,
    )
    async with database.transaction() as tx:
        return await issue_sale(tx, DESK, sale, NOW, payment())


async def tell(database: Database, change: RefundChanged | DisputeChanged) -> None:
    """Write it down, as whoever tells of it has done by then, and tell of it."""
    async with database.transaction() as tx:
        paid = {**asdict(change.payment), **PAID}
        await put(tx, "payment", paid, "payment_id")
        moved = change.dispute if isinstance(change, DisputeChanged) else change.refund
        settled = moved.status not in (DisputeStatus.INQUIRY, DisputeStatus.OPEN)
        row = {
            **asdict(moved),
            "payment_id": change.payment.payment_id,
            "settled_at": moved.settled_at if settled else None,
        }
        kind = "dispute" if isinstance(change, DisputeChanged) else "refund"
        await put(tx, kind, row, f"{kind}_id")
        await handlers().tell(tx, change)


async def put(tx: Connection, table: str, row: dict[str, Any], key: str) -> None:
    names, values = ", ".join(row), ", ".join(f"%({name})s" for name in row)
    statement = (
        f"INSERT INTO {table} ({names}) VALUES ({values}) ON CONFLICT (org_id, {key})"
        " DO UPDATE SET status = excluded.status, settled_at = excluded.settled_at"
    )
    await tx.execute(cast("LiteralString", statement), row)


async def documents(database: Database, org_id: UUID = ORG) -> list[Invoice]:
    async with database.connection() as connection:
        found = await invoices.list_invoices(
            connection, org_id, livemode=None, below=None, limit=100
        )
    return found[::-1]


async def test_a_sale_has_one_invoice_that_says_how_it_was_paid(
    database: Database, owner: Connection
) -> None:
    await owner.execute(
        "INSERT INTO payment_method (org_id, method_id, livemode, processor, ref, kind, brand,"
        " last4, is_default, added_at, removed_at)"
        " VALUES (%s, %s, false, 'sandbox', 'pm_1', 'card', 'visa', '4242', false, %s, %s)",
        (ORG, uuid7(), NOW, NOW),
    )
    invoice = await sell(database)
    assert await sell(database) == invoice
    assert (invoice.number, invoice.total_minor) == ("TEST-INV-2026-000001", 11_900)
    said = invoice.content
    assert [line.description for line in said.lines] == ["Prepaid credit", "Payment processing fee"]
    assert said.lines[0].detail == "$95.00 of API credit"
    assert said.paid_by is not None
    assert (said.paid_by.method, said.paid_by.last4) == ("visa", "4242")
    assert await documents(database) == [invoice]


async def test_refunds_in_parallel_come_to_the_invoice_and_no_further(database: Database) -> None:
    await sell(database)
    refunds = [refund(2_000) for _ in range(7)]
    changes = [RefundChanged(r, payment(), RefundStatus.PENDING) for r in refunds for _ in range(2)]
    await asyncio.gather(*(tell(database, change) for change in changes))
    invoice, *notes = await documents(database)
    assert {note.corrects_number for note in notes} == {invoice.number}
    numbers = sorted(note.number for note in notes)
    assert numbers == [f"TEST-CN-2026-{n:06}" for n in range(1, 7)]
    assert sum(note.net_minor for note in notes) == invoice.net_minor
    assert sum(note.tax_minor for note in notes) == invoice.tax_minor
    assert {note.content.reason for note in notes} == {"Wrong amount"}


async def test_only_a_lost_dispute_is_on_paper(database: Database) -> None:
    await sell(database)
    lost = dispute(11_900, DisputeStatus.LOST)
    opened = replace(lost, status=DisputeStatus.OPEN)
    for change in (
        DisputeChanged(opened, payment(), None),
        DisputeChanged(replace(lost, status=DisputeStatus.WON), payment(), DisputeStatus.OPEN),
    ):
        await tell(database, change)
    assert len(await documents(database)) == 1
    for _ in range(3):
        await tell(database, DisputeChanged(lost, payment(), DisputeStatus.OPEN))
    _, note = await documents(database)
    assert (note.type, note.total_minor) == (DocumentType.CREDIT_NOTE, 11_900)
    assert note.content.lines[0].description == "Payment taken back by the bank"
    won = replace(lost, status=DisputeStatus.WON)  # after all
    for _ in range(2):
        await tell(database, DisputeChanged(won, payment(), DisputeStatus.LOST))
    *_, again = await documents(database)
    assert (len(await documents(database)), again.total_minor) == (3, 11_900)
    assert note.number in again.content.lines[0].description


async def test_a_refund_that_comes_back_is_invoiced_again_and_may_be_refunded_again(
    database: Database,
) -> None:
    await sell(database)
    first = refund(11_900)
    await tell(database, RefundChanged(first, payment(), RefundStatus.PENDING))
    failed = replace(first, status=RefundStatus.FAILED)
    for _ in range(2):
        await tell(database, RefundChanged(failed, payment(), RefundStatus.SUCCEEDED))
    sold, note, again = await documents(database)
    assert (again.type, again.total_minor) == (DocumentType.INVOICE, sold.total_minor)
    assert note.number in again.content.lines[0].description
    await tell(database, RefundChanged(refund(5_000), payment(), RefundStatus.PENDING))
    *_, second = await documents(database)
    assert (second.corrects_number, second.total_minor) == (again.number, 5_000)


async def test_a_purchases_invoice_stays_its_own_when_a_refund_comes_back(
    database: Database,
) -> None:
    sold = await sell(database)
    first = refund(2_000)
    await tell(database, RefundChanged(first, payment(), RefundStatus.PENDING))
    failed = replace(first, status=RefundStatus.FAILED)
    await tell(database, RefundChanged(failed, payment(), RefundStatus.SUCCEEDED))
    assert [one.total_minor for one in await documents(database)] == [11_900, 2_000, 2_000]
    async with database.connection() as connection:
        found = await invoices.invoices_of_purchases(
            connection, ORG, [PURCHASE, uuid7()], livemode=False
        )
    assert found == {PURCHASE: (sold.invoice_id, sold.number)}


def on_paper(found: list[Invoice]) -> list[int]:
    return [
        one.total_minor if one.type is DocumentType.INVOICE else -one.total_minor for one in found
    ]


async def test_a_refund_and_a_dispute_of_the_same_money_are_one_on_paper(
    database: Database,
) -> None:
    """The documents come to what was kept of 119.00, as the ledger does, whatever overlaps."""
    await sell(database)
    whole, lost = refund(11_900), dispute(11_900, DisputeStatus.LOST)
    await tell(database, RefundChanged(whole, payment(), RefundStatus.PENDING))
    await tell(database, DisputeChanged(lost, payment(), DisputeStatus.OPEN))
    assert on_paper(await documents(database)) == [11_900, -11_900]
    failed = replace(whole, status=RefundStatus.FAILED)  # and the bank has the money still
    await tell(database, RefundChanged(failed, payment(), RefundStatus.SUCCEEDED))
    assert on_paper(await documents(database)) == [11_900, -11_900]
    won = replace(lost, status=DisputeStatus.WON)
    for _ in range(2):
        await tell(database, DisputeChanged(won, payment(), DisputeStatus.LOST))
    assert on_paper(await documents(database)) == [11_900, -11_900, 11_900]


async def test_a_dispute_that_is_won_leaves_what_was_refunded_beside_it(
    database: Database,
) -> None:
    sold = await sell(database)
    lost = dispute(11_900, DisputeStatus.LOST)
    await tell(database, DisputeChanged(lost, payment(), DisputeStatus.OPEN))
    part = refund(2_000)
    await tell(database, RefundChanged(part, payment(), RefundStatus.PENDING))
    won = replace(lost, status=DisputeStatus.WON)
    await tell(database, DisputeChanged(won, payment(), DisputeStatus.LOST))
    found = await documents(database)
    assert on_paper(found) == [11_900, -11_900, 9_900]
    back = replace(part, status=RefundStatus.FAILED)
    await tell(database, RefundChanged(back, payment(), RefundStatus.SUCCEEDED))
    sold, note, first, second = await documents(database)
    assert second.total_minor == 2_000
    assert note.number in second.content.lines[0].description
    assert first.net_minor + second.net_minor == note.net_minor == sold.net_minor
    assert first.tax_minor + second.tax_minor == note.tax_minor == sold.tax_minor


async def test_what_did_not_happen_is_not_on_paper(database: Database) -> None:
    """A refund that failed, and one of a purchase from before there were invoices."""
    failed = refund(100, RefundStatus.FAILED)
    await tell(database, RefundChanged(failed, payment(), RefundStatus.PENDING))
    stranger = payment(subject_id=uuid7())
    await tell(database, RefundChanged(refund(100), stranger, RefundStatus.PENDING))
    assert await documents(database) == []
