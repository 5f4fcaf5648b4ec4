"""The OpenAPI 3.1 document, written from what the endpoints are made of.

Every schema comes from the msgspec type that reads or writes the data, so the document cannot say
what the code does not do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, TypeVar, cast, get_args, get_origin

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.response import Response
from litestar.routes import HTTPRoute
from litestar.utils import is_class_and_subclass
from msgspec import Struct

from tollkeeper.base.errors import (
    Forbidden,
    IdempotencyKeyReused,
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
    RequestInProgress,
    TollkeeperError,
    Unauthenticated,
    Unavailable,
)
from tollkeeper.base.money import Money, MoneyIn
from tollkeeper.http.idempotency import KEY_PATTERN
from tollkeeper.http.inputs import Inputs, QueryField, inputs_of
from tollkeeper.http.problem import MEDIA_TYPE as PROBLEM_TYPE

API_KEY: Final = "apiKey"
OPERATOR_KEY: Final = "operatorKey"

G = TypeVar("G", bound=Callable[..., Any])

_REFUSALS: Final = "refusals"
_WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Problem(Struct, kw_only=True):
    """An error (RFC 9457). `error` repeats the title for clients that look for it there."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    error: str
    details: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookMessage:
    """A webhook: its `type`, when it is sent, and the type of its `data`."""

    type: str
    summary: str
    description: str
    data: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What the document says of one endpoint, declared beside its handler."""

    summary: str
    tag: str
    request: Any = None
    response: Any = None
    status: int = 200
    errors: Sequence[type[TollkeeperError]] = ()
    query: Mapping[str, QueryField] = field(default_factory=dict[str, QueryField])
    security: str | None = API_KEY
    csv: bool = False
    request_required: bool = True
    takes_idempotency_key: bool = True
    # The gateway answers errors in its providers' shapes.
    error_body: Any = Problem
    error_type: str = PROBLEM_TYPE
    # Other bodies of the successful answer, such as {"text/event-stream": str}.
    other_responses: Mapping[str, Any] = field(default_factory=dict[str, Any])
    description: str = ""
    # The webhooks that are sent to whom this endpoint registers.
    messages: Sequence[WebhookMessage] = ()


@dataclass(frozen=True, slots=True)
class Endpoint:
    method: str
    path: str
    operation: Operation


def refuses_with(*errors: type[TollkeeperError]) -> Callable[[G], G]:
    """Decorate a guard: the document has these errors at every route behind it."""

    def note(guard: G) -> G:
        vars(guard)[_REFUSALS] = errors
        return guard

    return note


def describe_routes(app: Litestar) -> Iterable[Endpoint]:
    """Yield what Litestar's own routes declare in their signatures and options."""
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        for method, (handler, _) in route.route_handler_map.items():
            if handler.resolve_include_in_schema() and method != "OPTIONS":
                yield Endpoint(method, route.path_format, _operation_of(handler))


def _operation_of(handler: HTTPRouteHandler) -> Operation:
    inputs: Inputs = inputs_of(handler)
    return Operation(
        summary=handler.summary or handler.handler_name.replace("_", " ").capitalize(),
        description=handler.description or "",
        tag=(handler.resolve_tags() or [""])[0],
        request=inputs.body,
        request_required=inputs.body_required,
        response=_body_of(handler.parsed_fn_signature.return_type.annotation),
        status=handler.status_code,
        errors=[*handler.opt.get("errors", ()), *_refusals_of(handler)],
        query=inputs.query,
        security=handler.opt.get("security", API_KEY),
        csv=handler.opt.get("csv", False),
        other_responses=handler.opt.get("other_responses", {}),
        messages=handler.opt.get("messages", ()),
    )


def _refusals_of(handler: Any) -> Iterable[type[TollkeeperError]]:
    for guard in handler.resolve_guards():
        yield from getattr(guard, _REFUSALS, ())


def _body_of(returned: Any) -> Any:
    """Return the type of the JSON body that a handler's return type tells of, None for none."""
    for member in (returned, *get_args(returned)):
        if get_origin(member) is Response:
            return get_args(member)[0]
    return None if is_class_and_subclass(returned, (Response, type(None))) else returned


