"""How people name things on the command line: by id, or by name where that is clear."""

from __future__ import annotations

import getpass
import os
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import click

from tollkeeper import orgs
from tollkeeper.base.errors import NotFound
from tollkeeper.base.ids import read_id, show_id
from tollkeeper.db import Connection
from tollkeeper.orgs import Organization, Project

_PAGE: Final = 500
_SPAN: Final = re.compile(r"(\d{1,5})([hdw])")
_HOURS: Final = {"h": 1, "d": 24, "w": 168}


def who() -> str:
    """Say who acts, for the audit log."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return f"cli:{os.getuid()}"


async def find_org(connection: Connection, named: str | None) -> Organization:
    """Find an organization by its id or its name; without either, the only one there is."""
    if named is not None and named.startswith("org_"):
        return await orgs.get_org(connection, _id("org", named))
    found = [
        organization
        for organization in await all_orgs(connection)
        if named is None or organization.name == named
    ]
    if len(found) == 1:
        return found[0]
    if not found:
        raise NotFound(f"There is no organization {named or 'yet'}")
    which = "several organizations" if named is None else f"several organizations named {named!r}"
    ids = ", ".join(show_id("org", organization.org_id) for organization in found[:5])
    raise NotFound(f"There are {which}; say which by its id, such as {ids}")


async def all_orgs(connection: Connection) -> list[Organization]:
    found: list[Organization] = []
    while True:
        after = found[-1].org_id if found else None
        page = await orgs.list_orgs(connection, after, _PAGE)
        found += page
        if len(page) < _PAGE:
            return found


async def find_project(connection: Connection, org_id: UUID, named: str | None) -> Project:
    """Find a project by its id or its name; without either, the organization's only one."""
    if named is not None and named.startswith("prj_"):
        return await orgs.get_project(connection, org_id, _id("prj", named))
    projects = await orgs.list_projects(connection, org_id, None, _PAGE)
    found = [project for project in projects if named in (None, project.name)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(project.name for project in projects[:10])
    raise NotFound(f"Say which project with --project: {names or 'there is none yet'}")


def read_named_id(prefix: str, text: str) -> UUID:
    """Raises NotFound, with what an id looks like."""
    return _id(prefix, text)


def _id(prefix: str, text: str) -> UUID:
    try:
        return read_id(prefix, text)
    except ValueError as error:
        raise NotFound(str(error)) from None


class Moment(click.ParamType[datetime]):
    """A moment: 2026-01-31, 2026-01-31T08:00Z, or from now on, such as 12h, 30d or 4w."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        if isinstance(value, datetime):
            return value
        span = _SPAN.fullmatch(str(value))
        if span is not None:
            return datetime.now(UTC) + timedelta(hours=int(span[1]) * _HOURS[span[2]])
        try:
            read = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(
                f"{value!r} is no time: write 2026-01-31, 2026-01-31T08:00Z, or 12h, 30d, 4w",
                param,
                ctx,
            )
        return read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)
