"""`tollkeeper migrate`."""

from __future__ import annotations

import asyncio

import click

from tollkeeper.cli.installation import Installation
from tollkeeper.cli.output import json_option, print_json, say


@click.command("migrate")
@json_option
@click.pass_obj
def migrate_command(here: Installation, *, as_json: bool) -> None:
    """Bring the database to the newest schema.

    Safe while others serve: each migration waits a few seconds for its locks, and gives up rather
    than hold up traffic. Run it before the new version serves.
    """
    from tollkeeper.db import migrate

    with here.database_url(may_create=True) as url:
        applied = asyncio.run(migrate(url))
    if as_json:
        print_json({"applied": applied})
        return
    for name in applied:
        click.echo(name)
    say(f"{len(applied)} migrations applied" if applied else "The database is up to date")
