"""`tollkeeper invoice`: what the API shows, from a shell."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from commands import Command

from tollkeeper import invoices
from tollkeeper.base.ids import read_id, show_id, uuid7
from tollkeeper.db import Database
from tollkeeper.invoices import Content, DocumentType, Invoice, Line, NewInvoice, Numbering, Party

NOW = datetime(2026, 11, 21, tzinfo=UTC)


async def issue(url: str, org: str, *, livemode: bool = True, of: str = "purchase") -> Invoice:
    new = NewInvoice(
        org_id=read_id("org", org),
        invoice_id=uuid7(),
        livemode=livemode,
        type=DocumentType.INVOICE,
        cause=f"{of}:{livemode}",
        currency="USD",
        content=Content(
            seller=Party(name="Seller"),
            buyer=Party(name="株式会社サンプル"),
            lines=(Line(description="Prepaid credit", net_minor=2_550),),
        ),
    )
    async with Database.open(url) as database, database.transaction() as tx:
        return await invoices.issue(tx, new, Numbering(), NOW)


def test_invoices_are_listed_shown_and_written(
    command: Command, database_url: str, tmp_path: Path
) -> None:
    org = command("org", "create", "Acme", "--json").json["organizationId"]
    invoice = asyncio.run(issue(database_url, org))
    shown_id = show_id("inv", invoice.invoice_id)
    asyncio.run(issue(database_url, org, livemode=False))
    assert command("invoice", "list").shape.splitlines() == [
        "number  type  issuedAt  currency  net  tax  total  id",
        f"INV-2026-000001  invoice  <time>  USD  25.5  0  25.5  {shown_id}",
    ]
    (test,) = command("invoice", "list", "--test", "--json").json
    assert test["number"] == "TEST-INV-2026-000001"
    for named in (invoice.number, shown_id):
        shown = command("invoice", "show", named, "--json").json
        assert (shown["buyer"], shown["lines"]) == ("株式会社サンプル", {"Prepaid credit": 25.5})
    assert "Prepaid credit  25.5" in command("invoice", "show", invoice.number).shape
    command("invoice", "pdf", invoice.number)
    assert (tmp_path / "INV-2026-000001.pdf").read_bytes().startswith(b"%PDF-")
    command("invoice", "pdf", invoice.number, "--output", "mine.pdf")
    assert (tmp_path / "mine.pdf").exists()
    assert "Acme has no invoice INV-1" in command("invoice", "show", "INV-1", status=3).err


def test_a_fee_is_credited_and_a_purchase_is_not(command: Command, database_url: str) -> None:
    org = command("org", "create", "Acme", "--json").json["organizationId"]
    bought = asyncio.run(issue(database_url, org))
    fee = asyncio.run(issue(database_url, org, of="fee"))
    why = ("--why", "Given back at the processor")
    note = command("invoice", "credit", fee.number, "5.5", *why, "--json").json
    assert (note["number"], note["total"]) == ("CN-2026-000001", 5.5)
    assert command("invoice", "credit", fee.number, *why, "--json").json["total"] == 20
    refused = command("invoice", "credit", bought.number, *why, status=3)
    assert "for a purchase, refund it" in refused.err