def write_document(endpoints: Iterable[Endpoint], *, version: str, server: str) -> dict[str, Any]:
    listed = sorted(endpoints, key=lambda endpoint: (endpoint.path, endpoint.method))
    schemas = _Schemas(listed)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in listed:
        entry = _entry(endpoint, schemas)
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = entry
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tollkeeper",
            "version": version,
            "description": "Prepaid credits for AI APIs.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": server}],
        "paths": paths,
        "webhooks": {
            message.type: {"post": _webhook(message, endpoint.operation.tag, schemas)}
            for endpoint in listed
            for message in endpoint.operation.messages
        },
        "components": {"schemas": schemas.components, "securitySchemes": _SECURITY},
    }


_SECURITY: Final[dict[str, Any]] = {
    API_KEY: {"type": "http", "scheme": "bearer", "description": "`tk_live_…` or `tk_test_…`"},
    "xApiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    OPERATOR_KEY: {"type": "http", "scheme": "bearer", "description": "`tk_op_…`"},
}
_ALTERNATIVES: Final[dict[str | None, list[dict[str, list[str]]]]] = {
    API_KEY: [{API_KEY: []}, {"xApiKey": []}],
    OPERATOR_KEY: [{OPERATOR_KEY: []}],
    None: [],
}


class _Schemas:
    """The schemas of all types at once, so that each named type is written once."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        types = list({id(type_): type_ for type_ in _types_of(endpoints)}.values())
        found = msgspec.json.schema_components(
            types, schema_hook=_custom_schema, ref_template="#/components/schemas/{name}"
        )
        written, self.components = _with_plain_patterns(found)
        self._written = {id(type_): schema for type_, schema in zip(types, written, strict=True)}

    def of(self, type_: Any) -> dict[str, Any]:
        return self._written[id(type_)]


def _with_plain_patterns(node: Any) -> Any:
    """The end of a text is `\\Z` in Python's expressions, whose `$` lets a last line break pass."""
    if isinstance(node, dict):
        members = cast("dict[str, Any]", node)
        return {
            name: value.replace(r"\Z", "$")
            if name == "pattern" and isinstance(value, str)
            else _with_plain_patterns(value)
            for name, value in members.items()
        }
    if isinstance(node, list | tuple):
        return [_with_plain_patterns(one) for one in cast("Sequence[Any]", node)]
    return node


def _types_of(endpoints: Sequence[Endpoint]) -> Iterable[Any]:
    for endpoint in endpoints:
        operation = endpoint.operation
        yield from (query_field.type for query_field in operation.query.values())
        yield from (operation.request, operation.response, operation.error_body)
        yield from operation.other_responses.values()
        yield from (message.data for message in operation.messages)


def _custom_schema(type_: type) -> dict[str, Any]:
    if issubclass(type_, MoneyIn):
        low: dict[str, Any] = {}
        if type_.minimum is not None:
            low = {"exclusiveMinimum" if type_.minimum else "minimum": 0}
        return {
            "type": "number",
            "description": f"{type_.allowed[0].upper()}{type_.allowed[1:]}",
        } | low
    if issubclass(type_, Money):
        return {"type": "number", "description": "A plain decimal with at most 9 decimals"}
    raise TypeError(f"{type_.__name__} has no schema")


def _entry(endpoint: Endpoint, schemas: _Schemas) -> dict[str, Any]:
    operation = endpoint.operation
    entry: dict[str, Any] = {
        "operationId": operation_id(endpoint),
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": list(_parameters(endpoint, schemas)),
        "responses": _responses(endpoint, schemas),
        "security": _ALTERNATIVES[operation.security],
    }
    if operation.description:
        entry["description"] = operation.description
    if operation.request is not None:
        entry["requestBody"] = {
            "required": operation.request_required,
            "content": {"application/json": {"schema": schemas.of(operation.request)}},
        }
    return entry


