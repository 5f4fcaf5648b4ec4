"""`tollkeeper budget`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import click

from tollkeeper.cli.installation import Installation
from tollkeeper.cli.output import Row, json_option, org_option, print_record, print_rows

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from tollkeeper.db import Connection, Database
    from tollkeeper.limits import Limit, LimitBook

_NUMBER: Final = re.compile(r"\d+(\.\d+)?")
_PERIODS: Final = ("minute", "hour", "day", "week", "month", "billing_cycle", "lifetime")
_COLUMNS: Final = (
    "id",
    "name",
    "measure",
    "amount",
    "period",
    "each",
    "enforcement",
    "used",
    "remaining",
    "resetsAt",
)
_test = click.option("--test", is_flag=True, help="What test keys have used, not live ones.")
_why = click.option("--why", default="", help="Why, for the audit log.")


@click.group("budget")
def budget_command() -> None:
    """Add, list, begin anew and remove budgets and rate limits."""


@budget_command.command("add")
@click.argument("name")
@click.argument("amount")
@click.option("--measure", type=click.Choice(("cost", "tokens", "requests")), default="cost")
@click.option("--period", type=click.Choice(_PERIODS), default="month", show_default=True)
@click.option("--time-zone", default="UTC", show_default=True, help="Such as Europe/Berlin.")
@click.option("--project", "project_id", help="Calls of this project: prj_…")
@click.option("--key", "api_key_id", help="Calls with this API key: key_…")
@click.option("--member", "member_id", help="Calls with this member's keys: mem_…")
@click.option("--end-user", help="Calls for this end user.")
@click.option("--provider", help="Calls to this provider.")
@click.option("--model", help="Calls of this model, or of such as gpt-*.")
@click.option("--tag", help="Calls with this tag: name=value.")
@click.option("--each", help="Count apart: apiKey, project, member, endUser, model, tag:NAME …")
@click.option("--soft", is_flag=True, help="Count and tell, but refuse nothing.")
@click.option("--tolerance", type=click.IntRange(0, 100), default=0, help="Percent above.")
@click.option("--alert", type=click.IntRange(1, 300), multiple=True, help="Percentage to tell.")
@_why
@org_option
@json_option
@click.pass_obj
def add(
    here: Installation, org: str | None, *, soft: bool, why: str, as_json: bool, **said: Any
) -> None:
    """Add a budget of AMOUNT: USD, or a number of tokens or requests."""
    from tollkeeper.base.clock import SystemClock
    from tollkeeper.base.ids import uuid7
    from tollkeeper.cli.naming import find_org
    from tollkeeper.limits import acts

    if _NUMBER.fullmatch(said["amount"]) is None:
        raise click.BadParameter(f"{said['amount']!r} is no amount", param_hint="AMOUNT")
    now = SystemClock().now()

    async def act(database: Database) -> Row:
        book = await _book(here, database)
        async with database.transaction() as tx:
            owner = await find_org(tx, org)
            new = _read(said, soft=soft).read(owner.org_id, uuid7(), now)
            made = await acts.create(tx, new)
            await _note(tx, "create", why, made, now)
            return (await _rows(tx, book, [made], now, livemode=True))[0]

    print_record(here.run(act), as_json=as_json)


@budget_command.command("list")
@_test
@org_option
@json_option
@click.pass_obj
def list_(here: Installation, org: str | None, *, test: bool, as_json: bool) -> None:
    """List budgets with what is used of them, oldest first."""
    from tollkeeper.base.clock import SystemClock
    from tollkeeper.cli.naming import find_org
    from tollkeeper.limits import store

    now = SystemClock().now()

    async def act(database: Database) -> list[Row]:
        book = await _book(here, database)
        async with database.connection() as connection:
            owner = await find_org(connection, org)
            found = await store.list_limits(connection, owner.org_id, None, 10_000)
            return await _rows(connection, book, found, now, livemode=not test)

    print_rows(here.run(act), _COLUMNS, as_json=as_json)


@budget_command.command("remove")
@click.argument("budget_id", metavar="BUDGET_ID")
@_why
@org_option
@json_option
@click.pass_obj
def remove(here: Installation, budget_id: str, org: str | None, *, why: str, as_json: bool) -> None:
    """Limit nothing by it any more, in every process within about a second."""
    from tollkeeper.base.clock import SystemClock
    from tollkeeper.limits import acts

    now = SystemClock().now()

    async def act(database: Database) -> Row:
        async with database.transaction() as tx:
            place = await _place(tx, org, budget_id)
            known = await acts.get(tx, *place)
            await acts.remove(tx, *place, now)
            await _note(tx, "delete", why, known, now)
        return {"id": budget_id, "name": known.name}

    print_record(here.run(act), as_json=as_json)


@budget_command.command("reset")
@click.argument("budget_id", metavar="BUDGET_ID")
@click.option("--subject", help="Only what is counted apart for it, such as key_… or a user.")
@_test
@_why
@org_option
@json_option
@click.pass_obj
def reset(
    here: Installation,
    budget_id: str,
    subject: str | None,
    org: str | None,
    *,
    test: bool,
    why: str,
    as_json: bool,
) -> None:
    """Count anew from now on."""
    from tollkeeper.base.clock import SystemClock
    from tollkeeper.limits import acts

    now = SystemClock().now()

    async def act(database: Database) -> Row:
        book = await _book(here, database)
        async with database.transaction() as tx:
            place = await _place(tx, org, budget_id)
            begun = await acts.reset(tx, *place, subject, livemode=not test, now=now)
            await _note(tx, "reset", why, begun, now, subject=subject, livemode=not test)
            return (await _rows(tx, book, [begun], now, livemode=not test))[0]

    print_record(here.run(act), as_json=as_json)


def _read(said: dict[str, Any], *, soft: bool) -> Any:
    """Read the options as the endpoint reads its body, with all faults at once."""
    import msgspec

    from tollkeeper.http import JsonReader
    from tollkeeper.limits.shapes import BudgetIn

    names = {field.name: field.encode_name for field in msgspec.structs.fields(BudgetIn)}
    body = {names[name]: value for name, value in said.items() if name in names}
    body["amount"] = msgspec.Raw(said["amount"].encode())
    body["enforcement"] = "soft" if soft else "hard"
    body["tolerancePercent"] = said["tolerance"]
    if said["alert"]:
        body["alertPercents"] = list(said["alert"])
    return JsonReader(BudgetIn)(msgspec.json.encode(body))


async def _book(here: Installation, database: Database) -> LimitBook:
    """Know of billing cycles; limits themselves are read when they are shown."""
    from tollkeeper.base.clock import SystemClock
    from tollkeeper.limits import LimitBook
    from tollkeeper.plans import PlanBook

    plans = PlanBook(database, here.settings.plans.default)
    await plans.refresh()

    def cycle(org_id: UUID, livemode: bool, at: datetime) -> tuple[datetime, datetime] | None:
        terms = plans.look_up(org_id, livemode, at)
        return None if terms is None else (terms.cycle_start, terms.cycle_end)

    return LimitBook(database, SystemClock(), cycle)


async def _place(tx: Connection, org: str | None, budget_id: str) -> tuple[UUID, UUID]:
    from tollkeeper.cli.naming import find_org, read_named_id

    return (await find_org(tx, org)).org_id, read_named_id("bud", budget_id)


async def _rows(
    tx: Connection, book: LimitBook, limits: list[Limit], now: datetime, *, livemode: bool
) -> list[Row]:
    import msgspec

    from tollkeeper.limits.routes import show
    from tollkeeper.limits.shapes import BudgetOut

    shown = await show(tx, book, limits, livemode=livemode, now=now)
    fields = msgspec.structs.fields(BudgetOut)
    return [{field.encode_name: getattr(one, field.name) for field in fields} for one in shown]


async def _note(
    tx: Connection, what: str, why: str, limit: Limit, now: datetime, **details: object
) -> None:
    from tollkeeper.base.ids import show_id
    from tollkeeper.cli.naming import who
    from tollkeeper.limits.operator_routes import note

    told = {"budgetId": show_id("bud", limit.limit_id), "name": limit.name, **details}
    await note(tx, who(), f"budget.{what}", why, org_id=limit.org_id, at=now, **told)
