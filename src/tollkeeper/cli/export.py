"""`tollkeeper export`."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, TypeVar

import click

from tollkeeper.cli.installation import Installation
from tollkeeper.cli.naming import Moment
from tollkeeper.cli.output import Progress, org_option, say

if TYPE_CHECKING:
    from tollkeeper.db import Connection, Database
    from tollkeeper.exports import Books, Format
    from tollkeeper.orgs import Organization

_PAGE: Final = 5_000

F = TypeVar("F", bound=Callable[..., Any])
Pages = AsyncGenerator[Sequence[Sequence[object]]]

AUDIT_COLUMNS: Final = ("id", "at", "who", "what", "why", "organizationId", "details")


@click.group("export")
def export_command() -> None:
    """Write usage, entries, invoices or the audit log as CSV or NDJSON."""


@dataclass(frozen=True, slots=True)
class Destination:
    form: Format
    output: Path | None


def _window(command: F) -> F:
    for option in (
        click.option("--end", type=Moment(), help="Recorded before this moment."),
        click.option("--start", type=Moment(), help="Recorded from this moment on."),
    ):
        command = option(command)
    return command


def _options(command: F) -> F:
    for option in (
        org_option,
        click.option(
            "--output",
            type=click.Path(dir_okay=False, path_type=Path),
            help="A file; without it, standard output.",
        ),
        click.option(
            "--format",
            "form",
            type=click.Choice(["csv", "ndjson"]),
            default="csv",
            show_default=True,
        ),
    ):
        command = option(command)
    return command


@export_command.command("usage")
@_window
@_options
@click.pass_obj
def usage(
    here: Installation,
    start: datetime | None,
    end: datetime | None,
    form: Format,
    output: Path | None,
    org: str | None,
) -> None:
    """Write usage, a row per SKU of each call, of all organizations or of one."""
    _export_book(here, "usage", Destination(form, output), (start, end), org)


@export_command.command("entries")
@_window
@_options
@click.pass_obj
def entries(
    here: Installation,
    start: datetime | None,
    end: datetime | None,
    form: Format,
    output: Path | None,
    org: str | None,
) -> None:
    """Write every line of the ledger, of all organizations or of one, wallet by wallet."""
    _export_book(here, "entries", Destination(form, output), (start, end), org)


@export_command.command("invoices")
@_window
@_options
@click.pass_obj
def invoices(
    here: Installation,
    start: datetime | None,
    end: datetime | None,
    form: Format,
    output: Path | None,
    org: str | None,
) -> None:
    """Write invoices and credit notes, of all organizations or of one."""
    _export_book(here, "invoices", Destination(form, output), (start, end), org)


@export_command.command("audit")
@_options
@click.pass_obj
def audit(here: Installation, form: Format, output: Path | None, org: str | None) -> None:
    """Write what operators did, newest first: who, what, why, when."""
    from tollkeeper import orgs
    from tollkeeper.base.ids import show_id
    from tollkeeper.cli.naming import find_org
    from tollkeeper.http import encode_json

    async def pages(database: Database) -> Pages:
        async with database.connection() as connection:
            org_id = None if org is None else (await find_org(connection, org)).org_id
            after = None
            while page := await orgs.list_audit(connection, org_id, after, _PAGE):
                yield [
                    (
                        show_id("aud", entry.audit_id),
                        entry.at,
                        entry.who,
                        entry.what,
                        entry.why,
                        None if entry.org_id is None else show_id("org", entry.org_id),
                        encode_json(entry.details).decode() if form == "csv" else entry.details,
                    )
                    for entry in page
                ]
                after = page[-1].audit_id

    _export(here, pages, AUDIT_COLUMNS, Destination(form, output))


def _export_book(
    here: Installation,
    book: Books,
    destination: Destination,
    window: tuple[datetime | None, datetime | None],
    org: str | None,
) -> None:
    from tollkeeper import exports

    known = exports.BOOKS[book]
    asked = exports.Window(start=window[0], end=window[1])

    async def pages(database: Database) -> Pages:
        async with database.connection() as connection:
            organizations = await _organizations(connection, org)
        for organization in organizations:
            async for page in known.pages(database, organization.org_id, asked):
                yield page

    _export(here, pages, known.columns, destination)


def _export(
    here: Installation,
    pages: Callable[[Database], Pages],
    columns: Sequence[str],
    destination: Destination,
) -> None:
    """Write pages of rows as they come, so that memory does not grow with the books."""
    from tollkeeper.exports import write_rows

    progress = Progress("rows written")
    count = 0

    async def counted(database: Database) -> Pages:
        nonlocal count
        async for page in pages(database):
            yield page
            count += len(page)
            progress(count)

    async def act(database: Database) -> None:
        with _opened(destination.output) as file:
            async for chunk in write_rows(columns, counted(database), destination.form):
                file.write(chunk)

    here.run(act)
    progress.end()
    output = destination.output
    say(f"{count:,} rows" + (f" in {output}" if output is not None else ""))


@contextmanager
def _opened(output: Path | None) -> Generator[IO[bytes]]:
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    draft = output.with_name(f"{output.name}.partial")
    with draft.open("wb") as file:
        yield file
    draft.replace(output)


async def _organizations(connection: Connection, named: str | None) -> list[Organization]:
    from tollkeeper.cli.naming import all_orgs, find_org

    if named is not None:
        return [await find_org(connection, named)]
    return await all_orgs(connection)
