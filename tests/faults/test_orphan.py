"""A serving worker whose supervisor died while it was starting."""

from __future__ import annotations

import asyncio
import os
import sys

import aiohttp

from tollkeeper.ops.server import address_of, listen


async def test_requests_that_came_in_are_answered_and_it_ends_in_order(database_url: str) -> None:
    ready_heard, ready = os.pipe()
    life, held_by_supervisor = os.pipe()
    with listen("127.0.0.1", 0) as listener:
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tollkeeper.cli.serving", "--jobs", "0"),
            *("--socket", str(listener.fileno()), "--ready", str(ready), "--life", str(life)),
            pass_fds=(listener.fileno(), ready, life),
            env={**os.environ, "DATABASE_URL": database_url},
            stderr=asyncio.subprocess.PIPE,
        )
        for pipe in (ready_heard, ready, life):
            os.close(pipe)
        # It waits in the socket's queue until the worker serves.
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
            url = f"{address_of(listener)}/api/v1/openapi.json"
            async with session.get(url) as answer:
                assert answer.status == 200
                assert len((await answer.json())["paths"]) > 0
    os.close(held_by_supervisor)
    _, said = await asyncio.wait_for(worker.communicate(), 30)
    # A database that is slow to answer is no disorder.
    lines = [line for line in said.decode().splitlines() if "key_poll_failed" not in line]
    assert (worker.returncode, lines) == (0, [])
