"""What a plain ASGI handler needs, and nothing that costs time on the hot path.

A hot handler is `async def handle(scope, receive, send) -> None`. What stood for `{id}` in its
path is `scope["path_params"]["id"]`; for `{id:path}`, which only ends a path, that is all the rest
of it, slashes included. It may raise TollkeeperError: `Front` renders it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from contextlib import suppress
from typing import Any, Final

from tollkeeper.base.errors import PayloadTooLarge
from tollkeeper.base.ids import show_id, uuid7

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_SANE_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_JSON: Final = (b"content-type", b"application/json")
# A content-length with more digits than this is a lie whatever the limit is.
_LONGEST_LENGTH: Final = 15
# How much of a body that is refused is taken all the same, and for how long.
_MOST_DISCARDED: Final = 256 * 2**20
_DISCARD_SECONDS: Final = 10


class ClientGone(Exception):
    """The client closed the connection before its request was complete"""


def header(scope: Scope, name: bytes) -> str | None:
    """Return the first header of that lower-case name."""
    for key, value in scope["headers"]:
        if key == name:
            return value.decode("latin-1")
    return None


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """Read the whole body.

    Raises PayloadTooLarge when the declared or the received length passes `limit` bytes,
    ClientGone when the client leaves before the end.
    """
    declared = header(scope, b"content-length")
    if declared is not None and declared.isdecimal():
        told = limit + 1 if len(declared) > _LONGEST_LENGTH else int(declared)
        if told > limit:
            raise await _too_large(scope, receive, limit, more=True)
    chunks: list[bytes] = []
    length = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk = message.get("body", b"")
        length += len(chunk)
        more = message.get("more_body", False)
        if length > limit:
            raise await _too_large(scope, receive, limit, more=more)
        if not more:
            return chunk if not chunks else b"".join([*chunks, chunk])
        chunks.append(chunk)


async def _too_large(scope: Scope, receive: Receive, limit: int, *, more: bool) -> PayloadTooLarge:
    """Take the rest of the body, within reason, and make the error.

    A client that is still sending when the connection closes loses the answer it was given. One
    that asked first, whether it may send, has not begun.
    """
    if more and header(scope, b"expect") is None:
        left = _MOST_DISCARDED
        with suppress(TimeoutError):
            async with asyncio.timeout(_DISCARD_SECONDS):
                while more and left > 0:
                    message = await receive()
                    left -= len(message.get("body", b""))
                    more = message.get("more_body", False)
    return PayloadTooLarge(f"The body may have at most {limit} bytes", limit=limit)


async def wait_until_gone(receive: Receive) -> None:
    """Return when the client leaves. Only after the body was read to its end."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def respond_json(send: Send, status: int, body: bytes, headers: Headers = []) -> None:  # noqa: B006 (never changed; a None would cost a branch on every answer)
    await respond(send, status, body, [_JSON, *headers])


async def respond(send: Send, status: int, body: bytes, headers: Headers) -> None:
    length = (b"content-length", b"%d" % len(body))
    start = {"type": "http.response.start", "status": status, "headers": [*headers, length]}
    await send(start)
    await send({"type": "http.response.body", "body": body})


async def start_stream(send: Send, status: int, headers: Headers) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def send_chunk(send: Send, chunk: bytes) -> None:
    await send({"type": "http.response.body", "body": chunk, "more_body": True})


async def end_stream(send: Send) -> None:
    await send({"type": "http.response.body", "body": b""})


def request_id_of(scope: Scope) -> str:
    """Return the id of this request: the client's own when it is sane, else a new one."""
    known: str | None = scope.get("request_id")
    if known is None:
        given = header(scope, b"x-request-id")
        sane = given is not None and _SANE_REQUEST_ID.fullmatch(given) is not None
        known = given if given is not None and sane else show_id("req", uuid7())
        scope["request_id"] = known
    return known


REST_OF_PATH: Final = "{id:path}"


class HotRoutes:
    """Finds the plain ASGI handler of a method and path that has at most one `{id}`."""

    def __init__(self, routes: Iterable[tuple[str, str, App]]) -> None:
        self._handlers: dict[str, dict[str, App]] = {}
        self._id_places: set[int] = set()
        self._deep: set[str] = set()
        for method, declared, handler in routes:
            path = declared.replace(REST_OF_PATH, "{id}")
            if path != declared:
                self._deep.add(path)
            segments = path.split("/")
            if "{id}" in segments:
                self._id_places.add(segments.index("{id}"))
            methods = self._handlers.setdefault(path, {})
            if method in methods:
                raise ValueError(f"{method} {path} has two handlers")
            methods[method] = handler

    def find(self, scope: Scope) -> App | None:
        """Return the handler, having noted the path's template and its id in the scope."""
        path: str = scope["path"]
        methods = self._handlers.get(path)
        if methods is not None and (handler := methods.get(scope["method"])) is not None:
            scope["path_template"] = path
            return handler
        for template, found in self._templates(path):
            handler = self._handlers.get(template, {}).get(scope["method"])
            if handler is not None:
                scope["path_template"] = template
                scope["path_params"] = {"id": found}
                return handler
        return None

    def methods_at(self, path: str) -> set[str]:
        """Return the methods that have a hot handler at this path."""
        templates = [path, *(template for template, _ in self._templates(path))]
        return {method for template in templates for method in self._handlers.get(template, ())}

    def _templates(self, path: str) -> Iterator[tuple[str, str]]:
        segments = path.split("/")
        for place in self._id_places:
            if place < len(segments) and segments[place]:
                template = [*segments[:place], "{id}", *segments[place + 1 :]]
                yield "/".join(template), segments[place]
        for deep in self._deep:
            rest = path.removeprefix(deep.removesuffix("{id}"))
            if rest != path and all(rest.split("/")):
                yield deep, rest
