"""SIGTERM under load: what has begun is brought to its end, charged, and told."""

from __future__ import annotations

import asyncio
import json
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from books import compare, held
from load import clients, events_of
from service import Service, service

from running import Process
from standin import cost_nanos

WORKERS = 2
GRACE = 6
SETTINGS = {
    "SERVER__SHUTDOWN_GRACE_SECONDS": str(GRACE),
    "GATEWAY__TOTAL_TIMEOUT_SECONDS": "60",
    "GATEWAY__IDLE_TIMEOUT_SECONDS": "60",
    "GATEWAY__FIRST_BYTE_TIMEOUT_SECONDS": "60",
    "GATEWAY__HOLD_TTL_SECONDS": "70",
}
# Python's start and end, beside the grace.
BESIDE_SECONDS = 4


class Caller:
    """One stream of the provider's, read to its end."""

    def __init__(self, running: Service, session: aiohttp.ClientSession, **told: Any) -> None:
        self.begun = asyncio.Event()
        self._running, self._session, self._told = running, session, told

    async def stream(self) -> list[dict[str, Any]]:
        body = {
            "model": "up-chat",
            "stream": True,
            "max_tokens": 400,
            "messages": [{"role": "user", "content": json.dumps(self._told)}],
        }
        events: list[dict[str, Any]] = []
        keys = self._running.keys()
        async with self._session.post(
            f"{keys.base}/chat/completions",
            json=body,
            headers={"authorization": f"Bearer {keys.live}"},
        ) as answer:
            assert answer.status == 200, await answer.text()
            async for event in events_of(answer):
                events.append(event)
                self.begun.set()
        return events


async def _stopped_amid(
    running: Service, serving: Process, **told: Any
) -> tuple[list[list[dict[str, Any]]], int, float]:
    """Stop it while 30 streams run; return what they got, its exit status, and how long it took."""
    async with aiohttp.ClientSession() as session:
        callers = [Caller(running, session, **told) for _ in range(30)]
        streams = [asyncio.create_task(caller.stream()) for caller in callers]
        async with asyncio.timeout(20):
            await asyncio.gather(*(caller.begun.wait() for caller in callers))
        asked = time.monotonic()
        stopping = asyncio.create_task(asyncio.to_thread(serving.stop))
        await asyncio.sleep(0.5)
        with pytest.raises(aiohttp.ClientConnectorError):
            async with asyncio.timeout(0.5):
                await session.get(running.base + "/models")
        assert not stopping.done(), "nobody new waits in vain while the streams go on"
        status = await stopping
        took = time.monotonic() - asked
        return await asyncio.gather(*streams), status, took


def _records(running: Service) -> list[tuple[int, str, int]]:
    """Amount, source and status of every usage record; nothing may be held any more."""
    with running.site.books() as connection:
        assert held(connection) == (0, 0)
        rows = connection.execute("SELECT amount, source, status FROM usage_record").fetchall()
    assert running.site.run("verify").returncode == 0
    return rows


def _cost(events: list[dict[str, Any]]) -> int:
    (cost,) = {event["cost"] for event in events if "cost" in event}
    return int(Decimal(cost) * 1_000_000_000)


async def test_streams_in_flight_end_as_if_nothing_were(reachable_dir: Path) -> None:
    with service(reachable_dir, **SETTINGS) as running:
        serving = await asyncio.to_thread(running.serve, WORKERS)
        told = {"in": 10, "out": 80, "pause": 0.2}
        streams, status, took = await _stopped_amid(running, serving, **told)
        records = await asyncio.to_thread(_records, running)
    expected = cost_nanos(10, 80)
    assert [_cost(events) for events in streams] == [expected] * 30
    assert not [event for events in streams for event in events if "error" in event]
    assert records == [(expected, "provider", 200)] * 30
    assert status == 0
    assert took < GRACE + BESIDE_SECONDS


async def test_streams_longer_than_the_grace_are_cut_and_charged(reachable_dir: Path) -> None:
    with service(reachable_dir, **SETTINGS) as running:
        serving = await asyncio.to_thread(running.serve, WORKERS)
        told = {"in": 10, "out": 80, "pause": 2.0}
        streams, status, took = await _stopped_amid(running, serving, **told)
        records = await asyncio.to_thread(_records, running)
    assert status == 0
    assert took < GRACE + BESIDE_SECONDS
    assert {(source, code) for _, source, code in records} == {("partial", 200)}
    costs = [_cost(events) for events in streams]
    assert sorted(costs) == sorted(amount for amount, _, _ in records)
    assert 0 < min(costs) <= max(costs) < cost_nanos(100, 80)
    said = [[event["error"]["code"] for event in events if "error" in event] for events in streams]
    assert said == [["server_stopping"]] * 30


@pytest.mark.timeout(600)
async def test_under_load_nothing_told_is_lost_and_nothing_made_is_free(
    reachable_dir: Path,
) -> None:
    """Those who can ask again do so until it is served anew; the others are refused or answered."""
    with service(reachable_dir, **SETTINGS) as running:
        serving = await asyncio.to_thread(running.serve, WORKERS)
        async with clients(running.keys(), pause=0.005) as load:
            for _ in range(3):
                await asyncio.sleep(2)
                asked = time.monotonic()
                assert await asyncio.to_thread(serving.stop) == 0, serving.said
                assert time.monotonic() - asked < GRACE + BESIDE_SECONDS
                serving = await asyncio.to_thread(running.serve, WORKERS)
                await load.outage_since(asked)
        # Holds that their clients forgot are the only ones left; they have 5 seconds.
        await asyncio.sleep(5 + 6)
        assert await asyncio.to_thread(serving.stop) == 0
        with running.site.books() as connection:
            found = compare(connection, load.wishes)
            assert held(connection) == (0, 0)
        heard = len(running.provider.heard)
        assert (await asyncio.to_thread(running.site.run, "verify")).returncode == 0
    made = sum(wish.kind.startswith("live") and wish.settled for wish in load.wishes)
    assert load.strange == []
    assert found.unheard == 0, "whoever is charged is told so, while nobody is killed"
    assert heard == made, "a call that reached the provider was charged, and told"
    assert "stream without its end" not in load.unanswered
    assert "ClientPayloadError" not in load.unanswered, "an answer broke off in the middle"
