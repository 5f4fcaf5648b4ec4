"""Serving, by one process or by several; and what one of several runs.

`python -m tollkeeper.cli.serving --socket FD --ready FD --life FD` is a worker of the supervisor.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress

from tollkeeper.base.settings_source import CONFIG
from tollkeeper.cli.installation import Installation, require_migrated
from tollkeeper.ops.metrics import DIRECTORY
from tollkeeper.ops.server import address_of, run, serve, spare_the_collector, stop_on_signals
from tollkeeper.ops.supervisor import Supervisor, gone


def serve_until_stopped(
    here: Installation,
    url: str,
    listeners: Sequence[socket.socket],
    ready: Callable[[], object],
    *,
    with_jobs: bool,
) -> None:
    """Answer requests until a signal stops it; `ready` is called once they are answered."""
    if here.settings.server.workers == 1:

        async def alone() -> None:
            with stop_on_signals() as stop:
                await _serve_here(here, url, listeners[0], ready, stop, with_jobs=with_jobs)

        run(alone)
        return
    with _metrics_directory() as directory:
        run(lambda: _supervise(here, listeners, ready, directory, with_jobs=with_jobs))


async def _supervise(
    here: Installation,
    listeners: Sequence[socket.socket],
    ready: Callable[[], object],
    metrics: str,
    *,
    with_jobs: bool,
) -> None:
    from tollkeeper.ops.metrics import forget_worker

    config = {CONFIG: str(here.config)} if here.config is not None else {}
    supervisor = Supervisor(
        [sys.executable, "-m", __name__, "--jobs", "1" if with_jobs else "0"],
        here.settings.server.workers,
        listeners,
        here.settings.server.shutdown_grace_seconds,
        {**here.environ, **config, DIRECTORY: metrics},
    )
    with stop_on_signals() as stop:
        await supervisor.run(stop, ready, lambda pid: forget_worker(pid, metrics))


async def _serve_here(
    here: Installation,
    url: str,
    listener: socket.socket,
    ready: Callable[[], object],
    stop: asyncio.Event,
    *,
    with_jobs: bool,
) -> None:
    from tollkeeper.app import open_app

    await require_migrated(url)
    address = address_of(listener)
    async with open_app(here.settings, url, with_jobs=with_jobs, address=address) as app:
        spare_the_collector()
        await serve(
            app.asgi,
            listener,
            stop=stop,
            grace_seconds=here.settings.server.shutdown_grace_seconds,
            ready=ready,
            drain=app.drain,
        )


@contextmanager
def _metrics_directory() -> Generator[str]:
    directory = tempfile.mkdtemp(prefix="tollkeeper-metrics-")
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


async def _work(listener: socket.socket, ready: int, life: int, *, with_jobs: bool) -> None:
    here = Installation(None, os.environ)
    with here.database_url() as url, stop_on_signals() as stop:
        watching = asyncio.create_task(gone(life))
        watching.add_done_callback(lambda _: stop.set())
        await _serve_here(here, url, listener, lambda: _announce(ready), stop, with_jobs=with_jobs)
        watching.cancel()


def _announce(ready: int) -> None:
    # A supervisor that was killed meanwhile hears nothing; requests may have come in all the
    # same, and are ended in order because its other pipe has closed too.
    with suppress(BrokenPipeError):
        os.write(ready, b"1")


def main(arguments: list[str]) -> int:
    from tollkeeper.cli.failures import report

    given = dict(zip(arguments[::2], map(int, arguments[1::2]), strict=True))
    listener = socket.socket(fileno=given["--socket"])
    try:
        run(
            lambda: _work(
                listener, given["--ready"], given["--life"], with_jobs=bool(given["--jobs"])
            )
        )
    except Exception as error:  # noqa: BLE001 (the last place where one can be told)
        return report(error)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
