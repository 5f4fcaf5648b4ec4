"""`tollkeeper verify`."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Final

import click

from tollkeeper.cli.installation import Installation
from tollkeeper.cli.output import Progress, Row, json_option, print_json, say

if TYPE_CHECKING:
    from tollkeeper.db import Database
    from tollkeeper.ledger import Finding

_FOUND: Final = 1
# A broken book of millions of rows is not told row by row.
_MOST_TOLD: Final = 1_000


@click.command("verify")
@click.option("--org", help="Only this organization, by id or name.")
@json_option
@click.pass_obj
@click.pass_context
def verify_command(
    context: click.Context, here: Installation, org: str | None, *, as_json: bool
) -> None:
    """Prove the books: replay every entry and every cost.

    Recomputes every balance from the entries, every entry from its usage records, and every cost
    from its usage and prices, and compares to the last nano; then counts the invoices. Runs beside
    traffic. Each row that is wrong is named, and the exit status is 1.
    """
    progress = Progress("rows replayed")

    async def act(database: Database) -> list[Finding]:
        found: list[Finding] = []
        async for finding in _verify(database, org, progress):
            found.append(finding)
            if not as_json and len(found) <= _MOST_TOLD:
                click.echo(finding.sentence)
        return found

    found = here.run(act)
    progress.end()
    if as_json:
        rows = [_row(finding) for finding in found[:_MOST_TOLD]]
        print_json({"clean": not found, "findings": len(found), "data": rows})
    elif found:
        say(f"{len(found):,} rows are wrong")
    else:
        say("The books are clean")
    if found:
        context.exit(_FOUND)


async def _verify(
    database: Database, org: str | None, progress: Progress
) -> AsyncGenerator[Finding]:
    from tollkeeper import operator
    from tollkeeper.base.clock import SystemClock
    from tollkeeper.cli.naming import find_org

    async with database.connection() as connection:
        org_id = None if org is None else (await find_org(connection, org)).org_id
        async for finding in operator.verify(connection, SystemClock(), org_id, progress):
            yield finding


def _row(finding: Finding) -> Row:
    from tollkeeper.base.ids import show_id

    return {
        "rule": finding.rule,
        "organizationId": None if finding.org_id is None else show_id("org", finding.org_id),
        "walletId": None if finding.wallet_id is None else str(finding.wallet_id),
        "table": finding.table,
        "seq": finding.seq,
        "row": finding.row,
        "column": finding.column,
        "expected": finding.expected,
        "found": finding.found,
        "sentence": finding.sentence,
    }
