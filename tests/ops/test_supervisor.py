"""Workers: as many as asked for, replaced when they die, gone when their supervisor is."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import psutil
import pytest

from tollkeeper.ops.server import AddressInUse, address_of, listen, listening
from tollkeeper.ops.supervisor import Supervisor, WorkerFailed

WORKER = Path(__file__).parent / "echo_worker.py"


class Running:
    def __init__(self, base: str, deaths: asyncio.Queue[int]) -> None:
        self.base = base
        self._deaths = deaths

    async def death_of(self, pid: int) -> None:
        assert await asyncio.wait_for(self._deaths.get(), 20) == pid

    async def ask(self, path: str = "/") -> int:
        connector = aiohttp.TCPConnector(force_close=True)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get(self.base + path) as response,
        ):
            return int(await response.text())

    async def pids(self, wanted: int) -> set[int]:
        async with asyncio.timeout(20):
            found: set[int] = set()
            while len(found) < wanted:
                found |= set(await asyncio.gather(*(self.ask() for _ in range(20))))
        return found


@asynccontextmanager
async def running(workers: int) -> AsyncGenerator[Running]:
    stop, ready, deaths = asyncio.Event(), asyncio.Event(), asyncio.Queue[int]()
    with listening("127.0.0.1", 0, workers) as listeners:
        address = address_of(listeners[0])
        command = [sys.executable, str(WORKER), "serve"]
        supervisor = Supervisor(command, workers, listeners, 5)
        task = asyncio.create_task(supervisor.run(stop, ready.set, deaths.put_nowait))
        try:
            async with asyncio.timeout(30):
                await ready.wait()
            yield Running(address, deaths)
        finally:
            stop.set()
            await task


async def test_all_workers_answer_on_one_address_and_all_end() -> None:
    async with running(3) as server:
        pids = await server.pids(3)
    assert len(pids) == 3
    assert not any(psutil.pid_exists(pid) for pid in pids)


async def test_a_killed_worker_is_replaced_and_nobody_is_refused() -> None:
    async with running(2) as server:
        victim, other = await server.pids(2)
        os.kill(victim, signal.SIGKILL)
        # What comes meanwhile is answered by the other one, or by the one that takes its place.
        meanwhile = asyncio.gather(*(server.ask() for _ in range(20)))
        await server.death_of(victim)
        assert victim not in await meanwhile
        replaced = await server.pids(2)
        assert victim not in replaced
        assert other in replaced


async def test_a_request_in_flight_is_answered_before_the_end() -> None:
    async with running(2) as server:
        slow = asyncio.create_task(server.ask("/slow"))
        await asyncio.sleep(0.3)
    assert await slow > 0


async def test_a_worker_that_cannot_start_ends_it_all_with_its_status() -> None:
    command = [sys.executable, str(WORKER), "refuse"]
    with listening("127.0.0.1", 0, 2) as listeners, pytest.raises(WorkerFailed) as failure:
        supervisor = Supervisor(command, 2, listeners, 5)
        await supervisor.run(asyncio.Event(), lambda: None, lambda _: None)
    assert failure.value.status == 4


async def test_workers_end_when_their_supervisor_is_killed() -> None:
    script = (
        "import asyncio, sys\n"
        "from tollkeeper.ops.server import listening\n"
        "from tollkeeper.ops.supervisor import Supervisor\n"
        "with listening('127.0.0.1', 0, 2) as listeners:\n"
        "    supervisor = Supervisor(sys.argv[1:], 2, listeners, 5)\n"
        "    up = lambda: print('up', flush=True)\n"
        "    asyncio.run(supervisor.run(asyncio.Event(), up, print))\n"
    )
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script, sys.executable, str(WORKER), "serve"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert parent.stdout is not None
    assert await asyncio.wait_for(parent.stdout.readline(), 30) == b"up\n"
    workers = psutil.Process(parent.pid).children()
    assert len(workers) == 2
    parent.kill()
    await parent.wait()
    _, alive = await asyncio.to_thread(psutil.wait_procs, workers, 10)
    for worker in alive:
        worker.kill()
    assert alive == []


async def test_connections_that_come_at_once_are_dealt_out() -> None:
    async with running(2) as server:
        counts = Counter(await asyncio.gather(*(server.ask("/slow") for _ in range(64))))
    assert len(counts) == 2
    assert min(counts.values()) >= 12, counts  # 32 each, and chance: fewer in one of a million


@pytest.mark.parametrize("workers", [1, 2])
def test_an_address_in_use_is_said_plainly(workers: int) -> None:
    with listening("127.0.0.1", 0, workers) as taken:
        port = taken[0].getsockname()[1]
        for wanted in (1, 2):
            said = f"Port {port} .* is in use .* --port"
            with pytest.raises(AddressInUse, match=said), listening("127.0.0.1", port, wanted):
                pass
    listen("127.0.0.1", port).close()


def test_an_address_that_is_not_ours_is_said_plainly() -> None:
    with pytest.raises(AddressInUse, match=r"Cannot listen on 203\.0\.113\.1 port 80"):
        listen("203.0.113.1", 80)
