"""`tollkeeper price markup`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from tollkeeper.cli.installation import Installation
from tollkeeper.cli.naming import Moment
from tollkeeper.cli.output import Amount, Row, json_option, print_json, print_rows, say

if TYPE_CHECKING:
    from tollkeeper.db import Database
    from tollkeeper.operator import MarkupOut
    from tollkeeper.pricing import MarkupChange


@click.command("markup")
@click.option("--provider", default="", help="For this provider's models.")
@click.option("--model", default="", help="For this model; needs --provider.")
@click.option("--plan", default="", help="For customers on this plan.")
@click.option("--percent", type=Amount(), help="Added to each price; negative is a discount.")
@click.option("--fixed", type=Amount(), help="Added to each request, in USD.")
@click.option("--from", "from_", type=Moment(), help="From when on; at once without it.")
@click.option("--remove", is_flag=True, help="Take it away, so that the next wider one holds.")
@click.option("--why", default="", help="Why, for the audit log.")
@json_option
@click.pass_obj
def markup_command(
    here: Installation,
    percent: int | None,
    fixed: int | None,
    from_: datetime | None,
    why: str,
    *,
    remove: bool,
    as_json: bool,
    **named: str,
) -> None:
    """Say what is added to providers' prices; without an amount, list what is.

    The most specific one holds: model, provider, plan, everything. Your own SKUs take only a
    mark-up that names them.
    """
    from tollkeeper import operator, pricing
    from tollkeeper.base.clock import SystemClock
    from tollkeeper.cli.naming import who

    if percent is None and fixed is None and not remove:
        _list(here, as_json=as_json)
        return
    at = SystemClock().now()
    change = pricing.MarkupChange(
        **named,
        effective_from=from_ or at,
        markup=None if remove else operator.markup_of(percent or 0, fixed or 0),
    )

    async def act(database: Database) -> None:
        async with database.transaction() as tx:
            await operator.set_markup(tx, operator.Act(who=who(), why=why, at=at), change)

    here.run(act)
    _show([change], as_json=as_json)
    say("Servers sell by it within a second of its moment")


def _list(here: Installation, *, as_json: bool) -> None:
    from tollkeeper import pricing

    async def act(database: Database) -> list[MarkupChange]:
        async with database.connection() as connection:
            return await pricing.read_markups(connection)

    _show(here.run(act), as_json=as_json)


def _show(changes: list[MarkupChange], *, as_json: bool) -> None:
    from tollkeeper.operator import MarkupOut

    shown = [MarkupOut.of(change) for change in changes]
    if as_json:
        print_json(shown)
        return
    rows: list[Row] = [
        {
            "for": _name(out),
            "percent": "removed" if out.percent is None else str(out.percent),
            "per request": "-" if out.fixed is None else str(out.fixed),
            "from": f"{out.from_:%Y-%m-%d %H:%M}",
        }
        for out in shown
    ]
    print_rows(rows, ("for", "percent", "per request", "from"), as_json=False)


def _name(out: MarkupOut) -> str:
    if out.plan:
        return f"plan {out.plan}"
    return " ".join(filter(None, (out.provider, out.model))) or "everything"
