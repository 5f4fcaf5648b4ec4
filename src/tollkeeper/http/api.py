"""Puts the endpoints together: plain ASGI first, Litestar for the rest, one manner for all.

Litestar routes authenticate in a guard, which notes for whom they act with `note_owner`. Then the
inputs are checked, then an Idempotency-Key is honoured, then the route runs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final, cast
from uuid import UUID

import structlog
from litestar import Litestar, MediaType, Router, get
from litestar.connection import ASGIConnection, Request
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.response import Response
from litestar.types import ControllerRouterHandler

from tollkeeper.base.errors import TollkeeperError
from tollkeeper.base.log import request_id
from tollkeeper.base.money import Money
from tollkeeper.http.asgi import (
    REST_OF_PATH,
    App,
    ClientGone,
    HotRoutes,
    Message,
    Receive,
    Scope,
    Send,
    end_stream,
    header,
    request_id_of,
    respond,
    start_stream,
)
from tollkeeper.http.encoding import encode_json, invalid, write_custom
from tollkeeper.http.failures import (
    HOT_ROUTES,
    answer_error,
    answer_http_exception,
    answer_unexpected,
    plain_response,
)
from tollkeeper.http.idempotency import (
    REPLAYED,
    Answer,
    Idempotency,
    Recorder,
    Run,
    hash_request,
    key_of,
    leave,
)
from tollkeeper.http.inputs import CheckedRequest, query_faults
from tollkeeper.http.openapi import (
    Endpoint,
    Operation,
    Problem,
    describe_routes,
    write_document,
)
from tollkeeper.http.problem import problem_body, problem_headers, unexpected

BASE: Final = "/api/v1"

_WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_OWNER: Final = "tollkeeper.owner"
_RUN: Final = "tollkeeper.run"
_API: Final = "tollkeeper.api"
_SLASHES: Final = re.compile(r"//+")
_PLACE: Final = re.compile(r"\{[^/]+\}")

_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class HotRoute:
    """A plain ASGI handler below `/api/v1`, and what the document says of it."""

    method: str
    path: str
    handler: App
    operation: Operation


def note_owner(connection: ASGIConnection[Any, Any, Any, Any], owner: UUID, key_id: UUID) -> None:
    """Say for whom a request acts: an organization's id, or an operator key's own."""
    cast("dict[str, Any]", connection.scope)[_OWNER] = (owner, key_id)


def run_id_of(request: Request[Any, Any, Any]) -> UUID | None:
    """Return the id that an act keeps when its request is run again; None without a key."""
    run: Run | None = cast("dict[str, Any]", request.scope).get(_RUN)
    return None if run is None else run.run_id


def make_api(
    routes: Sequence[ControllerRouterHandler],
    hot_routes: Sequence[HotRoute],
    *,
    idempotency: Idempotency,
    max_body_bytes: int,
    other_routes: Sequence[ControllerRouterHandler] = (),
    dependencies: Mapping[str, object],
    state: Mapping[str, object] | None = None,
) -> Api:
    """Make the ASGI application. `routes` and `hot_routes` lie below `/api/v1`.

    `dependencies` are what routes ask for by name, as `database: NamedDependency[Database]`.
    Litestar routes say more in `opt`: `errors` (classes they raise), `security` (None is public),
    `csv`, `shown_once` (members of the answer that an idempotent replay leaves out), and `messages`
    (the webhooks that are sent to whoever registers there).
    """

    async def before_request(request: Request[Any, Any, Any]) -> Response[bytes] | None:
        checked = cast("CheckedRequest", request)
        await checked.check(max_body_bytes)
        return await _begin_run(checked, idempotency)

    api = Router(
        BASE,
        route_handlers=[*routes, _openapi_document],
        before_request=before_request,
        request_class=CheckedRequest,
    )
    litestar = Litestar(
        route_handlers=[api, *other_routes],
        exception_handlers={
            TollkeeperError: answer_error,
            HTTPException: answer_http_exception,
            Exception: answer_unexpected,
        },
        dependencies={name: _provide(value) for name, value in dependencies.items()},
        type_encoders={Money: write_custom},
        state=State(dict(state or {})),
        openapi_config=None,
        logging_config=None,
        debug=False,
    )
    app = Api(litestar, hot_routes, idempotency)
    litestar.state[_API] = app
    litestar.state[HOT_ROUTES] = app.hot
    return app


def _provide(value: object) -> Provide:
    return Provide(lambda: value, sync_to_thread=False)


class Api:
    """The whole application: gives each request its id and each failure its shape."""

    def __init__(
        self, litestar: Litestar, hot_routes: Sequence[HotRoute], idempotency: Idempotency
    ) -> None:
        self.litestar = litestar
        self._idempotency = idempotency
        self._hot_routes = hot_routes
        # Written now, so that a route whose types cannot be described is found at the start.
        listed = self.endpoints()
        written = write_document(listed, version=version("tollkeeper"), server="/")
        self.document = encode_json(written)
        self._methods = _methods_by_path(listed)
        self.hot = HotRoutes((hot.method, BASE + hot.path, _handler_of(hot)) for hot in hot_routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._pass_on(scope, receive, send)
            return
        known = request_id_of(scope)
        request_id.set(known)
        out = _Outgoing(send, known.encode())
        if scope["method"] == "OPTIONS" and (methods := self._methods_at(scope["path"])):
            await _tell_methods(out, methods)
            return
        handler = self.hot.find(scope)
        if handler is None and ("//" in scope["path"] or scope["path"].endswith("/")):
            scope["path"] = _SLASHES.sub("/", scope["path"]).rstrip("/") or "/"
            handler = self.hot.find(scope)
        try:
            await (handler or self._run_litestar)(scope, receive, out)
        except ClientGone:
            return
        except TollkeeperError as error:
            await _send_error(out, error)
        except Exception:  # noqa: BLE001 (the last place where it can be answered)
            _log.exception("unexpected_error", method=scope["method"], path=scope["path"])
            await _send_error(out, unexpected())

    def _methods_at(self, path: str) -> set[str]:
        known = (found for place, found in self._methods if place.fullmatch(path))
        hot = self.hot.methods_at(path)
        return hot.union(*known, {"OPTIONS"} if hot else ())

    async def _run_litestar(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in _WRITES or header(scope, b"idempotency-key") is None:
            await self._pass_on(scope, receive, send)
            return
        recorder = Recorder(send)
        await self._pass_on(scope, receive, recorder)
        run: Run | None = scope.get(_RUN)
        if run is None:
            await recorder.let_go()
        else:
            shown_once = scope["route_handler"].opt.get("shown_once", ())
            await leave(self._idempotency, run, recorder, shown_once)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.litestar(cast("Any", scope), cast("Any", receive), cast("Any", send))

    def endpoints(self) -> list[Endpoint]:
        """Every endpoint that the document describes."""
        hot = (
            Endpoint(route.method, BASE + route.path.replace(REST_OF_PATH, "{id}"), route.operation)
            for route in self._hot_routes
        )
        return [*describe_routes(self.litestar), *hot]


def _methods_by_path(endpoints: Sequence[Endpoint]) -> list[tuple[re.Pattern[str], set[str]]]:
    methods: dict[str, set[str]] = {}
    for endpoint in endpoints:
        methods.setdefault(endpoint.path, {"OPTIONS"}).add(endpoint.method)
    return [(re.compile(_PLACE.sub("[^/]+", path)), found) for path, found in methods.items()]


async def _tell_methods(send: Send, methods: set[str]) -> None:
    # Litestar's own answer knows the methods of one router only, and asks some for a key.
    allow = (b"allow", ", ".join(sorted(methods)).encode())
    await start_stream(send, 204, [allow])
    await end_stream(send)


def _handler_of(hot: HotRoute) -> App:
    """Return the route's handler, guarded from unknown parameters where it speaks our language.

    What answers errors in a provider's shape also takes whatever parameters that provider takes.
    """
    operation, handler = hot.operation, hot.handler
    if operation.error_body is not Problem:
        return handler
    required = any(field.required for field in operation.query.values())

    async def checked(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["query_string"] or required:
            faults = query_faults(operation.query, scope["query_string"])
            if faults:
                raise invalid(faults)
        await handler(scope, receive, send)

    return checked


class _Outgoing:
    """Puts the request's id on the answer, and knows whether one has begun."""

    __slots__ = ("_header", "_send", "started")

    def __init__(self, send: Send, request_id: bytes) -> None:
        self._send = send
        self._header = (b"x-request-id", request_id)
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            message["headers"] = [*message["headers"], self._header]
        await self._send(message)


async def _send_error(out: _Outgoing, error: TollkeeperError) -> None:
    # After an answer has begun nothing can be said: the connection ends short of its end.
    if not out.started:
        await respond(out, error.status, problem_body(error), problem_headers(error))


@get("/openapi.json", include_in_schema=False)
async def _openapi_document(request: Request[Any, Any, State]) -> Response[bytes]:
    api: Api = request.app.state[_API]
    return Response(api.document, media_type=MediaType.JSON)


async def _begin_run(request: CheckedRequest, idempotency: Idempotency) -> Response[bytes] | None:
    """Claim the request's Idempotency-Key, or answer with what it got before."""
    scope = cast("dict[str, Any]", request.scope)
    owner: tuple[UUID, UUID] | None = scope.get(_OWNER)
    if scope["method"] not in _WRITES or owner is None:
        return None
    key = key_of(scope)
    if key is None:
        return None
    org_id, key_id = owner
    begun = await idempotency.begin(org_id, key, hash_request(scope, key_id, await request.body()))
    if isinstance(begun, Answer):
        return plain_response(begun.status, dict(begun.headers) | REPLAYED, begun.body)
    scope[_RUN] = begun
    return None
