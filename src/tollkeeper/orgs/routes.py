"""`/api-keys`, `/projects`, `/members`: what an organization's ADMIN key manages."""

from __future__ import annotations

import secrets
from typing import Any

from litestar import Request, Router, delete, get, patch, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from litestar.response import Response
from litestar.types import ControllerRouterHandler
from msgspec import UNSET, UnsetType

from tollkeeper.base.clock import Clock
from tollkeeper.base.errors import Forbidden, NotFound
from tollkeeper.base.ids import read_id, uuid7
from tollkeeper.db import Database
from tollkeeper.http import (
    Cursors,
    CursorText,
    Limit,
    Page,
    list_answer,
    page_of,
    read_moment,
    read_path_id,
    run_id_of,
)
from tollkeeper.orgs import api_keys, members, organizations
from tollkeeper.orgs.api_keys import KeyChange, NewKey
from tollkeeper.orgs.capacities import UNLIMITED, Capacities, Capacity
from tollkeeper.orgs.doors import admin_only, caller_of
from tollkeeper.orgs.errors import DuplicateMember, DuplicateProject, ProjectNotFound
from tollkeeper.orgs.model import Caller, Member
from tollkeeper.orgs.shapes import (
    ApiKeyOut,
    CreateApiKey,
    CreateMember,
    MemberOut,
    NamedIn,
    NewApiKeyOut,
    ProjectOut,
    UpdateApiKey,
    UpdateMember,
)

AnyRequest = Request[Any, Any, State]

_OF_PEOPLE = (
    "With a live key, where there are live keys or were. Owners are made, changed and removed by"
    " owners, in the console: with a key only the first owner of an organization that has none is"
    " made. The rest is 403."
)


def organization_routes(
    *, clamp_new_keys: bool, capacities: Capacities = UNLIMITED
) -> list[ControllerRouterHandler]:
    """`clamp_new_keys` is what a new key does whose maker does not say."""
    make_key = _make_key_route(clamp_new_keys=clamp_new_keys, capacities=capacities)
    make_project, add_member = _make_project_route(capacities), _add_member_route(capacities)
    keys = [list_keys, make_key, get_key, update_key, revoke_key]
    projects = [list_projects, make_project, get_project, rename_project, archive_project]
    people = [list_members, add_member, get_member, update_member, delete_member]
    return [
        Router("/", route_handlers=keys, guards=[admin_only], tags=["API keys"]),
        Router("/", route_handlers=projects, guards=[admin_only], tags=["Projects"]),
        Router("/", route_handlers=people, guards=[admin_only], tags=["Members"]),
    ]


