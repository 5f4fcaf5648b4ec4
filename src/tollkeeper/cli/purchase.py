"""`tollkeeper purchase`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tollkeeper.cli.installation import Installation
from tollkeeper.cli.output import Amount, Row, json_option, org_option, print_record, print_rows

if TYPE_CHECKING:
    from tollkeeper.credits import Purchase
    from tollkeeper.db import Database

_MOST = 10_000


@click.group("purchase")
def purchase_command() -> None:
    """List what was bought, and give money back."""


@purchase_command.command("list")
@click.option("--test", is_flag=True, help="Those of test mode instead.")
@org_option
@json_option
@click.pass_obj
def list_(here: Installation, org: str | None, *, test: bool, as_json: bool) -> None:
    """List an organization's purchases, newest first."""
    from tollkeeper import credits  # noqa: A004 (the room's name)
    from tollkeeper.cli.naming import find_org

    async def act(database: Database) -> list[Row]:
        async with database.connection() as connection:
            owner = await find_org(connection, org)
            found = await credits.newest_purchases(
                connection, owner.org_id, livemode=not test, below=None, limit=_MOST
            )
        return [_row(purchase) for purchase in found]

    columns = ("id", "type", "status", "credit", "total", "currency", "createdAt")
    print_rows(here.run(act), columns, as_json=as_json)


@purchase_command.command("refund")
@click.argument("purchase")
@click.option("--amount", type=Amount(), help="How much; without it, all that is left.")
@click.option("--force", is_flag=True, help="Also what is spent, into debt.")
@click.option("--why", required=True, help="Why, for the customer and the audit log.")
@org_option
@json_option
@click.pass_obj
def refund(
    here: Installation,
    purchase: str,
    amount: int | None,
    org: str | None,
    why: str,
    *,
    force: bool,
    as_json: bool,
) -> None:
    """Send money back, and take off the credit it stands for. PURCHASE: pur_…"""
    from tollkeeper import operator
    from tollkeeper.base.ids import show_id, uuid7
    from tollkeeper.cli.naming import find_org, read_named_id, who
    from tollkeeper.cli.till import open_shop
    from tollkeeper.credits import RefundOrder
    from tollkeeper.operator import Act
    from tollkeeper.payments import show_minor

    purchase_id = read_named_id("pur", purchase)

    async def act(database: Database) -> Row:
        async with database.connection() as connection:
            owner = await find_org(connection, org)
        order = RefundOrder(
            org_id=owner.org_id,
            purchase_id=purchase_id,
            refund_id=uuid7(),
            reason=why,
            actor=who(),
            force=force,
        )
        async with open_shop(here.settings, database) as shop:
            by = Act(who=who(), why=why, at=shop.till.clock.now())
            made = await operator.refund_purchase(shop, by, order, amount)
        return {
            "id": show_id("ref", made.refund_id),
            "purchase": purchase,
            "status": made.status.value,
            "amount": show_minor(made.amount_minor, made.currency),
            "failure": made.failure_detail,
        }

    print_record(here.run(act), as_json=as_json)


def _row(purchase: Purchase) -> Row:
    from tollkeeper.base.ids import show_id
    from tollkeeper.base.money import Money
    from tollkeeper.payments import to_nanos

    return {
        "id": show_id("pur", purchase.purchase_id),
        "type": purchase.origin.value,
        "status": purchase.status.value,
        "credit": Money(purchase.credit_nanos),
        "total": Money(to_nanos(purchase.total_minor, purchase.currency)),
        "currency": purchase.currency,
        "createdAt": purchase.created_at,
    }
