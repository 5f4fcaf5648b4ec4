"""`tollkeeper staff`: who of your team may see the operator's pages, and a way back in."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import click

from tollkeeper.cli.installation import Installation
from tollkeeper.cli.naming import who
from tollkeeper.cli.output import Row, json_option, print_record, print_rows

if TYPE_CHECKING:
    from datetime import datetime

    from tollkeeper.console.signing_in.links.making import NewLink
    from tollkeeper.console.signing_in.model import Account
    from tollkeeper.db import Connection, Database
    from tollkeeper.operator import Act


@click.group("staff")
def staff_command() -> None:
    """Let your team into the console, and who is locked out back in."""


@staff_command.command("invite")
@click.argument("email")
@click.option(
    "--role",
    type=click.Choice(["admin", "viewer"]),
    default="admin",
    show_default=True,
    help="Admins act, viewers read.",
)
@json_option
@click.pass_obj
def invite(here: Installation, email: str, role: str, *, as_json: bool) -> None:
    """Print a link that makes somebody one of the staff; it works once, for three days."""
    from tollkeeper.console.signing_in.accounts import is_email
    from tollkeeper.console.signing_in.links.making import NewLink
    from tollkeeper.console.signing_in.model import Purpose, StaffRole

    if not is_email(email):
        raise click.BadParameter(f"{email!r} is no email address", param_hint="EMAIL")
    new = NewLink(purpose=Purpose.STAFF, made_by=who(), email=email, staff_role=StaffRole(role))

    async def act(database: Database) -> str:
        async with database.transaction() as tx:
            return await _make(here, tx, new, "staff.invite")

    print_record({"email": email, "role": role, "link": here.run(act)}, as_json=as_json)


@staff_command.command("reset")
@click.argument("email")
@json_option
@click.pass_obj
def reset(here: Installation, email: str, *, as_json: bool) -> None:
    """Print a link to choose a new password with; it works once, for an hour."""
    from tollkeeper.console.signing_in.links.making import NewLink
    from tollkeeper.console.signing_in.model import Purpose

    async def act(database: Database) -> str:
        async with database.transaction() as tx:
            account = await _find(tx, email)
            new = NewLink(purpose=Purpose.RESET, made_by=who(), email=account.email)
            return await _make(here, tx, new, "account.make_reset_link")

    print_record({"email": email, "link": here.run(act)}, as_json=as_json)


@staff_command.command("list")
@json_option
@click.pass_obj
def list_(here: Installation, *, as_json: bool) -> None:
    """List the staff, oldest first."""
    from tollkeeper.console.signing_in import store

    async def act(database: Database) -> list[Account]:
        async with database.connection() as connection:
            return await store.list_staff(connection)

    rows = [_row(account) for account in here.run(act)]
    print_rows(rows, ("id", "name", "email", "role", "disabledAt"), as_json=as_json)


@staff_command.command("disable")
@click.argument("email")
@json_option
@click.pass_obj
def disable(here: Installation, email: str, *, as_json: bool) -> None:
    """Sign somebody of the staff out everywhere, and let them in no more."""
    from tollkeeper.console.signing_in import accounts

    async def act(database: Database) -> Account:
        async with database.transaction() as tx:
            account = await _find(tx, email)
            done = _act(_now())
            await accounts.set_disabled(tx, done, account.account_id, disabled=True)
            return await _find(tx, email)

    print_record(_row(here.run(act)), as_json=as_json)


async def _make(here: Installation, tx: Connection, new: NewLink, what: str) -> str:
    from tollkeeper import operator
    from tollkeeper.console.signing_in.links import making
    from tollkeeper.console.signing_in.links.making import Post

    server = here.settings.server
    base_url = server.public_url or f"http://{server.host}:{server.port}"
    now, post = _now(), Post(base_url=base_url, mails=False)
    link = await making.make(tx, new, post, chance=secrets.token_bytes(32), now=now)
    await operator.note(tx, _act(now), what, None, email=new.email, role=new.staff_role)
    return link


async def _find(tx: Connection, email: str) -> Account:
    from tollkeeper.base.errors import NotFound
    from tollkeeper.console.signing_in import store

    account = await store.find_account_by_email(tx, email)
    if account is None:
        raise NotFound(f"There is no account with {email}")
    return account


def _act(now: datetime) -> Act:
    from tollkeeper.operator import Act

    return Act(who=who(), why="", at=now)


def _now() -> datetime:
    from tollkeeper.base.clock import SystemClock

    return SystemClock().now()


def _row(account: Account) -> Row:
    from tollkeeper.base.ids import show_id

    return {
        "id": show_id("acc", account.account_id),
        "name": account.name,
        "email": account.email,
        "role": account.staff_role,
        "disabledAt": account.disabled_at,
    }
