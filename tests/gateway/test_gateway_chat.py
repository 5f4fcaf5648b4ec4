"""Chat completions through OpenAI's client (G4, G5, G6): the cost shown is what was deducted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from gateway_costs import nanos
from gateway_house import DOLLAR, Customer, House
from gateway_upstream import answers, chunk, completion, streams, usage
from openai import OpenAI

HI: Any = [{"role": "user", "content": "Hi"}]


async def test_an_answer_carries_what_it_cost(house: House) -> None:
    customer = await house.customer("1")
    house.upstream.script = answers(completion(usage=usage(10, 5)))
    async with customer.openai() as client:
        got: Any = await client.chat.completions.create(model="gpt-up", messages=HI)
    assert got.choices[0].message.content == "Hello there"
    assert nanos(got.cost) == nanos(got.usage.cost) == 10 * 1_000 + 5 * 2_000
    assert got.usage.prompt_tokens == 10
    details = got.usage.cost_details
    assert nanos(details["upstream_inference_prompt_cost"]) == 10_000
    assert nanos(details["upstream_inference_completions_cost"]) == 10_000
    assert await customer.balance() == DOLLAR - 20_000
    await customer.nothing_held()


async def test_what_settings_add_to_a_price_is_charged(house: House) -> None:
    """A half more, for a whole answer and for a stream; the record says so."""
    customer = await house.customer("1")
    body = {"model": "dearer", "messages": HI}
    house.upstream.script = answers(completion(usage=usage(10, 5)))
    answer = await customer.post("/chat/completions", body)
    assert answer.status_code == 200, answer.text
    assert nanos(answer.json()["cost"]) == 30_000
    assert (await customer.record())["detail"]["rating"]["markup"][0] == 500_000
    house.upstream.script = streams("Hello", with_usage=usage(10, 5))
    answer = await customer.post("/chat/completions", {**body, "stream": True})
    assert answer.text.endswith("data: [DONE]\n\n")
    assert await customer.balance() == DOLLAR - 60_000
    await customer.nothing_held()


async def test_headers_carry_cost_balance_and_request_id(house: House) -> None:
    customer = await house.customer("1")
    house.upstream.script = answers(completion())
    async with customer.openai() as client:
        raw = await client.chat.completions.with_raw_response.create(model="gpt-up", messages=HI)
        got: Any = raw.parse()
    assert nanos(raw.headers["x-tollkeeper-cost"]) == nanos(got.cost)
    assert nanos(raw.headers["x-tollkeeper-balance"]) == await customer.balance()
    assert raw.headers["x-request-id"] == got._request_id
    assert raw.headers.get_list("x-request-id") == [got._request_id]
    record = await customer.record()
    assert record["request_id"] == got._request_id


async def test_the_answer_is_the_providers_but_for_the_cost(house: House) -> None:
    customer = await house.customer("1")
    said = completion(system_fingerprint="fp_1", unheard_of={"deep": [1.50, "é"]})
    house.upstream.script = answers(said)
    got = (await customer.post("/chat/completions", {"model": "gpt-up", "messages": HI})).json()
    del got["cost"], got["usage"]["cost"], got["usage"]["cost_details"]
    assert got == said


async def test_the_request_passes_untouched_but_for_the_limit(house: House) -> None:
    customer = await house.customer("1")
    house.upstream.script = answers(completion())
    body = {
        "model": "gpt-up",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "é\u2028"}]}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"x": 1.5e3}}}],
        "response_format": {"type": "json_object"},
        "unheard_of": {"a": [None, True]},
        "max_tokens": 7,
    }
    await customer.post("/chat/completions", body)
    assert house.upstream.last == body
    heard = house.upstream.heard[-1]
    assert heard.path.endswith("/chat/completions")
    assert heard.headers["authorization"] == "Bearer upstream-secret-0123"
    assert customer.key not in str(heard)


async def test_the_models_own_limit_is_sent_where_the_client_sets_none(house: House) -> None:
    customer = await house.customer("1")
    house.upstream.script = answers(completion())
    await customer.post("/chat/completions", {"model": "gpt-up", "messages": HI})
    assert house.upstream.last["max_tokens"] == 4_000
    await customer.post(
        "/chat/completions", {"model": "gpt-up", "messages": HI, "max_tokens": 9999}
    )
    assert house.upstream.last["max_tokens"] == 4_000


async def test_a_stream_carries_its_cost_in_the_last_chunk(house: House) -> None:
    customer = await house.customer("1")
    house.upstream.script = streams("Hello", " there", with_usage=usage(10, 5))
    async with customer.openai() as client:
        stream = await client.chat.completions.create(model="gpt-up", messages=HI, stream=True)
        chunks: list[Any] = [chunk async for chunk in stream]
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "Hello there"
    assert nanos(chunks[-1].usage.cost) == nanos(chunks[-1].cost) == 20_000
    assert await customer.balance() == DOLLAR - 20_000
    assert house.upstream.last["stream_options"] == {"include_usage": True}
    assert all(c.choices for c in chunks), "a client that did not ask gets no usage chunk"


async def test_a_client_that_asks_for_usage_gets_its_chunk(house: House) -> None:
    customer = await house.customer("1")
    house.upstream.script = streams("Hello", with_usage=usage(10, 5))
    async with customer.openai() as client:
        stream = await client.chat.completions.create(
            model="gpt-up", messages=HI, stream=True, stream_options={"include_usage": True}
        )
        chunks: list[Any] = [chunk async for chunk in stream]
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens == 15
    assert nanos(chunks[-1].usage.cost) == 20_000


async def test_a_stream_is_settled_before_its_end_is_sent(house: House) -> None:
    """OpenAI's client hangs up at `[DONE]`; what comes after it would never be billed."""
    customer = await house.customer("1")
    house.upstream.script = streams("Hello", with_usage=usage(10, 5))
    for _ in range(20):
        async with customer.openai() as client:
            stream = await client.chat.completions.create(model="gpt-up", messages=HI, stream=True)
            async for _ in stream:
                pass
        # The moment the client has its last chunk, the money is gone.
        records = await customer.records()
        assert await customer.balance() == DOLLAR - 20_000 * len(records)
    assert [record["source"] for record in await customer.records()] == ["provider"] * 20


