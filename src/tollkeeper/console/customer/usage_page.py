"""Usage logs: every call, as it comes, and how the cost of one was worked out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
from litestar import get
from litestar.params import FromPath, FromQuery
from litestar.response import Response, Stream
from litestar.types import ControllerRouterHandler

from tollkeeper import metering
from tollkeeper.base.errors import Forbidden, InvalidRequest
from tollkeeper.console.customer.naming import Names, Offer, read_names, read_offers
from tollkeeper.console.customer.narrowing import (
    address,
    chips_of,
    log_query,
    read_moment,
    read_owned,
    read_said,
    with_ids,
    zone_of,
)
from tollkeeper.console.customer.saying import sentence
from tollkeeper.console.doors import AnyRequest, Door, session_of
from tollkeeper.console.forms import Form
from tollkeeper.console.model import Session
from tollkeeper.console.rendering import say
from tollkeeper.console.shelves import Shelves
from tollkeeper.http import csv_stream, encode_json
from tollkeeper.metering import Log, LoggedCall, Query
from tollkeeper.orgs import Kind

PATH: Final = "/console/usage"

_PAGE: Final = 50
_NEWER: Final = 200
_FILTERS: Final = (
    "status",
    "operation",
    "model",
    "project",
    "key",
    "member",
    "provider",
    "thread",
    "endUser",
    "tag",
    "without",
    "least",
    "most",
    "currency",
    "from",
    "to",
)
_KEPT: Final = ("zone", "live")
_MONEY: Final = frozenset({"cost", "currency", "balanceAfter"})
_MONEY_FILTERS: Final = frozenset({"least", "most"})
# Filters that have a field on the page; the others are only said in addresses.
_IN_FORM: Final = frozenset(_FILTERS) - {"without", "currency"}
_BAD: Final = 400
_MEMBERS: Final = {one.encode_name: one.name for one in msgspec.structs.fields(LoggedCall)}
_COLUMNS: Final = list(_MEMBERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What an address asks of the log."""

    said: Mapping[str, str]
    kept: Mapping[str, str]
    zone: ZoneInfo
    query: Query

    def address(self, path: str, **more: str) -> str:
        return address(path, {**self.said, **self.kept, **more})


def usage_pages(door: Door, shelves: Shelves) -> list[ControllerRouterHandler]:
    return [
        _log_page(door, shelves),
        *_more_of_it(door, shelves),
        _export(door, shelves),
        _record_page(door, shelves),
    ]


def _log_page(door: Door, shelves: Shelves) -> ControllerRouterHandler:
    @get("/usage", include_in_schema=False)
    async def show_usage(request: AnyRequest, before: FromQuery[str] = "") -> Response[bytes]:
        try:
            asked = await _read_asked(door, request)
        except InvalidRequest as error:
            return await _ask_again(door, shelves, request, error)
        log = await metering.read_log(
            door.database,
            shelves.cursors,
            session_of(request),
            asked.query,
            cursor=before or None,
            limit=_PAGE,
        )
        names, offers = await _name(door, session_of(request), asked, log.calls)
        live = asked.kept.get("live") == "1" and not before
        return door.page(
            request,
            "customer/usage.html",
            calls=log.calls,
            older=_older(asked, log),
            newer=asked.address(f"{PATH}/newer", after=log.mark) if live and log.mark else None,
            newest=asked.address(PATH) if before else None,
            live=live,
            toggle=_toggle(asked),
            form=Form(values=_fields(asked)),
            chips=chips_of(PATH, asked.said, asked.kept, names, zone=asked.zone),
            cleared=address(PATH, asked.kept),
            exports=[(one, asked.address(f"{PATH}/export", format=one)) for one in _FORMS],
            names=names,
            offers=offers,
            zone=asked.zone.key,
            currencies=[(one, one) for one in shelves.settings.spending],
        )

    return show_usage


