"""A year of data: how long `tollkeeper demo` takes for a million calls, and that its books hold.

./dev bench demo [--organizations N] [--calls N]
"""

from __future__ import annotations

import argparse
import asyncio
import time
from datetime import UTC, datetime
from typing import Final

from _report import Row, show
from _stand import postgres
from tollkeeper import operator
from tollkeeper.base.clock import SystemClock
from tollkeeper.base.settings import Settings
from tollkeeper.db import Database
from tollkeeper.demo import Wish, fill

_SECONDS: Final = 120


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--organizations", type=int, default=40)
    parser.add_argument("--calls", type=int, default=1_000_000)
    options = parser.parse_args()
    wish = Wish(
        organizations=options.organizations,
        calls=options.calls,
        seed=1,
        months=12,
        until=datetime(2026, 11, 1, tzinfo=UTC),
    )
    with postgres() as server:
        began = time.perf_counter()
        made = asyncio.run(fill(Settings(), server.url, wish, SystemClock(), _told))
        took = time.perf_counter() - began
        findings = asyncio.run(_findings(server.url))
        verified = time.perf_counter() - began - took
    row: Row = {
        "organizations": made.organizations,
        "calls": made.calls,
        "seconds": took,
        "calls/s": made.calls / took,
        "verify seconds": verified,
    }
    goals = [
        ("seconds for the demo", took, f"≤ {_SECONDS} for a million calls"),
        ("findings of verify", float(findings), "0"),
    ]
    show("demo", [row], goals)


def _told(what: str, done: int, whole: int) -> None:
    print(f"\r{what}: {done:,} of {whole:,}   ", end="", flush=True)


async def _findings(url: str) -> int:
    async with Database.open(url) as database, database.connection() as connection:
        return len([finding async for finding in operator.verify(connection, SystemClock())])


if __name__ == "__main__":
    main()
