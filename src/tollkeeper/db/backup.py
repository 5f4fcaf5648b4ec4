"""The whole database as one file, and back: pg_dump and pg_restore, run with what the URL says."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from psycopg import AsyncConnection, pq
from psycopg.rows import TupleRow

from tollkeeper.db.binaries import packaged_programs
from tollkeeper.db.migrate import prepare_role

_POLL_SECONDS: Final = 0.2

_COUNT_TABLES: Final = """
SELECT count(*) FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
"""


class BackupError(Exception):
    """A backup or its restoration failed; the message says why."""


async def dump_database(url: str, file: Path, told: Callable[[int], None]) -> None:
    """Write everything to `file`, whole or not at all, while others go on working.

    `told` hears how many bytes there are so far.
    """
    draft = file.with_name(f"{file.name}.partial")
    draft.unlink(missing_ok=True)
    # It holds the hashes of all keys and what customers sent: for its owner alone.
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    arguments = ["--format=custom", "--no-owner", "--lock-wait-timeout=30s", f"--file={draft}"]
    try:
        await _run(url, "pg_dump", arguments, lambda: told(draft.stat().st_size))
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


async def restore_database(url: str, file: Path, told: Callable[[], None]) -> None:
    """Read a backup into an empty database, whole or not at all. Raises BackupError."""
    async with await AsyncConnection[TupleRow].connect(url, autocommit=True) as connection:
        found = await (await connection.execute(_COUNT_TABLES)).fetchone()
        if found != (0,):
            raise BackupError(
                "The database is not empty, and nothing is overwritten. Restore into a new data"
                " directory (--data-dir) or a new database (DATABASE_URL)."
            )
        await prepare_role(connection)
    name = _environment(url).get("PGDATABASE", "")
    arguments = ["--single-transaction", "--exit-on-error", "--no-owner", f"--dbname={name}"]
    await _run(url, "pg_restore", [*arguments, str(file)], told)


async def _run(url: str, program: str, arguments: list[str], told: Callable[[], None]) -> None:
    process = await asyncio.create_subprocess_exec(
        *(_find(program), *arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        # Not as an argument, where every user of the machine could read the password.
        env={**os.environ, **_environment(url)},
    )
    said = asyncio.create_task(process.communicate())
    while not said.done():
        await asyncio.wait((said,), timeout=_POLL_SECONDS)
        told()
    _, errors = said.result()
    if process.returncode != 0:
        raise BackupError(f"{program} failed: {errors.decode(errors='replace').strip()}")


def _find(program: str) -> str:
    packaged = packaged_programs()
    if packaged is not None:
        return str(packaged / program)
    found = shutil.which(program)
    if found is None:
        raise BackupError(f"There is no {program} here; install PostgreSQL's client programs.")
    return found


def _environment(url: str) -> dict[str, str]:
    """Say in environment variables what a connection URL says."""
    return {
        option.envvar.decode(): option.val.decode()
        for option in pq.Conninfo.parse(url.encode())
        if option.envvar and option.val
    }
