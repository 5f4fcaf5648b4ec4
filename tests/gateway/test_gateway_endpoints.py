"""The other endpoints through the official clients: each says what it cost, and costs it (E1)."""

from __future__ import annotations

import io
from typing import Any

import pytest
from gateway_costs import nanos
from gateway_house import DOLLAR, Customer, House
from gateway_upstream import Speaker, answers, message, message_streams

HI: Any = [{"role": "user", "content": "Hi"}]
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "gpt-up",
    "output": [
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Hello there", "annotations": []}],
        }
    ],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 15,
    },
}


async def spent(customer: Customer) -> int:
    record = await customer.record()
    assert record["amount"] == DOLLAR - await customer.balance()
    assert (await customer.wallet()).held == 0
    return record["amount"]


async def test_responses(house: House) -> None:
    customer = await house.customer("1")
    house.upstream.script = answers(RESPONSE)
    async with customer.openai() as client:
        got: Any = await client.responses.create(model="gpt-up", input="Hi")
    assert got.output_text == "Hello there"
    assert nanos(got.cost) == nanos(got.usage.cost) == await spent(customer) == 20_000
    assert house.upstream.last["max_output_tokens"] == 4_000


async def test_responses_streamed(house: House) -> None:
    customer = await house.customer("1")

    async def script(speaker: Speaker) -> None:
        begun = RESPONSE | {"status": "in_progress", "output": [], "usage": None}
        created = {"type": "response.created", "sequence_number": 0, "response": begun}
        await speaker.event(created, "response.created")
        delta = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": "Hello there"}
        text = {"type": "response.output_text.delta", "sequence_number": 1, "logprobs": []}
        await speaker.event(text | delta, "response.output_text.delta")
        done = {"type": "response.completed", "sequence_number": 2, "response": RESPONSE}
        await speaker.event(done, "response.completed")
        await speaker.end()

    house.upstream.script = script
    async with customer.openai() as client:
        stream = await client.responses.create(model="gpt-up", input="Hi", stream=True)
        events: list[Any] = [event async for event in stream]
    assert events[-1].type == "response.completed"
    assert nanos(events[-1].response.usage.cost) == await spent(customer) == 20_000


async def test_messages(house: House) -> None:
    customer = await house.customer("1")
    house.upstream.script = answers(message())
    async with customer.anthropic() as client:
        raw = await client.messages.with_raw_response.create(
            model="claude-up",
            messages=HI,
            max_tokens=100,
            metadata={"user_id": "u-1"},
            extra_headers={"anthropic-beta": "some-beta", "x-thread-id": "t-1"},
        )
        got: Any = await raw.parse()
    assert got.content[0].text == "Hello there"
    assert nanos(got.cost) == nanos(got.usage.cost) == await spent(customer) == 20_000
    assert nanos(raw.headers["x-tollkeeper-cost"]) == 20_000
    heard = house.upstream.heard[-1]
    assert heard.headers["x-api-key"] == "anthropic-secret-0123"
    version = raw.http_response.request.headers["anthropic-version"]
    assert heard.headers["anthropic-version"] == version
    assert heard.headers["anthropic-beta"] == "some-beta"
    assert "authorization" not in heard.headers
    assert customer.key not in str(heard)
    record = await customer.record()
    assert (record["thread_id"], record["detail"]["endUser"]) == ("t-1", "u-1")


async def test_messages_streamed(house: House) -> None:
    """The client's helper sums up the counts it knows; the cost is in the event itself."""
    customer = await house.customer("1")
    house.upstream.script = message_streams("Hello", " there")
    async with (
        customer.anthropic() as client,
        client.messages.stream(model="claude-up", messages=HI, max_tokens=100) as stream,
    ):
        events: list[Any] = [event async for event in stream]
        final = await stream.get_final_text()
    assert final == "Hello there"
    (cost,) = [nanos(event.usage.cost) for event in events if event.type == "message_delta"]
    assert cost == await spent(customer) == 20_000


async def test_messages_streamed_as_events(house: House) -> None:
    customer = await house.customer("1")
    house.upstream.script = message_streams("Hello", " there")
    async with customer.anthropic() as client:
        stream = await client.messages.create(
            model="claude-up", messages=HI, max_tokens=100, stream=True
        )
        events: list[Any] = [event async for event in stream]
    deltas = [event for event in events if event.type == "message_delta"]
    assert nanos(deltas[-1].cost) == nanos(deltas[-1].usage.cost) == await spent(customer)
    assert events[-1].type == "message_stop"


