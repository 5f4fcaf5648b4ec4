"""Usage logs: every call, and how the cost of one was worked out."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

from litestar import get
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Response
from litestar.types import ControllerRouterHandler
from msgspec import Meta

from tollkeeper import metering, orgs
from tollkeeper.base.errors import InvalidRequest
from tollkeeper.base.ids import read_id, show_id
from tollkeeper.console.doors import AnyRequest, Door, session_of
from tollkeeper.console.shelves import Shelves
from tollkeeper.db import Connection
from tollkeeper.metering import Query

_PAGE: Final = 50
_PROJECTS: Final = 200
_PATH: Final = "/console/usage"
_EARLIEST: Final = date(1970, 1, 1)
_LATEST: Final = date(2200, 1, 1)

Text = Annotated[str, Meta(max_length=200)]
StatusText = Literal["", "success", "error"]


def usage_pages(door: Door, shelves: Shelves) -> list[ControllerRouterHandler]:
    @get("/usage", include_in_schema=False)
    async def show_usage(
        request: AnyRequest,
        status: FromQuery[StatusText] = "",
        operation: FromQuery[Text] = "",
        model: FromQuery[Text] = "",
        thread: FromQuery[Text] = "",
        project: FromQuery[Text] = "",
        start: Annotated[Text, QueryParameter(name="from")] = "",
        end: Annotated[Text, QueryParameter(name="to")] = "",
        before: FromQuery[str] = "",
    ) -> Response[bytes]:
        session = session_of(request)
        asked = {
            "status": status,
            "operation": operation,
            "model": model,
            "thread": thread,
            "project": project,
            "from": start,
            "to": end,
        }
        said = {name: text.strip() for name, text in asked.items() if text.strip()}
        query = _read_query(said)
        page = await metering.read_records(
            door.database, shelves.cursors, session, query, cursor=before or None, limit=_PAGE
        )
        async with door.database.connection() as connection:
            projects = await _project_names(connection, session.org_id)
        following = None if page.next_cursor is None else said | {"before": page.next_cursor}
        return door.page(
            request,
            "customer/usage.html",
            records=page.data,
            projects=projects,
            asked=asked,
            filtered=bool(said),
            older=None if following is None else f"{_PATH}?{urlencode(following)}",
            newest=f"{_PATH}?{urlencode(said)}" if before else None,
        )

    @get("/usage/{usage_id:str}", include_in_schema=False)
    async def show_record(request: AnyRequest, usage_id: FromPath[str]) -> Response[bytes]:
        session = session_of(request)
        async with door.database.connection() as connection:
            record = await metering.read_record(connection, shelves.prices, session, usage_id)
            projects = await _project_names(connection, session.org_id)
        return door.page(request, "customer/record.html", record=record, projects=projects)

    return [show_usage, show_record]


def _read_query(said: dict[str, str]) -> Query:
    """Raises InvalidRequest for a day or a project that is none."""
    columns = {"operation": "operation", "model": "model", "thread": "thread_id"}
    filters: dict[str, Any] = {columns[name]: said[name] for name in said if name in columns}
    if "status" in said:
        filters[said["status"]] = True
    if "project" in said:
        try:
            filters["project_id"] = read_id("prj", said["project"])
        except ValueError as error:
            raise InvalidRequest(f"project: {error}") from None
    start, end = _read_day(said.get("from")), _read_day(said.get("to"))
    if end is not None:
        end += timedelta(days=1)
    return Query(start=start, end=end, currency=None, filters=filters)


def _read_day(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = date.min
    if not _EARLIEST <= found < _LATEST:
        raise InvalidRequest("A day is written as 2026-01-31, from 1970 on")
    return datetime.combine(found, time(), UTC)


async def _project_names(connection: Connection, org_id: Any) -> dict[str, str]:
    found = await orgs.list_projects(connection, org_id, None, _PROJECTS)
    return {show_id("prj", one.project_id): one.name for one in found}
