"""One customer's receiver that does not answer is that customer's trouble."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import uuid4

import aiohttp
from aiohttp import web
from house import House, Receiver, found_house

from tollkeeper.base.clock import MovableClock
from tollkeeper.base.ids import uuid7
from tollkeeper.db import Database
from tollkeeper.jobs import Pace, working
from tollkeeper.notifications import (
    Courier,
    Endpoint,
    create_endpoint,
    make_secret,
    notification_handlers,
)
from tollkeeper.notifications.endpoints.acts import MOST_ASKED_FOR
from tollkeeper.notifications.model import DELIVER
from tollkeeper.notifications.turns import AT_ONCE, Turns

MANY = DELIVER.queue.at_once + 8
QUICK = Pace(poll_seconds=0.1, grace_seconds=0.2)


@dataclass
class Tarpit:
    """Takes calls, and answers none before it is told to."""

    answers: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""
    now: int = 0
    most: int = 0
    answered: int = 0

    @classmethod
    @asynccontextmanager
    async def listening(cls) -> AsyncGenerator[Tarpit]:
        tarpit = cls()

        async def take(_request: web.Request) -> web.Response:
            tarpit.now += 1
            tarpit.most = max(tarpit.most, tarpit.now)
            await tarpit.answers.wait()
            tarpit.now -= 1
            tarpit.answered += 1
            return web.Response()

        app = web.Application()
        app.router.add_route("POST", "/", take)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        tarpit.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        try:
            yield tarpit
        finally:
            await runner.cleanup()


async def listen(house: House, url: str) -> None:
    new = Endpoint(
        org_id=house.org_id,
        endpoint_id=uuid7(),
        livemode=True,
        url=url,
        description="",
        types=[],
        enabled=True,
        created_at=house.clock.now(),
    )
    async with house.database.transaction() as tx:
        await create_endpoint(tx, new, make_secret(b"x" * 32))


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 (others make it true)
            await asyncio.sleep(0.02)


async def test_9_a_receiver_that_does_not_answer_holds_up_nobody_elses_messages(
    database: Database, clock: MovableClock, house: House
) -> None:
    other = await found_house(database, clock)
    async with (
        Tarpit.listening() as slow,
        Tarpit.listening() as quick,
        Courier.open(allow_private=True, timeout_seconds=90) as courier,
    ):
        quick.answers.set()
        await listen(house, slow.url)
        await listen(other, quick.url)
        for _ in range(MANY):
            await house.say()
        handlers = notification_handlers(database, clock, courier)
        async with working(database, handlers, pace=QUICK):
            await until(lambda: slow.now == AT_ONCE)
            await other.say()
            await until(lambda: quick.answered == 1)
            assert slow.most == AT_ONCE
            slow.answers.set()
            await until(lambda: slow.answered == MANY)
    assert slow.most == AT_ONCE


async def test_a_webhook_gets_so_many_tests_a_minute(
    client: aiohttp.ClientSession, clock: MovableClock, receiver: Receiver
) -> None:
    async with client.post("webhooks", json={"url": receiver.url}) as answer:
        path = f"webhooks/{(await answer.json())['id']}"
    tests = [client.post(f"{path}/test", json={}) for _ in range(MOST_ASKED_FOR + 5)]
    statuses = [answer.status for answer in await asyncio.gather(*tests)]
    assert Counter(statuses) == {202: MOST_ASKED_FOR, 429: 5}
    async with client.get(f"{path}/deliveries") as answer:
        sent = (await answer.json())["data"]
    assert len(sent) == MOST_ASKED_FOR
    again = f"{path}/deliveries/{sent[0]['id']}/redeliver"
    async with client.post(again) as answer:
        assert (answer.status, (await answer.json())["code"]) == (429, "rate_limit_exceeded")
        assert answer.headers["retry-after"] == "60"
    clock.advance(timedelta(seconds=61))
    async with client.post(again) as answer:
        assert answer.status == 202


def test_who_has_no_room_comes_back_behind_those_who_wait() -> None:
    now, org_id = 0.0, uuid4()
    turns = Turns(lambda: now)
    with turns.taken(org_id):
        with turns.taken(org_id):
            now = 15.0
        assert turns.has_room(org_id)
        waits = [turns.wait(org_id).total_seconds() for _ in range(1_000)]
    assert waits[:3] == [2, 4, 6]  # a quarter of what one takes: the mean of 15 s and of a guess
    assert waits[-1] == 600
    assert turns.wait(uuid4()).total_seconds() < 1
