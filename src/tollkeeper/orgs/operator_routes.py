"""`/operator/organizations` and `/operator/audit-log`: what an operator key manages here."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Request, Router, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from litestar.response import Response
from litestar.types import ControllerRouterHandler

from tollkeeper.base.clock import Clock
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.db import Connection, Database
from tollkeeper.http import (
    OPERATOR_KEY,
    Cursors,
    CursorText,
    Limit,
    Page,
    list_answer,
    page_of,
    read_path_id,
    run_id_of,
)
from tollkeeper.orgs import api_keys, organizations
from tollkeeper.orgs.api_keys import NewKey
from tollkeeper.orgs.audit import audit, list_audit
from tollkeeper.orgs.doors import operator_of, operator_only
from tollkeeper.orgs.errors import DuplicateOrganization
from tollkeeper.orgs.model import AuditEntry, KeyKind, OperatorCaller, Organization
from tollkeeper.orgs.shapes import (
    AuditEntryOut,
    CreateOrganization,
    NewOrganizationOut,
    OrganizationOut,
)

AnyRequest = Request[Any, Any, State]
# What else belongs to a new organization, such as its wallets, in the same transaction.
Opened = Callable[[Connection, Organization], Awaitable[None]]


def operator_routes(opened: Opened) -> list[ControllerRouterHandler]:
    handlers = [
        _create_organization_route(opened),
        list_organizations,
        get_organization,
        read_audit,
    ]
    return [
        Router(
            "/operator",
            route_handlers=handlers,
            guards=[operator_only],
            tags=["Operator"],
            opt={"security": OPERATOR_KEY},
        )
    ]


def name_of(operator: OperatorCaller) -> str:
    """Say who acted, as the audit log keeps it."""
    return f"{show_id('opk', operator.key_id)} {operator.name}"


def _create_organization_route(opened: Opened) -> ControllerRouterHandler:
    @post(
        "/organizations",
        summary="Make an organization with a project and an ADMIN key",
        opt={"errors": (DuplicateOrganization,), "shown_once": ("secret",)},
    )
    async def create_organization(
        request: AnyRequest,
        data: JSONBody[CreateOrganization],
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
    ) -> NewOrganizationOut:
        now = clock.now()
        org_id = run_id_of(request) or uuid7()
        async with database.transaction() as tx:
            made = await organizations.create_org(tx, org_id=org_id, name=data.name, now=now)
            project = await organizations.create_project(
                tx, org_id=org_id, project_id=uuid7(), name=data.project_name, now=now
            )
            new = NewKey(
                org_id=org_id,
                key_id=uuid7(),
                project_id=project.project_id,
                name="First key",
                kind=KeyKind.ADMIN,
                livemode=True,
            )
            key, secret = await api_keys.create_key(
                tx, new, chance=secrets.token_bytes(32), now=now
            )
            await opened(tx, made)
            entry = AuditEntry(
                audit_id=uuid7(),
                at=now,
                who=name_of(operator_of(request)),
                what="organization.create",
                why=data.reason,
                org_id=org_id,
                details={"name": data.name},
            )
            await audit(tx, entry)
        return NewOrganizationOut(
            id=show_id("org", org_id),
            name=made.name,
            created_at=made.created_at,
            project_id=show_id("prj", project.project_id),
            admin_key_id=show_id("key", key.key_id),
            secret=secret,
        )

    return create_organization


@get("/organizations", summary="List organizations, newest first", opt={"csv": True})
async def list_organizations(
    request: AnyRequest,
    database: NamedDependency[Database],
    cursors: NamedDependency[Cursors],
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response[Page[OrganizationOut]]:
    bound = ("operator/organizations",)
    after = cursors.after(bound, cursor)
    async with database.connection() as connection:
        found = await organizations.list_orgs(connection, after, limit + 1)
    page = page_of(
        found, limit, OrganizationOut.of, lambda last: cursors.seal(bound, [last.org_id])
    )
    return list_answer(request, page, OrganizationOut, "organizations.csv")


@get("/organizations/{organization_id:str}", summary="Get an organization")
async def get_organization(
    organization_id: FromPath[str], database: NamedDependency[Database]
) -> OrganizationOut:
    async with database.connection() as connection:
        org_id = read_path_id("org", organization_id)
        return OrganizationOut.of(await organizations.get_org(connection, org_id))


@get("/audit-log", summary="List what operators did, newest first", opt={"csv": True})
async def read_audit(
    request: AnyRequest,
    database: NamedDependency[Database],
    cursors: NamedDependency[Cursors],
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response[Page[AuditEntryOut]]:
    bound = ("operator/audit-log",)
    after = cursors.after(bound, cursor)
    async with database.connection() as connection:
        found = await list_audit(connection, None, after, limit + 1)
    page = page_of(
        found, limit, AuditEntryOut.of, lambda last: cursors.seal(bound, [last.audit_id])
    )
    return list_answer(request, page, AuditEntryOut, "audit_log.csv")
