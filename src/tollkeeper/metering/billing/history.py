"""`GET /billing/usage-history` (V4): by cursor, stable while usage arrives."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final

from litestar import get
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromQuery, QueryParameter
from litestar.response import Response
from msgspec import Meta, Struct

from tollkeeper.base.check import Faults
from tollkeeper.base.clock import Clock
from tollkeeper.base.settings import Settings
from tollkeeper.db import Connection, Database
from tollkeeper.http import Cursors, encode_rows, invalid, wants_csv
from tollkeeper.http.csv import csv_headers
from tollkeeper.metering.billing import store, windows
from tollkeeper.metering.billing.asked import AnyRequest, check, check_currency, read_start
from tollkeeper.metering.billing.lines import COLUMNS, UsageRow, cells_of, rows_of
from tollkeeper.metering.billing.usage import CSV
from tollkeeper.metering.billing.windows import Window
from tollkeeper.orgs import Caller, caller_of

_DEFAULT_SIZE: Final = 1000
PageSize = Annotated[int, Meta(ge=10, le=1000, description="1000 unless it is said.")]
HistoryCursor = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]+\Z", max_length=512)]
# Of each wallet its currency, the last line shown and the last line to show.
Position = tuple[int, list[tuple[str, int, int]]]


class HistoryPage(Struct, frozen=True, kw_only=True, rename="camel"):
    """Oldest first. `nextCursor` is sent alone to go on; null on the last page."""

    data: list[UsageRow]
    next_cursor: str | None


def history_route(settings: Settings) -> HTTPRouteHandler:
    @get(
        "/usage-history",
        summary="List usage by cursor, one row per SKU of each call, oldest first",
        description=(
            "The first page fixes what the list holds; later usage does not move it. As CSV, the"
            " next cursor is the header `x-next-cursor`, absent on the last page."
        ),
        opt={"csv": True},
    )
    async def list_history(
        request: AnyRequest,
        database: NamedDependency[Database],
        cursors: NamedDependency[Cursors],
        clock: NamedDependency[Clock],
        start_timestamp: Annotated[str | None, QueryParameter(name="startTimestamp")] = None,
        end_timestamp: Annotated[str | None, QueryParameter(name="endTimestamp")] = None,
        currency: FromQuery[str | None] = None,
        page_size: Annotated[PageSize | None, QueryParameter(name="pageSize")] = None,
        cursor: FromQuery[HistoryCursor | None] = None,
    ) -> Response[HistoryPage]:
        caller = caller_of(request)
        bound = ("usage-history", caller.org_id, caller.livemode)
        async with database.connection() as connection:
            if cursor is None:
                size = page_size or _DEFAULT_SIZE
                start, end = _period(start_timestamp, end_timestamp, currency, settings)
                rest = await _begin(connection, caller, currency, start, end)
            else:
                _check_alone(start_timestamp, end_timestamp, currency, page_size)
                size, places = cursors.open(bound, cursor, Position)
                rest = await _go_on(connection, caller, places)
            shown = await windows.read(connection, caller.org_id, rest, size)
        left = windows.after(rest, shown)
        following = None
        if any(window.size for window in left):
            following = cursors.seal(bound, (size, [_place(window) for window in left]))
        rows = rows_of(shown)
        if wants_csv(request.headers.get("accept")):
            return _as_csv(rows, following, clock.now())
        page = HistoryPage(data=rows, next_cursor=following)
        return Response(page, headers={"vary": "accept"})

    return list_history


def _period(
    start_text: str | None, end_text: str | None, currency: str | None, settings: Settings
) -> tuple[datetime | None, datetime | None]:
    faults: Faults = {}
    check_currency(currency, settings.currencies, faults)
    start = read_start(start_text, "startTimestamp", faults)
    end = read_start(end_text, "endTimestamp", faults)
    if start is not None and end is not None and end <= start:
        faults["endTimestamp"] = ["must be after startTimestamp"]
    check(faults)
    return start, end


def _check_alone(*others: object) -> None:
    if any(other is not None for other in others):
        raise invalid({"cursor": ["must be sent alone: it holds all that was asked for"]})


async def _begin(
    connection: Connection,
    caller: Caller,
    currency: str | None,
    start: datetime | None,
    end: datetime | None,
) -> list[Window]:
    heads = await store.heads(connection, caller.org_id, caller.livemode, currency)
    return await windows.open_windows(connection, caller.org_id, heads, start, end)


async def _go_on(
    connection: Connection, caller: Caller, places: Sequence[tuple[str, int, int]]
) -> list[Window]:
    heads = await store.heads(connection, caller.org_id, caller.livemode, None)
    by_currency = {head.currency: head for head in heads}
    return [Window(by_currency[currency], low, high) for currency, low, high in places]


def _place(window: Window) -> tuple[str, int, int]:
    return window.head.currency, window.low, window.high


def _as_csv(rows: list[UsageRow], following: str | None, now: datetime) -> Response[HistoryPage]:
    body: Any = encode_rows(map(cells_of, rows), COLUMNS)
    # 20260708T091530123Z: names sort by the time of the export.
    stamp = f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03d}Z"
    headers = csv_headers(f"billing-usage-history-{stamp}.csv")
    if following is not None:
        headers["x-next-cursor"] = following
    return Response(body, media_type=CSV, headers=headers)
