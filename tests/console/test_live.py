"""What a page hears without asking: of whom, how soon, and until when."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from browsing import Browser, browser, signed_in

from tollkeeper.base.clock import MovableClock
from tollkeeper.base.errors import RateLimited
from tollkeeper.base.ids import uuid7
from tollkeeper.console.live import Live, News, Owner, State
from tollkeeper.console.model import Session
from tollkeeper.orgs import Role
from whole import Customer, Whole, whole_served

SOON = 5


class Ear:
    """Reads the stream of one page."""

    def __init__(self, content: Any) -> None:
        self._content = content
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.ended = False

    async def next(self, name: str) -> dict[str, Any]:
        """Return the next event of that name."""
        async with asyncio.timeout(SOON):
            while True:
                found = await self.read()
                assert found is not None, "the stream has ended"
                if found[0] == name:
                    return found[1]

    async def read(self) -> tuple[str, dict[str, Any]] | None:
        name = ""
        while line := (await self._content.readline()).decode():
            if line.startswith("event: "):
                name = line[7:].strip()
            if line.startswith("data: "):
                found = (name, json.loads(line[6:]))
                self.heard.append(found)
                return found
        self.ended = True
        return None


@asynccontextmanager
async def listening(one: Browser) -> AsyncGenerator[Ear]:
    async with one.session.get(one.base + "/console/live") as answer:
        assert answer.status == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Ear(answer.content)


async def call(whole: Whole, customer: Customer, mode: str = "test") -> str:
    body = {"model": "sandbox-small", "messages": [{"role": "user", "content": "hello"}]}
    answer = await whole.ask("POST", "/chat/completions", customer.keys[f"{mode} INFERENCE"], body)
    assert answer.status == 200, answer.text
    return answer.headers["x-tollkeeper-balance"]


async def test_a_call_is_heard_of_by_its_own_organization_only(
    whole: Whole, customer: Customer
) -> None:
    other = await whole.customer()
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        one = await enter(listening(await enter(signed_in(whole, customer, "billing"))))
        member = await enter(listening(await enter(signed_in(whole, customer, "member"))))
        live = await enter(listening(await enter(signed_in(whole, customer, livemode=True))))
        stranger = await enter(listening(await enter(signed_in(whole, other))))
        ears = (one, member, live, stranger)
        before = [await ear.next("usage") for ear in ears]
        assert {said["records"] for said in before} == {0}
        said = await one.next("purchase")
        left = await call(whole, customer)
        called = time.monotonic()
        while (said := await one.next("balance"))["available"] != left:
            assert float(said["held"]) > 0  # seen while the call ran
        assert time.monotonic() - called < SOON
        assert (said["state"], said["held"], said["currency"]) == ("healthy", "0", "USD")
        assert said["shown"] == "$10.00"  # to the cent; exactly on hover
        assert (await member.next("usage"))["records"] == 1
        # What has changed of theirs comes; nothing of the other's came before it.
        await call(whole, other)
        assert (await stranger.next("usage"))["records"] == 1
        names = {name for name, _ in member.heard}
        assert names == {"usage"}
        assert "$" not in json.dumps(member.heard)
        assert len([name for name, _ in stranger.heard if name == "usage"]) == 2
        assert [name for name, _ in live.heard] == ["balance", "usage"]


async def test_buying_is_heard_of(whole: Whole, customer: Customer) -> None:
    admin = customer.keys["test ADMIN"]
    async with signed_in(whole, customer) as one, listening(one) as ear:
        await ear.next("purchase")
        body = {"enabled": False, "threshold": 5, "amount": 10, "monthlyCap": 100}
        saved = await whole.ask("PUT", "/billing/auto-top-up", admin, body)
        assert saved.status == 200, saved.text
        await ear.next("top_up")
        bought = await whole.ask(
            "POST", "/billing/purchases", admin, {"amount": 5, "checkout": "hosted"}
        )
        assert bought.status == 201, bought.text
        await ear.next("purchase")


async def test_pages_know_how_things_stand(whole: Whole, customer: Customer) -> None:
    """What the stream says at first has the marks that the page was written with."""
    async with signed_in(whole, customer) as one, signed_in(whole, customer, "member") as member:
        page = (await one.open("/console/usage")).text
        assert "data-live-balance" in page
        assert ">$10.00</span>" in page
        marks = page.split('data-live="')[1].split('"')[0]
        async with listening(one) as ear:
            for name in ("balance", "usage", "top_up", "purchase"):
                mark = (await ear.next(name))["mark"]
                assert f"{name}={mark.replace(' ', '%20')}&" in marks
        page = (await member.open("/console/usage")).text
        assert "data-live-balance" not in page
        assert 'data-live="usage=0&"' in page


async def test_nobody_hears_without_a_session(whole: Whole) -> None:
    async with browser(whole) as one:
        assert (await one.open("/console/live")).status == 401


async def test_stopping_waits_for_no_page(database_url: str) -> None:
    async with AsyncExitStack() as stack:
        served = whole_served(database_url)
        whole = await served.__aenter__()
        customer = await whole.customer()
        one = await stack.enter_async_context(signed_in(whole, customer))
        ears = [await stack.enter_async_context(listening(one)) for _ in range(3)]
        for ear in ears:
            await ear.next("usage")
        began = time.monotonic()
        await served.__aexit__(None, None, None)
        took = time.monotonic() - began
        for ear in ears:
            while await ear.read() is not None:
                pass
        assert all(ear.ended for ear in ears)
    # The grace is two seconds: whoever does not end of themselves takes all of it.
    assert took < 1.8, took


def session_of(role: Role = Role.OWNER, **known: Any) -> Session:
    now = datetime.now(UTC)
    return Session(
        org_id=known.get("org_id", uuid7()),
        session_id=uuid7(),
        secret_hash=b"",
        previous_hash=None,
        role=role,
        livemode=True,
        rotated_at=now,
        expires_at=now + timedelta(hours=1),
        organization="Acme",
        member=None,
        member_id=None,
    )


class Looks:
    """Counts who is looked at, and says how things stand."""

    def __init__(self) -> None:
        self.asked: list[set[Owner]] = []
        self.mark = 0
        self.failing = False

    async def __call__(self, owners: Any) -> dict[Owner, State]:
        self.asked.append(set(owners))
        if self.failing:
            raise ConnectionError("gone")
        state = {
            "usage": News(mark=str(self.mark), money=False),
            "balance": News(mark=str(self.mark), money=True),
        }
        return dict.fromkeys(owners, state)


async def stays(session: Session) -> Session:
    return session


async def test_fifty_pages_cost_one_look() -> None:
    looks = Looks()
    live = Live(looks, every=0.02)
    session = session_of()
    others = [replace(session, session_id=uuid7()) for _ in range(49)]
    streams = [live.events(one, stays) for one in (session, *others)]
    for stream in streams:
        assert await anext(stream) == b"retry: 2000\n\n"
    first = await asyncio.gather(*(anext(stream) for stream in streams))
    assert live.listening == 50
    assert all(said.count(b"event: ") == 2 for said in first)
    assert len(looks.asked) == 1
    assert looks.asked[0] == {(session.org_id, True)}
    looks.mark = 7
    again = await asyncio.gather(*(anext(stream) for stream in streams))
    assert all(b'"mark":"7"' in said for said in again)
    assert len(looks.asked) <= 4
    for stream in streams:
        await stream.aclose()
    assert live.listening == 0
    await asyncio.sleep(0.2)
    done = len(looks.asked)
    await asyncio.sleep(0.2)
    assert len(looks.asked) == done, "nobody looks, and still it was asked"
    await live.close()


async def test_who_reads_slowly_gets_the_newest_and_outages_end() -> None:
    looks = Looks()
    live = Live(looks, every=0.01)
    stream = live.events(session_of(Role.MEMBER), stays)
    await anext(stream)
    first = await anext(stream)
    assert first.count(b"event: ") == 1  # of money a member hears nothing
    for _ in range(5):
        looks.mark += 1
        await asyncio.sleep(0.1)
    assert (await anext(stream)).count(b"event: ") == 1
    looks.failing = True
    looks.mark = 99
    await asyncio.sleep(0.1)
    looks.failing = False
    assert b'"mark":"99"' in await anext(stream)
    await live.close()
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
        await anext(stream)


async def test_a_stream_ends_with_its_session() -> None:
    live = Live(Looks(), every=0.01, heartbeat=0.02, recheck=0.05)
    known: list[Session | None] = []

    async def check(session: Session) -> Session | None:
        return known[0] if known else session

    async def until_end(stream: AsyncGenerator[bytes]) -> list[bytes]:
        async with asyncio.timeout(SOON):
            return [said async for said in stream]

    session = session_of()
    for later in (None, replace(session, role=Role.MEMBER)):
        known.clear()
        stream = live.events(session, check)
        beats = [await anext(stream) for _ in range(8)]
        assert beats[-1] == b": \n\n"
        known.append(later)
        assert await until_end(stream) is not None
        assert live.listening == 0
    await live.close()


async def test_a_session_has_no_end_of_pages() -> None:
    live = Live(Looks())
    session = session_of()
    streams = [live.events(session, stays) for _ in range(24)]
    for stream in streams:
        live.check_room(session)
        await anext(stream)
        await anext(stream)
    with pytest.raises(RateLimited):
        live.check_room(session)
    live.check_room(replace(session, session_id=uuid7()))
    for stream in streams:
        await stream.aclose()
    live.check_room(session)
    await live.close()


async def test_a_stream_carries_the_new_secret_of_its_session(
    whole: Whole, customer: Customer, clock: MovableClock
) -> None:
    async with signed_in(whole, customer) as one:
        clock.advance(timedelta(minutes=31))
        async with one.session.get(one.base + "/console/live") as answer:
            assert "tollkeeper_console=" in answer.headers["set-cookie"]
        clock.advance(timedelta(minutes=2))
        assert (await one.open("/console/usage")).status == 200
