"""`/metering/levels`: what customers have, rather than use up, as operators report it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, Self
from uuid import UUID

from litestar import Request, Router, get, put
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, QueryParameter
from litestar.response import Response
from litestar.types import ControllerRouterHandler
from msgspec import Meta

from tollkeeper import orgs, plans
from tollkeeper.base.clock import Clock
from tollkeeper.base.errors import NotFound
from tollkeeper.base.ids import read_id
from tollkeeper.base.money import Money, MoneyIn
from tollkeeper.db import Database
from tollkeeper.http import (
    OPERATOR_KEY,
    Cursors,
    CursorText,
    Limit,
    Page,
    invalid,
    list_answer,
    page_of,
    read_moment,
)
from tollkeeper.metering.intake.bodies import In, Moment, Name, OrganizationId, Out
from tollkeeper.plans import Reported
from tollkeeper.pricing import Book, BookKeeper, ModelNotPriced

AnyRequest = Request[Any, Any, State]

# A level is kept in thousandths, and read and shown as money is.
_NANOS_PER_MILLI: Final = 1_000_000
_Whose = Annotated[OrganizationId, QueryParameter(name="organizationId")]
_Mode = Annotated[bool, Meta(description="Levels of live usage, or of test usage.")]


class Amount(MoneyIn):
    """Nanos of a unit, whole thousandths."""

    allowed: ClassVar[str] = "a level of 0 or more such as 12.5, with at most 3 decimals"
    minimum: ClassVar[int | None] = 0

    @classmethod
    def read(cls, number: object) -> Self:
        level = super().read(number)
        if level % _NANOS_PER_MILLI:
            raise ValueError(f"must be {cls.allowed}")
        return level


class LevelIn(In, frozen=True, kw_only=True):
    """An organization has `level` of `name`, a SKU of your own with one unit, `since` then."""

    organization_id: OrganizationId
    livemode: bool = True
    name: Name
    level: Amount
    since: Moment | None = None


class LevelOut(Out, frozen=True, kw_only=True):
    """`meteredTo`: up to then it is usage."""

    name: str
    level: Money
    since: datetime
    metered_to: datetime

    @classmethod
    def of(cls, reported: Reported) -> Self:
        return cls(
            name=reported.name,
            level=Money(reported.milli * _NANOS_PER_MILLI),
            since=reported.since,
            metered_to=reported.metered_to,
        )


def level_routes(books: BookKeeper) -> list[ControllerRouterHandler]:
    """They ask for the dependencies `database`, `clock` and `cursors`."""
    return [
        Router(
            "/metering/levels",
            route_handlers=[_reporting(books), list_levels],
            guards=[orgs.operator_only],
            tags=["Metering"],
            opt={"security": OPERATOR_KEY},
        )
    ]


def only_unit(book: Book, name: str, at: datetime) -> str:
    """Give the one unit of a SKU. Raises ModelNotPriced, and InvalidRequest if it has several."""
    units = [*book.find_sku(name, at).rates]
    if len(units) != 1:
        raise invalid({"name": [f"must be a SKU with one unit, not {', '.join(units)}"]})
    return units[0]


def _reporting(books: BookKeeper) -> ControllerRouterHandler:
    @put(
        "/",
        summary="Report what an organization has from now on",
        description="Each full hour of it becomes usage of the SKU that it is named by.",
        opt={"errors": (ModelNotPriced, NotFound)},
    )
    async def report_level(
        data: JSONBody[LevelIn],
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
    ) -> LevelOut:
        now = clock.now()
        since = now if data.since is None else read_moment(data.since, "since")
        if data.level:
            only_unit(books.book, data.name, since)
        who = (read_id("org", data.organization_id), data.livemode)
        async with database.transaction() as tx:
            await orgs.get_org(tx, who[0])
            milli = data.level // _NANOS_PER_MILLI
            told = await plans.report_level(tx, who, data.name, milli, since=since, now=now)
        return LevelOut.of(told)

    return report_level


@get(
    "/",
    summary="List an organization's levels by name",
    opt={"csv": True, "errors": (NotFound,)},
)
async def list_levels(
    request: AnyRequest,
    database: NamedDependency[Database],
    cursors: NamedDependency[Cursors],
    organization_id: _Whose,
    livemode: FromQuery[_Mode] = True,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response[Page[LevelOut]]:
    org_id: UUID = read_id("org", organization_id)
    bound = ("levels", org_id, livemode)
    after = None if cursor is None else cursors.open(bound, cursor, tuple[str])[0]
    async with database.connection() as connection:
        await orgs.get_org(connection, org_id)
        found = await plans.list_levels(connection, org_id, livemode, after, limit + 1)
    page = page_of(found, limit, LevelOut.of, lambda last: cursors.seal(bound, [last.name]))
    return list_answer(request, page, LevelOut, "levels.csv")
