"""`GET /billing/costs`: what calls cost, by anything, in any time zone."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final

from litestar import Router, get
from litestar.di import NamedDependency, Provide
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery
from litestar.response import Response
from litestar.types import ControllerRouterHandler
from msgspec import Meta, Struct

from tollkeeper.base.clock import Clock
from tollkeeper.base.money import NANOS_PER_UNIT, Money, divide_half_up
from tollkeeper.base.settings import Settings
from tollkeeper.db import Database
from tollkeeper.http import OPERATOR_KEY, Cursors, CursorText, encode_rows, read_path_id, wants_csv
from tollkeeper.http.csv import MEDIA_TYPE, csv_headers
from tollkeeper.metering.analytics.asked import Ask, cost_reader, read_times, read_wanted
from tollkeeper.metering.analytics.costs import Cost, CostQuery, Costs, Order, show_value
from tollkeeper.metering.analytics.forecast import forecast_route
from tollkeeper.metering.analytics.overview import overview_route
from tollkeeper.metering.analytics.store import see_one_moment
from tollkeeper.metering.billing.asked import AnyRequest
from tollkeeper.orgs import AdminKeyRequired, admin_only, caller_of, get_org, operator_only

_PAGE: Final = 100
_CSV_PAGE: Final = 5_000
# The times that the first page began with, and the last row's place in the order.
Position = tuple[datetime, datetime, int, str, list[tuple[bool, str]]]
CostLimit = FromQuery[
    Annotated[int, Meta(ge=1, le=_CSV_PAGE, description="Rows; 100, in CSV 5,000.")] | None
]


class CostRow(Struct, frozen=True, kw_only=True, rename="camel"):
    """What calls that began in [`start`, `end`) cost. `group` has a member for each `groupBy`;
    null is what calls did not say. By SKU, `calls` are its lines in calls, `failed` is null, and
    `units` of `unit` were used."""

    start: datetime
    end: datetime
    group: dict[str, str | None]
    calls: int
    failed: int | None
    cost: Money
    currency: str
    unit: str | None
    units: Money | None  # a plain decimal, as money is


class CostPage(Struct, frozen=True, kw_only=True, rename="camel"):
    """In order of time, then currency, then group."""

    data: list[CostRow]
    next_cursor: str | None


def analytics_routes(settings: Settings) -> list[ControllerRouterHandler]:
    """They ask for the dependencies `database`, `clock` and `cursors`."""
    return [
        Router(
            "/billing",
            route_handlers=[
                overview_route(settings),
                costs_route(settings),
                forecast_route(settings),
            ],
            guards=[admin_only],
            tags=["Billing"],
            opt={"errors": (AdminKeyRequired,)},
        ),
        Router(
            "/operator",
            route_handlers=[operator_costs_route(settings)],
            guards=[operator_only],
            tags=["Operator"],
            opt={"security": OPERATOR_KEY},
        ),
    ]


def costs_route(settings: Settings) -> HTTPRouteHandler:
    most = settings.analytics.records_limit

    @get(
        "/costs",
        summary="Sum up what calls cost",
        description="By any dimensions, in any time zone. Corrections count when their call was.",
        opt={"csv": True},
        dependencies=_dependencies(settings),
    )
    async def get_costs(
        request: AnyRequest,
        ask: NamedDependency[Ask],
        database: NamedDependency[Database],
        cursors: NamedDependency[Cursors],
        clock: NamedDependency[Clock],
        limit: CostLimit = None,
        cursor: CursorText = None,
    ) -> Response[CostPage]:
        caller = caller_of(request)
        costs = Costs(
            org_id=caller.org_id,
            livemode=caller.livemode,
            query=ask(clock.now()),
            most_records=most,
        )
        return await _answer(request, database, cursors, costs, (limit, cursor))

    return get_costs


def operator_costs_route(settings: Settings) -> HTTPRouteHandler:
    most = settings.analytics.records_limit

    @get(
        "/organizations/{organization_id:str}/costs",
        summary="Sum up what an organization's calls cost",
        opt={"csv": True},
        dependencies=_dependencies(settings),
    )
    async def get_organization_costs(
        request: AnyRequest,
        organization_id: FromPath[str],
        ask: NamedDependency[Ask],
        database: NamedDependency[Database],
        cursors: NamedDependency[Cursors],
        clock: NamedDependency[Clock],
        livemode: FromQuery[bool] = True,
        limit: CostLimit = None,
        cursor: CursorText = None,
    ) -> Response[CostPage]:
        org_id = read_path_id("org", organization_id)
        async with database.transaction() as tx:
            await get_org(tx, org_id)
        costs = Costs(org_id=org_id, livemode=livemode, query=ask(clock.now()), most_records=most)
        return await _answer(request, database, cursors, costs, (limit, cursor))

    return get_organization_costs


def _dependencies(settings: Settings) -> dict[str, Provide]:
    return {
        "times": Provide(read_times, sync_to_thread=False),
        "wanted": Provide(read_wanted, sync_to_thread=False),
        "ask": Provide(cost_reader(settings), sync_to_thread=False),
    }


async def _answer(
    request: AnyRequest,
    database: Database,
    cursors: Cursors,
    costs: Costs,
    asked: tuple[int | None, str | None],
) -> Response[CostPage]:
    as_csv = wants_csv(request.headers.get("accept"))
    limit, cursor = asked
    bound = _bound(costs, request)
    after: Order | None = None
    if cursor is not None:
        start, end, place, currency, dims = cursors.open(bound, cursor, Position)
        costs = replace(costs, query=replace(costs.query, start=start, end=end))
        after = place, currency, tuple(dims)
    async with database.transaction() as tx:
        await see_one_moment(tx)
        rows, more = await costs.page(tx, after, limit or (_CSV_PAGE if as_csv else _PAGE))
    query = costs.query
    following = None
    if more:
        position = (query.start, query.end, *rows[-1].order)
        following = cursors.seal(bound, position)
    if as_csv:
        return _as_csv(query, rows, following)
    page = CostPage(data=[_row(query, row) for row in rows], next_cursor=following)
    return Response(page, headers={"vary": "accept"})


def _bound(costs: Costs, request: AnyRequest) -> list[object]:
    """What a cursor belongs to: everything that was asked, as it was asked."""
    asked = sorted(
        (name, value)
        for name, value in request.query_params.multi_items()
        if name not in ("cursor", "limit")
    )
    return ["costs", costs.org_id, costs.livemode, asked]


def _row(query: CostQuery, row: Cost) -> CostRow:
    return CostRow(
        start=row.start,
        end=row.end,
        group=_group(query, row),
        calls=row.calls,
        failed=row.failed,
        cost=Money(row.amount),
        currency=row.currency,
        unit=row.unit,
        units=_units(row.quantity),
    )


def _units(quantity: Decimal | None) -> Money | None:
    if quantity is None:
        return None
    top, bottom = quantity.as_integer_ratio()
    return Money(divide_half_up(top * NANOS_PER_UNIT, bottom))


def _group(query: CostQuery, row: Cost) -> dict[str, str | None]:
    pairs = zip(query.groups, row.group, strict=True)
    return {name: show_value(name, value) for name, value in pairs}


def _as_csv(query: CostQuery, rows: list[Cost], following: str | None) -> Response[CostPage]:
    columns = ["start", "end", *query.groups, "calls", "failed", "cost", "currency"]
    if "sku" in query.groups:
        columns += ["unit", "units"]
    cells = [
        (
            row.start,
            row.end,
            *_group(query, row).values(),
            row.calls,
            row.failed,
            Money(row.amount),
            row.currency,
            *(() if row.quantity is None else (row.unit, _units(row.quantity))),
        )
        for row in rows
    ]
    body: Any = encode_rows(cells, columns)
    headers = csv_headers("costs.csv")
    if following is not None:
        headers["x-next-cursor"] = following
    return Response(body, media_type=MEDIA_TYPE, headers=headers)
