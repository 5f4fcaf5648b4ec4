"""Ending what runs beside the requests."""

from __future__ import annotations

import asyncio
from typing import Any, Final

# Longer than the driver waits for a statement that it cancels.
_AGAIN_SECONDS: Final = 6.0


async def end_tasks(*tasks: asyncio.Task[Any], again_seconds: float = _AGAIN_SECONDS) -> None:
    """Cancel tasks and wait until they have ended, however that is.

    A cancellation is lost when what it interrupts fails of something else at that moment, as a
    statement does whose connection has just gone: a loop that survives failures survives that too.
    So whoever still runs is cancelled again.
    """
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=again_seconds)
    await asyncio.gather(*tasks, return_exceptions=True)
