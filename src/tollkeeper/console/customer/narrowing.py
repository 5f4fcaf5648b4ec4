"""What calls are narrowed to: said in an address, shown as chips, asked of the log and of costs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote_plus
from uuid import UUID
from zoneinfo import ZoneInfo

from tollkeeper import metering, orgs
from tollkeeper.base.errors import InvalidRequest
from tollkeeper.base.ids import read_id
from tollkeeper.base.money import parse_nanos
from tollkeeper.console.customer.naming import PREFIXES, Names, read_chosen
from tollkeeper.console.forms import AnyRequest
from tollkeeper.console.rendering import say
from tollkeeper.db import Connection
from tollkeeper.metering import Query
from tollkeeper.orgs import Kind

ZONE_COOKIE: Final = "tollkeeper_zone"
LONGEST: Final = 400  # a tag's name and value, with a colon

_DAY: Final = len("2026-01-31")
_EARLIEST: Final = datetime(1970, 1, 2, tzinfo=UTC)
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
# What both the log and costs can be narrowed to, and what costs call it.
DIMENSIONS: Final = {
    "project": "project",
    "key": "apiKey",
    "member": "member",
    "provider": "provider",
    "model": "model",
    "operation": "operation",
    "endUser": "endUser",
}
_COLUMNS: Final = {
    "project": "project_id",
    "key": "key_id",
    "provider": "provider",
    "model": "model",
    "operation": "operation",
    "endUser": "end_user",
    "thread": "thread_id",
}
_WITHOUT: Final = {
    "project": "no_project",
    "key": "no_key",
    "provider": "no_provider",
    "model": "no_model",
    "operation": "no_operation",
    "endUser": "no_end_user",
}
_TAG: Final = "tag:"
_TIMES: Final = frozenset({"from", "to"})
# As calls have them, spaces around them too.
_EXACT: Final = frozenset({*_COLUMNS, "tag", "name", "without"}) - PREFIXES.keys()


@dataclass(frozen=True, slots=True)
class Chip:
    """One thing that is narrowed to, and the address without it."""

    label: str
    value: str
    without: str


def read_said(request: AnyRequest, names: tuple[str, ...]) -> dict[str, str]:
    """What an address says of these names. Raises InvalidRequest for what is too long."""
    said: dict[str, str] = {}
    for name in names:
        text = request.query_params.get(name, "")
        text = text if name in _EXACT else text.strip()
        if len(text) > LONGEST:
            raise InvalidRequest(f"{name} is longer than {LONGEST} characters")
        if text:
            said[name] = text.replace("\0", "")
    return said


async def with_ids(connection: Connection, org_id: UUID, said: dict[str, str]) -> dict[str, str]:
    """The same, with the ids of what was named. Raises InvalidRequest for what has no such name."""
    kinds: tuple[Kind, ...] = ("project", "key", "member")
    named: dict[str, Kind] = {kind: kind for kind in kinds if kind in said}
    found, faults = await read_chosen(connection, org_id, said, named)
    for (fault,) in faults.values():
        raise InvalidRequest(fault)
    return found


async def read_owned(
    connection: Connection, org_id: UUID, said: Mapping[str, str]
) -> dict[str, list[UUID]]:
    """What calls of a member, or of none, are found by: the keys that members have.

    Raises InvalidRequest for what is no id.
    """
    owned: dict[str, list[UUID]] = {}
    if "member" in said:
        member_id = _read_id("member", PREFIXES["member"], said["member"])
        owned["keys"] = await orgs.keys_of_members(connection, org_id, member_id)
    if said.get("without") == "member":
        owned["not_keys"] = await orgs.keys_of_members(connection, org_id, None)
    return owned


def zone_of(request: AnyRequest) -> ZoneInfo:
    """The zone that the address names, else the one that the browser told, else UTC."""
    asked = request.query_params.get("zone", "")
    told = request.cookies.get(ZONE_COOKIE, "")
    return metering.find_zone(asked) or metering.find_zone(told) or ZoneInfo("UTC")


def log_query(said: Mapping[str, str], owned: Mapping[str, list[UUID]], zone: ZoneInfo) -> Query:
    """Raises InvalidRequest for what nothing can be narrowed to."""
    filters: dict[str, Any] = {
        column: stored(name, said[name]) for name, column in _COLUMNS.items() if name in said
    }
    filters |= owned
    if "status" in said:
        filters |= _read_status(said["status"])
    for name, column in (("least", "least"), ("most", "most")):
        if name in said:
            filters[column] = _read_amount(name, said[name])
    if "tag" in said:
        filters["tags"] = json.dumps(dict([_read_tag(said["tag"])]))
    if "without" in said:
        filters |= _read_without(said["without"])
    return Query(
        start=read_moment(said.get("from"), zone),
        end=read_moment(said.get("to"), zone, through=True),
        currency=said.get("currency"),
        filters=filters,
        by_start=True,
    )


def cost_filters(said: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The same for costs. Raises InvalidRequest."""
    found = {
        dimension: (str(stored(name, said[name])),)
        for name, dimension in DIMENSIONS.items()
        if name in said
    }
    if "tag" in said:
        name, value = _read_tag(said["tag"])
        found[_TAG + name] = (value,)
    return found