def _webhook(message: WebhookMessage, tag: str, schemas: _Schemas) -> dict[str, Any]:
    members = {
        "type": {"const": message.type},
        "timestamp": {"type": "string", "format": "date-time"},
        "organizationId": {"type": "string"},
        "livemode": {"type": "boolean"},
        "data": schemas.of(message.data),
    }
    schema = {"type": "object", "properties": members, "required": [*members]}
    return {
        "operationId": f"webhook_{message.type}",
        "summary": message.summary,
        "description": message.description,
        "tags": [tag],
        "parameters": [
            {"name": name, "in": "header", "required": True, "schema": {"type": "string"}}
            for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {"2XX": {"description": "Taken; anything else is sent again later"}},
        "security": [],
    }


def operation_id(endpoint: Endpoint) -> str:
    """Name an endpoint after its method and path: `postMeteringHoldsIdSettle`."""
    words = (
        endpoint.path.removeprefix("/api/v1").replace("-", "/").replace("{", "").replace("}", "")
    )
    return endpoint.method.lower() + "".join(
        word[:1].upper() + word[1:] for word in words.replace("_", "/").split("/")
    )


def _parameters(endpoint: Endpoint, schemas: _Schemas) -> Iterable[dict[str, Any]]:
    for segment in endpoint.path.split("/"):
        if segment.startswith("{"):
            yield {
                "name": segment.strip("{}"),
                "in": "path",
                "required": True,
                "schema": {"type": "string"},
            }
    for name, query_field in endpoint.operation.query.items():
        schema = dict(schemas.of(query_field.type))
        parameter: dict[str, Any] = {"name": name, "in": "query", "required": query_field.required}
        if "description" in schema:
            parameter["description"] = schema.pop("description")
        if query_field.default is not None:
            schema["default"] = query_field.default
        yield {**parameter, "schema": schema}
    if _takes_key(endpoint):
        yield {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "The same key and body get the first answer again.",
            "schema": {"type": "string", "pattern": KEY_PATTERN},
        }


def _responses(endpoint: Endpoint, schemas: _Schemas) -> dict[str, Any]:
    operation = endpoint.operation
    responses: dict[str, Any] = {str(operation.status): _success(operation, schemas)}
    by_status: dict[int, list[type[TollkeeperError]]] = {}
    for error in (*_usual_errors(endpoint), *operation.errors):
        known = by_status.setdefault(error.status, [])
        if error not in known:
            known.append(error)
    for status, errors in sorted(by_status.items()):
        sentences = [f"`{error.code}`: {(error.__doc__ or '').strip()}" for error in errors]
        schema = schemas.of(operation.error_body)
        if operation.error_body is Problem:
            schema = _problem(status, errors, schema)
        content = {operation.error_type: {"schema": schema}}
        responses[str(status)] = {"description": ". ".join(sentences), "content": content}
    return responses


def _problem(
    status: int, errors: Iterable[type[TollkeeperError]], problem: dict[str, Any]
) -> dict[str, Any]:
    codes = list(dict.fromkeys(error.code for error in errors))
    named = {"status": {"const": status}, "code": {"enum": codes}}
    return {"allOf": [problem, {"properties": named}]}


def _success(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    response: dict[str, Any] = {"description": HTTPStatus(operation.status).phrase}
    content: dict[str, Any] = {}
    if operation.response is not None:
        content["application/json"] = {"schema": schemas.of(operation.response)}
    if operation.csv:
        content["text/csv"] = {"schema": {"type": "string"}}
    for media_type, type_ in operation.other_responses.items():
        content[media_type] = {"schema": schemas.of(type_)}
    return {**response, "content": content} if content else response


def _usual_errors(endpoint: Endpoint) -> Iterable[type[TollkeeperError]]:
    operation = endpoint.operation
    yield InvalidRequest
    if operation.security is not None:
        yield from (Unauthenticated, Forbidden)
    if "{" in endpoint.path:
        yield NotFound
    if operation.request is not None:
        yield PayloadTooLarge
    if _takes_key(endpoint):
        yield from (RequestInProgress, IdempotencyKeyReused)
    yield from (TollkeeperError, Unavailable)


def _takes_key(endpoint: Endpoint) -> bool:
    return endpoint.method in _WRITES and endpoint.operation.takes_idempotency_key