async def _ask_again(
    door: Door, shelves: Shelves, request: AnyRequest, error: InvalidRequest
) -> Response[bytes]:
    """The page with what was typed, and what is wrong with which filter."""
    session = session_of(request)
    typed = {name: request.query_params.get(name, "") for name in _FILTERS}
    faults = await _faults(door, request)
    elsewhere = [said for name, said in faults.items() if name not in _IN_FORM]
    kinds: tuple[Kind, ...] = ("project", "key", "member")
    chosen: dict[Kind, str] = {kind: "" if kind in faults else typed[kind] for kind in kinds}
    async with door.database.connection() as connection:
        names = await read_names(connection, session.org_id, chosen.values())
        offers = await read_offers(connection, session.org_id, names, chosen)
    return door.page(
        request,
        "customer/usage.html",
        _BAD,
        form=Form(
            values=typed, faults=faults, problem=next(iter(elsewhere), "" if faults else str(error))
        ),
        calls=(),
        older=None,
        newer=None,
        newest=None,
        chips=(),
        exports=(),
        live=False,
        toggle=PATH,
        names=names,
        offers=offers,
        zone=zone_of(request).key,
        currencies=[(one, one) for one in shelves.settings.spending],
    )


async def _faults(door: Door, request: AnyRequest) -> dict[str, str]:
    """What is wrong with each filter, asked for alone."""
    faults: dict[str, str] = {}
    for name in _FILTERS:
        try:
            await _read_asked(door, request, (name,))
        except InvalidRequest as error:
            faults[name] = sentence(error.detail)
    return faults


def _more_of_it(door: Door, shelves: Shelves) -> list[ControllerRouterHandler]:
    """Rows alone, for a page that is open."""
    cursors = shelves.cursors

    @get("/usage/older", include_in_schema=False)
    async def show_older(request: AnyRequest, before: FromQuery[str]) -> Response[bytes]:
        asked, session = await _read_asked(door, request), session_of(request)
        log = await metering.read_log(
            door.database, cursors, session, asked.query, cursor=before, limit=_PAGE
        )
        return await _rows(door, request, log.calls, older=_older(asked, log))

    @get("/usage/newer", include_in_schema=False)
    async def show_newer(request: AnyRequest, after: FromQuery[str]) -> Response[bytes]:
        asked, session = await _read_asked(door, request), session_of(request)
        log = await metering.read_newer(
            door.database, cursors, session, asked.query, mark=after, limit=_NEWER
        )
        newer = asked.address(f"{PATH}/newer", after=log.mark or after)
        answer = await _rows(door, request, log.calls, newer=newer)
        if log.next_cursor is not None:
            # More came at once than one looks at: begin anew.
            answer.headers["hx-refresh"] = "true"
        return answer

    return [show_older, show_newer]


def _export(door: Door, shelves: Shelves) -> ControllerRouterHandler:
    @get("/usage/export", include_in_schema=False)
    async def export_usage(request: AnyRequest) -> Stream:
        asked, session = await _read_asked(door, request), session_of(request)
        batches = metering.read_whole_log(door.database, shelves.cursors, session, asked.query)
        return _download(request.query_params.get("format", ""), batches, session)

    return export_usage


def _record_page(door: Door, shelves: Shelves) -> ControllerRouterHandler:
    @get("/usage/{usage_id:str}", include_in_schema=False)
    async def show_record(request: AnyRequest, usage_id: FromPath[str]) -> Response[bytes]:
        session = session_of(request)
        async with door.database.connection() as connection:
            record = await metering.read_record(connection, shelves.prices, session, usage_id)
            shown = record.project_id, record.key_id
            names = await read_names(connection, session.org_id, shown)
        return door.page(request, "customer/record.html", record=record, names=names)

    return show_record


_FORMS: Final = ("csv", "jsonl")


async def _read_asked(
    door: Door, request: AnyRequest, filters: tuple[str, ...] = _FILTERS
) -> _Asked:
    """Raises InvalidRequest for filters that say nothing, Forbidden for amounts of members."""
    session, zone = session_of(request), zone_of(request)
    said = read_said(request, filters)
    if not session.sees_money and _MONEY_FILTERS & said.keys():
        raise Forbidden(say("error.no_money"))
    async with door.database.connection() as connection:
        said = await with_ids(connection, session.org_id, said)
        owned = await read_owned(connection, session.org_id, said)
    form = Form(values=said)
    amounts = {name: form.amount(name) or "" for name in _MONEY_FILTERS & said.keys()}
    return _Asked(
        said=said,
        kept=read_said(request, _KEPT),
        zone=zone,
        query=log_query(said | amounts, owned, zone),
    )


