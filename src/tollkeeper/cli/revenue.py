"""`tollkeeper revenue`."""

from __future__ import annotations

import csv
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from tollkeeper.cli.installation import Installation
from tollkeeper.cli.output import Progress, json_option, print_json, print_rows

if TYPE_CHECKING:
    from tollkeeper.credits import RevenueMonth
    from tollkeeper.db import Database

_SHOWN = (
    "month",
    "currency",
    "opening",
    "purchased",
    "refunded",
    "disputed",
    "granted",
    "earned",
    "breakage",
    "adjusted",
    "closing",
)


class Month(click.ParamType[datetime]):
    """A month such as 2026-11."""

    name = "month"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        from tollkeeper.credits import read_month

        try:
            return value if isinstance(value, datetime) else read_month(str(value))
        except ValueError as fault:
            self.fail(str(fault), param, ctx)


@click.command("revenue")
@click.option("--from", "first", type=Month(), help="The first month: 2026-01; else this year's.")
@click.option("--to", "last", type=Month(), help="The last month; else the one that is running.")
@click.option("--org", help="Only this organization, by id or name.")
@click.option("--test", is_flag=True, help="The balances of test keys, not the live ones.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, with every column.")
@json_option
@click.pass_obj
def revenue_command(
    here: Installation,
    first: datetime | None,
    last: datetime | None,
    org: str | None,
    *,
    test: bool,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Say what was deferred, earned and lapsed, month by month.

    In UTC: opening + purchased - refunded - disputed + granted - earned - breakage + adjusted =
    closing.
    """
    progress = Progress("balances read")

    async def act(database: Database) -> list[RevenueMonth]:
        from tollkeeper import credits  # noqa: A004 (the room's name)
        from tollkeeper.base.clock import SystemClock
        from tollkeeper.cli.naming import find_org

        now = SystemClock().now()
        this = credits.read_month(f"{now:%Y-%m}")
        since, until = first or this.replace(month=1), last or this
        if until < since:
            raise click.UsageError("--to must not lie before --from")
        org_id = None
        if org is not None:
            async with database.connection() as connection:
                org_id = (await find_org(connection, org)).org_id
        moments = credits.months_of(since, until)
        found = await credits.revenue(
            database, moments, livemode=not test, org_id=org_id, progress=progress
        )
        return credits.revenue_rows(moments, found, now)

    rows = here.run(act)
    progress.end()
    if as_json:
        print_json(rows)
    elif as_csv:
        _write_csv(rows)
    else:
        shown = [{name: getattr(row, name) for name in _SHOWN} for row in rows]
        print_rows(shown, _SHOWN, as_json=False)


def _write_csv(rows: list[RevenueMonth]) -> None:
    from tollkeeper.credits import RevenueMonth

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(RevenueMonth.__struct_encode_fields__)
    for row in rows:
        cells = [getattr(row, name) for name in RevenueMonth.__struct_fields__]
        writer.writerow([str(cell).lower() if isinstance(cell, bool) else cell for cell in cells])
