"""`tollkeeper webhooks`: what processors told us."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click

from tollkeeper.cli.installation import Installation
from tollkeeper.cli.output import Row, json_option, print_record, print_rows

if TYPE_CHECKING:
    from tollkeeper.db import Database

_STATES: Final = ("pending", "handled", "ignored", "not_understood")
_DAY: Final = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])
_PROCESSOR: Final = click.option(
    "--processor",
    type=click.Choice(["stripe", "sandbox"]),
    default="stripe",
    show_default=True,
    help="Whose events.",
)


@click.group("webhooks")
def webhooks_command() -> None:
    """List what processors told us, and have it handled again."""


@webhooks_command.command("list")
@_PROCESSOR
@click.option("--state", type=click.Choice(_STATES), help="Only events in this state.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@json_option
@click.pass_obj
def list_events(
    here: Installation, processor: str, state: str | None, limit: int, *, as_json: bool
) -> None:
    """List events, newest first, with why one is not handled yet."""

    async def act(database: Database) -> list[Row]:
        from tollkeeper.payments import EventState, newest_events

        wanted = None if state is None else EventState(state)
        async with database.connection() as connection:
            found = await newest_events(connection, processor, wanted, limit)
        return [
            {
                "id": event.event_id,
                "type": event.type,
                "received": event.received_at,
                "state": event.state.value,
                "attempts": event.attempts,
                "error": event.last_error,
            }
            for event in found
        ]

    columns = ("id", "type", "received", "state", "attempts", "error")
    print_rows(here.run(act), columns, as_json=as_json)


@webhooks_command.command("replay")
@click.argument("event_ids", nargs=-1)
@_PROCESSOR
@click.option("--type", "types", multiple=True, help="Only events of this type; may be repeated.")
@click.option(
    "--state", "states", type=click.Choice(_STATES), multiple=True, help="Only in this state."
)
@click.option("--since", type=_DAY, help="Only what came in from this day or moment (UTC) on.")
@json_option
@click.pass_obj
def replay_events(
    here: Installation,
    event_ids: tuple[str, ...],
    processor: str,
    types: tuple[str, ...],
    states: tuple[str, ...],
    since: datetime | None,
    *,
    as_json: bool,
) -> None:
    """Have events handled again by the running server, as if they had just come in.

    It does no harm to what was done already: the processor is asked how things are now. Say which:
    by id, type, state or time.
    """
    if not (event_ids or types or states or since):
        raise click.UsageError("Say which events: by id, --type, --state or --since")

    async def act(database: Database) -> int:
        from tollkeeper.cli.till import open_till
        from tollkeeper.payments import EventState, Which, replay

        which = Which(
            event_ids=event_ids or None,
            types=types or None,
            states=tuple(EventState(state) for state in states) or None,
            since=None if since is None else since.replace(tzinfo=UTC),
        )
        async with open_till(here.settings, database) as till:
            return await replay(till, processor, which)

    print_record({"replayed": here.run(act)}, as_json=as_json)
