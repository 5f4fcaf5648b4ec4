"""A provider that does what a test tells it, over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from serving import served
from tollkeeper.http import Receive, Scope, Send, read_body


class Break(Exception):
    """Raised by a script to have the connection closed where it stands."""


@dataclass
class Heard:
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Speaker:
    """What a script answers with."""

    heard: Heard
    send: Send
    begun: bool = False

    async def whole(self, body: object, status: int = 200, **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        await self._start(status, {"content-type": "application/json", **headers})
        await self.send({"type": "http.response.body", "body": content})

    async def piece(self, data: bytes) -> None:
        if not self.begun:
            await self._start(200, {"content-type": "text/event-stream"})
        await self.send({"type": "http.response.body", "body": data, "more_body": True})

    async def event(self, data: object, name: str | None = None) -> None:
        head = b"" if name is None else f"event: {name}\n".encode()
        text = data if isinstance(data, str) else json.dumps(data)
        await self.piece(head + f"data: {text}\n\n".encode())

    async def end(self) -> None:
        await self.send({"type": "http.response.body", "body": b""})

    async def _start(self, status: int, headers: dict[str, str]) -> None:
        self.begun = True
        named = [
            (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()
        ]
        await self.send({"type": "http.response.start", "status": status, "headers": named})


Script = Callable[[Speaker], Awaitable[None]]


@dataclass
class Upstream:
    """`script` answers every request; `heard` are those that came."""

    base_url: str = ""
    script: Script | None = None
    heard: list[Heard] = field(default_factory=list[Heard])
    finished: int = 0

    @property
    def last(self) -> Any:
        return self.heard[-1].body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = await read_body(scope, receive, 100_000_000)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        is_json = headers.get("content-type", "").startswith("application/json")
        heard = Heard(scope["path"], headers, json.loads(raw) if is_json else raw)
        self.heard.append(heard)
        assert self.script is not None, "the test expected no call upstream"
        await self.script(Speaker(heard, send))
        self.finished += 1


@asynccontextmanager
async def upstream_served() -> AsyncGenerator[Upstream]:
    upstream = Upstream()
    async with served(upstream) as base:
        upstream.base_url = base
        yield upstream


# ── what an OpenAI-compatible provider answers ────────────────────────────────────────────────────


def usage(prompt: int = 10, completion: int = 5, **more: Any) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        **more,
    }


def completion(text: str = "Hello there", **more: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-up-2026-01-01",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": "stop",
            }
        ],
        "usage": usage(),
        **more,
    }


def chunk(text: str | None = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    delta = {} if text is None else {"content": text}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-up-2026-01-01",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        **more,
    }


def answers(body: object, status: int = 200, **headers: str) -> Script:
    async def script(speaker: Speaker) -> None:
        await speaker.whole(body, status, **headers)

    return script


def streams(
    *texts: str,
    with_usage: dict[str, Any] | None = None,
    pause: float = 0.0,
    done: bool = True,
    finish: bool = True,
) -> Script:
    """Stream these texts as a chat completion, with this usage at the end if there is one."""

    async def script(speaker: Speaker) -> None:
        for text in texts:
            await speaker.event(chunk(text))
            if pause:
                await asyncio.sleep(pause)
        if finish:
            await speaker.event(chunk(finish="stop"))
        if with_usage is not None:
            await speaker.event(chunk(usage=with_usage) | {"choices": []})
        if done:
            await speaker.event("[DONE]")
        await speaker.end()

    return script


# ── what Anthropic answers ────────────────────────────────────────────────────────────────────────


def message(text: str = "Hello there", **more: Any) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-up",
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 5},
        **more,
    }


def message_streams(*texts: str, pause: float = 0.0, stop: bool = True) -> Script:
    async def script(speaker: Speaker) -> None:
        begin = message() | {"content": [], "usage": {"input_tokens": 10, "output_tokens": 1}}
        await speaker.event({"type": "message_start", "message": begin}, "message_start")
        block = {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "text", "text": ""},
        }
        await speaker.event(block, "content_block_start")
        for text in texts:
            delta = {"type": "text_delta", "text": text}
            event = {"type": "content_block_delta", "index": 0, "delta": delta}
            await speaker.event(event, "content_block_delta")
            if pause:
                await asyncio.sleep(pause)
        if stop:
            await speaker.event({"type": "content_block_stop", "index": 0}, "content_block_stop")
            delta = {"stop_reason": "end_turn", "stop_sequence": None}
            last = {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 5}}
            await speaker.event(last, "message_delta")
            await speaker.event({"type": "message_stop"}, "message_stop")
        await speaker.end()

    return script
