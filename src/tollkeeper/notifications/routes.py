"""`/notifications`: what the organization was told, and who is mailed about it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Router, get, post, put
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import Meta

from tollkeeper.base.clock import Clock
from tollkeeper.base.errors import NotFound
from tollkeeper.base.ids import read_id
from tollkeeper.db import Database
from tollkeeper.http import Cursors, CursorText, Limit, Page, page_of
from tollkeeper.notifications import store
from tollkeeper.notifications.events import EventType
from tollkeeper.notifications.shapes import (
    MarkedOut,
    MarkRead,
    NoticeOut,
    NoticePage,
    PreferencesIn,
    PreferencesOut,
)
from tollkeeper.orgs import admin_only, caller_of

AnyRequest = Request[Any, Any, State]
_MOST_COUNTED = 100


def notice_routes() -> list[ControllerRouterHandler]:
    handlers = [list_notices, mark_notices, list_preferences, put_preferences]
    return [
        Router(
            "/notifications", route_handlers=handlers, guards=[admin_only], tags=["Notifications"]
        )
    ]


@get("/", summary="List notices, newest first")
async def list_notices(
    request: AnyRequest,
    database: NamedDependency[Database],
    cursors: NamedDependency[Cursors],
    type: Annotated[FromQuery[list[EventType] | None], Meta(description="Only these.")] = None,  # noqa: A002 (the parameter's public name)
    unread: Annotated[FromQuery[bool], Meta(description="Only those not read yet.")] = False,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> NoticePage:
    caller = caller_of(request)
    org_id, livemode = caller.org_id, caller.livemode
    bound = ("notifications", org_id, livemode, type, unread)
    below = None if cursor is None else cursors.open(bound, cursor, tuple[datetime, UUID])
    async with database.connection() as connection:
        found = await store.list_notices(
            connection,
            org_id,
            livemode=livemode,
            below=below,
            types=type,
            unread=unread,
            limit=limit + 1,
        )
        waiting = await store.count_unread(
            connection, org_id, livemode=livemode, most=_MOST_COUNTED
        )
    page = page_of(
        found,
        limit,
        NoticeOut.of,
        lambda last: cursors.seal(bound, [last.created_at, last.notice_id]),
    )
    return NoticePage(data=page.data, next_cursor=page.next_cursor, unread=waiting)


@post("/read", summary="Mark notices as read, or as unread", status_code=200)
async def mark_notices(
    request: AnyRequest,
    data: JSONBody[MarkRead],
    database: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> MarkedOut:
    caller = caller_of(request)
    ids = None if data.ids is None else [read_id("ntc", text) for text in data.ids]
    async with database.transaction() as tx:
        changed = await store.mark_read(
            tx,
            caller.org_id,
            livemode=caller.livemode,
            ids=ids,
            read=data.read,
            now=clock.now(),
        )
    return MarkedOut(changed=changed)


@get("/preferences", summary="List members with what they are mailed about")
async def list_preferences(
    request: AnyRequest,
    database: NamedDependency[Database],
    cursors: NamedDependency[Cursors],
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Page[PreferencesOut]:
    org_id = caller_of(request).org_id
    bound = ("preferences", org_id)
    after = cursors.after(bound, cursor)
    async with database.connection() as connection:
        found = await store.recipients(connection, org_id, after=after, limit=limit + 1)
    return page_of(
        found, limit, PreferencesOut.of, lambda last: cursors.seal(bound, [last.member_id])
    )


@put(
    "/preferences",
    summary="Choose what a member is mailed about",
    opt={"errors": (NotFound,)},
)
async def put_preferences(
    request: AnyRequest, data: JSONBody[PreferencesIn], database: NamedDependency[Database]
) -> PreferencesOut:
    org_id, member_id = caller_of(request).org_id, read_id("mem", data.member_id)
    async with database.transaction() as tx:
        if not await store.recipients(tx, org_id, only=member_id):
            raise NotFound(f"There is no member {data.member_id} in this organization")
        chosen = {choice.type: choice.email for choice in data.preferences}
        await store.choose(tx, org_id, member_id, chosen)
        (recipient,) = await store.recipients(tx, org_id, only=member_id)
    return PreferencesOut.of(recipient)
