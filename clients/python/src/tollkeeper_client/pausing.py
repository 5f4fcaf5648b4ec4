"""The one thing that the two clients do each in a way of its own."""

from __future__ import annotations

import asyncio
import time


async def pause_async(seconds: float) -> None:
    await asyncio.sleep(seconds)


def pause(seconds: float) -> None:
    time.sleep(seconds)
