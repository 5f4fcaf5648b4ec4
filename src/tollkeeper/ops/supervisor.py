"""Several serving processes on one address, kept at their number until told to stop."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

import structlog

# A worker that dies sooner than this has a fault that starting it again at once will not mend.
_SOON_SECONDS: Final = 5.0
_SHORTEST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 10.0
# A worker gives its calls one grace and, if the database is away, its settlements another.
_GRACES: Final = 2
_CLOSING_SECONDS: Final = 10.0

_log = structlog.stdlib.get_logger(__name__)


class WorkerFailed(Exception):
    """A worker could not start; `status` is its exit status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"A worker process could not start (exit status {status}).")
        self.status = status


class Supervisor:
    """Runs `command --socket FD --ready FD --life FD`, `workers` times.

    The three descriptors are inherited: a listening socket; a pipe on which the worker writes a
    byte once it serves; and one that closes when the supervisor is gone, however it went, on
    which the worker stops.

    The sockets stay open here, so what waits in the queue of a worker that dies is answered by
    the one that takes its place.
    """

    def __init__(
        self,
        command: Sequence[str],
        workers: int,
        listeners: Sequence[socket.socket],
        grace_seconds: int,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._command = command
        self._workers = workers
        self._listeners = listeners
        self._patience = _GRACES * grace_seconds + _CLOSING_SECONDS
        self._environment = {**os.environ, **(environment or {})}
        self._processes: set[Process] = set()
        self._serving: set[int] = set()

    async def run(
        self,
        stop: asyncio.Event,
        ready: Callable[[], object],
        died: Callable[[int], object],
    ) -> None:
        """Serve until `stop` is set; `ready` is called once, when all workers serve, and
        `died` with the process id of a worker that is to be replaced.

        Raises WorkerFailed when a worker ends before it has ever served.
        """
        life, held_by_us = os.pipe()
        tasks = {
            asyncio.create_task(self._keep(slot, life, ready, died))
            for slot in range(self._workers)
        }
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
            failed = next((task.exception() for task in tasks if task.done()), None)
            if failed is not None:
                raise failed
        finally:
            for task in tasks:
                task.cancel()
            stopping.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            # While ours are open, clients would connect, and wait for workers that take no more.
            for listener in self._listeners:
                listener.close()
            await self._end_all()
            os.close(held_by_us)
            os.close(life)

    async def _keep(
        self, slot: int, life: int, ready: Callable[[], object], died: Callable[[int], object]
    ) -> None:
        pause = 0.0
        while True:
            started = time.monotonic()
            process, serves = await self._start(slot, life)
            if serves and slot not in self._serving:
                self._serving.add(slot)
                if len(self._serving) == self._workers:
                    ready()
            status = await process.wait()
            self._processes.discard(process)
            if slot not in self._serving:
                raise WorkerFailed(status)
            died(process.pid)
            _log.warning("worker_ended", pid=process.pid, status=status)
            lived = time.monotonic() - started
            pause = (
                0.0 if lived > _SOON_SECONDS else min(pause * 2 or _SHORTEST_PAUSE, _LONGEST_PAUSE)
            )
            await asyncio.sleep(pause)

    async def _start(self, slot: int, life: int) -> tuple[Process, bool]:
        """Start a worker and wait until it serves, or has ended without."""
        ready, ready_of_worker = os.pipe()
        listener = self._listeners[slot % len(self._listeners)].fileno()
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                *("--socket", str(listener)),
                *("--ready", str(ready_of_worker)),
                *("--life", str(life)),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(listener, ready_of_worker, life),
                env=self._environment,
                # Ctrl-C in a terminal reaches every process of the group; workers hear from us.
                start_new_session=True,
            )
            self._processes.add(process)
            os.close(ready_of_worker)
            ready_of_worker = -1
            return process, await _read_byte(ready) != b""
        finally:
            os.close(ready)
            if ready_of_worker >= 0:
                os.close(ready_of_worker)

    async def _end_all(self) -> None:
        for process in self._processes:
            with suppress(ProcessLookupError):
                process.terminate()
        waits = [asyncio.create_task(process.wait()) for process in self._processes]
        if not waits:
            return
        _, late = await asyncio.wait(waits, timeout=self._patience)
        if late:
            _log.error("workers_killed", workers=len(late), waited_seconds=self._patience)
            for process in self._processes:
                with suppress(ProcessLookupError):
                    process.kill()
            await asyncio.wait(waits)


async def gone(life: int) -> None:
    """In a worker: return when the supervisor is no more."""
    await _read_byte(life)


async def _read_byte(descriptor: int) -> bytes:
    """Wait for a byte on a pipe; empty when nobody is left to write one."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(descriptor)
    return os.read(descriptor, 1)
