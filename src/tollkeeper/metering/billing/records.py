"""`GET /billing/usage-records`: the log of calls (W4), and one call in full."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Protocol, TypeVar
from uuid import UUID

import msgspec
from litestar import get
from litestar.di import NamedDependency, Provide
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Response
from msgspec import Meta, Struct

from tollkeeper import pricing
from tollkeeper.base.check import Faults
from tollkeeper.base.errors import NotFound
from tollkeeper.base.ids import read_id, show_id
from tollkeeper.base.money import Money, format_nanos
from tollkeeper.base.settings import Settings
from tollkeeper.db import Connection, Database
from tollkeeper.http import Cursors, CursorText, csv_stream, read_path_id, wants_csv
from tollkeeper.metering.billing import spans, store
from tollkeeper.metering.billing.asked import (
    AnyRequest,
    check,
    check_currency,
    read_end,
    read_start,
)
from tollkeeper.metering.billing.spans import Span
from tollkeeper.metering.billing.store import Head, RecordRow
from tollkeeper.metering.covering import Drawn
from tollkeeper.metering.paying import USD
from tollkeeper.metering.record import Detail
from tollkeeper.orgs import caller_of
from tollkeeper.pricing import BookKeeper, Rating

_PAGE: Final = 50
_CSV_CHUNK: Final = 2000
# Of each wallet its currency, and the numbers between which records are still to be shown.
Position = tuple[list[tuple[str, int, int]]]
StatusText = Annotated[
    str, Meta(pattern=r"^(success|error|[1-5][0-9][0-9])\Z", description="Or an HTTP status.")
]
Source = Literal["provider", "partial", "estimated", "reported", "none"]

Cells = Sequence[str | None]
R = TypeVar("R", bound=spans.Row)

_decode: Final = msgspec.json.Decoder(Detail).decode


class UsageRecord(Struct, frozen=True, kw_only=True, rename="camel"):
    """One call. `timestamp` is when it was made, `recordedAt` when it was charged."""

    id: str
    timestamp: datetime
    recorded_at: datetime
    operation: str | None
    input: str | None
    project_id: str | None
    thread_id: str | None
    cost: Money
    currency: str
    balance_after: Money
    status: int
    duration_ms: int | None
    key_id: str | None
    provider: str | None
    model: str | None
    source: Source
    request_id: str | None
    end_user: str | None
    tags: dict[str, str] | None
    late: bool
    error: str | None


_COLUMNS: Final = [field.encode_name for field in msgspec.structs.fields(UsageRecord)]


class RecordPage(Struct, frozen=True, kw_only=True, rename="camel"):
    """Newest first. A page may hold fewer than asked for while there is a next one."""

    data: list[UsageRecord]
    next_cursor: str | None


class RatedLine(Struct, frozen=True, kw_only=True, rename="camel"):
    """`amount` for `quantity` of `unit` at `price` for every `per`; `listPrice` is before the
    mark-up."""

    sku: str
    unit: str
    quantity: str
    per: int
    price: Money
    list_price: Money
    amount: Money


class Included(Struct, frozen=True, kw_only=True, rename="camel"):
    """Of the call's `units` so many were `drawn` from an allowance, which paid `covered`."""

    units: int
    drawn: int
    covered: Money


