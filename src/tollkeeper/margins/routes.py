"""`/operator/margin` and `/operator/provider-costs`, by an operator key."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Router, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromQuery, JSONBody, QueryParameter
from litestar.response import Response
from litestar.types import ControllerRouterHandler
from msgspec import Meta, Struct

from tollkeeper import orgs
from tollkeeper.base.clock import Clock
from tollkeeper.base.errors import NotFound
from tollkeeper.base.settings import Settings
from tollkeeper.db import Database
from tollkeeper.http import (
    OPERATOR_KEY,
    encode_rows,
    invalid,
    read_moment,
    read_path_id,
    wants_csv,
)
from tollkeeper.http.csv import MEDIA_TYPE, csv_headers
from tollkeeper.margins.comparing import compare
from tollkeeper.margins.importing import import_buckets
from tollkeeper.margins.model import Grouping, Window
from tollkeeper.margins.reading import read_export
from tollkeeper.margins.reporting import (
    TOLERANCE_PERCENT,
    ComparisonOut,
    MarginOut,
    days_before,
    report,
    source_of,
)
from tollkeeper.pricing import BookKeeper

AnyRequest = Request[Any, Any, State]
From = Annotated[
    datetime | None, QueryParameter(name="from", description="Calls that began from here on.")
]
To = Annotated[
    datetime | None, QueryParameter(name="to", description="Calls that began before this.")
]
GroupBy = Annotated[Grouping, QueryParameter(name="groupBy", description="A row for each.")]
OrganizationId = Annotated[
    str | None, QueryParameter(name="organizationId", description="Only this one.")
]
FirstDay = Annotated[
    date | None, QueryParameter(name="from", description="The first day, of UTC; 30 days ago.")
]
Behind = Annotated[
    date | None, QueryParameter(name="to", description="The day behind the last; today.")
]
Tolerance = Annotated[
    FromQuery[int],
    Meta(ge=0, le=100, description="By how many percent the two may differ."),
]

_USUAL: Final = timedelta(days=30)
_LONGEST: Final = timedelta(days=400)
_LARGEST: Final = 16 * 2**20


class MarginsOut(Struct, frozen=True, kw_only=True, rename="camel"):
    from_: datetime = msgspec.field(name="from")
    to: datetime
    data: list[MarginOut]
    total: MarginOut


class ComparisonsOut(Struct, frozen=True, kw_only=True, rename="camel"):
    data: list[ComparisonOut]


class ImportCosts(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """`content` is the export itself: an answer of OpenAI's or Anthropic's API, a list of its
    pages, or CSV with the columns date, model, cost, and perhaps provider and tokens."""

    content: Annotated[str, Meta(min_length=1, max_length=_LARGEST)]
    provider: (
        Annotated[
            str, Meta(min_length=1, max_length=200, description="Its name in the price book.")
        ]
        | None
    ) = None
    reason: Annotated[
        str, Meta(min_length=1, max_length=1000, description="Why, for the audit log.")
    ]


class ImportedOut(Struct, frozen=True, kw_only=True, rename="camel"):
    """How many days of costs were imported."""

    days: int


def margin_routes(settings: Settings) -> list[ControllerRouterHandler]:
    return [
        Router(
            "/operator",
            route_handlers=[_margin_route(settings), _comparison_route(settings), post_costs],
            guards=[orgs.operator_only],
            tags=["Operator"],
            opt={"security": OPERATOR_KEY},
        )
    ]


def _margin_route(settings: Settings) -> HTTPRouteHandler:
    @get(
        "/margin",
        summary="Read what was earned: charged less what providers charge",
        description="Of live calls; the last 30 days unless said. Costs are those of the price"
        " book at the time of each call, before the mark-up.",
        opt={"csv": True, "errors": (NotFound,)},
    )
    async def read_margin(
        request: AnyRequest,
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
        start: From = None,
        end: To = None,
        group_by: GroupBy = "model",
        organization_id: OrganizationId = None,
    ) -> Response[MarginsOut]:
        window = _window(start, end, clock.now())
        org_id = None if organization_id is None else read_path_id("org", organization_id)
        if org_id is not None:
            async with database.connection() as connection:
                await orgs.get_org(connection, org_id)
        rows, total = await report(source_of(settings, database), window, group_by, org_id)
        if wants_csv(request.headers.get("accept")):
            return _as_csv([*rows, total], MarginOut, "margin.csv")
        out = MarginsOut(from_=window.since, to=window.until, data=rows, total=total)
        return Response(out, headers={"vary": "accept"})

    return read_margin


def _comparison_route(settings: Settings) -> HTTPRouteHandler:
    @get(
        "/provider-costs/comparison",
        summary="Compare providers' costs with ours, by day and model",
        description="Only days whose costs were imported.",
        opt={"csv": True},
    )
    async def read_comparison(
        request: AnyRequest,
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
        keeper: NamedDependency[BookKeeper],
        start: FirstDay = None,
        end: Behind = None,
        provider: Annotated[FromQuery[str | None], Meta(description="Only this one.")] = None,
        tolerance: Tolerance = TOLERANCE_PERCENT,
    ) -> Response[ComparisonsOut]:
        usual = days_before(clock.now())
        days = start or usual[0], end or usual[1]
        if not timedelta() < days[1] - days[0] <= _LONGEST:
            raise invalid({"to": [f"must be after from, by at most {_LONGEST.days} days"]})
        found = await compare(
            source_of(settings, database),
            keeper.book,
            days,
            provider=provider,
            tolerance_percent=tolerance,
        )
        rows = [ComparisonOut.of(one) for one in found]
        if wants_csv(request.headers.get("accept")):
            return _as_csv(rows, ComparisonOut, "provider-costs.csv")
        return Response(ComparisonsOut(data=rows), headers={"vary": "accept"})

    return read_comparison


@post(
    "/provider-costs",
    summary="Import a provider's export of its costs or usage",
    description="A day that is imported again is replaced.",
)
async def post_costs(
    request: AnyRequest,
    data: JSONBody[ImportCosts],
    database: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> ImportedOut:
    buckets = read_export(data.content.encode(), data.provider)
    who = orgs.name_of(orgs.operator_of(request))
    async with database.transaction() as tx:
        days = await import_buckets(tx, buckets, who=who, why=data.reason, now=clock.now())
    return ImportedOut(days=days)


def _window(start: datetime | None, end: datetime | None, now: datetime) -> Window:
    until = now if end is None else read_moment(end, "to")
    since = until - _USUAL if start is None else read_moment(start, "from")
    if not timedelta() < until - since <= _LONGEST:
        raise invalid({"to": [f"must be after from, by at most {_LONGEST.days} days"]})
    return Window(since=since, until=until)


def _as_csv(rows: list[Any], kind: type[Struct], filename: str) -> Response[Any]:
    fields = msgspec.structs.fields(kind)
    cells = [[getattr(row, field.name) for field in fields] for row in rows]
    body = encode_rows(cells, [field.encode_name for field in fields])
    return Response(body, media_type=MEDIA_TYPE, headers=csv_headers(filename))
