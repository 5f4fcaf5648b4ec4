"""Organizations and their projects."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from tollkeeper.base.errors import NotFound
from tollkeeper.base.ids import show_id
from tollkeeper.db import Connection
from tollkeeper.orgs import store
from tollkeeper.orgs.errors import DuplicateOrganization, DuplicateProject, ProjectNotFound
from tollkeeper.orgs.model import Organization, Project


async def create_org(tx: Connection, *, org_id: UUID, name: str, now: datetime) -> Organization:
    """Make an organization; its wallets are opened by whoever calls this, in the same `tx`.

    Raises DuplicateOrganization when there is one with that id.
    """
    organization = Organization(org_id=org_id, name=name, created_at=now)
    if not await store.insert_organization(tx, organization):
        raise DuplicateOrganization(f"{show_id('org', org_id)} was made before")
    return organization


async def get_org(tx: Connection, org_id: UUID) -> Organization:
    """Raises NotFound."""
    found = await store.read_organization(tx, org_id)
    if found is None:
        raise NotFound(f"There is no organization {show_id('org', org_id)}")
    return found


async def lock_org(tx: Connection, org_id: UUID) -> None:
    """Let changes of an organization that must see each other wait for each other."""
    await store.lock_organization(tx, org_id)


async def list_orgs(tx: Connection, after: UUID | None, limit: int) -> list[Organization]:
    """Newest first; `after` is the last one of the page before."""
    return await store.list_organizations(tx, after, limit)


async def create_project(
    tx: Connection, *, org_id: UUID, project_id: UUID, name: str, now: datetime
) -> Project:
    """Raises DuplicateProject when the organization has another project of that name."""
    project = Project(org_id=org_id, project_id=project_id, name=name, created_at=now)
    if await store.insert_project(tx, project):
        return project
    known = await store.read_project(tx, org_id, project_id)
    if known is None:
        raise DuplicateProject(f"There is a project named {name!r} already")
    return known  # the request ran before, and is run again


async def get_project(
    tx: Connection, org_id: UUID, project_id: UUID, *, archived: bool = False
) -> Project:
    """Raises ProjectNotFound, also for an archived project unless `archived` ones are asked for."""
    found = await store.read_project(tx, org_id, project_id)
    if found is None or (found.archived_at is not None and not archived):
        raise project_not_found(project_id)
    return found


async def list_projects(
    tx: Connection, org_id: UUID, after: UUID | None, limit: int
) -> list[Project]:
    """Oldest first, without archived ones."""
    return await store.list_projects(tx, org_id, after, limit)


async def rename_project(tx: Connection, org_id: UUID, project_id: UUID, name: str) -> Project:
    """Raises DuplicateProject, ProjectNotFound."""
    renamed = await store.rename_project(tx, org_id, project_id, name)
    if renamed is True:
        raise DuplicateProject(f"There is a project named {name!r} already")
    if renamed is False:
        raise project_not_found(project_id)
    return renamed


async def archive_project(tx: Connection, org_id: UUID, project_id: UUID, now: datetime) -> None:
    """Take a project out of use and revoke its keys; its usage keeps its name.

    Raises ProjectNotFound.
    """
    if not await store.archive_project(tx, org_id, project_id, now):
        raise project_not_found(project_id)
    await store.revoke_keys_of_project(tx, org_id, project_id, now)


def project_not_found(project_id: UUID) -> ProjectNotFound:
    return ProjectNotFound(
        f"There is no project {show_id('prj', project_id)} in this organization, or it is archived"
    )
