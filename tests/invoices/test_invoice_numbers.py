"""Numbers have no gaps and no doubles, whatever races and whatever is undone."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from random import Random
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
import pytest
from documents import NOW, content, new_invoice
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper import invoices
from tollkeeper.base.ids import uuid7
from tollkeeper.db import Connection, Database
from tollkeeper.invoices import (
    CauseReused,
    DocumentType,
    Invoice,
    Line,
    NewInvoice,
    Numbering,
    TaxLine,
)

NUMBERS = Numbering()


class Undone(Exception):
    """Something after the document went wrong."""


async def issue(
    database: Database, new: NewInvoice, at: datetime = NOW, numbering: Numbering = NUMBERS
) -> Invoice:
    async with database.transaction() as tx:
        return await invoices.issue(tx, new, numbering, at)


async def test_parallel_issues_and_rollbacks_leave_no_gap_and_no_double(
    database_url: str, owner: Connection
) -> None:
    """A third is undone after its number was taken, and some causes are asked for twice."""
    chance = Random(7)  # noqa: S311 (reproducible)
    orgs = [uuid7() for _ in range(5)]
    causes = [(chance.choice(orgs), f"purchase:{n}") for n in range(60)]
    wanted = causes + chance.sample(causes, 20)
    chance.shuffle(wanted)

    async def one(database: Database, org_id: UUID, cause: str) -> None:
        undone = chance.random() < 0.33
        try:
            async with database.transaction() as tx:
                await invoices.issue(tx, new_invoice(org_id, cause), NUMBERS, NOW)
                await asyncio.sleep(0)
                if undone:
                    raise Undone  # noqa: TRY301 (what undoes a transaction comes from inside)
        except Undone:
            await issue(database, new_invoice(org_id, cause))

    async with Database.open(database_url, max_size=12) as database:
        await asyncio.gather(*(one(database, *asked) for asked in wanted))
    found = await owner.execute("SELECT number FROM invoice ORDER BY number")
    expected = [f"INV-2026-{n:06}" for n in range(1, 61)]
    assert [number for (number,) in await found.fetchall()] == expected
    found = await owner.execute("SELECT number FROM invoice_number ORDER BY number")
    assert [number for (number,) in await found.fetchall()] == list(range(1, 61))


async def test_one_cause_has_one_document(database: Database) -> None:
    org_id = uuid7()
    first = await issue(database, new_invoice(org_id, "purchase:1"))
    assert await issue(database, new_invoice(org_id, "purchase:1")) == first
    other = content(lines=(Line(description="Less", net_minor=1),), taxes=())
    with pytest.raises(CauseReused):
        await issue(database, new_invoice(org_id, "purchase:1", content=other))
    second = await issue(database, new_invoice(uuid7(), "purchase:1"))
    assert [first.number, second.number] == ["INV-2026-000001", "INV-2026-000002"]


async def test_each_entity_mode_year_and_type_counts_for_itself(database: Database) -> None:
    org_id = uuid7()
    berlin = Numbering(zone=ZoneInfo("Europe/Berlin"))
    shared = Numbering(entity="two", credit_note_prefix="INV")
    new_year = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)
    first = await issue(database, new_invoice(org_id, "1"))
    credit = {"type": DocumentType.CREDIT_NOTE, "corrects_id": first.invoice_id}
    numbers = [first.number]
    for cause, said, at, numbering in (
        ("2", {}, new_year, NUMBERS),
        ("3", {}, new_year, berlin),
        ("4", {"livemode": False}, NOW, NUMBERS),
        ("5", credit, NOW, NUMBERS),
        ("6", {}, NOW, shared),
        ("7", credit, NOW, shared),
    ):
        new = new_invoice(org_id, cause, **said)
        numbers.append((await issue(database, new, at, numbering)).number)
    assert numbers == [
        "INV-2026-000001",
        "INV-2026-000002",
        "INV-2027-000001",
        "TEST-INV-2026-000001",
        "CN-2026-000001",
        "INV-2026-000001",
        "INV-2026-000002",
    ]


@pytest.mark.parametrize("table", ["invoice", "invoice_number"])
async def test_documents_cannot_be_changed(database: Database, table: str) -> None:
    org_id = uuid7()
    await issue(database, new_invoice(org_id, "purchase:1"))
    for verb in (
        f"UPDATE {table} SET org_id = org_id",
        f"DELETE FROM {table}",
        f"TRUNCATE {table}",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with database.transaction() as tx:
                await tx.execute(verb.encode())


async def test_the_database_refuses_a_document_that_does_not_add_up(owner: Connection) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="invoice_adds_up"):
        await owner.execute(
            "INSERT INTO invoice VALUES (gen_random_uuid(), gen_random_uuid(), true, 'invoice',"
            " 'INV-1', 'x', NULL, NULL, now(), 'USD', 100, 19, 118, '{}')"
        )


cents = st.integers(0, 10**9)
lines = st.lists(cents.map(lambda n: Line(description="x", net_minor=n)), min_size=1, max_size=5)


@given(lines, st.lists(st.tuples(st.integers(0, 300_000), cents), max_size=3))
def test_lines_taxes_and_total_add_up_or_there_is_no_document(
    sold: list[Line], taxed: list[tuple[int, int]]
) -> None:
    net = sum(line.net_minor for line in sold)
    taxes = tuple(
        TaxLine(label="t", rate_ppm=ppm, base_minor=net, tax_minor=amount) for ppm, amount in taxed
    )
    made = content(lines=tuple(sold), taxes=taxes)
    assert made.total_minor == net + sum(amount for _, amount in taxed)
    over = TaxLine(label="t", rate_ppm=1, base_minor=net + 1, tax_minor=0)
    with pytest.raises(ValueError, match="no more than what is sold"):
        content(lines=tuple(sold), taxes=(*taxes, over))


@pytest.mark.parametrize(
    "changes",
    [
        {"lines": ()},
        {"lines": (Line(description="x", net_minor=-1),), "taxes": ()},
        {"taxes": (TaxLine(label="t", rate_ppm=0, base_minor=0, tax_minor=-1),)},
        {
            "taxes": (
                TaxLine(label="t", rate_ppm=1, base_minor=1, tax_minor=1, reverse_charge=True),
            )
        },
    ],
)
def test_what_no_document_may_say(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        content(**changes)
