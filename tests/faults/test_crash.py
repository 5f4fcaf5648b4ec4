"""Whoever is killed, and whenever: what a client was told it paid is in the books once, exactly.

Twenty rounds under load. In each, one of those who make it run is killed with SIGKILL: a serving
worker, the supervisor, the supervisor with all its workers, the background worker, the
postmaster. What does not start again by itself is started again, as systemd would.

For longer runs: CRASH_ROUNDS=200 CRASH_SECONDS=5.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest
from books import compare, expiry_delay, held
from load import Load, clients
from service import Service, kill_a_worker, kill_all, service

from running import Process

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "20"))
SECONDS = float(os.environ.get("CRASH_SECONDS", "1"))
WORKERS = 2
# The lease of an Idempotency-Key outlives a killed process by its longest call and a minute.
LEASE_SECONDS = 65.0
# A job looks every 5 s, whoever runs it may just have been killed, and a machine can be slow.
LATEST_EXPIRY_SECONDS = 40.0
KINDS = ("a worker", "the supervisor", "all that serves", "the background worker", "postgres")


class Victims:
    """Kills in turn, and starts again what nobody else does."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.serving: Process = service.serve(WORKERS, "--no-jobs")
        self.working: Process = service.work()

    def kill(self, number: int) -> float:
        """Return the moment of death."""
        kind = KINDS[number % len(KINDS)]
        self._service.site.note_children()
        if kind == "a worker":
            kill_a_worker(self.serving, number)
        elif kind == "the supervisor":
            self.serving.kill()
        elif kind == "all that serves":
            kill_all(self.serving)
        elif kind == "the background worker":
            self.working.kill()
        else:
            self._service.kill_postmaster()
        died = time.monotonic()
        if not self.serving.is_alive:
            self.serving = self._service.serve(WORKERS, "--no-jobs")
        if not self.working.is_alive:
            self.working = self._service.work()
        return died

    def stop(self) -> list[int]:
        return [self.serving.stop(), self.working.stop()]


@pytest.mark.timeout(0 if ROUNDS > 20 else 900)
async def test_nothing_is_lost_and_nothing_charged_twice(reachable_dir: Path) -> None:
    with service(reachable_dir) as running:
        victims = await asyncio.to_thread(Victims, running)
        async with clients(running.keys()) as load:
            outages = await _rounds(victims, load)
        await _until_nothing_is_held(running)
        statuses = await asyncio.to_thread(victims.stop)
        verified = await asyncio.to_thread(running.site.run, "verify")
        with running.site.books() as connection:
            found = compare(connection, load.wishes)
            expired, latest = expiry_delay(connection)
    _tell(load, found, outages, expired, latest)
    assert load.strange == []
    assert statuses == [0, 0]
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert latest < LATEST_EXPIRY_SECONDS
    never = [wish for wish in load.wishes if wish.again and not wish.settled]
    assert never == [], "whoever asks again is answered at last"
    assert min(len(outages), found.kept, found.unheard + found.nothing) > 0


async def _rounds(victims: Victims, load: Load) -> list[tuple[str, float]]:
    outages: list[tuple[str, float]] = []
    begun = time.monotonic()
    each = SECONDS
    for number in range(ROUNDS):
        await asyncio.sleep(each)
        died = await asyncio.to_thread(victims.kill, number)
        outage = await load.outage_since(died)
        outages.append((KINDS[number % len(KINDS)], outage))
        # Keys that are taken when the last round is over would be waited for.
        spent = (time.monotonic() - begun) / (number + 1)
        load.keyed = load.keyed and spent * (ROUNDS - number - 1) > LEASE_SECONDS - 30
    await asyncio.sleep(each)
    return outages


async def _until_nothing_is_held(running: Service) -> None:
    def look() -> tuple[int, int]:
        with running.site.books() as connection:
            return held(connection)

    async with asyncio.timeout(LATEST_EXPIRY_SECONDS + 7):
        while await asyncio.to_thread(look) != (0, 0):  # noqa: ASYNC110 (another process's doing)
            await asyncio.sleep(0.5)


def _tell(
    load: Load, found: object, outages: list[tuple[str, float]], expired: int, latest: float
) -> None:
    print(f"\n{len(load.wishes)} wishes: {found}; unanswered attempts: {dict(load.unanswered)}")  # noqa: T201 (shown with -s)
    print(f"{expired} holds expired, at most {latest:.1f} s after their time")  # noqa: T201 (shown with -s)
    for kind in KINDS:
        longest = max((took for name, took in outages if name == kind), default=0.0)
        print(f"{kind} killed: answered again after at most {longest:.2f} s")  # noqa: T201 (shown with -s)
