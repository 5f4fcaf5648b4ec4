"""Notifications: what the organization was told, and who is mailed about what."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from litestar import get, post
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect, Response
from litestar.types import ControllerRouterHandler

from tollkeeper import notifications
from tollkeeper.base.errors import Forbidden, NotFound
from tollkeeper.base.ids import show_id
from tollkeeper.console.customer.noting import note
from tollkeeper.console.doors import AnyRequest, Door, money_only, session_of
from tollkeeper.console.forms import go_on
from tollkeeper.console.model import Session
from tollkeeper.console.rendering import say
from tollkeeper.console.shelves import Shelves
from tollkeeper.db import Connection
from tollkeeper.http import Cursors, read_path_id
from tollkeeper.notifications import CATALOGUE, EventType, Notice, Recipient

PATH: Final = "/console/notifications"

_PAGE: Final = 20
_MOST_MEMBERS: Final = 100
_MOST_COUNTED: Final = 100


def notification_pages(door: Door, shelves: Shelves) -> list[ControllerRouterHandler]:
    return [*_notices(door, shelves.cursors), *_preferences(door)]


def _notices(door: Door, cursors: Cursors) -> list[ControllerRouterHandler]:
    @get("/notifications", include_in_schema=False, guards=[money_only])
    async def show_notices(request: AnyRequest, before: FromQuery[str] = "") -> Response[bytes]:
        session = session_of(request)
        async with door.database.connection() as connection:
            found, older = await _page(connection, cursors, session, before)
            unread = await notifications.count_unread(
                connection, session.org_id, livemode=session.livemode, most=_MOST_COUNTED
            )
            people = await notifications.recipients(connection, session.org_id, limit=_MOST_MEMBERS)
        return door.page(
            request,
            "customer/notifications.html",
            notices=found,
            unread=unread,
            older=older,
            newest=PATH if before else None,
            people=[
                {
                    "id": show_id("mem", one.member_id),
                    "person": one,
                    "count": sum(one.wants(type_) for type_ in EventType),
                    "mine": _may_choose(session, one),
                }
                for one in people
            ],
            types=len(EventType),
        )

    @post("/notifications/read", include_in_schema=False, guards=[money_only], status_code=200)
    async def mark_all(request: AnyRequest) -> Redirect:
        await door.read_form(request)
        session = session_of(request)
        async with door.database.transaction() as tx:
            await notifications.mark_notices(
                tx,
                session.org_id,
                livemode=session.livemode,
                ids=None,
                read=True,
                now=door.clock.now(),
            )
        return go_on(PATH, "notices_read")

    return [show_notices, mark_all]


async def _page(
    connection: Connection, cursors: Cursors, session: Session, before: str
) -> tuple[list[Notice], str | None]:
    bound = ("console-notices", session.org_id, session.livemode)
    below = cursors.open(bound, before, tuple[datetime, UUID]) if before else None
    found = await notifications.list_notices(
        connection,
        session.org_id,
        livemode=session.livemode,
        below=below,
        types=None,
        unread=False,
        limit=_PAGE + 1,
    )
    if len(found) <= _PAGE:
        return found, None
    last = found[_PAGE - 1]
    sealed = cursors.seal(bound, [last.created_at, last.notice_id])
    return found[:_PAGE], f"{PATH}?before={sealed}"


def _preferences(door: Door) -> list[ControllerRouterHandler]:
    async def find(connection: Connection, session: Session, member_id: str) -> Recipient:
        known = read_path_id("mem", member_id)
        people = await notifications.recipients(connection, session.org_id, only=known)
        if not people:
            raise NotFound(f"There is no member {member_id} in this organization")
        if not _may_choose(session, people[0]):
            raise Forbidden(say("notifications.not_yours"))
        return people[0]

    @get("/notifications/{member_id:str}", include_in_schema=False, guards=[money_only])
    async def show_preferences(request: AnyRequest, member_id: FromPath[str]) -> Response[bytes]:
        async with door.database.connection() as connection:
            person = await find(connection, session_of(request), member_id)
        return door.page(
            request,
            "customer/preferences.html",
            person=person,
            action=f"{PATH}/{member_id}",
            choices=[
                {
                    "type": type_.value,
                    "title": event.title,
                    "when": " ".join((event.__doc__ or "").split()).partition(". ")[0].rstrip("."),
                    "wanted": person.wants(type_),
                }
                for type_, event in CATALOGUE.items()
            ],
        )

    @post(
        "/notifications/{member_id:str}",
        include_in_schema=False,
        guards=[money_only],
        status_code=200,
    )
    async def choose(request: AnyRequest, member_id: FromPath[str]) -> Redirect:
        form = await door.read_form(request)
        session = session_of(request)
        chosen = {type_: form.ticked(type_) for type_ in EventType}
        async with door.database.transaction() as tx:
            person = await find(tx, session, member_id)
            await notifications.choose_mail(tx, session.org_id, person.member_id, chosen)
            unwanted = [type_.value for type_, wanted in chosen.items() if not wanted]
            told = {"memberId": show_id("mem", person.member_id), "unwanted": unwanted}
            await note(tx, session, "notifications.choose", door.clock.now(), **told)
        return go_on(PATH, "preferences_saved")

    return [show_preferences, choose]


def _may_choose(session: Session, person: Recipient) -> bool:
    """Who manages the organization chooses for all, others for themselves."""
    return session.manages or session.member_id == person.member_id
