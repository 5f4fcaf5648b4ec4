"""Webhooks inbox: what processors told us, what became of it, and having it handled again."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from litestar import get, post
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Redirect, Response
from litestar.types import ControllerRouterHandler

from tollkeeper import operator, payments
from tollkeeper.base.errors import InvalidRequest, NotFound
from tollkeeper.console.doors import AnyRequest
from tollkeeper.console.forms import go_on
from tollkeeper.console.rendering import say
from tollkeeper.console.shelves import Shelves
from tollkeeper.console.staff_door import STAFF_PAGES, StaffDoor, act_of, staff_admins_only
from tollkeeper.payments import EventState, Which

_INBOX: Final = f"{STAFF_PAGES}/inbox"
_SHOWN: Final = 100
_SEE_OTHER: Final = 303


def inbox_pages(door: StaffDoor, shelves: Shelves) -> list[ControllerRouterHandler]:
    database, clock, till = door.door.database, door.door.clock, shelves.payments.till
    names = list(dict.fromkeys(one.name for one in till.processors.all))

    @get("/inbox", include_in_schema=False)
    async def show_inbox(
        request: AnyRequest,
        processor: FromQuery[str] = "",
        asked: Annotated[str, QueryParameter(name="state")] = "",
    ) -> Response[bytes]:
        chosen = _one_of(names, processor, "processor") or next(iter(names), "")
        wanted = _one_of(list(EventState), asked, "state")
        async with database.connection() as connection:
            found = await payments.newest_events(
                connection, chosen, EventState(wanted) if wanted else None, _SHOWN
            )
        return door.page(
            request,
            "staff/inbox.html",
            events=found,
            names=names,
            chosen=chosen,
            states=[one.value for one in EventState],
            state=wanted,
            most=_SHOWN,
        )

    @get("/inbox/{processor:str}/{event_id:str}", include_in_schema=False)
    async def show_event(
        request: AnyRequest, processor: FromPath[str], event_id: FromPath[str]
    ) -> Response[bytes]:
        event = None
        if "\0" not in processor + event_id:  # which no text in the database holds
            async with database.connection() as connection:
                event = await payments.find_event(connection, processor, event_id)
        if event is None:
            raise NotFound(say("staff_inbox.gone"))
        return door.page(request, "staff/event.html", event=event, body=_legible(event.body))

    @post(
        "/inbox/{processor:str}/{event_id:str}/replay",
        include_in_schema=False,
        status_code=_SEE_OTHER,
        guards=[staff_admins_only],
    )
    async def replay(
        request: AnyRequest, processor: FromPath[str], event_id: FromPath[str]
    ) -> Redirect:
        await door.read_form(request)
        act = act_of(request, "", clock.now())
        async with database.transaction() as tx:
            which = Which(event_ids=(event_id,))
            if not await payments.replay_in(tx, processor, which, act.at):
                raise NotFound(say("staff_inbox.gone"))
            await operator.note(
                tx, act, "webhook.replay", None, processor=processor, event=event_id
            )
        return go_on(f"{_INBOX}/{processor}/{event_id}", "event_again")

    return [show_inbox, show_event, replay]


def _one_of(allowed: list[str] | list[EventState], text: str, name: str) -> str:
    if text and text not in allowed:
        raise InvalidRequest(f"{name}: must be one of {', '.join(allowed)}")
    return text


def _legible(body: bytes) -> str:
    try:
        return msgspec.json.format(body, indent=2).decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return body.decode(errors="replace")
