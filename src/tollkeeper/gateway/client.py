"""The way back to whoever called. Once they have left, nothing is sent and everything goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Final

from tollkeeper.http.asgi import Headers, Message, Send, respond
from tollkeeper.http.idempotency import Answer

# What is kept to be sent again under an Idempotency-Key.
MAX_KEPT_BYTES: Final = 8 * 2**20
_OK: Final = 200
_STREAM_HEADERS: Final[Headers] = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    # nginx would hold a stream back until it has a buffer full of it.
    (b"x-accel-buffering", b"no"),
]


class Client:
    """A client that takes nothing for `patience` seconds counts as one that has left."""

    def __init__(self, send: Send, *, patience: float) -> None:
        self._send = send
        self._patience = patience
        self._kept: list[bytes] | None = None
        self._kept_bytes = 0
        self._sent = 0
        self._sending = False
        self._dropped = False
        self._when_gone: Callable[[], None] | None = None
        self.gone = False
        self.begun = False
        self.finished = False

    def keep(self) -> None:
        """Keep a stream as it goes out, up to MAX_KEPT_BYTES; also after the client has left."""
        self._kept = []

    def leave(self) -> None:
        """Note that the client has left."""
        if not self.gone and not self.finished:
            self.gone = True
            if self._when_gone is not None:
                self._when_gone()

    @contextmanager
    def when_gone(self, act: Callable[[], None]) -> Generator[None]:
        """Within this block, have `act` called when the client leaves; at once if it has left."""
        self._when_gone = act
        if self.gone:
            act()
        try:
            yield
        finally:
            self._when_gone = None

    async def answer(self, status: int, body: bytes, headers: Headers) -> None:
        """Send a whole answer, unless one has begun."""
        if self.begun:
            return
        self.begun = True
        if not self.gone:
            await respond(self._send, status, body, headers)
        self.finished = True

    async def pass_on(self, chunk: bytes) -> None:
        """Send a piece of a stream, and wait until the client has room for more."""
        self._keep(chunk)
        if not self.gone:
            await self._push({"type": "http.response.body", "body": chunk, "more_body": True})

    async def finish(self, last: bytes) -> None:
        """Send the last piece of a stream, and end it."""
        if not self.gone:
            await self._push({"type": "http.response.body", "body": last})
            self.finished = True

    async def watch(self, work: asyncio.Task[None], leaving: asyncio.Task[None]) -> None:
        """Wait until the work is done or the client has left; drop one that takes nothing."""
        while True:
            before = self._sent
            done, _ = await asyncio.wait(
                (work, leaving), timeout=self._patience, return_when=asyncio.FIRST_COMPLETED
            )
            if done:
                self.leave()
                return
            if self._sending and self._sent == before:
                self.leave()
                self._dropped = True
                work.cancel()

    def kept(self, last: bytes) -> Answer | None:
        """Give the stream that was kept, with its last piece; None where it was too large."""
        self._keep(last)
        if self._kept is None:
            return None
        named = [(name.decode(), value.decode()) for name, value in _STREAM_HEADERS]
        return Answer(_OK, named, b"".join(self._kept))

    async def _push(self, message: Message) -> None:
        self._sent += 1
        self._sending = True
        try:
            if not self.begun:
                self.begun = True
                start = {"type": "http.response.start", "status": _OK, "headers": _STREAM_HEADERS}
                await self._send(start)
            await self._send(message)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._dropped or task is None or task.uncancel() > 0:
                raise
        finally:
            self._sending = self._dropped = False

    def _keep(self, chunk: bytes) -> None:
        if self._kept is None:
            return
        self._kept_bytes += len(chunk)
        if self._kept_bytes > MAX_KEPT_BYTES:
            self._kept = None
        else:
            self._kept.append(chunk)


def as_bytes(headers: Iterable[tuple[str, str]]) -> Headers:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
