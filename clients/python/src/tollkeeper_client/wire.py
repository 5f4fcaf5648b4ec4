"""JSON as Tollkeeper speaks it: numbers that stay exact, names in camelCase."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from types import NoneType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from tollkeeper_client.answers import Page

T = TypeVar("T")


def write_json(value: Any) -> str:
    """Write a Decimal as a plain number, which the json module cannot. None is left out."""
    if isinstance(value, Mapping):
        members = cast("Mapping[str, Any]", value).items()
        said = (f"{json.dumps(k)}:{write_json(v)}" for k, v in members if v is not None)
        return f"{{{','.join(said)}}}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{','.join(write_json(item) for item in cast('Sequence[Any]', value))}]"
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError(f"{value} is no amount")
        return f"{value:f}"
    if isinstance(value, datetime):
        return json.dumps(value.isoformat())
    return json.dumps(value, allow_nan=False)


def in_camel_case(said: Mapping[str, Any]) -> dict[str, Any]:
    """Name the members as the API does. What is inside them (units, tags) keeps its names."""
    return {camel(name): value for name, value in said.items()}


@cache
def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


def read_json(kind: type[T], text: bytes | str) -> T:
    return shape(kind, json.loads(text, parse_float=Decimal))


def shape(kind: Any, value: Any) -> Any:
    """Make a value of that type from JSON. Members that are not known yet are passed over."""
    if value is None:
        return None
    if get_origin(kind) is not None or get_args(kind):
        return _shape_of_parts(kind, get_args(kind), value)
    if kind is Decimal:
        return Decimal(value)
    if kind is datetime:
        return datetime.fromisoformat(value)
    return cast("Any", kind)(**_members(kind, value)) if is_dataclass(kind) else value


def _shape_of_parts(kind: Any, parts: tuple[Any, ...], value: Any) -> Any:
    origin = get_origin(kind)
    if origin is Page:
        return Page([shape(parts[0], item) for item in value["data"]], value.get("nextCursor"))
    if origin is list:
        return [shape(parts[0], item) for item in value]
    if origin is dict:
        return {name: shape(parts[1], item) for name, item in value.items()}
    return shape(parts[0], value) if NoneType in parts else value


def _members(kind: Any, value: dict[str, Any]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    hints = _hints(kind)
    for field in fields(kind):
        name = camel(field.name)
        if name in value or field.default is MISSING:
            members[field.name] = shape(hints[field.name], value.get(name))
    return members


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)
