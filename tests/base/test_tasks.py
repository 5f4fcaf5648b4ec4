"""Tasks that are told to end do, whatever befalls them at that moment."""

from __future__ import annotations

import asyncio

from tollkeeper.base.tasks import end_tasks


async def test_a_task_that_lost_its_cancellation_is_told_again() -> None:
    failed = 0

    async def loop_on() -> None:
        nonlocal failed
        while True:
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                if failed == 2:
                    raise
                failed += 1  # as when a connection goes at that very moment

    task = asyncio.create_task(loop_on())
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await end_tasks(task, again_seconds=0.05)
    assert task.cancelled()
    assert failed == 2


async def test_what_a_task_fails_of_while_ending_is_nobodys_fault() -> None:
    async def fail() -> None:
        try:
            await asyncio.sleep(30)
        finally:
            raise OSError("gone")

    task, done = asyncio.create_task(fail()), asyncio.create_task(asyncio.sleep(0))
    await asyncio.sleep(0.01)
    await end_tasks(task, done)
    assert isinstance(task.exception(), OSError)
    await end_tasks()
