"""The provider that needs no network and no account: test keys always get it.

It answers as any model, in every dialect, through the interface that real providers have.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, Final, Protocol

import msgspec

from tollkeeper.base.clock import Clock, SystemClock
from tollkeeper.base.ids import uuid7
from tollkeeper.gateway import sse
from tollkeeper.gateway.dialects import forms
from tollkeeper.gateway.providers.model import Call, UpstreamBroke, UpstreamGone, UpstreamTooLarge
from tollkeeper.gateway.providers.sandbox import chat, embeddings, media, messages, responses
from tollkeeper.gateway.providers.sandbox.script import BadScript, Script
from tollkeeper.gateway.providers.sandbox.text import Heard


class Simulated(Protocol):
    """A dialect of the simulated model: each of its modules is one."""

    def hear(self, body: Any, /) -> Heard: ...
    def whole(self, heard: Any, reply_id: str, created: int) -> dict[str, Any] | bytes: ...
    def stream(self, heard: Any, reply_id: str, created: int) -> Iterator[bytes]: ...


_DIALECTS: Final[Mapping[str, Simulated]] = {
    "chat": chat,
    "responses": responses,
    "embeddings": embeddings,
    "messages": messages,
    "images": media.Pictures(),
    "speech": media.Speech(),
    "transcriptions": media.Transcription(),
}
_ERROR_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}


class SandboxReply:
    """An answer made up piece by piece, as slowly as the script says."""

    def __init__(
        self, status: int, headers: Mapping[str, str], pieces: Iterator[bytes], script: Script
    ) -> None:
        self.status = status
        self.headers = headers
        self._pieces = pieces
        self._script = script

    async def body(self, limit: int) -> bytes:
        whole = b"".join([piece async for piece in self.chunks()])
        if len(whole) > limit:
            raise UpstreamTooLarge(f"The provider's answer has more than {limit} bytes")
        return whole

    async def chunks(self) -> AsyncIterator[bytes]:
        for count, piece in enumerate(self._pieces):
            if self._script.delay:
                await asyncio.sleep(self._script.delay)
            if count == self._script.disconnect_after:
                raise UpstreamBroke("The provider broke off in the middle of its answer")
            yield piece

    async def close(self) -> None:
        self._pieces = iter(())


class SandboxProvider:
    """`new_id` names answers; `clock` dates them."""

    name = "sandbox"
    dialects = frozenset(_DIALECTS)
    cap_field = "max_completion_tokens"
    ask_usage = True
    secrets: tuple[str, ...] = ()

    def __init__(
        self, clock: Clock | None = None, new_id: Callable[[], str] = lambda: uuid7().hex
    ) -> None:
        self._clock = clock or SystemClock()
        self._new_id = new_id

    async def send(self, call: Call) -> SandboxReply:
        dialect = _simulated(call.dialect)
        try:
            heard = dialect.hear(_body_of(call))
        except BadScript as why:
            return _error(call.dialect, 400, str(why))
        script = heard.script
        if script.slow_first_byte:
            await asyncio.sleep(script.slow_first_byte)
        if script.error is not None:
            return _error(call.dialect, script.error, "The sandbox was told to fail")
        if script.disconnect_after == 0:
            raise UpstreamGone("The provider closed the connection without an answer")
        created = int(self._clock.now().timestamp())
        if heard.stream:
            events = dialect.stream(heard, self._new_id(), created)
            headers = {"content-type": "text/event-stream; charset=utf-8"}
            return SandboxReply(200, headers, _spoilt(call.dialect, events, script), script)
        made = dialect.whole(heard, self._new_id(), created)
        kind = "audio/wav" if isinstance(made, bytes) else "application/json"
        body = made if isinstance(made, bytes) else msgspec.json.encode(made)
        if script.truncate:
            body = body[: len(body) // 2]
        return SandboxReply(200, {"content-type": kind}, iter((body,)), script)


def _body_of(call: Call) -> dict[str, Any]:
    if not call.content_type.startswith("multipart/"):
        return msgspec.json.decode(call.body)
    form = forms.read(call.body, call.content_type)
    texts = {name: form.text(name) for name in form.parts if name != "file"}
    return {**texts, "file_size": form.size("file")}


def _simulated(dialect: str) -> Simulated:
    return _DIALECTS[dialect]


def _spoilt(dialect: str, events: Iterator[bytes], script: Script) -> Iterator[bytes]:
    """Stop or fail in the middle, if the script says so."""
    if not script.truncate and not script.error_mid_stream:
        return events
    whole = list(events)
    half = iter(whole[: len(whole) // 2])
    return half if script.truncate else _then_error(half, dialect)


def _then_error(events: Iterator[bytes], dialect: str) -> Iterator[bytes]:
    yield from events
    body = _error_body(dialect, 500, "The sandbox was told to fail midway")
    if dialect == "responses":
        body = {**body["error"], "type": "error", "sequence_number": 0}
    name = "error" if body.get("type") == "error" else None
    yield sse.event(msgspec.json.encode(body), name)


def _error(dialect: str, status: int, message: str) -> SandboxReply:
    headers = {"content-type": "application/json"}
    if status == 429:  # noqa: PLR2004 (the status of rate limits)
        headers["retry-after"] = "1"
    body = msgspec.json.encode(_error_body(dialect, status, message))
    return SandboxReply(status, headers, iter((body,)), Script())


def _error_body(dialect: str, status: int, message: str) -> dict[str, Any]:
    kind = _ERROR_TYPES.get(status, "server_error")
    if dialect == "messages":
        kind = _ERROR_TYPES.get(status, "api_error")
        return {"type": "error", "error": {"type": kind, "message": message}}
    return {"error": {"message": message, "type": kind, "param": None, "code": f"sandbox_{status}"}}