async def _name(
    door: Door, session: Session, asked: _Asked, calls: Sequence[LoggedCall]
) -> tuple[Names, Mapping[str, Offer]]:
    """What the page shows by name, and what its fields offer."""
    kinds: tuple[Kind, ...] = ("project", "key", "member")
    chosen: dict[Kind, str] = {kind: asked.said.get(kind, "") for kind in kinds}
    async with door.database.connection() as connection:
        shown = [*chosen.values(), *_projects(calls)]
        names = await read_names(connection, session.org_id, shown)
        return names, await read_offers(connection, session.org_id, names, chosen)


def _projects(calls: Sequence[LoggedCall]) -> set[str | None]:
    return {call.project_id for call in calls}


def _older(asked: _Asked, log: Log) -> dict[str, Any] | None:
    """The page behind, as a page of its own and as rows to be put under these; and how far back
    was looked, where not enough was found."""
    if log.next_cursor is None:
        return None
    return {
        "page": asked.address(PATH, before=log.next_cursor),
        "rows": asked.address(f"{PATH}/older", before=log.next_cursor),
        "looked": log.looked_back_to,
    }


def _toggle(asked: _Asked) -> str:
    kept = {name: text for name, text in asked.kept.items() if name != "live"}
    on = asked.kept.get("live") == "1"
    return address(PATH, {**asked.said, **kept, **({} if on else {"live": "1"})})


def _fields(asked: _Asked) -> dict[str, str]:
    """What the form's fields hold: moments as their fields write them, in the reader's zone."""
    held = {name: asked.said.get(name, "") for name in _FILTERS}
    moments = {
        "from": read_moment(asked.said.get("from"), asked.zone),
        "to": read_moment(asked.said.get("to"), asked.zone, through=True),
    }
    return held | {name: _write_moment(at, asked.zone) for name, at in moments.items()}


def _write_moment(at: datetime | None, zone: ZoneInfo) -> str:
    return "" if at is None else f"{at.astimezone(zone):%Y-%m-%dT%H:%M}"


async def _rows(
    door: Door,
    request: AnyRequest,
    calls: Sequence[LoggedCall],
    older: Mapping[str, Any] | None = None,
    newer: str | None = None,
) -> Response[bytes]:
    async with door.database.connection() as connection:
        names = await read_names(connection, session_of(request).org_id, _projects(calls))
    return door.page(
        request,
        "customer/usage_more.html",
        calls=calls,
        older=older,
        newer=newer,
        names=names,
    )


def _download(form: str, batches: AsyncIterator[list[LoggedCall]], session: Session) -> Stream:
    columns = [name for name in _COLUMNS if session.sees_money or name not in _MONEY]
    if form == "csv":
        answer = csv_stream(columns, _cells(batches, columns), "usage_logs.csv")
    elif form == "jsonl":
        answer = Stream(
            _json_lines(batches, columns),
            media_type="application/x-ndjson",
            headers={"content-disposition": "attachment; filename=usage_logs.jsonl"},
        )
    else:
        raise InvalidRequest(say("usage.format_fault"))
    answer.headers |= {"cache-control": "private, no-store", "x-content-type-options": "nosniff"}
    return answer


async def _cells(
    batches: AsyncIterator[list[LoggedCall]], columns: Sequence[str]
) -> AsyncIterator[list[list[object]]]:
    async for calls in batches:
        yield [[_cell(row[name]) for name in columns] for row in map(_members, calls)]


async def _json_lines(
    batches: AsyncIterator[list[LoggedCall]], columns: Sequence[str]
) -> AsyncIterator[bytes]:
    async for calls in batches:
        rows = ({name: row[name] for name in columns} for row in map(_members, calls))
        yield b"".join(encode_json(row) + b"\n" for row in rows)


def _members(call: LoggedCall) -> dict[str, Any]:
    return {column: getattr(call, name) for column, name in _MEMBERS.items()}


def _cell(value: object) -> object:
    return encode_json(value).decode() if isinstance(value, dict) else value
