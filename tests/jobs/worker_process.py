"""A worker in a process of its own, which tests kill: `worker_process.py URL NAME SECONDS`."""

from __future__ import annotations

import asyncio
import sys

from tollkeeper.db import Database
from tollkeeper.jobs import Handler, Pace, Task, working

WORK = Task("tests.work")
# The quickest pace at which a death is noticed and a slow machine is not.
QUICK = Pace(
    heartbeat_seconds=0.5,
    silent_seconds=3.0,
    poll_seconds=0.2,
    unknown_seconds=0.2,
    grace_seconds=0.2,
)


async def main(url: str, name: str, seconds: float) -> None:
    async with Database.open(url) as database:

        async def work(key: str) -> None:
            print(f"began {key}", flush=True)  # noqa: T201 (how the test hears of it)
            await asyncio.sleep(seconds)
            async with database.connection() as connection:
                await connection.execute(
                    "INSERT INTO audit_log (audit_id, at, who, what, why, details)"
                    " VALUES (gen_random_uuid(), now(), %s, %s, '', '{}')",
                    (name, key),
                )

        async with working(database, [Handler(WORK, work)], pace=QUICK):
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
