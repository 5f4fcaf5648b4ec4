"""Webhooks to a real receiver, which checks them with the library that receivers use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import aiohttp
import pytest
from aiohttp import web
from house import LOW, House, Receiver
from standardwebhooks import Webhook, WebhookVerificationError

from tollkeeper.base.ids import uuid7
from tollkeeper.notifications import Courier, notification_handlers
from tollkeeper.notifications.delivery import LONG_FAILURE, PAUSES

Work = Callable[[], Awaitable[int]]


@pytest.fixture
def work(house: House, courier: Courier) -> Work:
    by = {
        handler.task.name: handler.run
        for handler in notification_handlers(house.database, house.clock, courier)
    }

    async def run() -> int:
        """Do the jobs that wait now, not those that they add."""
        jobs = await house.jobs()
        for name, arguments in jobs:
            await by[name](**arguments)
        return len(jobs)

    return run


async def add(client: aiohttp.ClientSession, url: str, **more: Any) -> dict[str, Any]:
    async with client.post("webhooks", json={"url": url, **more}) as answer:
        assert answer.status == 201, await answer.text()
        return await answer.json()


async def ask(client: aiohttp.ClientSession, method: str, path: str, **more: Any) -> Any:
    async with client.request(method, path, **more) as answer:
        assert answer.status < 300, await answer.text()
        return await answer.json() if answer.status != 204 else None


async def deliveries(client: aiohttp.ClientSession, hook: dict[str, Any]) -> list[dict[str, Any]]:
    return (await ask(client, "GET", f"webhooks/{hook['id']}/deliveries"))["data"]


async def test_4_a_webhook_is_signed_so_that_the_library_accepts_it(
    client: aiohttp.ClientSession, house: House, receiver: Receiver, work: Work
) -> None:
    hook = await add(client, receiver.url)
    assert hook["secret"].startswith("whsec_")
    notice_id = await house.say()
    await work()
    await work()
    ((headers, body),) = receiver.got
    message = Webhook(hook["secret"]).verify(body, headers)
    assert message["type"] == "credit_balance_low"
    assert message["data"] == {
        "walletId": "wal_1",
        "available": 4.5,
        "threshold": 5,
        "currency": "USD",
    }
    assert b'"available":4.5,' in body
    assert headers["webhook-id"] == f"msg_{notice_id.hex}"
    with pytest.raises(WebhookVerificationError):
        Webhook(hook["secret"]).verify(body.replace(b"4.5", b"9.5"), headers)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "A" * 43 + "=").verify(body, headers)
    (shown,) = await deliveries(client, hook)
    assert (shown["status"], shown["attempts"], shown["responseStatus"]) == ("delivered", 1, 200)
    assert shown["payload"].encode() == body


async def test_what_was_answered_is_kept_as_far_as_it_came(
    client: aiohttp.ClientSession, house: House, receiver: Receiver, work: Work
) -> None:
    said = "<b>No such route</b>\0" + "x" * 5_000
    receiver.answer = lambda: web.Response(status=404, text=said)
    hook = await add(client, receiver.url)
    await house.say()
    await work()
    await work()
    (shown,) = await deliveries(client, hook)
    assert shown["responseBody"] == said.replace("\0", "\N{REPLACEMENT CHARACTER}")[:2_000]
    assert "accept-encoding" in receiver.got[0][0]
    over = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b"taken"
        await over.wait()

    receiver.answer = lambda: web.Response(body=slowly())
    house.clock.advance(PAUSES[0])
    await work()
    over.set()
    (shown,) = await deliveries(client, hook)
    assert (shown["status"], shown["responseBody"]) == ("delivered", "taken")


async def test_2_only_chosen_types_are_sent(
    client: aiohttp.ClientSession, house: House, receiver: Receiver, work: Work
) -> None:
    await add(client, receiver.url, types=["dispute_opened"])
    await house.say()
    assert [await work(), await work()] == [1, 0]
    assert receiver.got == []


async def test_4_while_a_secret_is_exchanged_both_sign(
    client: aiohttp.ClientSession, house: House, receiver: Receiver, work: Work
) -> None:
    hook = await add(client, receiver.url)
    new = await ask(client, "POST", f"webhooks/{hook['id']}/rotate-secret")
    await house.say()
    await work()
    await work()
    ((headers, body),) = receiver.got
    Webhook(hook["secret"]).verify(body, headers)
    Webhook(new["secret"]).verify(body, headers)
    house.clock.advance(timedelta(hours=25))
    await ask(client, "POST", f"webhooks/{hook['id']}/test", json={})
    await work()
    headers, body = receiver.got[-1]
    assert len(headers["webhook-signature"].split()) == 1


async def test_4_a_secret_that_is_exchanged_again_signs_for_its_day(
    client: aiohttp.ClientSession, house: House, receiver: Receiver, work: Work
) -> None:
    hook = await add(client, receiver.url)
    path, secrets = f"webhooks/{hook['id']}", [hook["secret"]]
    for _ in range(9):
        house.clock.advance(timedelta(hours=2))
        secrets.append((await ask(client, "POST", f"{path}/rotate-secret"))["secret"])
    for hours, signing in ((0, secrets[1:]), (23, secrets[1:]), (1, secrets[-1:])):
        house.clock.advance(timedelta(hours=hours))
        await ask(client, "POST", f"{path}/test", json={})
        await work()
        headers, body = receiver.got[-1]
        at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
        assert headers["webhook-signature"].split() == [
            Webhook(secret).sign(headers["webhook-id"], at, body.decode())
            for secret in reversed(signing)
        ]


async def test_5_failures_are_tried_for_three_days_then_the_webhook_is_switched_off(
    client: aiohttp.ClientSession, house: House, receiver: Receiver, work: Work
) -> None:
    receiver.answer = lambda: web.Response(status=500)
    hook = await add(client, receiver.url)
    await house.say()
    await work()
    for pause in PAUSES:
        assert await work() == 1
        (shown,) = await deliveries(client, hook)
        assert shown["status"] == "pending"
        assert shown["failure"] == "answered 500"
        house.clock.advance(pause)
    assert await work() == 1
    (shown,) = await deliveries(client, hook)
    assert (shown["status"], shown["attempts"]) == ("failed", len(PAUSES) + 1)
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    assert timedelta(days=2, hours=22) < LONG_FAILURE < timedelta(days=3)
    off = await ask(client, "GET", f"webhooks/{hook['id']}")
    assert not off["enabled"]
    notices = (await ask(client, "GET", "notifications"))["data"]
    assert notices[0]["type"] == "webhook_endpoint_disabled"
    async with client.post(f"webhooks/{hook['id']}/test", json={}) as refused:
        assert refused.status == 409
        assert (await refused.json())["code"] == "webhook_disabled"
    on = await ask(client, "PATCH", f"webhooks/{hook['id']}", json={"enabled": True})
    assert (on["enabled"], on["disabledReason"], on["failingSince"]) == (True, None, None)


async def test_5_a_success_meanwhile_keeps_the_webhook_on(
    client: aiohttp.ClientSession, house: House, receiver: Receiver, work: Work
) -> None:
    receiver.answer = lambda: web.Response(status=500)
    hook = await add(client, receiver.url)
    await house.say()
    await work()
    for number, pause in enumerate(PAUSES):
        await work()
        house.clock.advance(pause)
        if number == 5:
            waiting = await house.jobs()
            receiver.answer = web.Response
            await ask(client, "POST", f"webhooks/{hook['id']}/test", json={})
            await work()
            receiver.answer = lambda: web.Response(status=500)
            await put_back(house, waiting)
    await work()
    assert {shown["status"] for shown in await deliveries(client, hook)} == {"failed", "delivered"}
    assert (await ask(client, "GET", f"webhooks/{hook['id']}"))["enabled"]


async def put_back(house: House, jobs: list[tuple[str, dict[str, Any]]]) -> None:
    from tollkeeper.jobs import Task, enqueue

    async with house.database.transaction() as tx:
        for name, arguments in jobs:
            await enqueue(tx, Task(name), **arguments)


async def test_5_gone_switches_off_at_once(
    client: aiohttp.ClientSession, house: House, receiver: Receiver, work: Work
) -> None:
    receiver.answer = lambda: web.Response(status=410)
    hook = await add(client, receiver.url)
    await house.say()
    await work()
    await work()
    assert not (await ask(client, "GET", f"webhooks/{hook['id']}"))["enabled"]


async def test_6_redirects_are_not_followed(
    client: aiohttp.ClientSession, house: House, receiver: Receiver, work: Work
) -> None:
    inside = f"{receiver.url}/inside"
    receiver.answer = lambda: web.Response(status=302, headers={"location": inside})
    hook = await add(client, receiver.url)
    await house.say()
    await work()
    await work()
    assert len(receiver.got) == 1
    (shown,) = await deliveries(client, hook)
    assert shown["failure"] == "answered 302"


async def test_6_what_was_saved_while_allowed_is_not_called_when_it_is_not(
    client: aiohttp.ClientSession, house: House, receiver: Receiver
) -> None:
    hook = await add(client, receiver.url)
    await house.say()
    async with Courier.open() as strict:
        made = notification_handlers(house.database, house.clock, strict)
        by = {handler.task.name: handler.run for handler in made}
        for _ in range(2):
            for name, arguments in await house.jobs():
                await by[name](**arguments)
    assert receiver.got == []
    (shown,) = await deliveries(client, hook)
    assert "must begin with https" in shown["failure"]


async def test_3_an_attempt_is_not_made_twice(
    client: aiohttp.ClientSession, house: House, receiver: Receiver, courier: Courier, work: Work
) -> None:
    receiver.answer = lambda: web.Response(status=500)
    await add(client, receiver.url)
    await house.say()
    await work()
    jobs = await house.jobs()
    deliver = notification_handlers(house.database, house.clock, courier)[2].run
    for _, arguments in jobs * 3:
        await deliver(**arguments)
    assert len(receiver.got) == 1


async def test_redelivery_carries_the_same_message(
    client: aiohttp.ClientSession, house: House, receiver: Receiver, work: Work
) -> None:
    hook = await add(client, receiver.url)
    await house.say()
    await work()
    await work()
    (first,) = await deliveries(client, hook)
    house.clock.advance(timedelta(seconds=1))
    path = f"webhooks/{hook['id']}/deliveries/{first['id']}/redeliver"
    again = await ask(client, "POST", path)
    assert again["redeliveryOf"] == first["id"]
    await work()
    (one, body), (two, same) = receiver.got
    assert (one["webhook-id"], body) == (two["webhook-id"], same)
    listed = await deliveries(client, hook)
    assert [shown["id"] for shown in listed] == [again["id"], first["id"]]


async def test_webhooks_are_listed_changed_and_removed(
    client: aiohttp.ClientSession, receiver: Receiver
) -> None:
    made = [await add(client, f"{receiver.url}/{number}") for number in range(3)]
    first = await ask(client, "GET", "webhooks?limit=2")
    rest = await ask(client, "GET", f"webhooks?limit=2&cursor={first['nextCursor']}")
    assert [hook["id"] for hook in first["data"] + rest["data"]] == [hook["id"] for hook in made]
    assert "secret" not in first["data"][0]
    path = f"webhooks/{made[0]['id']}"
    changed = await ask(client, "PATCH", path, json={"description": "x", "types": ["usage_spike"]})
    assert (changed["description"], changed["types"]) == ("x", ["usage_spike"])
    await ask(client, "DELETE", path)
    async with client.get(path) as gone:
        assert gone.status == 404
        assert (await gone.json())["code"] == "webhook_not_found"


async def test_a_replayed_request_makes_one_webhook_and_shows_no_secret(
    client: aiohttp.ClientSession, receiver: Receiver
) -> None:
    headers = {"idempotency-key": "once"}
    body = {"url": receiver.url}
    first = await ask(client, "POST", "webhooks", json=body, headers=headers)
    again = await ask(client, "POST", "webhooks", json=body, headers=headers)
    assert again == {**first, "secret": None}
    assert len((await ask(client, "GET", "webhooks"))["data"]) == 1


async def test_all_faults_at_once_and_too_many(
    client: aiohttp.ClientSession, receiver: Receiver
) -> None:
    async with client.post("webhooks", json={"url": 5, "types": ["no"], "more": 1}) as answer:
        assert answer.status == 400
        assert {"url", "types", "more"} <= set((await answer.json())["details"])
    async with client.post("webhooks", json={"url": "ftp://x"}) as answer:
        assert answer.status == 400
        assert "url" in (await answer.json())["details"]
    for number in range(20):
        await add(client, f"{receiver.url}/{number}")
    async with client.post("webhooks", json={"url": receiver.url}) as answer:
        assert (answer.status, (await answer.json())["code"]) == (409, "too_many_webhooks")


async def test_notices_are_listed_and_read(client: aiohttp.ClientSession, house: House) -> None:
    ids = [f"ntc_{(await house.say()).hex}" for _ in range(3)]
    listed = await ask(client, "GET", "notifications?limit=2")
    assert [notice["id"] for notice in listed["data"]] == ids[:0:-1]
    assert listed["unread"] == 3
    assert listed["data"][0]["sentence"] == LOW.sentence()
    assert listed["data"][0]["data"]["available"] == 4.5
    rest = await ask(client, "GET", f"notifications?limit=2&cursor={listed['nextCursor']}")
    assert [notice["id"] for notice in rest["data"]] == ids[:1]
    marked = await ask(client, "POST", "notifications/read", json={"ids": ids[:1]})
    assert marked == {"changed": 1}
    unread = await ask(client, "GET", "notifications?unread=true")
    assert [notice["id"] for notice in unread["data"]] == ids[:0:-1]
    assert await ask(client, "POST", "notifications/read", json={}) == {"changed": 2}
    back = await ask(client, "POST", "notifications/read", json={"ids": ids, "read": False})
    assert back == {"changed": 3}


async def test_notices_are_listed_by_their_time_whatever_their_ids(
    client: aiohttp.ClientSession, house: House
) -> None:
    said: list[str] = []
    # An id that is made from the cause does not tell when it was.
    for notice_id in (UUID(int=9 << 120), uuid7(), UUID(int=1), UUID(int=7 << 120)):
        said.append(f"ntc_{(await house.say(notice_id=notice_id)).hex}")
        house.clock.advance(timedelta(minutes=1))
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        page = await ask(client, "GET", f"notifications?limit=1{cursor and f'&cursor={cursor}'}")
        seen += [notice["id"] for notice in page["data"]]
        cursor = page["nextCursor"]
    assert seen == said[::-1]


async def test_members_choose_what_they_are_mailed_about(
    client: aiohttp.ClientSession, house: House
) -> None:
    ada, bob = (await ask(client, "GET", "notifications/preferences"))["data"]
    assert (ada["name"], bob["name"]) == (house.owner.name, house.member.name)
    assert all(choice["email"] for choice in ada["preferences"])
    assert not any(choice["email"] for choice in bob["preferences"])
    chosen = {
        "memberId": bob["memberId"],
        "preferences": [{"type": "usage_spike", "email": True}],
    }
    after = await ask(client, "PUT", "notifications/preferences", json=chosen)
    assert [choice["type"] for choice in after["preferences"] if choice["email"]] == ["usage_spike"]
    async with client.put(
        "notifications/preferences", json={**chosen, "memberId": "mem_" + "0" * 32}
    ) as unknown:
        assert unknown.status == 404


async def test_bodies_with_faults_are_refused_also_with_an_idempotency_key(
    client: aiohttp.ClientSession, receiver: Receiver
) -> None:
    hook = await add(client, receiver.url)
    for method, path, body in [
        ("PATCH", f"webhooks/{hook['id']}", {"enabled": {}, "url": receiver.url}),
        ("POST", "notifications/read", {"ids": ["ntc_" + "0" * 32], "more": 42}),
        ("PUT", "notifications/preferences", {"memberId": "x", "preferences": []}),
    ]:
        async with client.request(
            method, path, json=body, headers={"idempotency-key": "k"}
        ) as answer:
            assert answer.status == 400, await answer.text()
