"""A small API that has one endpoint of each kind."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, delete, get, post
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import Response, Stream
from msgspec import Meta, Struct

from tollkeeper.base.errors import TollkeeperError
from tollkeeper.base.money import Money, PositiveMoneyIn
from tollkeeper.http import (
    CursorText,
    HotRoute,
    Idempotency,
    JsonReader,
    Limit,
    Operation,
    Page,
    Receive,
    Scope,
    Send,
    answer_once,
    csv_stream,
    encode_json,
    list_answer,
    note_owner,
    read_body,
    respond_json,
)

OWNER = UUID("0193f5e7-a400-7cc0-8e1b-746f6c6c6b65")
KEY = UUID("0193f5e7-a400-7cc0-8e1b-746f6c6c6b66")
BODY_LIMIT = 100_000


class OutOfToys(TollkeeperError):
    """Out of toys"""

    code = "out_of_toys"
    status = 402


class Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1)]
    count: Annotated[int, Meta(ge=1, le=9)] = 1


class Toy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    name: Annotated[str, Meta(min_length=1, max_length=20)]
    price: PositiveMoneyIn
    parts: list[Part] = []
    main_part: Part | None = None
    labels: dict[str, int] = {}


class ToyOut(Struct, frozen=True, kw_only=True, rename="camel"):
    name: str
    price: Money
    made_at: datetime | None = None
    secret: str | None = None


@dataclass
class Shelf:
    """What happened, for the tests to look at."""

    made: list[str] = field(default_factory=list[str])
    fail_with: list[Exception] = field(default_factory=list[Exception])

    def make(self, name: str) -> None:
        if self.fail_with:
            raise self.fail_with.pop(0)
        self.made.append(name)


def owned(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    note_owner(connection, OWNER, UUID(connection.headers.get("x-key", KEY.hex)))


AnyRequest = Request[Any, Any, State]


@get("/toys", opt={"csv": True})
async def list_toys(
    request: AnyRequest,
    limit: Limit = 50,
    cursor: CursorText = None,
    since: FromQuery[Annotated[datetime, Meta(tz=True)] | None] = None,
    sort_order: Annotated[
        str, QueryParameter(name="sortOrder"), Meta(pattern=r"^asc$|^desc\Z")
    ] = "asc",
    tag: FromQuery[list[str] | None] = None,
) -> Response[Page[ToyOut]]:
    names = [f"=toy {number}" for number in range(1, limit + 1)]
    if cursor or since or tag or sort_order == "desc":
        names = [f"{cursor} {since} {tag} {sort_order}"]
    toys = [ToyOut(name=name, price=Money(-number)) for number, name in enumerate(names, 1)]
    return list_answer(request, Page(data=toys, next_cursor="more"), ToyOut, "toys.csv")


@get("/toys/{name:str}")
async def get_toy(name: FromPath[str]) -> ToyOut:
    return ToyOut(name=name, price=Money(132_000))


@post("/toys", guards=[owned], opt={"shown_once": ("secret",), "errors": (OutOfToys,)})
async def make_toy(request: AnyRequest, data: JSONBody[Toy]) -> ToyOut:
    request.app.state["shelf"].make(data.name)
    return ToyOut(name=data.name, price=Money(data.price), secret="shh")


@delete("/toys/{name:str}", guards=[owned])
async def drop_toy(request: AnyRequest, name: FromPath[str]) -> None:
    request.app.state["shelf"].make(f"-{name}")


@get("/toys.csv", opt={"csv": True})
async def export_toys() -> Stream:
    async def batches() -> AsyncGenerator[list[list[object]]]:
        for start in range(0, 20_000, 1_000):
            yield [[number, f"toy {number}"] for number in range(start, start + 1_000)]

    return csv_stream(["number", "name"], batches(), "all_toys.csv", {"x-count": "20000"})


@get("/broken")
async def broken() -> None:
    raise RuntimeError("the inside of the shelf")


ROUTES = [list_toys, export_toys, get_toy, make_toy, drop_toy, broken]


def hot_routes(shelf: Shelf, idempotency: Idempotency) -> list[HotRoute]:
    read_toy = JsonReader(Toy)

    async def make_fast(scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(scope, receive, BODY_LIMIT)
        toy = read_toy(body)

        async def act(send: Send, run_id: UUID | None) -> None:
            shelf.make(toy.name)
            shown = ToyOut(name=toy.name, price=Money(toy.price), secret=run_id and run_id.hex)
            await respond_json(send, 201, encode_json(shown))

        await answer_once(idempotency, scope, send, (OWNER, KEY, body), act)

    async def paint(scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(scope, receive, BODY_LIMIT)
        await respond_json(send, 200, encode_json({"id": scope["path_params"]["id"]}))

    made = Operation(
        summary="Make a toy, fast", tag="Fast", request=Toy, response=ToyOut, status=201
    )
    painted = Operation(summary="Paint a toy", tag="Fast", response=dict[str, str])
    return [
        HotRoute(method="POST", path="/fast", handler=make_fast, operation=made),
        HotRoute(method="POST", path="/fast/{id}/paint", handler=paint, operation=painted),
        HotRoute(method="DELETE", path="/toys/{id}/paint", handler=paint, operation=painted),
    ]
