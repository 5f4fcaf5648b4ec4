"""`tollkeeper backup` and `tollkeeper restore`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from tollkeeper.cli.installation import Installation
from tollkeeper.cli.output import Progress, say


@click.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@click.pass_obj
def backup_command(here: Installation, file: Path, *, force: bool) -> None:
    """Write the whole database to a file.

    While others go on working. The file is whole or absent, and readable by its owner alone.
    `tollkeeper restore` reads it, and so does pg_restore.
    """
    from tollkeeper.db import dump_database

    if file.exists() and not force:
        raise click.BadParameter(f"{file} is there already; --force replaces it", param_hint="FILE")
    progress = Progress("bytes written")
    with here.database_url() as url:
        asyncio.run(dump_database(url, file, progress))
    progress.end()
    say(f"Wrote {file.stat().st_size:,} bytes to {file}")


@click.command("restore")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_obj
def restore_command(here: Installation, file: Path) -> None:
    """Read a backup into an empty database.

    That is a new data directory, or a new DATABASE_URL. Whole or not at all. Run `tollkeeper
    migrate` after it if the backup is of an older version, and `tollkeeper verify` to prove its
    books.
    """
    from tollkeeper.db import pending_migrations, restore_database

    async def restore(url: str) -> list[str]:
        await restore_database(url, file, lambda: None)
        return await pending_migrations(url)

    with here.database_url(may_create=True) as url:
        pending = asyncio.run(restore(url))
    say(f"Restored {file}")
    if pending:
        say(f"{len(pending)} migrations are pending: run `tollkeeper migrate`")
