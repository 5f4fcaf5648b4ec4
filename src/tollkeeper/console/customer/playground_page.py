"""Playground: a chat that is paid from the balance, with the cost of every answer.

The talk is kept in the page and nowhere else. With its script the page sends to `/answer` and
writes what streams in; without it the form comes here, and the whole answer goes back.
"""

from __future__ import annotations

from litestar import get, post
from litestar.params import FromPath
from litestar.response import Redirect, Response
from litestar.types import ASGIApp, ControllerRouterHandler

from tollkeeper.base.errors import NotFound
from tollkeeper.console.customer.playground_room import Room
from tollkeeper.console.doors import AnyRequest, Door, session_of
from tollkeeper.console.forms import Form
from tollkeeper.console.shelves import Shelves


def playground_pages(door: Door, shelves: Shelves) -> list[ControllerRouterHandler]:
    room = Room(door, shelves)

    @get("/playground", include_in_schema=False)
    async def show_playground(request: AnyRequest) -> Response[bytes]:
        return await room.show(request, Form())

    @post("/playground", include_in_schema=False, status_code=200)
    async def send_form(request: AnyRequest) -> Response[bytes] | Redirect:
        return await room.take(request)

    @post("/playground/estimate", include_in_schema=False, status_code=200)
    async def estimate(request: AnyRequest) -> Response[bytes]:
        foreseen = await room.estimate(request)
        return door.page(request, "customer/playground_estimate.html", foreseen=foreseen)

    @post("/playground/answer", include_in_schema=False)
    async def stream_answer(request: AnyRequest) -> ASGIApp:
        return await room.stream(request)

    @get("/playground/cost/{usage_id:str}", include_in_schema=False)
    async def show_cost(request: AnyRequest, usage_id: FromPath[str]) -> Response[bytes]:
        try:
            record = await room.find_record(session_of(request), usage_id)
        except NotFound:
            # Of a call that was stopped there is no record yet.
            return Response(b"", status_code=204)
        return door.page(request, "customer/playground_cost.html", record=record)

    return [show_playground, send_form, estimate, stream_answer, show_cost]