@get("/api-keys", summary="List API keys, oldest first", opt={"csv": True})
async def list_keys(
    request: AnyRequest,
    database: NamedDependency[Database],
    cursors: NamedDependency[Cursors],
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response[Page[ApiKeyOut]]:
    caller = caller_of(request)
    bound = ("api-keys", caller.org_id)
    after = cursors.after(bound, cursor)
    seen = None if caller.livemode else False
    async with database.connection() as connection:
        keys = await api_keys.list_keys(connection, caller.org_id, after, limit + 1, livemode=seen)
    page = page_of(keys, limit, ApiKeyOut.of, lambda key: cursors.seal(bound, [key.key_id]))
    return list_answer(request, page, ApiKeyOut, "api_keys.csv")


def _make_key_route(*, clamp_new_keys: bool, capacities: Capacities) -> ControllerRouterHandler:
    @post(
        "/api-keys",
        summary="Make an API key; its secret is in this answer only",
        opt={
            "errors": (ProjectNotFound, NotFound, *capacities.refusals),
            "shown_once": ("secret",),
        },
    )
    async def create_key(
        request: AnyRequest,
        data: JSONBody[CreateApiKey],
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
    ) -> NewApiKeyOut:
        caller = caller_of(request)
        new = NewKey(
            org_id=caller.org_id,
            key_id=uuid7(),
            project_id=read_id("prj", data.project_id),
            name=data.name,
            kind=data.kind,
            livemode=_mode_of_new_key(caller, data.livemode),
            clamp=clamp_new_keys if data.clamp is UNSET else bool(data.clamp),
            expires_at=data.expires_at and read_moment(data.expires_at, "expiresAt"),
            member_id=None if data.member_id is None else read_id("mem", data.member_id),
        )
        async with database.transaction() as tx:
            await organizations.lock_org(tx, caller.org_id)
            key, secret = await api_keys.create_key(
                tx, new, chance=secrets.token_bytes(32), now=clock.now()
            )
            await capacities.check_made(tx, caller, Capacity.API_KEYS)
        return NewApiKeyOut.with_secret(key, secret)

    return create_key


def _mode_of_new_key(caller: Caller, asked: bool | UnsetType) -> bool:
    livemode = caller.livemode if asked is UNSET else bool(asked)
    if livemode and not caller.livemode:
        # Test keys are handed around; one of them must not turn into real money.
        raise Forbidden("A test key can only make test keys")
    return livemode


@get("/api-keys/{key_id:str}", summary="Get an API key")
async def get_key(
    request: AnyRequest, key_id: FromPath[str], database: NamedDependency[Database]
) -> ApiKeyOut:
    caller, known = caller_of(request), read_path_id("key", key_id)
    async with database.connection() as connection:
        return ApiKeyOut.of(await api_keys.get_key_for(connection, caller, known))


@patch("/api-keys/{key_id:str}", summary="Change an API key's name, clamp or expiry")
async def update_key(
    request: AnyRequest,
    key_id: FromPath[str],
    data: JSONBody[UpdateApiKey],
    database: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> ApiKeyOut:
    expires_at = data.expires_at if data.expires_at is not UNSET else None
    change = KeyChange(
        name=data.name or None,
        clamp=None if data.clamp is UNSET else bool(data.clamp),
        expires_at=expires_at and read_moment(expires_at, "expiresAt"),
        never_expires=data.expires_at is None,
    )
    caller, known = caller_of(request), read_path_id("key", key_id)
    async with database.transaction() as tx:
        await api_keys.get_key_for(tx, caller, known)
        changed = await api_keys.update_key(tx, caller.org_id, known, change, clock.now())
    return ApiKeyOut.of(changed)


@delete("/api-keys/{key_id:str}", summary="Revoke an API key")
async def revoke_key(
    request: AnyRequest,
    key_id: FromPath[str],
    database: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> None:
    caller, known = caller_of(request), read_path_id("key", key_id)
    async with database.transaction() as tx:
        await api_keys.get_key_for(tx, caller, known)
        await api_keys.revoke_key(tx, caller.org_id, known, clock.now())


@get("/projects", summary="List projects, oldest first", opt={"csv": True})
async def list_projects(
    request: AnyRequest,
    database: NamedDependency[Database],
    cursors: NamedDependency[Cursors],
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response[Page[ProjectOut]]:
    org_id = caller_of(request).org_id
    bound = ("projects", org_id)
    after = cursors.after(bound, cursor)
    async with database.connection() as connection:
        found = await organizations.list_projects(connection, org_id, after, limit + 1)
    page = page_of(found, limit, ProjectOut.of, lambda last: cursors.seal(bound, [last.project_id]))
    return list_answer(request, page, ProjectOut, "projects.csv")


def _make_project_route(capacities: Capacities) -> ControllerRouterHandler:
    @post(
        "/projects",
        summary="Make a project",
        opt={"errors": (DuplicateProject, *capacities.refusals)},
    )
    async def create_project(
        request: AnyRequest,
        data: JSONBody[NamedIn],
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
    ) -> ProjectOut:
        caller = caller_of(request)
        async with database.transaction() as tx:
            await organizations.lock_org(tx, caller.org_id)
            made = await organizations.create_project(
                tx,
                org_id=caller.org_id,
                project_id=run_id_of(request) or uuid7(),
                name=data.name,
                now=clock.now(),
            )
            await capacities.check_made(tx, caller, Capacity.PROJECTS)
        return ProjectOut.of(made)

    return create_project


@get("/projects/{project_id:str}", summary="Get a project", opt={"errors": (ProjectNotFound,)})
async def get_project(
    request: AnyRequest, project_id: FromPath[str], database: NamedDependency[Database]
) -> ProjectOut:
    place = caller_of(request).org_id, read_path_id("prj", project_id)
    async with database.connection() as connection:
        return ProjectOut.of(await organizations.get_project(connection, *place))


@patch(
    "/projects/{project_id:str}",
    summary="Rename a project",
    opt={"errors": (ProjectNotFound, DuplicateProject)},
)
async def rename_project(
    request: AnyRequest,
    project_id: FromPath[str],
    data: JSONBody[NamedIn],
    database: NamedDependency[Database],
) -> ProjectOut:
    place = caller_of(request).org_id, read_path_id("prj", project_id)
    async with database.transaction() as tx:
        return ProjectOut.of(await organizations.rename_project(tx, *place, data.name))


@delete(
    "/projects/{project_id:str}",
    summary="Archive a project and revoke its keys",
    description="A project that has live keys, or had, is archived with a live key.",
    opt={"errors": (ProjectNotFound,)},
)
async def archive_project(
    request: AnyRequest,
    project_id: FromPath[str],
    database: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> None:
    caller, known = caller_of(request), read_path_id("prj", project_id)
    async with database.transaction() as tx:
        await organizations.archive_project(tx, caller.org_id, known, clock.now())
        # Its row is locked now, so that nobody makes a live key in it meanwhile.
        await api_keys.keep_off_live(tx, caller, known)


@get("/members", summary="List members, oldest first", opt={"csv": True})
async def list_members(
    request: AnyRequest,
    database: NamedDependency[Database],
    cursors: NamedDependency[Cursors],
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response[Page[MemberOut]]:
    org_id = caller_of(request).org_id
    bound = ("members", org_id)
    after = cursors.after(bound, cursor)
    async with database.connection() as connection:
        found = await members.list_members(connection, org_id, after, limit + 1)
    page = page_of(found, limit, MemberOut.of, lambda last: cursors.seal(bound, [last.member_id]))
    return list_answer(request, page, MemberOut, "members.csv")


def _add_member_route(capacities: Capacities) -> ControllerRouterHandler:
    @post(
        "/members",
        summary="Add a member",
        description=_OF_PEOPLE,
        opt={"errors": (DuplicateMember, *capacities.refusals)},
    )
    async def create_member(
        request: AnyRequest,
        data: JSONBody[CreateMember],
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
    ) -> MemberOut:
        caller = caller_of(request)
        member = Member(
            org_id=caller.org_id,
            member_id=run_id_of(request) or uuid7(),
            name=data.name,
            email=data.email,
            role=data.role,
            created_at=clock.now(),
        )
        async with database.transaction() as tx:
            await organizations.lock_org(tx, caller.org_id)
            await api_keys.keep_off_live(tx, caller)
            made = await members.create_member(tx, member, with_key=True)
            await capacities.check_made(tx, caller, Capacity.SEATS)
        return MemberOut.of(made)

    return create_member


@get("/members/{member_id:str}", summary="Get a member")
async def get_member(
    request: AnyRequest, member_id: FromPath[str], database: NamedDependency[Database]
) -> MemberOut:
    place = caller_of(request).org_id, read_path_id("mem", member_id)
    async with database.connection() as connection:
        return MemberOut.of(await members.get_member(connection, *place))


@patch(
    "/members/{member_id:str}",
    summary="Change a member's name or role",
    description=_OF_PEOPLE,
)
async def update_member(
    request: AnyRequest,
    member_id: FromPath[str],
    data: JSONBody[UpdateMember],
    database: NamedDependency[Database],
) -> MemberOut:
    caller = caller_of(request)
    place = caller.org_id, read_path_id("mem", member_id)
    async with database.transaction() as tx:
        await api_keys.keep_off_live(tx, caller)
        changed = await members.update_member(
            tx, *place, name=data.name or None, role=data.role or None, with_key=True
        )
    return MemberOut.of(changed)


@delete("/members/{member_id:str}", summary="Remove a member", description=_OF_PEOPLE)
async def delete_member(
    request: AnyRequest, member_id: FromPath[str], database: NamedDependency[Database]
) -> None:
    caller = caller_of(request)
    place = caller.org_id, read_path_id("mem", member_id)
    async with database.transaction() as tx:
        await api_keys.keep_off_live(tx, caller)
        await members.delete_member(tx, *place, with_key=True)
