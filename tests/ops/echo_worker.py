"""A worker for the supervisor's tests: answers with its process id, or fails as it is told.

Its behaviour is named by the first argument: `serve`, `refuse` (ends before it serves).
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from typing import Any

from tollkeeper.ops.server import run, serve, stop_on_signals
from tollkeeper.ops.supervisor import gone


async def answer(scope: Any, _receive: Any, send: Any) -> None:
    if scope["path"] == "/slow":
        await asyncio.sleep(0.7)
    body = str(os.getpid()).encode()
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def nothing(_seconds: float) -> None:
    pass


async def work(listener: socket.socket, ready: int, life: int) -> None:
    with stop_on_signals() as stop:
        watching = asyncio.create_task(gone(life))
        watching.add_done_callback(lambda _: stop.set())
        await serve(
            answer,
            listener,
            stop=stop,
            grace_seconds=5,
            ready=lambda: os.write(ready, b"1"),
            drain=nothing,
        )
        watching.cancel()


def main(behaviour: str, *options: str) -> None:
    if behaviour == "refuse":
        sys.exit(4)
    given = dict(zip(options[::2], map(int, options[1::2]), strict=True))
    listener = socket.socket(fileno=given["--socket"])
    run(lambda: work(listener, given["--ready"], given["--life"]))


if __name__ == "__main__":
    main(*sys.argv[1:])
