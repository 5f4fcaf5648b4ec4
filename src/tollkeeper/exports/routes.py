"""`/billing/exports/…` by an ADMIN key, `/operator/exports/…` by an operator's."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request, Router, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter
from litestar.response import Stream
from litestar.types import ControllerRouterHandler
from msgspec import Meta

from tollkeeper import orgs
from tollkeeper.base.errors import NotFound
from tollkeeper.db import Database
from tollkeeper.exports.books import BOOKS, Book, Books, Pages, Row, Window
from tollkeeper.exports.writing import MEDIA_TYPES, Format, write_rows
from tollkeeper.http import OPERATOR_KEY, invalid, read_moment, read_path_id
from tollkeeper.orgs import AdminKeyRequired

AnyRequest = Request[Any, Any, State]
From = Annotated[
    datetime | None,
    QueryParameter(name="from", description="From this moment on; else from the beginning."),
]
To = Annotated[
    datetime | None,
    QueryParameter(name="to", description="Before this moment; else up to the newest."),
]
Form = Annotated[FromQuery[Format], Meta(description="The form of the rows.")]
OrganizationId = Annotated[
    str | None,
    QueryParameter(name="organizationId", description="Only this one; else all, one by one."),
]

_ORGANIZATIONS: Final = 100
_OPT: Final = {"other_responses": dict.fromkeys(MEDIA_TYPES.values(), str)}
_DESCRIPTION: Final = (
    "One download of all rows in the window, oldest first, streamed while they are read. Rows are"
    " chosen by when they were recorded; both moments carry a time zone."
)


def export_routes() -> list[ControllerRouterHandler]:
    return [
        Router(
            "/billing/exports",
            route_handlers=[_for_customers(book) for book in BOOKS],
            guards=[orgs.admin_only],
            tags=["Exports"],
            opt={"errors": (AdminKeyRequired,)},
        )
    ]


def operator_export_routes() -> list[ControllerRouterHandler]:
    return [
        Router(
            "/operator/exports",
            route_handlers=[_for_operators(book) for book in BOOKS],
            guards=[orgs.operator_only],
            tags=["Operator"],
            opt={"security": OPERATOR_KEY},
        )
    ]


def _for_customers(book: Books) -> ControllerRouterHandler:
    known = BOOKS[book]

    @get(f"/{book}", summary=f"Export {book}", description=_DESCRIPTION, opt=_OPT)
    async def export(
        request: AnyRequest,
        database: NamedDependency[Database],
        start: From = None,
        end: To = None,
        format: Form = "csv",  # noqa: A002 (the parameter's public name)
    ) -> Stream:
        caller = orgs.caller_of(request)
        window = _window(start, end, livemode=caller.livemode)
        return _answer(book, known.shown, known.pages(database, caller.org_id, window), format)

    return export


def _for_operators(book: Books) -> ControllerRouterHandler:
    known = BOOKS[book]

    @get(
        f"/{book}",
        summary=f"Export {book} of one organization or of all",
        description=f"{_DESCRIPTION} Live and test rows alike.",
        opt={**_OPT, "errors": (NotFound,)},
    )
    async def export_for_operator(
        database: NamedDependency[Database],
        organization_id: OrganizationId = None,
        start: From = None,
        end: To = None,
        format: Form = "csv",  # noqa: A002 (the parameter's public name)
    ) -> Stream:
        window = _window(start, end, livemode=None)
        if organization_id is None:
            pages = _of_all(known, database, window)
        else:
            org_id = read_path_id("org", organization_id)
            async with database.connection() as connection:
                await orgs.get_org(connection, org_id)
            pages = known.pages(database, org_id, window)
        return _answer(book, known.columns, pages, format)

    return export_for_operator


async def _of_all(book: Book, database: Database, window: Window) -> Pages:
    after: UUID | None = None
    while True:
        async with database.connection() as connection:
            found = await orgs.list_orgs(connection, after, _ORGANIZATIONS)
        for organization in found:
            async for page in book.pages(database, organization.org_id, window):
                yield page
        if len(found) < _ORGANIZATIONS:
            return
        after = found[-1].org_id


def _window(start: datetime | None, end: datetime | None, *, livemode: bool | None) -> Window:
    since = None if start is None else read_moment(start, "from")
    until = None if end is None else read_moment(end, "to")
    if since is not None and until is not None and until <= since:
        raise invalid({"to": ["must be after from"]})
    return Window(start=since, end=until, livemode=livemode)


def _answer(
    book: Books, columns: Sequence[str], pages: AsyncGenerator[Sequence[Row]], form: Format
) -> Stream:
    return Stream(
        write_rows(columns, pages, form),
        media_type=MEDIA_TYPES[form],
        headers={"content-disposition": f"attachment; filename={book}.{form}"},
    )
