"""A model provider that costs next to nothing: OpenAI's shapes, fixed answers, an optional delay.

    python bench/_upstream.py PORT DELAY_SECONDS

Answers every POST: with `"stream":true` in the body as 22 server-sent events written one by one,
else as one JSON body. Speaks just enough HTTP/1.1 for keep-alive clients.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import cast

import uvloop

_USAGE = {"prompt_tokens": 19, "completion_tokens": 20, "total_tokens": 39}
_WORDS = [f"word{n} " for n in range(20)]


def _plain() -> bytes:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "".join(_WORDS)},
        "finish_reason": "stop",
    }
    body = json.dumps(
        {
            "id": "chatcmpl-bench",
            "object": "chat.completion",
            "created": 1_760_000_000,
            "model": "bench-model",
            "choices": [choice],
            "usage": _USAGE,
        }
    ).encode()
    head = (
        f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _event(payload: bytes) -> bytes:
    data = b"data: " + payload + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(data), data)


def _chunk(**fields: object) -> bytes:
    common = {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": 1_760_000_000,
        "model": "bench-model",
    }
    return _event(json.dumps({**common, **fields}).encode())


def _choice(delta: dict[str, str], finish: str | None) -> dict[str, object]:
    return {"index": 0, "delta": delta, "finish_reason": finish}


def _deltas() -> list[bytes]:
    words = [_chunk(choices=[_choice({"content": word}, None)]) for word in _WORDS]
    end = _chunk(choices=[_choice({}, "stop")])
    usage = _chunk(choices=[], usage=_USAGE)
    return [*words, end, usage + _event(b"[DONE]") + b"0\r\n\r\n"]


_PLAIN = _plain()
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_DELTAS = _deltas()


class Upstream(asyncio.Protocol):
    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._buffer = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports write without being instances of WriteTransport.
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            head, separator, rest = self._buffer.partition(b"\r\n\r\n")
            if not separator:
                return
            length = _content_length(head)
            if len(rest) < length:
                return
            body, self._buffer = rest[:length], rest[length:]
            self._answer(stream=b'"stream":true' in body.replace(b" ", b""))

    def _answer(self, *, stream: bool) -> None:
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, self._write, stream)
        else:
            self._write(stream)

    def _write(self, stream: bool) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if not stream:
            self._transport.write(_PLAIN)
            return
        self._transport.write(_HEAD)
        self._next_delta(0)

    def _next_delta(self, place: int) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(_DELTAS[place])
        if place + 1 < len(_DELTAS):
            # Back to the loop between events, so that they leave one by one as a model's do.
            asyncio.get_running_loop().call_soon(self._next_delta, place + 1)


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


async def main(port: int, delay: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Upstream(delay), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), float(sys.argv[2])))
