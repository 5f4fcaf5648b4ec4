"""Webhooks as Stripe sends them: signed, repeated until taken; or late, twice, shuffled, never."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

import aiohttp
import stripe

from fake_stripe.state import Json, State

PAUSES = (0.05, 0.2, 0.5, 1.0, 2.0)


@dataclass
class Webhooks:
    """`held` keeps events back until `deliver` is called; otherwise they are sent as they come."""

    state: State
    secret: str = "whsec_fake"
    url: str | None = None
    held: bool = False
    times: int = 1
    answers: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    _tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    def note(self, event: Json) -> None:
        if self.url is None or self.held:
            return
        for _ in range(self.times):
            task = asyncio.get_running_loop().create_task(self._insist(event))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def deliver(
        self,
        events: Iterable[Json] | None = None,
        *,
        times: int = 1,
        chance: random.Random | None = None,
        together: int = 8,
    ) -> list[int]:
        """Send events, each `times` times, shuffled by `chance`; return the statuses answered."""
        chosen = list(self.state.all("event") if events is None else events) * times
        if chance is not None:
            chance.shuffle(chosen)
        gate = asyncio.Semaphore(together)

        async def one(event: Json) -> int:
            async with gate:
                return await self.send(event)

        return list(await asyncio.gather(*(one(event) for event in chosen)))

    async def send(
        self, event: Json, *, secret: str | None = None, signed_at: int | None = None
    ) -> int:
        """Send once. Returns the status, 0 when nobody answered."""
        headers, body = self.signed(event, secret=secret, signed_at=signed_at)
        status = 0
        assert self.url is not None
        with suppress(aiohttp.ClientError, TimeoutError):
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
                session.post(self.url, data=body, headers=headers) as answer,
            ):
                status = answer.status
        self.answers.append((event["id"], status))
        return status

    def signed(
        self, event: Json, *, secret: str | None = None, signed_at: int | None = None
    ) -> tuple[dict[str, str], bytes]:
        """Headers and body as they are sent."""
        body = json.dumps(event)
        signature = stripe.WebhookSignature.generate_signature_header(
            body, secret or self.secret, signed_at or self.state.now()
        )
        return {"stripe-signature": signature, "content-type": "application/json"}, body.encode()

    async def _insist(self, event: Json) -> None:
        for pause in (*PAUSES, None):
            status = await self.send(event)
            if 200 <= status < 300 or pause is None:
                return
            await asyncio.sleep(pause)

    async def idle(self) -> None:
        """Wait until everything that is being sent has been taken, or given up."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