class PriceVersionOut(Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    provider: str
    model: str
    effective_from: datetime
    source: str


class UsageRecordInFull(UsageRecord, frozen=True, kw_only=True, rename="camel"):
    """`formula` works the cost out again from `lines`, at the prices of `priceVersion`. Amounts of
    lines are without what allowances paid, which is `included`."""

    held: Money | None
    lines: list[RatedLine]
    included: list[Included]
    formula: str | None
    price_version: PriceVersionOut | None
    service_tier: str | None
    markup_percent: str | None
    unpriced: dict[str, str] | None
    usage: Any
    response_id: str | None
    notes: str | None


class Reader(Protocol):
    """Who reads: somebody of one organization, in live or test mode."""

    @property
    def org_id(self) -> UUID: ...
    @property
    def livemode(self) -> bool: ...


class Query(Struct, frozen=True, kw_only=True):
    """Times are of recording, or of when calls began; `end` is exclusive."""

    start: datetime | None
    end: datetime | None
    currency: str | None
    filters: dict[str, Any]
    by_start: bool = False

    def bound(self, caller: Reader) -> tuple[object, ...]:
        asked = (self.start, self.end, self.currency, sorted(self.filters.items(), key=str))
        kind = "calls" if self.by_start else "usage-records"
        return (kind, caller.org_id, caller.livemode, *asked)

    @property
    def conditions(self) -> dict[str, Any]:
        """What each record is asked, by the names of `store.FILTERS`."""
        times = {"since": self.start, "until": self.end} if self.by_start else {}
        return self.filters | {name: at for name, at in times.items() if at is not None}


def record_routes(settings: Settings) -> list[HTTPRouteHandler]:
    return [_list_route(settings), get_record]


def _list_route(settings: Settings) -> HTTPRouteHandler:
    @get(
        "/usage-records",
        summary="List calls, newest first",
        description="As CSV without `limit`, all of them, streamed.",
        opt={"csv": True},
        dependencies={"asked": Provide(_query_reader(settings), sync_to_thread=False)},
    )
    async def list_records(
        request: AnyRequest,
        asked: NamedDependency[Query],
        database: NamedDependency[Database],
        cursors: NamedDependency[Cursors],
        limit: FromQuery[Annotated[int, Meta(ge=1, le=500)] | None] = None,
        cursor: CursorText = None,
    ) -> Response[RecordPage]:
        reader = RecordReader(database, cursors, caller_of(request), asked)
        if wants_csv(request.headers.get("accept")):
            return await _as_csv(reader, cursor, limit)
        page = await _page(reader, cursor, limit or _PAGE)
        return Response(page, headers={"vary": "accept"})

    return list_records


async def read_records(
    database: Database,
    cursors: Cursors,
    reader: Reader,
    query: Query,
    *,
    cursor: str | None = None,
    limit: int = _PAGE,
) -> RecordPage:
    """One page of calls, newest first."""
    return await _page(RecordReader(database, cursors, reader, query), cursor, limit)


async def _page(reader: RecordReader, cursor: str | None, limit: int) -> RecordPage:
    found, following = await reader.page(await reader.begin(cursor), limit)
    return RecordPage(data=found, next_cursor=reader.seal(following))


def _query_reader(settings: Settings) -> Callable[..., Query]:
    def read_query(
        status: FromQuery[StatusText | None] = None,
        operation: FromQuery[str | None] = None,
        thread_id: Annotated[str | None, QueryParameter(name="threadId")] = None,
        project_id: Annotated[str | None, QueryParameter(name="projectId")] = None,
        key_id: Annotated[str | None, QueryParameter(name="keyId")] = None,
        model: FromQuery[str | None] = None,
        start: FromQuery[str | None] = None,
        end: FromQuery[str | None] = None,
        currency: FromQuery[str | None] = None,
    ) -> Query:
        faults: Faults = {}
        check_currency(currency, settings.currencies, faults)
        said = {"operation": operation, "thread_id": thread_id, "model": model}
        filters: dict[str, Any] = {name: text for name, text in said.items() if text is not None}
        filters |= _ids({"projectId": project_id, "keyId": key_id}, faults)
        filters |= _status(status)
        query = Query(
            start=read_start(start, "start", faults),
            end=read_end(end, "end", faults),
            currency=currency,
            filters=filters,
        )
        check(faults)
        return query

    return read_query


@get("/usage-records/{usage_id:str}", summary="Get one call with its breakdown")
async def get_record(
    request: AnyRequest,
    usage_id: FromPath[str],
    database: NamedDependency[Database],
    keeper: NamedDependency[BookKeeper],
) -> UsageRecordInFull:
    async with database.connection() as connection:
        return await read_record(connection, keeper, caller_of(request), usage_id)


async def read_record(
    connection: Connection, keeper: BookKeeper, reader: Reader, usage_id: str
) -> UsageRecordInFull:
    """Raises NotFound."""
    known = read_path_id("use", usage_id)
    heads = await store.heads(connection, reader.org_id, reader.livemode, None)
    row = await store.record(connection, reader.org_id, known)
    head = next((h for h in heads if row is not None and h.wallet_id == row.wallet_id), None)
    if row is None or head is None:
        raise NotFound(f"There is no usage record {usage_id}")
    return _in_full(head, row, keeper)


class RecordReader:
    """Reads one query's pages."""

    def __init__(self, database: Database, cursors: Cursors, caller: Reader, query: Query) -> None:
        self._database = database
        self._cursors = cursors
        self._caller = caller
        self._query = query

    async def begin(self, cursor: str | None) -> list[Span]:
        caller, query = self._caller, self._query
        places: list[tuple[str, int, int]] = []
        if cursor is not None:
            (places,) = self._cursors.open(query.bound(caller), cursor, Position)
        async with self._database.connection() as connection:
            heads = await store.heads(connection, caller.org_id, caller.livemode, query.currency)
            if cursor is None:
                opened = spans.open_spans_of_calls if query.by_start else spans.open_spans
                return await opened(connection, caller.org_id, heads, query.start, query.end)
        by_currency = {head.currency: head for head in heads}
        return [Span(by_currency[currency], above, below) for currency, above, below in places]

    async def page(self, rest: Sequence[Span], limit: int) -> tuple[list[UsageRecord], list[Span]]:
        found, left = await self.rows(rest, limit)
        return [_shown(head, row) for head, row in found], left

    async def rows(
        self, rest: Sequence[Span], limit: int
    ) -> tuple[list[tuple[Head, RecordRow]], list[Span]]:
        return await self._walk(rest, limit, store.records_down)

    async def cells(self, rest: Sequence[Span], limit: int) -> tuple[list[Cells], list[Span]]:
        found, left = await self._walk(rest, limit, store.cells_down)
        return [row.cells for _, row in found], left

    async def _walk(
        self, rest: Sequence[Span], limit: int, read: spans.Read[R]
    ) -> tuple[list[tuple[Head, R]], list[Span]]:
        org_id, filters = self._caller.org_id, self._query.conditions
        async with self._database.connection() as connection:
            return await spans.walk(connection, org_id, rest, filters, limit, read)

    async def looked_back_to(self, rest: Sequence[Span]) -> datetime | None:
        async with self._database.connection() as connection:
            return await spans.looked_back_to(connection, self._caller.org_id, rest)

    def seal(self, rest: Sequence[Span]) -> str | None:
        if all(span.empty for span in rest):
            return None
        places = [(span.head.currency, span.above, span.below) for span in rest]
        return self._cursors.seal(self._query.bound(self._caller), [places])

    async def batches(self, rest: Sequence[Span]) -> AsyncIterator[list[Cells]]:
        """All rows, in chunks: no connection is kept while a client reads."""
        coming = asyncio.ensure_future(self.cells(rest, _CSV_CHUNK))
        try:
            while not all(span.empty for span in rest):
                batch, rest = await coming
                # The database is at work on the next while this one is written out.
                coming = asyncio.ensure_future(self.cells(rest, _CSV_CHUNK))
                yield batch
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)


