"""`tollkeeper export`."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, TypeVar

import click

from tollkeeper.cli.installation import Installation
from tollkeeper.cli.naming import Moment
from tollkeeper.cli.output import Progress, org_option, say

if TYPE_CHECKING:
    from tollkeeper.db import Connection, Database
    from tollkeeper.ledger import Entry, Wallet
    from tollkeeper.orgs import Organization

_PAGE: Final = 5_000

F = TypeVar("F", bound=Callable[..., Any])
Pages = AsyncGenerator[Sequence[Sequence[object]]]

ENTRY_COLUMNS: Final = (
    "organizationId",
    "livemode",
    "currency",
    "seq",
    "id",
    "timestamp",
    "kind",
    "account",
    "amount",
    "balanceAfter",
    "lotId",
    "source",
    "reversesSeq",
    "actor",
    "reason",
)
AUDIT_COLUMNS: Final = ("id", "at", "who", "what", "why", "organizationId", "details")


@click.group("export")
def export_command() -> None:
    """Write usage, entries or the audit log as CSV or NDJSON."""


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
@click.option("--start", type=Moment(), help="Recorded from this moment on.")
@click.option("--end", type=Moment(), help="Recorded before this moment.")
@_options
@click.pass_obj
def usage(
    here: Installation,
    start: datetime | None,
    end: datetime | None,
    form: str,
    output: Path | None,
    org: str | None,
) -> None:
    """Write usage, a row per SKU of each call, of all organizations or of one."""
    from tollkeeper import metering
    from tollkeeper.base.ids import show_id

    async def pages(connection: Connection) -> Pages:
        for organization in await _organizations(connection, org):
            org_id = organization.org_id
            shown = show_id("org", org_id)
            async for page in metering.usage_pages(connection, org_id, start=start, end=end):
                yield [(shown, *row) for row in page]

    _export(here, pages, ("organizationId", *metering.USAGE_COLUMNS), form, output)


@export_command.command("entries")
@_options
@click.pass_obj
def entries(here: Installation, form: str, output: Path | None, org: str | None) -> None:
    """Write every line of the ledger, of all organizations or of one, wallet by wallet."""

    async def pages(connection: Connection) -> Pages:
        for organization in await _organizations(connection, org):
            async for page in _entries_of(connection, organization):
                yield page

    _export(here, pages, ENTRY_COLUMNS, form, output)


@export_command.command("audit")
@_options
@click.pass_obj
def audit(here: Installation, form: str, output: Path | None, org: str | None) -> None:
    """Write what operators did, newest first: who, what, why, when."""
    from tollkeeper import orgs
    from tollkeeper.base.ids import show_id
    from tollkeeper.cli.naming import find_org
    from tollkeeper.http import encode_json

    async def pages(connection: Connection) -> Pages:
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

    _export(here, pages, AUDIT_COLUMNS, form, output)


def _export(
    here: Installation,
    pages: Callable[[Connection], Pages],
    columns: Sequence[str],
    form: str,
    output: Path | None,
) -> None:
    """Write pages of rows as they come, so that memory does not grow with the books."""
    from tollkeeper.http import encode_json, encode_rows

    progress = Progress("rows written")

    async def act(database: Database) -> int:
        count = 0
        with _opened(output) as file:
            if form == "csv":
                file.write(encode_rows([], columns))
            async with database.connection() as connection:
                async for page in pages(connection):
                    if form == "csv":
                        file.write(encode_rows(page))
                    else:
                        rows = (dict(zip(columns, row, strict=True)) for row in page)
                        file.writelines(encode_json(row) + b"\n" for row in rows)
                    count += len(page)
                    progress(count)
        return count

    count = here.run(act)
    progress.end()
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


async def _entries_of(connection: Connection, organization: Organization) -> Pages:
    from tollkeeper import ledger

    for wallet in await ledger.wallets_of(connection, organization.org_id):
        above = 0
        while page := await ledger.entries(
            connection,
            wallet.org_id,
            wallet.wallet_id,
            limit=_PAGE,
            above=above,
            descending=False,
        ):
            yield [_entry_row(entry, wallet) for entry in page]
            above = page[-1].seq


def _entry_row(entry: Entry, wallet: Wallet) -> Sequence[object]:
    from tollkeeper.base.ids import show_id
    from tollkeeper.base.money import Money

    return (
        show_id("org", entry.org_id),
        wallet.livemode,
        wallet.currency,
        entry.seq,
        show_id("ent", entry.entry_id),
        entry.posted_at,
        entry.kind.value,
        entry.account.value,
        Money(entry.amount),
        Money(entry.balance_after),
        None if entry.lot_id is None else show_id("lot", entry.lot_id),
        entry.source,
        entry.reverses_seq,
        entry.actor,
        entry.reason,
    )
