"""`tollkeeper rollups`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tollkeeper.cli.installation import Installation
from tollkeeper.cli.output import Progress, json_option, print_json, say

if TYPE_CHECKING:
    from tollkeeper.db import Database


@click.group("rollups")
def rollups_command() -> None:
    """Make the sums behind costs and analytics again."""


@rollups_command.command("rebuild")
@json_option
@click.pass_obj
def rebuild(here: Installation, *, as_json: bool) -> None:
    """Forget all sums and add up every usage record again.

    Answers stay right meanwhile, and are slower. Runs beside traffic.
    """
    progress = Progress("wallets added up")

    async def act(database: Database) -> int:
        from tollkeeper.metering import rebuild_all

        return await rebuild_all(database, progress)

    wallets = here.run(act)
    progress.end()
    if as_json:
        print_json({"wallets": wallets})
    else:
        say(f"The sums of {wallets:,} wallets are made again")
