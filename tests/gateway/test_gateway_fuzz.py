"""Nothing that is sent leads to a 500, and nothing is ever left held (G7, G11)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from gateway_house import House
from gateway_upstream import Speaker, completion, message, usage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=True, allow_infinity=True)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
NAMES = st.sampled_from(["gpt-up", "claude-up", "embed-up", "dall-up", "tts-up", "nobody", "", "/"])
FIELDS = st.sampled_from(
    [
        *("messages", "max_tokens", "max_completion_tokens", "stream", "stream_options", "n"),
        *("tools", "functions", "service_tier", "modalities", "prediction", "metadata", "user"),
        *("input", "instructions", "prompt", "response_format", "system", "speed", "voice"),
        *("reasoning", "web_search_options", "max_output_tokens", "max_tool_calls", "plugins"),
    ]
)
MESSAGES = st.just([{"role": "user", "content": "Hi"}])
BODIES = st.fixed_dictionaries(
    {"model": NAMES | JSON},
    optional={"messages": MESSAGES | JSON, "max_tokens": st.integers(1, 99) | JSON, "input": JSON},
).flatmap(lambda body: st.dictionaries(FIELDS, JSON, max_size=3).map(lambda more: body | more))
PATHS = st.sampled_from(
    [
        *("/chat/completions", "/responses", "/embeddings", "/messages"),
        *("/images/generations", "/audio/speech", "/audio/transcriptions"),
    ]
)
HEADERS = st.dictionaries(
    st.sampled_from(["x_tags", "x_thread_id", "x_end_user_id", "x_tollkeeper_clamp"]),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=300),
    max_size=2,
)
MANY = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    print_blob=True,
)


async def obliging(speaker: Speaker) -> None:
    """Answer whatever comes in some way that fits."""
    body = speaker.heard.body
    if isinstance(body, dict) and body.get("stream"):
        await speaker.event({"choices": [{"index": 0, "delta": {"content": "x"}}]})
        await speaker.event("[DONE]")
        await speaker.end()
    elif speaker.heard.path.endswith("/messages"):
        await speaker.whole(message())
    else:
        await speaker.whole(completion(usage=usage(10, 5)))


@MANY
@given(path=PATHS, body=BODIES | st.binary(max_size=200), headers=HEADERS)
async def test_requests_of_every_shape(
    house: House, path: str, body: Any, headers: dict[str, str]
) -> None:
    customer = await house.customer("100")
    house.upstream.script = obliging
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = await customer.post(path, raw, **headers)
    assert answer.status_code in (200, 400, 402, 404, 415, 422, 502), answer.text
    if answer.status_code != 200:
        assert answer.json()["error"]["message"]
    await customer.nothing_held()
    assert (await customer.wallet()).posted >= 0


PIECES = st.lists(
    st.binary(max_size=30)
    | JSON.map(lambda value: b"data: " + json.dumps(value).encode() + b"\n\n")
    | st.sampled_from(
        [
            b'data: {"choices":[{"index":0,"delta":{"content":"Hello"}}]}\n\n',
            b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
            b'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3}}\n\n',
            b'event: message_start\ndata: {"type":"message_start","message":{"usage":{}}}\n\n',
            b'data: {"type":"content_block_delta","delta":{"text":"x"}}\n\n',
            b'data: {"type":"message_delta","usage":{"output_tokens":3}}\n\n',
            b'data: {"type":"response.completed","response":{"usage":{"input_tokens":3}}}\n\n',
            b"data: [DONE]\n\n",
            b": comment\n\n",
            b"\r\r",
        ]
    ),
    max_size=8,
)


@MANY
@given(pieces=PIECES, status=st.sampled_from([200, 200, 200, 400, 503]), whole=st.binary())
@pytest.mark.parametrize("path", ["/chat/completions", "/messages", "/responses"])
async def test_providers_of_every_shape(
    house: House, path: str, pieces: list[bytes], status: int, whole: bytes
) -> None:
    customer = await house.customer("1")
    model = "claude-up" if path == "/messages" else "gpt-up"
    body: Any = {"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": "Hi"}]}
    if path == "/responses":
        body = {"model": model, "max_output_tokens": 50, "input": "Hi"}

    async def streaming(speaker: Speaker) -> None:
        if status != 200:
            await speaker.whole(b"".join(pieces), status)
            return
        await speaker.piece(b"")
        for piece in pieces:
            await speaker.piece(piece)
        await speaker.end()

    async def answering(speaker: Speaker) -> None:
        await speaker.whole(whole, status)

    house.upstream.script = streaming
    streamed = await customer.post(path, body | {"stream": True})
    house.upstream.script = answering
    answered = await customer.post(path, body)
    assert streamed.status_code in (200, 400, 502, 503), streamed.text
    assert answered.status_code in (200, 400, 502, 503), answered.text
    await asyncio.sleep(0)
    await customer.nothing_held()
    # The key was told to nobody, and what was charged was within what was held.
    assert "-secret-" not in streamed.text + answered.text
    records = await customer.records()
    assert len(records) == 2
    assert all(r["amount"] >= 0 for r in records)
