"""One process that answers HTTP until it is told to stop, and then ends what it has begun."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Any, Final

import uvicorn

from tollkeeper.http.asgi import App
from tollkeeper.ops.corking import CorkedProtocol

# Longer than the clients of the usual SDKs and proxies keep idle connections (5 to 60 s), so that
# it is they who close them: a request sent into a connection just closed here would fail.
_KEEP_ALIVE_SECONDS: Final = 75
_BACKLOG: Final = 2048
# A call makes a few hundred objects, of which nearly all are gone when it ends.
_YOUNG_OBJECTS: Final = 20_000
_TELL_SECONDS: Final = 0.05
_STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class AddressInUse(Exception):
    """The address cannot be listened on; the message says why and what to do."""


def listen(host: str, port: int) -> socket.socket:
    """Take the address at once, so that two servers never share it. Raises AddressInUse."""
    return _listen(host, port, shared=False)


@contextmanager
def listening(host: str, port: int, workers: int) -> Generator[list[socket.socket]]:
    """Take the address once for each of several workers. Raises AddressInUse.

    Linux then deals out connections evenly; from one socket, whichever worker wakes first takes
    all that have come. Elsewhere one socket serves them all.
    """
    listeners = [listen(host, port)]
    if workers > 1 and sys.platform == "linux":
        port = listeners[0].getsockname()[1]
        listeners.pop().close()
        listeners += [_listen(host, port, shared=True) for _ in range(workers)]
    try:
        yield listeners
    finally:
        for listener in listeners:
            listener.close()


def _listen(host: str, port: int, *, shared: bool) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise AddressInUse(
                f"Port {port} of {host} is in use by another program. Stop it, or choose another"
                " port with --port (0 takes a free one)."
            ) from error
        reason = error.strerror or str(error)
        raise AddressInUse(f"Cannot listen on {host} port {port}: {reason}.") from error
    listener.setblocking(False)
    return listener


def address_of(listener: socket.socket) -> str:
    """Return `http://host:port` as a client on this machine reaches it."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 (compared, not bound)
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def stop_on_signals() -> Generator[asyncio.Event]:
    """Give an event that SIGTERM, SIGINT or SIGHUP sets; a second signal ends the process."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    # What was ignored before, by nohup for one, stays ignored.
    heard = [number for number in _STOP_SIGNALS if signal.getsignal(number) != signal.SIG_IGN]

    def asked() -> None:
        stop.set()
        for number in heard:
            loop.remove_signal_handler(number)

    for number in heard:
        loop.add_signal_handler(number, asked)
    try:
        yield stop
    finally:
        for number in heard:
            loop.remove_signal_handler(number)


async def serve(
    app: App,
    listener: socket.socket,
    *,
    stop: asyncio.Event,
    grace_seconds: int,
    ready: Callable[[], object],
    drain: Callable[[float], Awaitable[object]],
) -> None:
    """Answer requests until `stop` is set; `ready` is called once they are.

    Then nothing more is accepted, `drain` brings to an end what runs beside the requests, and
    what is in flight has `grace_seconds` to finish before its task is cancelled.
    """
    config = uvicorn.Config(
        app,
        http=CorkedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=grace_seconds,
    )
    # Its lines about starting and stopping are ours to say.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    server = _Server(config, ready, lambda: drain(grace_seconds))
    serving = asyncio.create_task(server.serve([listener]))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
    finally:
        stopping.cancel()


class _Server(uvicorn.Server):
    def __init__(
        self,
        config: uvicorn.Config,
        ready: Callable[[], object],
        drain: Callable[[], Awaitable[object]],
    ) -> None:
        super().__init__(config)
        self._ready = ready
        self._drain = drain

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # The listener closes before the first await in there, so nobody new meets the draining.
        closing = asyncio.create_task(super().shutdown(sockets))
        await asyncio.sleep(0)
        telling = asyncio.create_task(self._tell_connections(closing))
        await self._drain()
        await closing
        await telling

    async def _tell_connections(self, closing: asyncio.Task[None]) -> None:
        """Have every connection end after its answer, also those that are told too early.

        One that was accepted just before the listener closed is not there yet when Uvicorn tells
        them all, and would go on for as long as its client has something to ask.
        """
        while not closing.done():
            for connection in list(self.server_state.connections):
                connection.shutdown()
            await asyncio.wait({closing}, timeout=_TELL_SECONDS)

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        # Ours are set already; uvicorn would send itself the signal again before we have drained.
        yield


def run(main: Callable[[], Awaitable[Any]]) -> None:
    """Run a coroutine on the fast event loop where there is one."""

    async def until_done() -> None:
        await main()

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(until_done())


def spare_the_collector() -> None:
    """Keep what was loaded until now out of every later garbage collection.

    Modules, routes and prices are 250,000 objects that live as long as the process. Going through
    them stopped every call for 0.2 to 0.3 s, again and again under load (measured: the p99 of
    gateway calls fell from 280 to 60 ms, and a third of the CPU time was theirs).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 20, 50)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if os.name == "nt":
        return None
    import uvloop

    return uvloop.new_event_loop