async def test_the_synchronous_client_works_too(house: House) -> None:
    customer = await house.customer("1")
    house.upstream.script = answers(completion())

    def call() -> tuple[Any, list[Any]]:
        with OpenAI(base_url=house.url, api_key=customer.key, max_retries=0) as client:
            whole = client.chat.completions.create(model="gpt-up", messages=HI)
            house.upstream.script = streams("Hello", with_usage=usage(10, 5))
            with client.chat.completions.create(model="gpt-up", messages=HI, stream=True) as stream:
                return whole, list(stream)

    whole, chunks = await asyncio.to_thread(call)
    assert nanos(whole.cost) + nanos(chunks[-1].cost) == DOLLAR - await customer.balance()


async def test_a_stream_that_the_provider_sends_in_odd_pieces(house: House) -> None:
    customer = await house.customer("1")
    whole = b"".join(
        b"data: %s\r\n\r\n" % part
        for part in (
            b'{"id":"1","choices":[{"index":0,"delta":{"content":"\xc3\xa9\xe2\x82\xac"}}]}',
            b'{"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}',
            b'{"id":"1","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5}}',
            b"[DONE]",
        )
    )

    async def script(speaker: Any) -> None:
        for byte in whole:
            await speaker.piece(bytes([byte]))
        await speaker.end()

    house.upstream.script = script
    async with customer.openai() as client:
        stream = await client.chat.completions.create(model="gpt-up", messages=HI, stream=True)
        chunks: list[Any] = [chunk async for chunk in stream]
    assert chunks[0].choices[0].delta.content == "é€"
    assert nanos(chunks[-1].cost) == 20_000


async def test_several_choices_are_held_for(house: House) -> None:
    customer = await house.customer("1")
    held: list[int] = []

    async def script(speaker: Any) -> None:
        held.append((await customer.wallet()).held)
        await speaker.whole(completion(usage=usage(10, 5)))

    house.upstream.script = script
    for n in (1, 3):
        body = {"model": "gpt-up", "messages": HI, "max_tokens": 100, "n": n}
        assert (await customer.post("/chat/completions", body)).status_code == 200
    assert held[1] - held[0] >= 200 * 2_000


