"""`GET /billing/usage` (V1): by page numbers, any page in the same time."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from litestar import get
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromQuery, QueryParameter
from litestar.response import Response
from msgspec import Meta, Struct

from tollkeeper.base.check import Faults
from tollkeeper.base.settings import Settings
from tollkeeper.db import Database
from tollkeeper.http import encode_rows, wants_csv
from tollkeeper.http.csv import csv_headers
from tollkeeper.metering.billing import store, windows
from tollkeeper.metering.billing.asked import (
    AnyRequest,
    check,
    check_currency,
    read_end,
    read_start,
)
from tollkeeper.metering.billing.lines import COLUMNS, UsageRow, cells_of, rows_of
from tollkeeper.orgs import Caller, caller_of

CSV: Final = "text/csv"  # Litestar adds the charset
_FILENAME: Final = "billing_usage.csv"


class Pagination(Struct, frozen=True, kw_only=True, rename="camel"):
    limit: int
    page: int
    total: int
    total_pages: int


class UsagePage(Struct, frozen=True, kw_only=True, rename="camel"):
    data: list[UsageRow]
    pagination: Pagination


class Query(Struct, frozen=True, kw_only=True):
    """`end` is exclusive."""

    currency: str | None
    start: datetime | None
    end: datetime | None
    limit: int
    page: int
    descending: bool


def usage_route(settings: Settings) -> HTTPRouteHandler:
    @get(
        "/usage",
        summary="List usage by page, one row per SKU of each call",
        description=(
            "`startDate` and `endDate` are inclusive. As CSV, the pagination is in the headers"
            " `x-pagination-limit`, `-page`, `-total`, `-total-pages`."
        ),
        opt={"csv": True},
    )
    async def list_usage(
        request: AnyRequest,
        database: NamedDependency[Database],
        currency: FromQuery[str | None] = None,
        start_date: Annotated[str | None, QueryParameter(name="startDate")] = None,
        end_date: Annotated[str | None, QueryParameter(name="endDate")] = None,
        limit: Annotated[FromQuery[int], Meta(gt=0, le=500)] = 200,
        page: Annotated[FromQuery[int], Meta(gt=0)] = 1,
        sort_order: Annotated[Literal["asc", "desc"], QueryParameter(name="sortOrder")] = "desc",
    ) -> Response[UsagePage]:
        faults: Faults = {}
        check_currency(currency, settings.currencies, faults)
        query = Query(
            currency=currency,
            start=read_start(start_date, "startDate", faults),
            end=read_end(end_date, "endDate", faults),
            limit=limit,
            page=page,
            descending=sort_order == "desc",
        )
        if query.start is not None and query.end is not None and query.end <= query.start:
            faults["endDate"] = ["must not be before startDate"]
        check(faults)
        found = await read_page(database, caller_of(request), query)
        if wants_csv(request.headers.get("accept")):
            return _as_csv(found)
        return Response(found, headers={"vary": "accept"})

    return list_usage


async def read_page(database: Database, caller: Caller, query: Query) -> UsagePage:
    async with database.connection() as connection:
        heads = await store.heads(connection, caller.org_id, caller.livemode, query.currency)
        opened = await windows.open_windows(
            connection, caller.org_id, heads, query.start, query.end
        )
        total = sum(window.size for window in opened)
        skipped = (query.page - 1) * query.limit
        count = max(0, min(query.limit, total - skipped))
        rows: list[UsageRow] = []
        if count:
            # Pages of the descending order are the same lines, counted from the other end.
            offset = total - skipped - count if query.descending else skipped
            rest = await windows.skip(connection, caller.org_id, opened, offset)
            rows = rows_of(await windows.read(connection, caller.org_id, rest, count))
    if query.descending:
        rows.reverse()
    return UsagePage(
        data=rows,
        pagination=Pagination(
            limit=query.limit,
            page=query.page,
            total=total,
            total_pages=-(-total // query.limit),
        ),
    )


def _as_csv(found: UsagePage) -> Response[UsagePage]:
    body: Any = encode_rows(map(cells_of, found.data), COLUMNS)
    pagination = found.pagination
    headers = {
        **csv_headers(_FILENAME),
        "x-pagination-limit": str(pagination.limit),
        "x-pagination-page": str(pagination.page),
        "x-pagination-total": str(pagination.total),
        "x-pagination-total-pages": str(pagination.total_pages),
    }
    return Response(body, media_type=CSV, headers=headers)
