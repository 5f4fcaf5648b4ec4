"""`tollkeeper demo`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from tollkeeper.cli.installation import Installation
from tollkeeper.cli.output import Progress, json_option, print_json, print_record, say

if TYPE_CHECKING:
    from tollkeeper.base.clock import Clock
    from tollkeeper.demo import Report


@click.command("demo")
@click.option("--organizations", type=click.IntRange(2, 500), default=40, show_default=True)
@click.option("--calls", type=click.IntRange(0, 100_000_000), default=1_000_000, show_default=True)
@click.option("--months", type=click.IntRange(1, 60), default=12, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="The same makes the same.")
@click.option(
    "--until",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    help="When it ends (UTC); at the last midnight.",
)
@click.option("--yes", is_flag=True, help="Also beside organizations that are there.")
@json_option
@click.pass_obj
def demo_command(here: Installation, *, yes: bool, as_json: bool, **wanted: object) -> None:
    """Fill the database with a year of believable data.

    Organizations, plans, calls, purchases, refunds, disputes: all of it in test mode, paid in the
    sandbox, and true to the books. For a database of its own: nothing takes a demo out again. Stop
    the server meanwhile; it would act on what is of the past.
    """
    import asyncio

    from tollkeeper.base.clock import SystemClock
    from tollkeeper.cli.installation import require_migrated
    from tollkeeper.demo import Wish, fill

    # What a server would log of a year is nothing to read in two minutes.
    here = here.given(LOG__LEVEL="warning")
    clock = SystemClock()
    wish = Wish(until=_end(wanted.pop("until"), clock), **wanted)  # pyright: ignore[reportArgumentType] (click has read them)
    shown = {"calls": Progress("calls made"), "sums": Progress("parts added up")}

    def told(what: str, done: int, _whole: int) -> None:
        shown[what](done)

    async def act(url: str) -> Report:
        await require_migrated(url)
        return await fill(here.settings, url, wish, clock, told, force=yes)

    with here.database_url() as url:
        made = asyncio.run(act(url))
    for progress in shown.values():
        progress.end()
    _print(made, as_json=as_json)


def _end(said: object, clock: Clock) -> datetime:
    given = said if isinstance(said, datetime) else clock.now().replace(hour=0, minute=0, second=0)
    return given.replace(minute=0, second=0, microsecond=0, tzinfo=UTC)


def _print(made: Report, *, as_json: bool) -> None:
    row = {
        "organizations": made.organizations,
        "calls": made.calls,
        "since": made.since,
        "until": made.until,
    }
    if as_json:
        print_json({**row, "adminKeys": made.admin_keys})
        return
    print_record(row, as_json=False)
    say("ADMIN keys (test mode) of the largest organizations:")
    print_record(made.admin_keys, as_json=False)