def chips_of(
    path: str, said: Mapping[str, str], kept: Mapping[str, str], names: Names, *, zone: ZoneInfo
) -> list[Chip]:
    """`kept` is what else stands in the address; times are those of the zone."""
    return [
        Chip(
            say(f"narrow.{name}"),
            _say_time(value, zone) if name in _TIMES else _say_value(name, value, names),
            address(path, {k: v for k, v in said.items() if k != name} | dict(kept)),
        )
        for name, value in said.items()
    ]


def address(path: str, query: Mapping[str, str]) -> str:
    said = "&".join([f"{_quoted(name)}={_quoted(text)}" for name, text in query.items()])
    return f"{path}?{said}" if said else path


# A page has hundreds of addresses, of the same names, times and zone.
_quoted: Final = lru_cache(maxsize=5_000)(quote_plus)


def stored(name: str, text: str) -> str | UUID:
    """How a value is stored. Raises InvalidRequest for what is no id."""
    prefix = PREFIXES.get(name)
    if prefix is None:
        return text
    return _read_id(name, prefix, text)


def _read_id(name: str, prefix: str, text: str) -> UUID:
    try:
        return read_id(prefix, text)
    except ValueError as error:
        raise InvalidRequest(f"{name}: {error}") from None


def _read_tag(text: str) -> tuple[str, str]:
    found = metering.read_tag(text)
    if found is None:
        raise InvalidRequest(say("narrow.tag_fault"))
    return found


def read_moment(text: str | None, zone: ZoneInfo, *, through: bool = False) -> datetime | None:
    """Read a moment of the zone, or of its own offset; a day is its beginning, or its end."""
    if text is None:
        return None
    try:
        found = _day(text, zone, through) if len(text) <= _DAY else _time(text, zone)
    except (ValueError, OverflowError):
        found = datetime.min.replace(tzinfo=UTC)
    if not _EARLIEST <= found < _LATEST:
        raise InvalidRequest(say("narrow.time_fault"))
    return found


def _day(text: str, zone: ZoneInfo, through: bool) -> datetime:
    day = date.fromisoformat(text) + timedelta(days=int(through))
    return metering.midnight(day.year, day.month, day.day, zone)


def _time(text: str, zone: ZoneInfo) -> datetime:
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)


def _read_status(text: str) -> dict[str, Any]:
    if text in ("success", "error"):
        return {text: True}
    if len(text) == len("200") and text.isdecimal() and text.isascii():
        return {"status": int(text)}
    raise InvalidRequest(say("narrow.status_fault"))


def _read_amount(name: str, text: str) -> int:
    try:
        return int(parse_nanos(text.removeprefix("$")))
    except ValueError:
        raise InvalidRequest(say("narrow.amount_fault", name=say(f"narrow.{name}"))) from None


def _read_without(text: str) -> dict[str, Any]:
    if text.startswith(_TAG):
        return {"no_tag": text[len(_TAG) :]}
    if text == "member":
        return {}  # their keys are not those of any member
    if text not in _WITHOUT:
        raise InvalidRequest(say("narrow.without_fault"))
    return {_WITHOUT[text]: True}


def _say_value(name: str, value: str, names: Names) -> str:
    say_it: dict[str, Callable[[str], str]] = {
        "status": lambda text: say(f"usage.{text}") if text in ("success", "error") else text,
        "without": lambda text: (
            text[len(_TAG) :] if text.startswith(_TAG) else say(f"narrow.{text}").lower()
        ),
    }
    return say_it[name](value) if name in say_it else names.of(name, value)


def _say_time(text: str, zone: ZoneInfo) -> str:
    """A day as it was said; a moment to the minute."""
    return text if len(text) <= _DAY else f"{_time(text, zone).astimezone(zone):%Y-%m-%d %H:%M}"
