"""`tollkeeper provider-costs`."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from tollkeeper.cli.installation import Installation
from tollkeeper.cli.output import json_option, print_json, print_rows, say

if TYPE_CHECKING:
    from tollkeeper.db import Database
    from tollkeeper.margins import Bucket, ComparisonOut

_BEYOND: Final = 1
_DAY: Final = click.DateTime(["%Y-%m-%d"])
_COLUMNS: Final = (
    "day",
    "provider",
    "model",
    "ours",
    "theirs",
    "difference",
    "differencePercent",
    "tokensOurs",
    "tokensTheirs",
    "beyondTolerance",
)


@click.group("provider-costs")
def provider_costs_command() -> None:
    """Import what providers charge, and compare it."""


@provider_costs_command.command("import")
@click.argument(
    "files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE…"
)
@click.option("--provider", help="Its name in the price book; else what the export says.")
@click.option("--fetch", is_flag=True, help="Ask the provider, by its `admin_key`.")
@click.option("--since", type=_DAY, help="With --fetch: from this day (UTC) on; 30 days ago.")
@click.option("--until", type=_DAY, help="With --fetch: before this day (UTC); today.")
@click.option("--why", default="", help="For the audit log.")
@click.pass_obj
def import_(
    here: Installation,
    files: tuple[Path, ...],
    provider: str | None,
    since: datetime | None,
    until: datetime | None,
    why: str,
    *,
    fetch: bool,
) -> None:
    """Import exports of costs or usage, of OpenAI, of Anthropic, or as CSV.

    A CSV has the columns date, model, cost (USD), and perhaps provider and tokens. A day that is
    imported again is replaced.
    """
    if fetch == bool(files) or (fetch and provider is None):
        raise click.UsageError("Name files, or a --provider to --fetch from")

    async def act(database: Database) -> int:
        from tollkeeper import margins
        from tollkeeper.base.clock import SystemClock
        from tollkeeper.cli.naming import who

        now = SystemClock().now()
        exports: list[list[Bucket]] = [
            margins.read_export(path.read_bytes(), provider) for path in files
        ]
        if provider is not None and fetch:
            desk = margins.desk_of(provider, here.settings.providers.get(provider))
            first, behind = _days(since, until, now)
            exports = [await margins.fetch(desk, first, behind)]
        days = 0
        async with database.transaction() as tx:
            for buckets in exports:
                days += await margins.import_buckets(tx, buckets, who=who(), why=why, now=now)
        return days

    say(f"{here.run(act)} days of costs imported")


@provider_costs_command.command("compare")
@click.option("--since", type=_DAY, help="From this day (UTC) on; 30 days ago.")
@click.option("--until", type=_DAY, help="Before this day (UTC); today.")
@click.option("--provider", help="Only this one.")
@click.option(
    "--tolerance",
    type=click.IntRange(0, 100),
    default=5,
    show_default=True,
    help="By how many percent the two may differ.",
)
@json_option
@click.pass_obj
@click.pass_context
def compare(
    context: click.Context,
    here: Installation,
    since: datetime | None,
    until: datetime | None,
    provider: str | None,
    tolerance: int,
    *,
    as_json: bool,
) -> None:
    """Compare imported costs with those of the price book, by day and model.

    The exit status is 1 when a difference is beyond the tolerance and above a cent.
    """

    async def act(database: Database) -> list[ComparisonOut]:
        from tollkeeper import margins
        from tollkeeper.base.clock import SystemClock
        from tollkeeper.pricing import BookKeeper

        books = BookKeeper(database)
        await books.refresh()
        found = await margins.compare(
            margins.source_of(here.settings, database),
            books.book,
            _days(since, until, SystemClock().now()),
            provider=provider,
            tolerance_percent=tolerance,
        )
        return [margins.ComparisonOut.of(one) for one in found]

    rows = here.run(act)
    if as_json:
        print_json({"data": rows})
    elif rows:
        fields = msgspec.structs.fields(type(rows[0]))
        shown = [{field.encode_name: getattr(row, field.name) for field in fields} for row in rows]
        print_rows(shown, _COLUMNS, as_json=False)
    else:
        say("No costs of these days were imported")
    beyond = sum(row.beyond_tolerance for row in rows)
    if beyond:
        say(f"{beyond} beyond the tolerance")
        context.exit(_BEYOND)


def _days(since: datetime | None, until: datetime | None, now: datetime) -> tuple[date, date]:
    from tollkeeper import margins

    first, behind = margins.days_before(now)
    days = since.date() if since else first, until.date() if until else behind
    if not days[0] < days[1]:
        raise click.UsageError("--since must lie before --until")
    return days
