"""`tollkeeper recurring`: credit that comes again each period."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from tollkeeper.cli.installation import Installation
from tollkeeper.cli.naming import Moment
from tollkeeper.cli.output import (
    Amount,
    Row,
    json_option,
    print_json,
    print_record,
    print_rows,
    say,
)

if TYPE_CHECKING:
    from tollkeeper.credits import RecurringGrantOut
    from tollkeeper.db import Database

_COLUMNS = ("id", "for", "amount", "currency", "every", "time zone", "next", "label")
_PAGE = 500


@click.group("recurring")
def recurring_command() -> None:
    """Give credit again each period."""


@recurring_command.command("create")
@click.argument("amount", type=Amount())
@click.option("--every", type=click.Choice(["day", "week", "month"]), required=True)
@click.option("--org", help="Only this organization, by id or name; all of them without it.")
@click.option("--currency", default="USD", show_default=True)
@click.option("--time-zone", default="UTC", show_default=True, help="Whose midnight begins it.")
@click.option("--priority", type=click.IntRange(0, 1000), default=50, show_default=True)
@click.option("--label", help="What the customer sees beside it.")
@click.option("--start", type=Moment(), help="The period this lies in is the first; else this one.")
@click.option("--test", is_flag=True, help="The balances of test keys, not the live ones.")
@click.option("--why", required=True, help="Why, for the audit log and the entries.")
@json_option
@click.pass_obj
def create(
    here: Installation,
    amount: int,
    org: str | None,
    start: datetime | None,
    why: str,
    *,
    test: bool,
    as_json: bool,
    **said: Any,
) -> None:
    """Give AMOUNT each period, which lapses when the period ends."""
    from tollkeeper import credits  # noqa: A004 (the room's name)
    from tollkeeper.base.clock import SystemClock
    from tollkeeper.base.ids import show_id
    from tollkeeper.base.money import Money
    from tollkeeper.cli.asking import ask
    from tollkeeper.cli.naming import find_org, who

    async def act(database: Database) -> RecurringGrantOut:
        async with database.transaction() as tx:
            owner = None if org is None else await find_org(tx, org)
            data = ask(
                credits.NewRecurringGrant,
                **said,
                amount=Money(amount),
                reason=why,
                organization_id=owner and show_id("org", owner.org_id),
                start_at=start,
                livemode=not test,
            )
            now = SystemClock().now()
            wanted = credits.recurring_from(data, here.settings.currencies, None, who(), now)
            return credits.RecurringGrantOut.of(await credits.recurring.define(tx, wanted))

    _show(here.run(act), as_json=as_json)
    say("Servers give it within seconds of its moment")


@recurring_command.command("list")
@json_option
@click.pass_obj
def list_(here: Installation, *, as_json: bool) -> None:
    """List recurring grants, newest first."""
    from tollkeeper import credits  # noqa: A004 (the room's name)

    async def act(database: Database) -> list[RecurringGrantOut]:
        async with database.connection() as connection:
            found = await credits.newest_recurring_grants(connection, None, None, _PAGE)
        return [credits.RecurringGrantOut.of(grant) for grant in found]

    found = here.run(act)
    if as_json:
        print_json(found)
    else:
        print_rows([_row(grant) for grant in found], _COLUMNS, as_json=False)


@recurring_command.command("end")
@click.argument("grant")
@click.option("--why", required=True, help="Why, for the audit log.")
@json_option
@click.pass_obj
def end(here: Installation, grant: str, why: str, *, as_json: bool) -> None:
    """Give no more of GRANT (rgr_…); what was given stays until its period ends."""
    from tollkeeper import credits  # noqa: A004 (the room's name)
    from tollkeeper.base.clock import SystemClock
    from tollkeeper.cli.naming import read_named_id, who

    grant_id = read_named_id("rgr", grant)

    async def act(database: Database) -> RecurringGrantOut:
        async with database.transaction() as tx:
            now = SystemClock().now()
            ended = await credits.recurring.end(tx, grant_id, who=who(), why=why, now=now)
            return credits.RecurringGrantOut.of(ended)

    _show(here.run(act), as_json=as_json)


def _show(grant: RecurringGrantOut, *, as_json: bool) -> None:
    if as_json:
        print_json(grant)
    else:
        print_record(_row(grant), as_json=False)


def _row(grant: RecurringGrantOut) -> Row:
    return {
        "id": grant.id,
        "for": grant.organization_id or "all",
        "amount": grant.amount,
        "currency": grant.currency,
        "every": grant.every.value,
        "time zone": grant.time_zone,
        "next": "ended" if grant.next_at is None else grant.next_at,
        "label": grant.label,
    }
