"""`tollkeeper project`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tollkeeper.cli.installation import Installation
from tollkeeper.cli.output import Row, json_option, org_option, print_record, print_rows

if TYPE_CHECKING:
    from tollkeeper.db import Database
    from tollkeeper.orgs import Project


@click.group("project")
def project_command() -> None:
    """Create and list projects."""


@project_command.command("create")
@click.argument("name")
@org_option
@json_option
@click.pass_obj
def create(here: Installation, name: str, org: str | None, *, as_json: bool) -> None:
    """Create a project; all projects of an organization share its balance."""
    from tollkeeper import orgs
    from tollkeeper.base.clock import SystemClock
    from tollkeeper.base.ids import uuid7
    from tollkeeper.cli.naming import find_org

    async def act(database: Database) -> Project:
        async with database.transaction() as tx:
            owner = await find_org(tx, org)
            return await orgs.create_project(
                tx,
                org_id=owner.org_id,
                project_id=uuid7(),
                name=name,
                now=SystemClock().now(),
            )

    print_record(_row(here.run(act)), as_json=as_json)


@project_command.command("list")
@org_option
@json_option
@click.pass_obj
def list_(here: Installation, org: str | None, *, as_json: bool) -> None:
    """List an organization's projects, oldest first."""
    from tollkeeper import orgs
    from tollkeeper.cli.naming import find_org

    async def act(database: Database) -> list[Project]:
        async with database.connection() as connection:
            owner = await find_org(connection, org)
            return await orgs.list_projects(connection, owner.org_id, None, 10_000)

    rows = [_row(project) for project in here.run(act)]
    print_rows(rows, ("id", "name", "createdAt"), as_json=as_json)


def _row(project: Project) -> Row:
    from tollkeeper.base.ids import show_id

    return {
        "id": show_id("prj", project.project_id),
        "name": project.name,
        "createdAt": project.created_at,
    }
