"""A document broken by hand is named."""

from __future__ import annotations

from documents import NOW, content, new_invoice

from tollkeeper import invoices
from tollkeeper.base.ids import uuid7
from tollkeeper.db import Connection, Database
from tollkeeper.invoices import DocumentType, Line, Numbering, verify_invoices
from tollkeeper.ledger import Finding


async def found(database: Database) -> list[Finding]:
    async with database.connection() as connection:
        return [finding async for finding in verify_invoices(connection)]


async def test_each_break_is_named(database: Database, owner: Connection) -> None:
    org_id = uuid7()
    async with database.transaction() as tx:
        first = await invoices.issue(tx, new_invoice(org_id, "1"), Numbering(), NOW)
        for cause in ("2", "3"):
            new = new_invoice(org_id, cause, livemode=False)
            await invoices.issue(tx, new, Numbering(), NOW)
        note = new_invoice(
            org_id,
            "4",
            type=DocumentType.CREDIT_NOTE,
            corrects_id=first.invoice_id,
            content=content(lines=(Line(description="x", net_minor=100),), taxes=()),
        )
        await invoices.issue(tx, note, Numbering(), NOW)
    assert await found(database) == []
    for broken, rule, says in (
        ("UPDATE invoice_series SET last_number = 3 WHERE NOT livemode", "I1", "number 3 of"),
        ("DELETE FROM invoice_number WHERE number = 2 AND NOT livemode", "I1", "number 2 of"),
        ("UPDATE invoice SET number = 'INV-9' WHERE cause = '1'", "I1", "INV-2026-000001"),
        ("GRANT UPDATE (number) ON invoice TO tollkeeper_app", "I2", "UPDATE"),
        (
            "UPDATE invoice SET net_minor = 25138, total_minor = 29914 WHERE cause = '2'",
            "I4",
            "25138 net",
        ),
        (
            "UPDATE invoice SET net_minor = 99999, total_minor = 99999 WHERE cause = '4'",
            "I5",
            "99999 net",
        ),
    ):
        before = {finding.sentence for finding in await found(database)}
        await owner.execute(broken.encode())
        new = [finding for finding in await found(database) if finding.sentence not in before]
        assert rule in {finding.rule for finding in new}
        assert any(says in finding.sentence for finding in new), broken
