"""`Idempotency-Key` (G9): one key, one charge, the first answer again."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import openai
import pytest
from gateway_house import DOLLAR, House
from gateway_upstream import Break, Speaker, answers, chunk, completion, message, streams, usage

from tollkeeper.gateway import client as way_back

HI: Any = [{"role": "user", "content": "Hi"}]
CHAT: Any = {"model": "gpt-up", "messages": HI}
STREAM: Any = CHAT | {"stream": True}
WORDS = ["Twelve letters"] * 10


async def test_the_first_answer_comes_again(house: House) -> None:
    customer = await house.customer("1")
    house.upstream.script = answers(completion())
    first = await customer.post("/chat/completions", CHAT, idempotency_key="k1")
    again = await customer.post("/chat/completions", CHAT, idempotency_key="k1")
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.content == first.content
    for name in ("content-type", "x-tollkeeper-cost", "x-tollkeeper-balance"):
        assert again.headers[name] == first.headers[name]
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert len(house.upstream.heard) == 1
    assert await customer.balance() == DOLLAR - 20_000


async def test_a_stream_comes_again_byte_by_byte(house: House) -> None:
    customer = await house.customer("1")
    house.upstream.script = streams(*WORDS, with_usage=usage(10, 5))
    first = await customer.post("/chat/completions", STREAM, idempotency_key="k1")
    again = await customer.post("/chat/completions", STREAM, idempotency_key="k1")
    assert again.content == first.content
    assert first.content.endswith(b"data: [DONE]\n\n")
    assert again.headers["content-type"].startswith("text/event-stream")
    assert again.headers["idempotent-replayed"] == "true"
    async with customer.openai(default_headers={"Idempotency-Key": "k1"}) as client:
        # The official client reads a replay like any stream (it writes the same body).
        replay = await client.post(
            "/chat/completions", body=STREAM, cast_to=httpx.Response, options={}
        )
        assert b"Twelve letters" in replay.content
    assert await customer.balance() == DOLLAR - 20_000


async def test_another_body_under_the_key_is_refused(house: House) -> None:
    customer = await house.customer("1")
    house.upstream.script = answers(completion())
    await customer.post("/chat/completions", CHAT, idempotency_key="k1")
    other = await customer.post("/chat/completions", CHAT | {"n": 2}, idempotency_key="k1")
    assert other.status_code == 422
    assert other.json()["error"]["code"] == "idempotency_key_reused"
    house.upstream.script = answers(message())
    other = await customer.post(
        "/messages",
        {"model": "claude-up", "messages": HI, "max_tokens": 5},
        idempotency_key="k1",
    )
    assert (other.status_code, other.json()["type"]) == (422, "error")
    assert len(await customer.records()) == 1


async def test_keys_of_two_organizations_are_two(house: House) -> None:
    house.upstream.script = answers(completion())
    for _ in range(2):
        customer = await house.customer("1")
        answer = await customer.post("/chat/completions", CHAT, idempotency_key="k1")
        assert "idempotent-replayed" not in answer.headers
        assert await customer.balance() == DOLLAR - 20_000


async def test_parallel_requests_with_one_key_make_one_call(house: House) -> None:
    customer = await house.customer("1")

    async def script(speaker: Speaker) -> None:
        await asyncio.sleep(0.3)
        await speaker.whole(completion())

    house.upstream.script = script
    both = await asyncio.gather(
        *(customer.post("/chat/completions", CHAT, idempotency_key="k1") for _ in range(5))
    )
    assert sorted(answer.status_code for answer in both) == [200, 409, 409, 409, 409]
    refused = next(answer for answer in both if answer.status_code == 409)
    assert refused.json()["error"]["code"] == "request_in_progress"
    assert refused.headers["x-should-retry"] == "true"
    assert len(house.upstream.heard) == 1
    assert len(await customer.records()) == 1


async def test_the_clients_own_retries_end_in_one_charge(house: House) -> None:
    """Its first try times out; it tries again under the key until the answer is there."""
    customer = await house.customer("1")

    async def script(speaker: Speaker) -> None:
        await asyncio.sleep(1)
        await speaker.whole(completion())

    house.upstream.script = script
    async with customer.openai(max_retries=5, timeout=0.4) as client:
        got: Any = await client.chat.completions.create(
            model="gpt-up", messages=HI, extra_headers={"Idempotency-Key": "k1"}
        )
    assert got.cost == 0.00002
    assert len(house.upstream.heard) == 1
    assert await customer.balance() == DOLLAR - 20_000


async def test_a_stream_that_was_lost_is_there_when_it_is_asked_for_again(
    hasty_house: House,
) -> None:
    """Under a key a stream is read to its end, beyond the second that this house drains for."""
    customer = await hasty_house.customer("1")
    hasty_house.upstream.script = streams(*WORDS * 2, with_usage=usage(10, 5), pause=0.1)
    async with customer.openai(default_headers={"Idempotency-Key": "k1"}) as client:
        stream = await client.chat.completions.create(model="gpt-up", messages=HI, stream=True)
        async for _ in stream:
            break
        await stream.close()
        await asyncio.sleep(2.5)
        stream = await client.chat.completions.create(model="gpt-up", messages=HI, stream=True)
        chunks: list[Any] = [one async for one in stream]
    assert len([c for c in chunks if c.choices and c.choices[0].delta.content]) == 20
    assert chunks[-1].cost == 0.00002
    assert len(hasty_house.upstream.heard) == 1
    assert await customer.balance() == DOLLAR - 20_000


@pytest.mark.parametrize("status", [400, 429, 500])
async def test_a_providers_error_is_not_remembered(house: House, status: int) -> None:
    customer = await house.customer("1")
    house.upstream.script = answers({"error": {"message": "No luck"}}, status)
    failed = await customer.post("/chat/completions", CHAT, idempotency_key="k1")
    assert failed.status_code == status
    house.upstream.script = answers(completion())
    answer = await customer.post("/chat/completions", CHAT, idempotency_key="k1")
    assert answer.status_code == 200
    assert "idempotent-replayed" not in answer.headers
    assert [record["amount"] for record in await customer.records()] == [0, 20_000]


async def test_a_refusal_for_want_of_credit_is_not_remembered(house: House) -> None:
    customer = await house.customer("0")
    house.upstream.script = answers(completion())
    refused = await customer.post("/chat/completions", CHAT, idempotency_key="k1")
    assert refused.status_code == 402
    await house.grant(customer, "1")
    answer = await customer.post("/chat/completions", CHAT, idempotency_key="k1")
    assert answer.status_code == 200


async def test_what_was_charged_is_remembered_even_if_it_broke(house: House) -> None:
    customer = await house.customer("1")

    async def script(speaker: Speaker) -> None:
        await speaker.event(chunk("Twelve letters"))
        await asyncio.sleep(0.05)
        raise Break

    house.upstream.script = script
    first = await customer.post("/chat/completions", STREAM, idempotency_key="k1")
    again = await customer.post("/chat/completions", STREAM, idempotency_key="k1")
    assert b'"error"' in first.content
    assert again.content == first.content
    assert len(await customer.records()) == 1


async def test_an_answer_too_large_to_be_kept_is_not_made_twice(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = await house.customer("1")
    monkeypatch.setattr(way_back, "MAX_KEPT_BYTES", 500)
    monkeypatch.setattr("tollkeeper.gateway.proxy.MAX_KEPT_BYTES", 500)
    for key, body, script in (
        ("stream", STREAM, streams(*WORDS, with_usage=usage(10, 5))),
        ("whole", CHAT, answers(completion("x" * 1_000))),
    ):
        house.upstream.script = script
        first = await customer.post("/chat/completions", body, idempotency_key=key)
        again = await customer.post("/chat/completions", body, idempotency_key=key)
        assert first.status_code == 200
        assert again.status_code == 422
        assert again.json()["error"]["code"] == "answer_not_kept"
    assert len(house.upstream.heard) == 2
    assert await customer.balance() == DOLLAR - 40_000


async def test_a_call_whose_answer_was_lost_with_its_process_is_not_charged_again(
    house: House,
) -> None:
    """It was settled, and then the process died before the answer was kept."""
    customer = await house.customer("1")
    house.upstream.script = answers(completion())
    await customer.post("/chat/completions", CHAT, idempotency_key="k1")
    async with house.database.connection() as connection:
        await connection.execute(
            "UPDATE idempotency SET state = 'running', leased_until = now(), status = NULL,"
            " headers = NULL, body = NULL WHERE org_id = %s",
            (customer.org_id,),
        )
    again = await customer.post("/chat/completions", CHAT, idempotency_key="k1")
    assert again.status_code == 422
    assert again.json()["error"]["code"] == "already_charged"
    assert len(house.upstream.heard) == 1
    assert await customer.balance() == DOLLAR - 20_000


async def test_without_a_key_nothing_is_kept(house: House) -> None:
    customer = await house.customer("1")
    house.upstream.script = answers(completion())
    for _ in range(2):
        await customer.post("/chat/completions", CHAT)
    async with house.database.connection() as connection:
        cursor = await connection.execute(
            "SELECT count(*) FROM idempotency WHERE org_id = %s", (customer.org_id,)
        )
        assert await cursor.fetchone() == (0,)
    assert await customer.balance() == DOLLAR - 40_000


async def test_one_request_id_twice_is_two_calls(house: House) -> None:
    """`x-request-id` is for tracing: proxies put the same one on many calls."""
    customer = await house.customer("1")
    house.upstream.script = answers(completion())
    for _ in range(2):
        answer = await customer.post("/chat/completions", CHAT, x_request_id="trace-1")
        assert answer.headers["x-request-id"] == "trace-1"
    assert await customer.balance() == DOLLAR - 40_000
    assert {record["request_id"] for record in await customer.records()} == {"trace-1"}


async def test_a_key_goes_with_the_official_client(house: House) -> None:
    customer = await house.customer("1")
    house.upstream.script = answers(completion())
    async with customer.openai(default_headers={"Idempotency-Key": "k1"}) as client:
        first = await client.chat.completions.create(model="gpt-up", messages=HI)
        again = await client.chat.completions.create(model="gpt-up", messages=HI)
        assert again == first
        with pytest.raises(openai.UnprocessableEntityError):
            await client.chat.completions.create(model="gpt-up", messages=HI, n=2)