async def _as_csv(
    reader: RecordReader, cursor: str | None, limit: int | None
) -> Response[RecordPage]:
    rest = await reader.begin(cursor)
    headers: dict[str, str] = {}
    if limit is None:
        batches = reader.batches(rest)
    else:
        batch, following = await reader.cells(rest, limit)
        sealed = reader.seal(following)
        headers = {} if sealed is None else {"x-next-cursor": sealed}
        batches = _once(batch)
    answer: Any = csv_stream(_COLUMNS, batches, "usage_records.csv", headers)
    return answer


async def _once(batch: list[Cells]) -> AsyncIterator[list[Cells]]:
    yield batch


def _ids(said: dict[str, str | None], faults: Faults) -> dict[str, UUID]:
    prefixes = {"projectId": ("prj", "project_id"), "keyId": ("key", "key_id")}
    found: dict[str, UUID] = {}
    for name, text in said.items():
        prefix, column = prefixes[name]
        if text is not None:
            try:
                found[column] = read_id(prefix, text)
            except ValueError:
                faults[name] = [f"must be an id of the form {prefix}_ and 32 hexadecimal digits"]
    return found


def _status(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    return {text: True} if text in ("success", "error") else {"status": int(text)}


def _shown(head: Head, row: RecordRow) -> UsageRecord:
    return UsageRecord(**members_of(head, row, _decode(row.detail)))


def members_of(head: Head, row: RecordRow, detail: Detail) -> dict[str, Any]:
    return {
        "id": show_id("use", row.usage_id),
        "timestamp": row.started_at,
        "recorded_at": row.recorded_at,
        "operation": row.operation,
        "input": detail.input,
        "project_id": None if row.project_id is None else show_id("prj", row.project_id),
        "thread_id": row.thread_id,
        "cost": Money(row.amount),
        "currency": head.currency,
        "balance_after": Money(row.balance_after),
        "status": row.status,
        "duration_ms": row.duration_ms,
        "key_id": None if row.key_id is None else show_id("key", row.key_id),
        "provider": row.provider,
        "model": row.model,
        "source": row.source,
        "request_id": row.request_id,
        "end_user": detail.end_user,
        "tags": detail.tags,
        "late": row.late,
        "error": detail.error,
    }


def _in_full(head: Head, row: RecordRow, keeper: BookKeeper) -> UsageRecordInFull:
    detail = _decode(row.detail)
    rating = None if detail.rating is None else pricing.from_record(detail.rating)
    return UsageRecordInFull(
        **members_of(head, row, detail),
        held=None if row.held is None else Money(row.held),
        lines=[] if rating is None else [_line(line) for line in rating.lines],
        included=[_included(drawn) for drawn in detail.allowances],
        formula=None if rating is None else _formula(rating, detail),
        price_version=None if rating is None else _version(rating, keeper),
        service_tier=None if rating is None else rating.service_tier,
        markup_percent=_markup(rating),
        unpriced=_unpriced(rating),
        usage=detail.usage,
        response_id=detail.response_id,
        notes=detail.notes,
    )


def _formula(rating: Rating, detail: Detail) -> str:
    said = pricing.explain(rating)
    for drawn in map(_included, detail.allowances):
        said += f"\n{drawn.drawn} of {drawn.units} units are included, and paid {drawn.covered}"
    if detail.currency == USD:
        return said
    return f"{said} {detail.currency}, each worth {format_nanos(detail.usd_value)} USD"


def _included(allowance: Drawn) -> Included:
    _, units, drawn, covers, _ = allowance
    return Included(units=units, drawn=drawn, covered=Money(covers * drawn // units))


def _line(line: pricing.Line) -> RatedLine:
    return RatedLine(
        sku=line.sku,
        unit=line.unit,
        quantity=f"{line.quantity:f}" if not isinstance(line.quantity, int) else str(line.quantity),
        per=line.per,
        price=Money(line.price_nanos),
        list_price=Money(line.list_nanos),
        amount=Money(line.amount_nanos),
    )


def _version(rating: Rating, keeper: BookKeeper) -> PriceVersionOut | None:
    version = keeper.book.version(rating.version_id)
    if version is None:
        return None
    return PriceVersionOut(
        id=str(version.id),
        provider=version.provider,
        model=version.model,
        effective_from=version.effective_from,
        source=version.source,
    )


_PPM_OF_PERCENT: Final = 100_000


def _markup(rating: Rating | None) -> str | None:
    """The mark-up in per cent; parts per million are 0.0001 of one."""
    if rating is None or not rating.markup.ppm:
        return None
    return format_nanos(rating.markup.ppm * _PPM_OF_PERCENT)


def _unpriced(rating: Rating | None) -> dict[str, str] | None:
    if rating is None or not rating.unpriced:
        return None
    return {unit: str(quantity) for unit, quantity in rating.unpriced.items()}
