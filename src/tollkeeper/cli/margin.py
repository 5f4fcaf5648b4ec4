"""`tollkeeper margin`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import click
import msgspec

from tollkeeper.cli.installation import Installation
from tollkeeper.cli.naming import Moment
from tollkeeper.cli.output import json_option, print_json, print_rows

if TYPE_CHECKING:
    from tollkeeper.db import Database
    from tollkeeper.margins import Grouping, MarginOut

_USUAL: Final = timedelta(days=30)
_COLUMNS: Final = (
    "key",
    "calls",
    "charged",
    "cost",
    "margin",
    "marginPercent",
    "unknownCalls",
    "unknownPercent",
)


@click.command("margin")
@click.option(
    "--by",
    type=click.Choice(["organization", "model", "provider", "day"]),
    default="model",
    show_default=True,
    help="A row for each.",
)
@click.option("--start", type=Moment(), help="Calls that began from here on; 30 days back.")
@click.option("--end", type=Moment(), help="Calls that began before this; now.")
@click.option("--org", help="Only this organization, by id or name.")
@json_option
@click.pass_obj
def margin_command(
    here: Installation,
    by: Grouping,
    start: datetime | None,
    end: datetime | None,
    org: str | None,
    *,
    as_json: bool,
) -> None:
    """Say what was earned: charged, less what providers charge.

    Costs are the list prices at the time of each call. Of an operator's own SKUs, and of usage
    without a price, no cost is known: it is left out of the margin and counted apart.
    """

    async def act(database: Database) -> tuple[list[MarginOut], MarginOut]:
        from tollkeeper import margins
        from tollkeeper.base.clock import SystemClock
        from tollkeeper.cli.naming import find_org

        until = end or SystemClock().now()
        window = margins.Window(since=start or until - _USUAL, until=until)
        if not window.since < window.until:
            raise click.UsageError("--start must lie before --end")
        org_id = None
        if org is not None:
            async with database.connection() as connection:
                org_id = (await find_org(connection, org)).org_id
        source = margins.source_of(here.settings, database)
        return await margins.report(source, window, by, org_id)

    rows, total = here.run(act)
    if as_json:
        print_json({"data": rows, "total": total})
        return
    fields = msgspec.structs.fields(type(total))
    shown = [
        {field.encode_name: getattr(row, field.name) for field in fields} for row in (*rows, total)
    ]
    print_rows(shown, _COLUMNS, as_json=False)
