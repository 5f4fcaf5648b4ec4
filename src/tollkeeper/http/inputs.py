"""What a management route takes, read from its signature, and checked whole before it runs.

Litestar ignores parameters it does not know, and msgspec stops at the first fault. Here every
fault of query and body is found, and a route is not entered while there is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, cast
from urllib.parse import parse_qsl

from litestar import Request
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler
from litestar.params import BodyKwarg, QueryParameter
from litestar.typing import FieldDefinition

from tollkeeper.base.check import Faults, describe, faults_in, only_member, suggest
from tollkeeper.base.errors import InvalidRequest
from tollkeeper.http.asgi import read_body
from tollkeeper.http.encoding import JsonReader, invalid, read_custom

_MOST_PARAMETERS: Final = 100
_LONGEST_NAME: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryField:
    type: Any
    required: bool
    many: bool
    default: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    query: Mapping[str, QueryField]
    body: Any
    body_required: bool
    reader: JsonReader[Any] | None


def query_faults(known: Mapping[str, QueryField], query_string: bytes) -> Faults:
    """Return every fault of a query string, unknown names among them."""
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MOST_PARAMETERS,
        )
    except ValueError:
        return {"": ["The query string must be percent-encoded UTF-8, of a sensible length"]}
    given: dict[str, list[str]] = {}
    for name, text in pairs:
        given.setdefault(name, []).append(text)
    found: Faults = {
        name[:_LONGEST_NAME]: [f"is not known{suggest(name, [*known])}"]
        for name in given
        if name not in known
    }
    for name, field in known.items():
        found |= _faults_of(name, field, given.get(name))
    return found


def _faults_of(name: str, field: QueryField, texts: list[str] | None) -> Faults:
    if texts is None:
        return {name: [f"is required: {describe(field.type)}"]} if field.required else {}
    if len(texts) > 1 and not field.many:
        return {name: ["may be given once"]}
    value = texts if field.many else texts[0]
    return faults_in({name: value}, dict[str, field.type], read_custom, strict=False)


@cache
def inputs_of(handler: BaseRouteHandler) -> Inputs:
    """Return what a route takes, the parameters of its dependencies included."""
    fields = list(_fields_of(handler))
    body = next((field for field in fields if isinstance(field.kwarg_definition, BodyKwarg)), None)
    return Inputs(
        query={
            field.kwarg_definition.name or field.name: QueryField(
                type=field.raw,
                required=field.is_required and not field.is_optional,
                many=field.is_non_string_sequence,
                default=field.default if field.has_default else None,
            )
            for field in fields
            if isinstance(field.kwarg_definition, QueryParameter)
        },
        body=None if body is None else body.annotation,
        body_required=body is not None and body.is_required and not body.is_optional,
        reader=None if body is None else JsonReader(only_member(body.annotation)),
    )


def _fields_of(handler: BaseRouteHandler) -> Iterator[FieldDefinition]:
    dependencies = handler.resolve_dependencies()
    waiting = [handler.parsed_fn_signature]
    met: set[str] = set()
    while waiting:
        for name, field in waiting.pop().parameters.items():
            if name in dependencies and name not in met:
                met.add(name)
                waiting.append(dependencies[name].parsed_fn_signature)
            else:
                yield field


class CheckedRequest(Request[Any, Any, State]):
    """A request whose query and body were found good before its route sees them."""

    __slots__ = ("_checked_body", "_checked_value")

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._checked_body: bytes | None = None
        self._checked_value: Any = None

    async def check(self, max_body_bytes: int) -> None:
        """Read and check everything. Raises InvalidRequest with all faults, PayloadTooLarge."""
        inputs = inputs_of(self.route_handler)
        faults = query_faults(inputs.query, self.scope["query_string"])
        body = await read_body(cast("Any", self.scope), cast("Any", self.receive), max_body_bytes)
        self._checked_body = body
        if inputs.reader is not None and (body or inputs.body_required):
            try:
                self._checked_value = inputs.reader(body)
            except InvalidRequest as invalid_body:
                faults |= invalid_body.faults
        if faults:
            raise invalid(faults)

    async def body(self) -> bytes:
        return await super().body() if self._checked_body is None else self._checked_body

    async def json(self) -> Any:
        return self._checked_value
