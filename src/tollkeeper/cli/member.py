"""`tollkeeper member`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tollkeeper.cli.installation import Installation
from tollkeeper.cli.output import Row, json_option, org_option, print_record, print_rows

if TYPE_CHECKING:
    from tollkeeper.db import Database
    from tollkeeper.orgs import Member


@click.group("member")
def member_command() -> None:
    """Add, list and remove members."""


@member_command.command("add")
@click.argument("email")
@click.option("--name", help="The person's name; without it, the address.")
@click.option(
    "--role",
    type=click.Choice(["owner", "admin", "billing", "member"]),
    default="member",
    show_default=True,
)
@org_option
@json_option
@click.pass_obj
def add(
    here: Installation, email: str, name: str | None, role: str, org: str | None, *, as_json: bool
) -> None:
    """Add a person to an organization."""
    from tollkeeper import orgs
    from tollkeeper.base.clock import SystemClock
    from tollkeeper.base.ids import uuid7
    from tollkeeper.cli.naming import find_org
    from tollkeeper.orgs import Member, Role

    if "@" not in email:
        raise click.BadParameter(f"{email!r} is no email address", param_hint="EMAIL")

    async def act(database: Database) -> Member:
        async with database.transaction() as tx:
            owner = await find_org(tx, org)
            member = Member(
                org_id=owner.org_id,
                member_id=uuid7(),
                name=name or email,
                email=email,
                role=Role(role),
                created_at=SystemClock().now(),
            )
            return await orgs.create_member(tx, member)

    print_record(_row(here.run(act)), as_json=as_json)


@member_command.command("list")
@org_option
@json_option
@click.pass_obj
def list_(here: Installation, org: str | None, *, as_json: bool) -> None:
    """List an organization's members, oldest first."""
    from tollkeeper import orgs
    from tollkeeper.cli.naming import find_org

    async def act(database: Database) -> list[Member]:
        async with database.connection() as connection:
            owner = await find_org(connection, org)
            return await orgs.list_members(connection, owner.org_id, None, 10_000)

    rows = [_row(member) for member in here.run(act)]
    print_rows(rows, ("id", "name", "email", "role", "createdAt"), as_json=as_json)


@member_command.command("remove")
@click.argument("member_id", metavar="MEMBER_ID")
@org_option
@click.pass_obj
def remove(here: Installation, member_id: str, org: str | None) -> None:
    """Remove a person; an organization that has an owner keeps one."""
    from tollkeeper import orgs
    from tollkeeper.cli.naming import find_org, read_named_id

    async def act(database: Database) -> None:
        async with database.transaction() as tx:
            owner = await find_org(tx, org)
            await orgs.delete_member(tx, owner.org_id, read_named_id("mem", member_id))

    here.run(act)


def _row(member: Member) -> Row:
    from tollkeeper.base.ids import show_id

    return {
        "id": show_id("mem", member.member_id),
        "name": member.name,
        "email": member.email,
        "role": member.role.value,
        "createdAt": member.created_at,
    }
