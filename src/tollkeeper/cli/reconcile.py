"""`tollkeeper reconcile`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click

from tollkeeper.cli.installation import Installation
from tollkeeper.cli.output import Progress, Row, json_option, print_json, print_rows, say

if TYPE_CHECKING:
    from tollkeeper.credits import Difference, Reconciliation, Window
    from tollkeeper.db import Database

_FOUND: Final = 1
_DAY: Final = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])
_COLUMNS: Final = (
    "day",
    "currency",
    "payments",
    "paid",
    "booked",
    "refunds",
    "refunded",
    "booked refunds",
    "disputed",
    "fees",
    "others",
    "differences",
)


@click.command("reconcile")
@click.option("--since", type=_DAY, help="From this day or moment (UTC) on; by default all missed.")
@click.option("--until", type=_DAY, help="Up to this day or moment (UTC); an hour ago.")
@json_option
@click.pass_obj
@click.pass_context
def reconcile_command(
    context: click.Context,
    here: Installation,
    since: datetime | None,
    until: datetime | None,
    *,
    as_json: bool,
) -> None:
    """Compare the payment processor's books with ours.

    Every payment, refund, dispute and fee of each configured processor is held against our rows
    and the ledger's entries, and summed by day. Each difference is named with what to do about
    it, and the exit status is 1. Nothing is changed.

    By default it looks at the last three days, and at all that was missed since the last run of
    every night. Over a window of your own it counts for neither the next night nor the alarm.
    """
    progress = Progress("lines read")

    async def act(database: Database) -> list[Reconciliation]:
        from tollkeeper.base.clock import SystemClock
        from tollkeeper.cli.till import open_till
        from tollkeeper.credits import compare_as_usual, reconcile

        window = _window(since, until, SystemClock().now())
        async with open_till(here.settings, database) as till:
            if since is None and until is None:
                return [
                    await compare_as_usual(till, processor, progress)
                    for processor in till.processors.all
                ]
            return [
                await reconcile(till, processor, window, progress)
                for processor in till.processors.all
            ]

    made = here.run(act)
    progress.end()
    if as_json:
        from tollkeeper.credits import ReconciliationOut

        print_json([ReconciliationOut.of(one) for one in made])
    else:
        for one in made:
            _print(one)
    if not made:
        say("No payment processor is configured")
    if not all(one.clean for one in made):
        context.exit(_FOUND)


def _window(since: datetime | None, until: datetime | None, now: datetime) -> Window:
    from tollkeeper.credits import Window, usual_window

    usual = usual_window(now, None)
    window = Window(
        usual.since if since is None else since.replace(tzinfo=UTC),
        usual.until if until is None else until.replace(tzinfo=UTC),
    )
    if not window.since < window.until:
        raise click.UsageError("--since must lie before --until")
    return window


def _print(made: Reconciliation) -> None:
    mode = "live" if made.livemode else "test"
    click.echo(
        f"{made.processor} ({mode}), {made.window.since:%Y-%m-%d %H:%M}"
        f" to {made.window.until:%Y-%m-%d %H:%M} UTC: {made.movements:,} lines"
    )
    print_rows(_rows(made), _COLUMNS, as_json=False)
    for found in made.differences:
        click.echo(_sentence(found))
    for kind in made.counts:
        click.echo(f"\n{kind.value}: {kind.advice}")
    count = sum(made.counts.values())
    say("The books agree" if made.clean else f"{count:,} differences")


def _rows(made: Reconciliation) -> list[Row]:
    from tollkeeper.payments import show_minor

    return [
        {
            "day": str(day.day),
            "currency": day.currency,
            "payments": day.payments,
            "paid": show_minor(day.paid_minor, day.currency),
            "booked": show_minor(day.booked_minor, day.currency),
            "refunds": day.refunds,
            "refunded": show_minor(day.refunded_minor, day.currency),
            "booked refunds": show_minor(day.booked_refunded_minor, day.currency),
            "disputed": show_minor(day.disputed_minor, day.currency),
            "fees": show_minor(day.fees_minor, day.currency),
            "others": day.foreign,
            "differences": day.differences,
        }
        for day in made.days
    ]


def _sentence(found: Difference) -> str:
    moment = f"{found.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    return f"{moment}  {found.kind.value}  {found.about.value} {found.name}: {found.said}"
