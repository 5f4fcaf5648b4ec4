"""What providers do wrong: nothing produced is free (G7), what was produced is charged (G8)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import anthropic
import openai
import pytest
from gateway_costs import nanos
from gateway_house import DOLLAR, Customer, House
from gateway_upstream import (
    Break,
    Speaker,
    answers,
    chunk,
    completion,
    message,
    message_streams,
    streams,
    usage,
)

HI: Any = [{"role": "user", "content": "Hi"}]
CHAT = {"model": "gpt-up", "messages": HI}


async def free_of_charge(customer: Customer, status: int) -> dict[str, Any]:
    """Nothing was charged and nothing is held, and the log says what happened."""
    record = await customer.record()
    assert (record["amount"], record["source"], record["status"]) == (0, "none", status)
    assert record["detail"]["error"]
    assert await customer.balance() == DOLLAR
    assert (await customer.wallet()).held == 0
    return record


# ── before any output ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("status", "exception"),
    [
        (400, openai.BadRequestError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
async def test_a_providers_error_is_passed_on_and_costs_nothing(
    house: House, status: int, exception: type[openai.APIStatusError], stream: bool
) -> None:
    customer = await house.customer("1")
    error = {"message": "No luck", "type": "some_error", "param": None, "code": "no_luck"}
    house.upstream.script = answers({"error": error}, status, retry_after="7")
    async with customer.openai() as client:
        with pytest.raises(exception) as raised:
            await client.chat.completions.create(model="gpt-up", messages=HI, stream=stream)
    assert raised.value.code == "no_luck"
    assert raised.value.response.headers["retry-after"] == "7"
    record = await free_of_charge(customer, status)
    assert "No luck" in record["detail"]["error"]


async def test_anthropics_errors_keep_their_shape(house: House) -> None:
    customer = await house.customer("1")
    error = {"type": "overloaded_error", "message": "Overloaded"}
    house.upstream.script = answers({"type": "error", "error": error}, 529)
    async with customer.anthropic() as client:
        with pytest.raises(anthropic.APIStatusError) as raised:
            await client.messages.create(model="claude-up", messages=HI, max_tokens=10)
    assert raised.value.status_code == 529
    body: Any = raised.value.body
    assert body["error"]["type"] == "overloaded_error"
    await free_of_charge(customer, 529)


@pytest.mark.parametrize("status", [401, 402])
async def test_the_operators_trouble_is_none_of_the_customers(house: House, status: int) -> None:
    """G14: a provider that refuses our key, or our credit."""
    customer = await house.customer("1")
    said = "Incorrect API key provided: upstream-secret-0123, org-1234567890abcdef"
    house.upstream.script = answers({"error": {"message": said, "code": "invalid_api_key"}}, status)
    refused = await customer.post("/chat/completions", CHAT)
    assert refused.status_code == 502
    assert "upstream-secret" not in refused.text
    assert "org-1234" not in refused.text
    record = await free_of_charge(customer, 502)
    assert "upstream-secret" not in json.dumps(record)


async def test_a_key_that_a_provider_says_back_is_taken_out(house: House) -> None:
    """G14: whatever the key looks like."""
    customer = await house.customer("1")
    said = "No such model for upstream-secret-0123"
    for stream in (False, True):
        house.upstream.script = answers({"error": {"message": said}}, 400)
        refused = await customer.post("/chat/completions", CHAT | {"stream": stream})
        assert refused.json()["error"]["message"] == "No such model for ***"
    assert "upstream-secret" not in json.dumps(await customer.records())


async def test_headers_of_providers_that_cannot_be_sent_on(house: House) -> None:
    customer = await house.customer("1")
    house.upstream.script = answers({"error": {"message": "No luck"}}, 429, retry_after="é\u00a0x")
    refused = await customer.post("/chat/completions", CHAT)
    assert refused.status_code == 429
    assert "retry-after" not in refused.headers
    house.upstream.script = answers(b"sound", content_type="audio/é")
    sound = {"model": "tts-up", "input": "Hi", "voice": "v"}
    answer = await customer.post("/audio/speech", sound)
    assert answer.headers["content-type"] == "application/octet-stream"


async def test_errors_that_are_no_json(house: House) -> None:
    customer = await house.customer("1")
    house.upstream.script = answers(b"<html>Bad Gateway</html>", 502, content_type="text/html")
    refused = await customer.post("/chat/completions", CHAT)
    assert refused.status_code == 502
    assert refused.json()["error"]["type"]
    await free_of_charge(customer, 502)


async def test_an_error_with_status_200(house: House) -> None:
    customer = await house.customer("1")
    house.upstream.script = answers({"error": {"message": "No luck", "code": 500}})
    for stream in (False, True):
        refused = await customer.post("/chat/completions", CHAT | {"stream": stream})
        assert refused.status_code == 502
        assert refused.json()["error"]["message"] == "No luck"
    assert [record["amount"] for record in await customer.records()] == [0, 0]


@pytest.mark.parametrize("body", [b"", b"not json", b"[]", b'{"choices": 5}'])
async def test_an_answer_that_is_none(house: House, body: bytes) -> None:
    customer = await house.customer("1")
    house.upstream.script = answers(body)
    refused = await customer.post("/chat/completions", CHAT)
    assert refused.status_code == 502
    assert refused.json()["error"]["code"] == "upstream_invalid_answer"
    await free_of_charge(customer, 502)


async def test_a_redirect_is_not_followed(house: House) -> None:
    customer = await house.customer("1")
    house.upstream.script = answers(b"", 307, location="http://127.0.0.1:9/")
    refused = await customer.post("/chat/completions", CHAT)
    assert refused.status_code == 502
    assert len(house.upstream.heard) == 1
    await free_of_charge(customer, 502)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_connection_that_breaks_before_the_answer(house: House, stream: bool) -> None:
    customer = await house.customer("1")

    async def script(speaker: Speaker) -> None:
        speaker.begun = True
        await speaker.send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"99")]}
        )
        raise Break

    house.upstream.script = script
    refused = await customer.post("/chat/completions", CHAT | {"stream": stream})
    assert refused.status_code == 502
    await free_of_charge(customer, 502)


async def test_a_provider_that_cannot_be_reached(house: House) -> None:
    customer = await house.customer("1")
    parts = house.gateway_parts
    provider = parts.models._providers["up"]
    good, provider._base = provider._base, provider._base._replace(netloc="127.0.0.1:9")
    provider._urls.clear()
    try:
        refused = await customer.post("/chat/completions", CHAT)
    finally:
        provider._base = good
        provider._urls.clear()
    assert refused.status_code == 502
    assert refused.json()["error"]["code"] == "upstream_unreachable"
    assert "127.0.0.1" not in refused.text
    await free_of_charge(customer, 502)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_provider_that_does_not_begin(hasty_house: House, stream: bool) -> None:
    customer = await hasty_house.customer("1")

    async def script(speaker: Speaker) -> None:
        await asyncio.sleep(1.5)
        await speaker.whole(completion())

    hasty_house.upstream.script = script
    async with customer.openai() as client:
        with pytest.raises(openai.InternalServerError) as raised:
            await client.chat.completions.create(model="gpt-up", messages=HI, stream=stream)
    assert raised.value.status_code == 504
    assert raised.value.code == "upstream_timeout"
    await free_of_charge(customer, 504)


async def test_a_stream_that_ends_before_it_has_begun(house: House) -> None:
    customer = await house.customer("1")

    async def script(speaker: Speaker) -> None:
        await speaker.piece(b": nothing yet\n\n")
        await speaker.end()

    house.upstream.script = script
    async with customer.openai() as client:
        stream = await client.chat.completions.create(model="gpt-up", messages=HI, stream=True)
        with pytest.raises(openai.APIError) as raised:
            _ = [c async for c in stream]
    assert raised.value.code == "upstream_broken"
    await free_of_charge(customer, 502)


async def test_an_error_as_the_first_event_is_an_error_with_a_status(house: House) -> None:
    customer = await house.customer("1")

    async def script(speaker: Speaker) -> None:
        await speaker.event({"error": {"message": "No luck", "type": "server_error"}})
        await speaker.end()

    house.upstream.script = script
    async with customer.openai() as client:
        with pytest.raises(openai.InternalServerError) as raised:
            await client.chat.completions.create(model="gpt-up", messages=HI, stream=True)
    assert "No luck" in raised.value.message
    await free_of_charge(customer, 502)


# ── in the middle ─────────────────────────────────────────────────────────────────────────────────

WORDS = ["Twelve letters"] * 10  # 140 bytes: estimated as 35 tokens


async def broken(client: openai.AsyncOpenAI) -> tuple[list[Any], openai.APIError]:
    stream = await client.chat.completions.create(model="gpt-up", messages=HI, stream=True)
    chunks: list[Any] = []
    with pytest.raises(openai.APIError) as raised:
        async for one in stream:
            chunks.append(one)  # noqa: PERF401 (what came before the error counts)
    return chunks, raised.value


async def test_a_stream_that_breaks_is_charged_for_what_was_produced(house: House) -> None:
    customer = await house.customer("1")

    async def script(speaker: Speaker) -> None:
        for word in WORDS:
            await speaker.event(chunk(word))
        await asyncio.sleep(0.05)
        raise Break

    house.upstream.script = script
    async with customer.openai() as client:
        chunks, error = await broken(client)
    assert error.code in ("upstream_broken", "upstream_broken_off")
    record = await customer.record()
    assert record["source"] == "partial"
    assert record["detail"]["error"]
    usage = record["detail"]["rating"]["usage"]
    assert usage["output"] == 35
    assert 0 < usage["input"] < 50
    assert record["amount"] == usage["input"] * 1_000 + usage["output"] * 2_000
    assert await customer.balance() == DOLLAR - record["amount"]
    assert nanos(chunks[-1].cost) == record["amount"]
    await customer.nothing_held()


async def test_an_error_in_the_middle_is_shown_and_what_came_before_is_charged(
    house: House,
) -> None:
    customer = await house.customer("1")

    async def script(speaker: Speaker) -> None:
        await speaker.event(chunk("Twelve letters"))
        await speaker.event({"error": {"message": "No luck", "type": "server_error", "code": "x"}})
        await speaker.end()

    house.upstream.script = script
    async with customer.openai() as client:
        _, error = await broken(client)
    assert error.code == "x"
    record = await customer.record()
    assert (record["source"], record["detail"]["rating"]["usage"]["output"]) == ("partial", 4)
    assert "No luck" in record["detail"]["error"]


async def test_a_stream_that_falls_silent(hasty_house: House) -> None:
    customer = await hasty_house.customer("1")

    async def script(speaker: Speaker) -> None:
        await speaker.event(chunk("Twelve letters"))
        await asyncio.sleep(1.5)

    hasty_house.upstream.script = script
    async with customer.openai() as client:
        _, error = await broken(client)
    assert error.code == "upstream_broken_off"
    assert (await customer.record())["source"] == "partial"


async def test_a_stream_that_does_not_end(hasty_house: House) -> None:
    customer = await hasty_house.customer("1")
    hasty_house.upstream.script = streams(*["Twelve letters"] * 40, pause=0.1)
    async with customer.openai() as client:
        _, error = await broken(client)
    assert error.code == "call_timeout"
    record = await customer.record()
    assert record["source"] == "partial"
    assert 50 < record["detail"]["rating"]["usage"]["output"] < 160


async def test_a_message_that_breaks(house: House) -> None:
    customer = await house.customer("1")
    house.upstream.script = message_streams(*WORDS, stop=False)
    async with customer.anthropic() as client:
        stream = await client.messages.create(
            model="claude-up", messages=HI, max_tokens=100, stream=True
        )
        with pytest.raises(anthropic.APIError):
            _ = [event async for event in stream]
    record = await customer.record()
    assert record["source"] == "partial"
    # The input count came with the first event, the output is estimated.
    assert record["detail"]["rating"]["usage"] == {"input": 10, "output": 35}


async def test_a_whole_answer_that_breaks_off_costs_nothing(house: House) -> None:
    customer = await house.customer("1")

    async def script(speaker: Speaker) -> None:
        start = {"type": "http.response.start", "status": 200}
        await speaker.send(start | {"headers": [(b"content-length", b"5000")]})
        await speaker.send({"type": "http.response.body", "body": b'{"id"', "more_body": True})
        raise Break

    house.upstream.script = script
    refused = await customer.post("/chat/completions", CHAT)
    assert refused.status_code == 502
    await free_of_charge(customer, 502)


# ── usage that is missing, odd, or more than was held for ─────────────────────────────────────────


async def test_missing_usage_is_estimated(house: House) -> None:
    customer = await house.customer("1")
    said = completion("Twelve letters")
    del said["usage"]
    house.upstream.script = answers(said)
    got = (await customer.post("/chat/completions", CHAT)).json()
    record = await customer.record()
    assert record["source"] == "estimated"
    assert record["detail"]["rating"]["usage"]["output"] == 4
    assert nanos(got["usage"]["cost"]) == nanos(got["cost"]) == record["amount"] > 0
    assert got["usage"]["completion_tokens"] == 4


async def test_missing_usage_in_a_stream_is_estimated(house: House) -> None:
    customer = await house.customer("1")
    house.upstream.script = streams(*WORDS)
    async with customer.openai() as client:
        stream = await client.chat.completions.create(model="gpt-up", messages=HI, stream=True)
        chunks: list[Any] = [c async for c in stream]
    record = await customer.record()
    assert (record["source"], record["detail"]["rating"]["usage"]["output"]) == ("estimated", 35)
    assert nanos(chunks[-1].cost) == record["amount"]


async def test_an_estimate_never_exceeds_what_was_held_for(house: House) -> None:
    customer = await house.customer("1")
    house.upstream.script = streams(*["word " * 100] * 20)
    body = CHAT | {"max_tokens": 50, "stream": True}
    await customer.post("/chat/completions", body)
    record = await customer.record()
    assert record["detail"]["rating"]["usage"]["output"] == 50
    assert record["amount"] <= record["held"]


async def test_an_estimate_stays_within_the_models_own_limit(house: House) -> None:
    """Lesson 35: a provider that repeats itself for ever, and reports nothing."""
    customer = await house.customer("1")
    house.upstream.script = streams(*["word " * 1_000] * 40)  # 50,000 tokens, by their bytes
    await customer.post("/chat/completions", CHAT | {"stream": True})
    record = await customer.record()
    assert record["detail"]["rating"]["usage"]["output"] == 4_000
    assert record["amount"] <= record["held"]


async def test_a_reported_zero_is_not_missing(house: House) -> None:
    customer = await house.customer("1")
    house.upstream.script = answers(completion(usage=usage(0, 0)))
    got = (await customer.post("/chat/completions", CHAT)).json()
    record = await customer.record()
    assert (record["source"], record["amount"], nanos(got["cost"])) == ("provider", 0, 0)


async def test_what_exceeds_the_hold_is_posted_and_said(house: House) -> None:
    """L4, lesson 59: a settlement that is refused would be free of charge."""
    customer = await house.customer("0.0005")
    house.upstream.script = answers(completion(usage=usage(10, 1_000)))
    got = (await customer.post("/chat/completions", CHAT | {"max_tokens": 5})).json()
    assert nanos(got["cost"]) == 10_000 + 2_000_000
    assert await customer.balance() == 500_000 - 2_010_000
    record = await customer.record()
    assert record["held"] < record["amount"]
    assert "more than was held" in record["detail"]["notes"]
    assert (await customer.post("/chat/completions", CHAT)).status_code == 402


async def test_what_has_no_price_is_recorded_and_the_rest_is_charged(house: House) -> None:
    customer = await house.customer("1")
    details = {"audio_tokens": 3}
    said = usage(10, 5, completion_tokens_details=details)
    house.upstream.script = answers(completion(usage=said))
    before = house.counted("unpriced_calls_total")
    got = (await customer.post("/chat/completions", CHAT)).json()
    assert nanos(got["cost"]) == 10_000 + 2 * 2_000
    assert (await customer.record())["detail"]["rating"]["unpriced"] == {"output_audio": 3}
    assert house.counted("unpriced_calls_total") == before + 1


@pytest.mark.parametrize(
    ("served", "cost"), [("flex", 10_000), ("default", 20_000), (None, 10_000), ("scale", 10_000)]
)
async def test_the_tier_that_served_is_charged(house: House, served: str | None, cost: int) -> None:
    """One without a price is charged as the one that was asked for: never nothing."""
    customer = await house.customer("1")
    said = completion() if served is None else completion(service_tier=served)
    house.upstream.script = answers(said)
    body = CHAT | {"model": "gpt-tiers", "service_tier": "flex"}
    got = (await customer.post("/chat/completions", body)).json()
    assert nanos(got["cost"]) == cost


@pytest.mark.parametrize("count", [10**15, 10**18, 2**64, -5, 1.5, "many", None, [1]])
async def test_counts_that_cannot_be(house: House, count: Any) -> None:
    customer = await house.customer("1")
    house.upstream.script = answers(completion(usage=usage(10, 0) | {"completion_tokens": count}))
    answer = await customer.post("/chat/completions", CHAT)
    assert answer.status_code == 200
    record = await customer.record()
    assert record["amount"] >= 0
    assert nanos(answer.json()["cost"]) == record["amount"]
    if count == 10**15:
        return  # A million millions of tokens: absurd, and yet what the provider says.
    assert record["amount"] <= record["held"]


async def test_other_gateways_costs_are_replaced_not_added(house: House) -> None:
    customer = await house.customer("1")
    said = completion(usage=usage(10, 5, cost=99.5, cost_details={"x": 1}), cost=99.5)
    house.upstream.script = answers(said)
    got = (await customer.post("/chat/completions", CHAT)).json()
    assert nanos(got["cost"]) == nanos(got["usage"]["cost"]) == 20_000
    assert "x" not in got["usage"]["cost_details"]


async def test_a_message_costs_what_it_says(house: House) -> None:
    customer = await house.customer("1")
    house.upstream.script = answers(message())
    async with customer.anthropic() as client:
        got: Any = await client.messages.create(model="claude-up", messages=HI, max_tokens=10)
    assert nanos(got.cost) == nanos(got.usage.cost) == DOLLAR - await customer.balance() == 20_000
