"""`tollkeeper invoice`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tollkeeper.cli.installation import Installation
from tollkeeper.cli.output import (
    Amount,
    Row,
    json_option,
    org_option,
    print_record,
    print_rows,
    say,
)

if TYPE_CHECKING:
    from tollkeeper.db import Connection, Database
    from tollkeeper.invoices import Invoice

_MOST = 10_000


@click.group("invoice")
def invoice_command() -> None:
    """List, show, download and credit invoices."""


@invoice_command.command("list")
@click.option("--test", is_flag=True, help="Those of test mode instead.")
@org_option
@json_option
@click.pass_obj
def list_(here: Installation, org: str | None, *, test: bool, as_json: bool) -> None:
    """List an organization's invoices and credit notes, newest first."""
    from tollkeeper import invoices
    from tollkeeper.cli.naming import find_org

    async def act(database: Database) -> list[Row]:
        async with database.connection() as connection:
            owner = await find_org(connection, org)
            found = await invoices.list_invoices(
                connection, owner.org_id, livemode=not test, below=None, limit=_MOST
            )
        return [_row(invoice) for invoice in found]

    columns = ("number", "type", "issuedAt", "currency", "net", "tax", "total", "id")
    print_rows(here.run(act), columns, as_json=as_json)


@invoice_command.command("show")
@click.argument("number")
@org_option
@json_option
@click.pass_obj
def show(here: Installation, number: str, org: str | None, *, as_json: bool) -> None:
    """Show a document. NUMBER: as it is printed, or inv_…"""

    async def act(database: Database) -> Row:
        async with database.connection() as connection:
            invoice = await _find(connection, org, number)
        content = invoice.content
        amounts = [(line.description, line.net_minor) for line in content.lines]
        amounts += [(tax.label, tax.tax_minor) for tax in content.taxes]
        said = {name: _money(minor, invoice) for name, minor in amounts}
        return {
            **_row(invoice),
            "corrects": invoice.corrects_number,
            "buyer": content.buyer.name,
            "address": ", ".join(content.buyer.address),
            "taxIds": ", ".join(content.buyer.tax_ids),
            **({"lines": said} if as_json else said),
        }

    print_record(here.run(act), as_json=as_json)


@invoice_command.command("pdf")
@click.argument("number")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file; without it, one named after the number.",
)
@org_option
@click.pass_obj
def pdf(here: Installation, number: str, output: Path | None, org: str | None) -> None:
    """Write a document as PDF. NUMBER: as it is printed, or inv_…"""
    from tollkeeper import invoices
    from tollkeeper.invoices import Typesetter

    async def act(database: Database) -> tuple[str, bytes]:
        async with database.connection() as connection:
            invoice = await _find(connection, org, number)
        with Typesetter.open(here.settings.invoices.font_dirs, threads=1) as setter:
            desk = invoices.desk_of(here.settings, setter)
            return invoice.number, await invoices.print_invoice(desk, invoice)

    found, content = here.run(act)
    path = output or Path(f"{found}.pdf")
    path.write_bytes(content)
    say(f"{found} in {path}")


@invoice_command.command("credit")
@click.argument("number")
@click.argument("amount", type=Amount(), required=False)
@click.option("--why", required=True, help="Why, for the audit log and on the document.")
@org_option
@json_option
@click.pass_obj
def credit(
    here: Installation, number: str, amount: int | None, why: str, org: str | None, *, as_json: bool
) -> None:
    """Issue a credit note for a plan's fee that was given back at the payment processor.

    NUMBER: the invoice, as it is printed, or inv_… AMOUNT: tax included; all that is left of it,
    unless it is said. No money moves. Credit notes of purchases follow their refunds.
    """
    from tollkeeper import invoices
    from tollkeeper.base.clock import SystemClock
    from tollkeeper.base.ids import uuid7
    from tollkeeper.cli.naming import who
    from tollkeeper.orgs import By
    from tollkeeper.payments import to_minor

    async def act(database: Database) -> Row:
        desk = invoices.desk_of(here.settings, invoices.Typesetter())
        async with database.transaction() as tx:
            invoice = await _find(tx, org, number)
            order = invoices.CreditOrder(
                org_id=invoice.org_id,
                invoice_id=invoice.invoice_id,
                run_id=uuid7(),
                amount_minor=amount and to_minor(amount, invoice.currency),
                by=By(who=who(), why=why),
            )
            now = SystemClock().now()
            return _row(await invoices.credit_invoice(tx, desk, order, now))

    print_record(here.run(act), as_json=as_json)


async def _find(connection: Connection, org: str | None, named: str) -> Invoice:
    """Find a document of an organization by its number or its id."""
    from tollkeeper import invoices
    from tollkeeper.base.errors import NotFound
    from tollkeeper.cli.naming import find_org, read_named_id

    owner = await find_org(connection, org)
    if named.startswith("inv_"):
        return await invoices.get_invoice(connection, owner.org_id, read_named_id("inv", named))
    found = await invoices.find_by_number(connection, owner.org_id, named)
    if found is None:
        raise NotFound(f"{owner.name} has no invoice {named}")
    return found


def _row(invoice: Invoice) -> Row:
    from tollkeeper.base.ids import show_id

    return {
        "id": show_id("inv", invoice.invoice_id),
        "number": invoice.number,
        "type": invoice.type.value,
        "issuedAt": invoice.issued_at,
        "currency": invoice.currency,
        "net": _money(invoice.net_minor, invoice),
        "tax": _money(invoice.tax_minor, invoice),
        "total": _money(invoice.total_minor, invoice),
    }


def _money(minor: int, invoice: Invoice) -> object:
    from tollkeeper.base.money import Money
    from tollkeeper.payments import to_nanos

    return Money(to_nanos(minor, invoice.currency))
