"""A provider that answers as each request tells it to, in a thread of its own.

The last message of a request is JSON: `{"in": 10, "out": 5}` are the tokens it is to count,
`"pause"` the seconds between two pieces of a stream, or before a whole answer.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from serving import served
from tollkeeper.http import Receive, Scope, Send, read_body

# Prices of what it sells: 1,000 nanos for a token read and 2,000 for one written; and one whose
# every call costs a cent, so that what is held for it is what it costs.
PRICES = """\
provider: up
source: a test
checked_on: 2026-01-01
models:
  up-chat:
    context: 100000
    max_output_tokens: 4000
    prices:
      - from: always
        rates: {input: 1, output: 2}
  up-flat:
    context: 100000
    max_output_tokens: 4000
    prices:
      - from: always
        rates: {input: 0, output: 0, request: 0.01}
"""
# An operator's own API, beside it.
OWN_PRICES = """\
provider: own
source: a test
checked_on: 2026-01-01
models:
  generate_sql:
    prices:
      - from: always
        rates: {request: 0.01, second: 0.000000001}
"""
_PIECES = 8


def cost_nanos(read: int, written: int) -> int:
    return read * 1_000 + written * 2_000


@dataclass
class StandIn:
    """`heard` are the bodies that came, in their order."""

    url: str = ""
    heard: list[Any] = field(default_factory=list[Any])

    def settings(self, name: str = "UP") -> dict[str, str]:
        """What makes it a provider of a site."""
        return {
            f"PROVIDERS__{name}__KIND": "openai",
            f"PROVIDERS__{name}__BASE_URL": self.url,
            f"PROVIDERS__{name}__API_KEY": "sk-stand-in",
            f"PROVIDERS__{name}__MODELS": "up-*",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = json.loads(await read_body(scope, receive, 10_000_000))
        self.heard.append(body)
        told = {"in": 10, "out": 5, "pause": 0.0} | _told(body)
        if body.get("stream"):
            await _stream(send, told)
        else:
            await asyncio.sleep(told["pause"])
            await _whole(send, told)


def _told(body: Any) -> dict[str, Any]:
    try:
        return json.loads(body["messages"][-1]["content"])
    except ValueError:
        return {}


def _usage(told: dict[str, Any]) -> dict[str, int]:
    return {
        "prompt_tokens": told["in"],
        "completion_tokens": told["out"],
        "total_tokens": told["in"] + told["out"],
    }


async def _whole(send: Send, told: dict[str, Any]) -> None:
    message = {"role": "assistant", "content": "word " * told["out"]}
    answer = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "up-chat",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": _usage(told),
    }
    await _begin(send, b"application/json")
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})


async def _stream(send: Send, told: dict[str, Any]) -> None:
    await _begin(send, b"text/event-stream")
    pieces = min(_PIECES, told["out"])
    for number in range(pieces):
        words = told["out"] * (number + 1) // pieces - told["out"] * number // pieces
        await _event(send, {"choices": [_choice({"content": "word " * words})]})
        await asyncio.sleep(told["pause"])
    await _event(send, {"choices": [_choice({}, "stop")]})
    await _event(send, {"choices": [], "usage": _usage(told)})
    await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})


def _choice(delta: dict[str, str], finish: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish}


async def _event(send: Send, content: dict[str, Any]) -> None:
    named = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1}
    data = json.dumps({**named, "model": "up-chat", **content})
    piece = f"data: {data}\n\n".encode()
    await send({"type": "http.response.body", "body": piece, "more_body": True})


async def _begin(send: Send, content_type: bytes) -> None:
    headers = [(b"content-type", content_type)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


@contextmanager
def stand_in() -> Generator[StandIn]:
    made = StandIn()
    ready = threading.Event()
    ended: list[asyncio.Event] = []
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        ended.append(asyncio.Event())
        async with served(made) as base:
            made.url = base
            ready.set()
            await ended[0].wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="stand-in")
    thread.start()
    try:
        assert ready.wait(20)
        yield made
    finally:
        loops[0].call_soon_threadsafe(ended[0].set)
        thread.join(20)