async def test_anthropics_client_works_with_either_base_url(house: House) -> None:
    customer = await house.customer("1")
    house.upstream.script = answers(message())
    async with customer.anthropic() as client:
        for base_url in (house.url, house.url + "/", house.url.removesuffix("/v1")):
            got: Any = await client.with_options(base_url=base_url).messages.create(
                model="claude-up", messages=HI, max_tokens=10
            )
            assert nanos(got.cost) == 20_000


async def test_embeddings(house: House) -> None:
    customer = await house.customer("1")
    data = [{"object": "embedding", "index": 0, "embedding": [0.5, -0.25]}]
    said = {"prompt_tokens": 7, "total_tokens": 7}
    house.upstream.script = answers(
        {"object": "list", "data": data, "model": "embed-up", "usage": said}
    )
    async with customer.openai() as client:
        got: Any = await client.embeddings.create(
            model="embed-up", input=["Hi", "there"], encoding_format="float"
        )
    assert got.data[0].embedding == [0.5, -0.25]
    assert nanos(got.cost) == nanos(got.usage.cost) == await spent(customer) == 7_000


async def test_images(house: House) -> None:
    customer = await house.customer("1")
    house.upstream.script = answers({"created": 1, "data": [{"b64_json": "eA=="}] * 2})
    async with customer.openai() as client:
        got: Any = await client.images.generate(model="dall-up", prompt="A cat", n=2)
    assert len(got.data) == 2
    assert nanos(got.cost) == await spent(customer) == 80_000_000


async def test_speech(house: House) -> None:
    customer = await house.customer("1")
    house.upstream.script = answers(b"\xff\xf3sound", content_type="audio/mpeg")
    async with customer.openai() as client:
        got = await client.audio.speech.create(model="tts-up", input="Hello", voice="alloy")
    assert got.content == b"\xff\xf3sound"
    assert got.response.headers["content-type"] == "audio/mpeg"
    assert nanos(got.response.headers["x-tollkeeper-cost"]) == await spent(customer) == 75_000


async def test_transcriptions(house: House) -> None:
    customer = await house.customer("1")
    said = {"text": "Hello", "usage": {"type": "duration", "seconds": 3}}
    house.upstream.script = answers(said)
    sound = io.BytesIO(b"x" * 4_000)
    sound.name = "hello.wav"
    async with customer.openai() as client:
        got: Any = await client.audio.transcriptions.create(model="whisper-up", file=sound)
    assert got.text == "Hello"
    assert nanos(got.cost) == await spent(customer) == 300_000
    heard = house.upstream.heard[-1]
    assert heard.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert b"x" * 4_000 in heard.body


async def test_a_transcription_that_is_no_form(house: House) -> None:
    customer = await house.customer("1")
    refused = await customer.post("/audio/transcriptions", {"model": "whisper-up"})
    assert refused.status_code == 415
    broken = "multipart/form-data; boundary=x"
    refused = await customer.post("/audio/transcriptions", b"--y", content_type=broken)
    assert refused.status_code == 400


@pytest.mark.parametrize("model", ["sandbox-small", "sandbox-large", "gpt-up", "claude-up"])
async def test_the_sandbox_speaks_every_dialect(house: House, model: str) -> None:
    """B14: everything can be tried with no account anywhere."""
    customer = await house.customer("10", livemode=False)
    costs: list[int] = []
    async with customer.openai() as client, customer.anthropic() as other:
        chat: Any = await client.chat.completions.create(model=model, messages=HI, max_tokens=99)
        costs.append(nanos(chat.cost))
        said: Any = await other.messages.create(model=model, messages=HI, max_tokens=99)
        costs.append(nanos(said.cost))
        async with other.messages.stream(model=model, messages=HI, max_tokens=99) as stream:
            events: list[Any] = [event async for event in stream]
        costs += [nanos(event.cost) for event in events if event.type == "message_delta"]
        responded: Any = await client.responses.create(model=model, input="Hi")
        costs.append(nanos(responded.cost))
    assert all(costs)
    assert sum(costs) == 10 * DOLLAR - await customer.balance()
    assert house.upstream.heard == []