async def test_a_test_key_is_answered_by_the_sandbox(house: House) -> None:
    """G10: nothing goes upstream, the price is that of the model asked for."""
    customer = await house.customer("1", livemode=False)
    async with customer.openai() as client:
        got: Any = await client.chat.completions.create(model="gpt-up", messages=HI)
    spent = got.usage.prompt_tokens * 1_000 + got.usage.completion_tokens * 2_000
    assert nanos(got.cost) == spent == DOLLAR - await customer.balance()
    assert house.upstream.heard == []
    record = await customer.record()
    assert (record["provider"], record["model"]) == ("sandbox", "gpt-up")


async def test_tool_calls_pass_in_streams(house: House) -> None:
    customer = await house.customer("1")
    call = {
        "index": 0,
        "id": "c1",
        "type": "function",
        "function": {"name": "f", "arguments": "{}"},
    }

    async def script(speaker: Any) -> None:
        await speaker.event(chunk() | {"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]})
        await speaker.event(chunk(finish="tool_calls"))
        await speaker.event(chunk(usage=usage(10, 5)) | {"choices": []})
        await speaker.event("[DONE]")
        await speaker.end()

    house.upstream.script = script
    async with customer.openai() as client:
        stream = await client.chat.completions.create(model="gpt-up", messages=HI, stream=True)
        chunks: list[Any] = [chunk async for chunk in stream]
    assert chunks[0].choices[0].delta.tool_calls[0].function.name == "f"
    assert nanos(chunks[-1].cost) == 20_000


async def test_an_alias_and_a_name_of_the_operators_are_priced(house: House) -> None:
    customer = await house.customer("1")
    house.upstream.script = answers(completion())
    for name, sent, shown in (
        ("gpt-up-2026-01-01", "gpt-up-2026-01-01", "gpt-up"),
        ("house-model", "gpt-up", "house-model"),
        ("up/gpt-up", "gpt-up", "gpt-up"),
    ):
        answer = await customer.post("/chat/completions", {"model": name, "messages": HI})
        assert nanos(answer.json()["cost"]) == 20_000
        assert house.upstream.last["model"] == sent
        assert (await customer.records())[-1]["model"] == shown


async def test_the_log_knows_what_the_client_said(house: House) -> None:
    customer = await house.customer("1")
    house.upstream.script = answers(completion())
    body = {
        "model": "gpt-up",
        "messages": HI,
        "user": "u-body",
        "metadata": {"team": "a", "x": "1"},
    }
    headers = {"x_thread_id": "t-1", "x_tags": '{"team": "search", "n": 3, "ok": true}'}
    await customer.post("/chat/completions", body, **headers)
    await customer.post("/chat/completions", body, x_end_user_id="u-header")
    first, second = await customer.records()
    assert (first["thread_id"], first["operation"]) == ("t-1", "chat/completions")
    assert first["detail"]["endUser"] == "u-body"
    assert second["detail"]["endUser"] == "u-header"
    assert first["detail"]["tags"] == {"team": "search", "n": "3", "ok": "true", "x": "1"}
    assert first["detail"]["input"] == "Hi"
    assert first["detail"]["usage"]["total_tokens"] == 15
    assert (first["status"], first["source"], first["amount"]) == (200, "provider", 20_000)
    assert (first["key_id"], first["project_id"]) == (
        str(customer.key_id),
        str(customer.project_id),
    )
    assert house.upstream.last["metadata"] == body["metadata"]


@pytest.mark.parametrize("path", ["/chat/completions", "/chat/completions/", "//chat//completions"])
async def test_a_slash_too_many_does_no_harm(house: House, path: str) -> None:
    customer = await house.customer("1")
    house.upstream.script = answers(completion())
    answer = await customer.post(path, {"model": "gpt-up", "messages": HI})
    assert answer.status_code == 200


async def test_fifty_streams_at_once(house: House) -> None:
    customer = await house.customer("10")
    house.upstream.script = streams(*["word "] * 20, with_usage=usage(10, 20), pause=0.01)

    async def one(client: Any) -> int:
        stream = await client.chat.completions.create(
            model="gpt-up", messages=HI, max_tokens=50, stream=True
        )
        chunks = [chunk async for chunk in stream]
        return nanos(chunks[-1].cost)

    async with customer.openai() as client:
        costs = await asyncio.gather(*(one(client) for _ in range(50)))
    assert costs == [50_000] * 50
    await _spent(customer, 10 * DOLLAR, sum(costs))


async def _spent(customer: Customer, began: int, spent: int) -> None:
    assert began - await customer.balance() == spent
    await customer.nothing_held()
