"""Clients that spend, and remember to the nano what they were told it cost.

Each wish of a client is one charge, under a name of its own, at a cost of its own. Those who can
say it again (they sent an Idempotency-Key or a request id) do so until they are answered.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import aiohttp

from standin import cost_nanos
from tollkeeper.base.ids import uuid7

# The prices of sandbox-small and of generate_sql, in nanos.
_SANDBOX_IN, _SANDBOX_OUT = 150, 600
_REQUEST = 10_000_000
_AGAIN_SECONDS = 0.2


class Unanswered(Exception):
    """Nobody knows whether it happened; `why` is a status or the name of a fault."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass
class Wish:
    """`cost` is what it should come to, `told` what the client was told it came to."""

    name: str
    cost: int
    kind: str
    again: bool
    told: int | None = None
    told_charged: bool = False
    asked_at: float = 0.0
    answered_at: float = 0.0

    @property
    def settled(self) -> bool:
        return self.told is not None or self.told_charged


@dataclass
class Keys:
    """What the clients call with: test and live, and an operator for an API of its own."""

    base: str
    sandbox: str
    live: str
    operator: str
    organization_id: str
    project_id: str


@dataclass
class Load:
    keys: Keys
    session: aiohttp.ClientSession
    wishes: list[Wish] = field(default_factory=list[Wish])
    unanswered: Counter[str] = field(default_factory=Counter[str])
    strange: list[str] = field(default_factory=list[str])
    pause: float = 0.01
    going: bool = True
    # Off towards the end: a key of a killed process is free again only after its lease.
    keyed: bool = True
    _chance: random.Random = field(default_factory=lambda: random.Random(7))  # noqa: S311 (no secret)

    # ── what clients do ───────────────────────────────────────────────────────────────────────

    async def sandbox_call(self, *, stream: bool, again: bool) -> None:
        written, delay = self._chance.randint(1, 200), 0.01 if stream else 0.05
        text = f"[[sandbox: tokens={written}, delay={delay / (written if stream else 1):.6f}]]"
        cost = -(-len(text) // 4) * _SANDBOX_IN + written * _SANDBOX_OUT
        await self._call("sandbox", self.keys.sandbox, "sandbox-small", text, cost, stream, again)

    async def live_call(self, *, stream: bool, again: bool) -> None:
        read, written = self._chance.randint(1, 20), self._chance.randint(1, 300)
        text = json.dumps({"in": read, "out": written, "pause": 0.01})
        cost = cost_nanos(read, written)
        await self._call("live", self.keys.live, "up-chat", text, cost, stream, again)

    async def _call(
        self, kind: str, key: str, model: str, text: str, cost: int, stream: bool, again: bool
    ) -> None:
        wish = self._wish(f"{kind} {'stream' if stream else 'whole'}", cost, again)
        body = {
            "model": model,
            "stream": stream,
            "max_tokens": 400,
            "messages": [{"role": "user", "content": text}],
        }
        headers = {"authorization": f"Bearer {key}", "x-request-id": wish.name}
        if again:
            headers["idempotency-key"] = wish.name

        async def attempt() -> int:
            url = f"{self.keys.base}/chat/completions"
            async with self.session.post(url, json=body, headers=headers) as answer:
                await self._check(wish, answer)
                if stream:
                    return await _cost_of_stream(answer)
                return _nanos(json.loads(await answer.read(), parse_float=Decimal)["cost"])

        await self._until_answered(wish, attempt)

    async def charge(self) -> None:
        seconds = self._chance.randint(1, 10**6)
        wish = self._wish("charge", _REQUEST + seconds, again=True)
        body = {
            **self._named,
            "sku": "generate_sql",
            "usage": {"request": 1, "second": seconds},
            "requestId": wish.name,
        }

        async def attempt() -> int:
            return _nanos((await self._meter(wish, "/charges", body))["cost"])

        await self._until_answered(wish, attempt)

    async def hold_and_settle(self) -> None:
        """A tenth of them never settle: what they hold must come back by itself."""
        seconds = self._chance.randint(1, 10**6)
        usage = {"request": 1, "second": seconds}
        wish = self._wish("hold and settle", _REQUEST + seconds, again=True)
        held = {
            **self._named,
            "sku": "generate_sql",
            "estimate": {**usage, "second": 10**6},
            "requestId": wish.name,
            "ttlSeconds": 5,
        }
        forgotten = self._chance.random() < 0.1

        async def attempt() -> int:
            placed = await self._meter(wish, "/holds", held)
            if forgotten:
                return 0
            await asyncio.sleep(0.02)
            path = f"/holds/{placed['id']}/settle"
            return _nanos((await self._meter(wish, path, {"usage": usage}))["cost"])

        if forgotten:
            wish.kind, wish.cost = "hold alone", 0
        await self._until_answered(wish, attempt)

    # ── how they do it ────────────────────────────────────────────────────────────────────────

    @property
    def _named(self) -> dict[str, str]:
        return {
            "organizationId": self.keys.organization_id,
            "projectId": self.keys.project_id,
        }

    def _wish(self, kind: str, cost: int, again: bool) -> Wish:
        wish = Wish(uuid7().hex, cost, kind, again)
        self.wishes.append(wish)
        return wish

    async def _meter(self, wish: Wish, path: str, body: Any) -> Any:
        headers = {"authorization": f"Bearer {self.keys.operator}"}
        url = f"{self.keys.base}/metering{path}"
        async with self.session.post(url, json=body, headers=headers) as answer:
            await self._check(wish, answer)
            return json.loads(await answer.read(), parse_float=Decimal)

    async def _check(self, wish: Wish, answer: aiohttp.ClientResponse) -> None:
        if answer.status in (200, 201):
            return
        said = await answer.text()
        if answer.status == 422 and "already_charged" in said:
            wish.told_charged = True
        elif answer.status not in (409, 503):
            self.strange.append(f"{wish.kind}: {answer.status} {said}")
        raise Unanswered(str(answer.status))

    async def _until_answered(self, wish: Wish, attempt: Callable[[], Awaitable[int]]) -> None:
        while True:
            wish.asked_at = time.monotonic()
            try:
                wish.told = await attempt()
            except Unanswered as fault:
                self.unanswered[fault.why] += 1
            except (aiohttp.ClientError, TimeoutError, OSError) as fault:
                self.unanswered[type(fault).__name__] += 1
            else:
                wish.answered_at = time.monotonic()
                return
            await asyncio.sleep(_AGAIN_SECONDS)
            if not wish.again or wish.told_charged:
                return

    async def _keep_on(self, act: Callable[[], Awaitable[None]], keyed: bool) -> None:
        while self.going and (self.keyed or not keyed):
            await act()
            await asyncio.sleep(self.pause)

    def clients(self) -> list[tuple[Callable[[], Awaitable[None]], bool]]:
        """Each with whether it uses Idempotency-Keys."""

        def gateway(
            call: Callable[..., Awaitable[None]], stream: bool, again: bool
        ) -> tuple[Callable[[], Awaitable[None]], bool]:
            return lambda: call(stream=stream, again=again), again

        calls = [
            gateway(call, stream, again)
            for call in (self.sandbox_call, self.live_call)
            for stream in (False, True)
            for again in (False, True)
        ]
        return [*calls, *[(self.charge, False)] * 2, *[(self.hold_and_settle, False)] * 2]

    async def outage_since(self, moment: float, seconds: float = 60) -> float:
        """Wait until something asked after that moment is answered; return how long it took."""
        async with asyncio.timeout(seconds):
            while True:
                answered = [w.answered_at for w in self.wishes if w.asked_at > moment and w.told]
                if answered:
                    return min(answered) - moment
                await asyncio.sleep(0.02)


@asynccontextmanager
async def clients(keys: Keys, pause: float = 0.01) -> AsyncGenerator[Load]:
    """Run clients until the end of the block; then each finishes its last wish."""
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        load = Load(keys, session, pause=pause)
        tasks = [asyncio.create_task(load._keep_on(act, keyed)) for act, keyed in load.clients()]
        try:
            yield load
            load.going = False
            async with asyncio.timeout(120):
                await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _cost_of_stream(answer: aiohttp.ClientResponse) -> int:
    cost: int | None = None
    async for event in events_of(answer):
        if "error" in event:
            raise Unanswered("error in a stream")
        if "cost" in event:
            cost = _nanos(event["cost"])
    if cost is None:
        raise Unanswered("stream without its end")
    return cost


async def events_of(answer: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    async for line in answer.content:
        data = line.strip().removeprefix(b"data: ")
        if line.startswith(b"data: ") and data != b"[DONE]":
            yield json.loads(data, parse_float=Decimal)


def _nanos(amount: Decimal | int) -> int:
    nanos = Decimal(amount) * 1_000_000_000
    assert nanos == int(nanos)
    return int(nanos)
