"""A process with a KeyRing: says when a key is admitted first, and when it is refused."""

from __future__ import annotations

import asyncio
import sys
import time

from tollkeeper.base.clock import SystemClock
from tollkeeper.base.errors import Unauthenticated
from tollkeeper.db import Database
from tollkeeper.orgs import KeyRing


async def main(url: str, secret: str) -> None:
    async with Database.open(url) as database, KeyRing.open(database, SystemClock()) as ring:
        await asyncio.sleep(0.5)
        await ring.authenticate(secret)
        say("admitted")
        while True:
            try:
                await ring.authenticate(secret)
            except Unauthenticated:
                say(f"refused {time.time()}")
                return
            await asyncio.sleep(0.001)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


asyncio.run(main(sys.argv[1], sys.argv[2]))
