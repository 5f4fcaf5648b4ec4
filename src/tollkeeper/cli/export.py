"""`tollkeeper export`."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import click

from tollkeeper.cli.installation import Installation
from tollkeeper.cli.output import Progress, org_option, say

if TYPE_CHECKING:
    from tollkeeper.db import Connection, Database
    from tollkeeper.ledger import Entry, Wallet
    from tollkeeper.orgs import Organization

_PAGE: Final = 5_000

Row = Mapping[str, object]

ENTRY_COLUMNS: Final = (
    "organizationId",
    "mode",
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


@click.group("export")
def export_command() -> None:
    """Write usage or entries as CSV or NDJSON."""


@export_command.command("entries")
@click.option("--format", "form", type=click.Choice(["csv", "ndjson"]), default="csv")
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="Without it, to the screen."
)
@org_option
@click.pass_obj
def entries(here: Installation, form: str, output: Path | None, org: str | None) -> None:
    """Write every line of the ledger, of all organizations or of one, wallet by wallet."""

    async def pages(database: Database) -> AsyncGenerator[Sequence[Row]]:
        async with database.connection() as connection:
            for organization in await _organizations(connection, org):
                async for page in _entries_of(connection, organization):
                    yield page

    export(here, pages, ENTRY_COLUMNS, form, output)


def export(
    here: Installation,
    pages: Callable[[Database], AsyncGenerator[Sequence[Row]]],
    columns: Sequence[str],
    form: str,
    output: Path | None,
) -> None:
    """Write pages of rows as they come, so that memory does not grow with the book."""
    from tollkeeper.http import encode_json, encode_rows

    progress = Progress("rows written")

    async def act(database: Database) -> int:
        count = 0
        with _opened(output) as file:
            if form == "csv":
                file.write(encode_rows([], columns))
            async for page in pages(database):
                if form == "csv":
                    file.write(encode_rows([row.get(name) for name in columns] for row in page))
                else:
                    file.writelines(encode_json(row) + b"\n" for row in page)
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


async def _entries_of(
    connection: Connection, organization: Organization
) -> AsyncGenerator[Sequence[Row]]:
    from tollkeeper import ledger

    for wallet in await ledger.wallets_of(connection, organization.org_id):
        above = 0
        while True:
            page = await ledger.entries(
                connection,
                wallet.org_id,
                wallet.wallet_id,
                limit=_PAGE,
                above=above,
                descending=False,
            )
            yield [_entry_row(entry, wallet) for entry in page]
            if len(page) < _PAGE:
                break
            above = page[-1].seq


def _entry_row(entry: Entry, wallet: Wallet) -> Row:
    from tollkeeper.base.ids import show_id
    from tollkeeper.base.money import Money

    return {
        "organizationId": show_id("org", entry.org_id),
        "mode": "live" if wallet.livemode else "test",
        "currency": wallet.currency,
        "seq": entry.seq,
        "id": show_id("ent", entry.entry_id),
        "timestamp": entry.posted_at,
        "kind": entry.kind.value,
        "account": entry.account.value,
        "amount": Money(entry.amount),
        "balanceAfter": Money(entry.balance_after),
        "lotId": None if entry.lot_id is None else show_id("lot", entry.lot_id),
        "source": entry.source,
        "reversesSeq": entry.reverses_seq,
        "actor": entry.actor,
        "reason": entry.reason,
    }
