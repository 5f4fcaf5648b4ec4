"""The simulated model: what it says can be counted, and it fails as it is told."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollkeeper.gateway.dialects import (
    CHAT,
    EMBEDDINGS,
    IMAGES,
    MESSAGES,
    RESPONSES,
    SPEECH,
    TRANSCRIPTIONS,
    Answer,
    Ask,
    Change,
    Cost,
    Dialect,
    StreamMeter,
    UnreadableAnswer,
)
from tollkeeper.gateway.providers import Call, Reply, SandboxProvider, UpstreamBroke, UpstreamGone
from tollkeeper.gateway.providers.sandbox import tokens_in

TALKING = {"chat": CHAT, "messages": MESSAGES, "responses": RESPONSES}
TOOL = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def body_for(name: str, text: str, **more: Any) -> dict[str, Any]:
    if name == "responses":
        return {"model": "gpt-5", "input": text, **more}
    limit = {"max_tokens": 4_096} if name == "messages" else {}
    return {"model": "gpt-5", "messages": [{"role": "user", "content": text}], **limit, **more}


def call_for(dialect: Dialect, ask: Ask, content_type: str = "application/json") -> Call:
    change = Change(model=ask.model, output_cap=ask.max_output_tokens)
    return Call(
        dialect=dialect.name,
        path=dialect.path,
        body=dialect.upstream_body(ask, change),
        stream=ask.stream,
        content_type=content_type,
    )


async def send(dialect: Dialect, body: dict[str, Any]) -> tuple[Ask, Reply]:
    ask = dialect.read(json.dumps(body).encode())
    return ask, await SandboxProvider().send(call_for(dialect, ask))


async def answer(dialect: Dialect, body: dict[str, Any]) -> Answer:
    ask, reply = await send(dialect, body)
    assert reply.status == 200
    return dialect.read_answer(ask, await reply.body(10**7))


async def metered(dialect: Dialect, body: dict[str, Any]) -> StreamMeter:
    ask, reply = await send(dialect, {**body, "stream": True})
    assert reply.headers["content-type"].startswith("text/event-stream")
    meter = dialect.meter(ask)
    async for chunk in reply.chunks():
        meter.feed(chunk)
    meter.end()
    return meter


each = pytest.mark.parametrize("name", TALKING)


@each
async def test_tokens_are_four_bytes_each_in_and_as_told_out(name: str):
    text = "[[sandbox: tokens=37]] Grüße"
    found = await answer(TALKING[name], body_for(name, text))
    assert found.usage == {"input": tokens_in(text), "output": 37}
    streamed = (await metered(TALKING[name], body_for(name, text))).answer()
    assert streamed.usage == found.usage
    assert streamed.source == found.source == "provider"


@each
async def test_the_same_request_gets_the_same_text(name: str):
    _, first = await send(TALKING[name], body_for(name, "hello"))
    _, second = await send(TALKING[name], body_for(name, "hello"))
    texts = [_text(json.loads(await reply.body(10**6))) for reply in (first, second)]
    assert texts[0] == texts[1]
    assert tokens_in(texts[0]) == 16


@each
async def test_it_stops_at_the_limit_and_says_so(name: str):
    limit = {"chat": "max_tokens", "messages": "max_tokens", "responses": "max_output_tokens"}[name]
    body = body_for(name, "[[sandbox: tokens=500, reasoning=20]]", **{limit: 30})
    found = await answer(TALKING[name], body)
    assert found.usage["output"] == 10
    assert found.usage["reasoning"] == 20
    assert found.finish_reason in ("length", "max_tokens", "max_output_tokens")
    assert (await metered(TALKING[name], body)).answer().usage == found.usage


@each
async def test_it_calls_the_first_tool_until_its_result_comes(name: str):
    tools: dict[str, Any] = {
        "chat": [{"type": "function", "function": {"name": "weather", "parameters": TOOL}}],
        "messages": [{"name": "weather", "input_schema": TOOL}],
        "responses": [{"type": "function", "name": "weather", "parameters": TOOL}],
    }
    _, reply = await send(TALKING[name], body_for(name, "Rain?", tools=tools[name]))
    whole = await reply.body(10**6)
    assert b"weather" in whole
    assert b"city" in whole
    streamed = (await metered(TALKING[name], body_for(name, "Rain?", tools=tools[name]))).answer()
    assert streamed.produced


async def test_a_tools_result_ends_the_calling():
    tools = [{"type": "function", "function": {"name": "weather", "parameters": TOOL}}]
    said = [{"role": "user", "content": "Rain?"}, {"role": "tool", "content": "No"}]
    found = await answer(CHAT, {"model": "gpt-5", "messages": said, "tools": tools})
    assert found.finish_reason == "stop"
    none = body_for("chat", "Rain?", tools=tools, tool_choice="none")
    assert (await answer(CHAT, none)).finish_reason == "stop"


async def test_json_mode_gives_json_that_fits_the_schema():
    schema = {
        "type": "object",
        "properties": {
            "n": {"type": "integer"},
            "tags": {"type": "array", "items": {"enum": ["a"]}},
        },
        "required": ["n", "tags"],
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    _, reply = await send(CHAT, body_for("chat", "give", response_format=wanted))
    content = json.loads(await reply.body(10**6))["choices"][0]["message"]["content"]
    assert json.loads(content) == {"n": 1, "tags": ["a"]}


async def test_caches_and_searches_are_reported():
    text = "[[sandbox: cached=5, cache_write=3, cache_write_1h=2, web_search=4]]" + "x" * 100
    found = await answer(MESSAGES, body_for("messages", text))
    left = tokens_in(text) - 10
    assert found.usage == {
        "input": left,
        "cache_read": 5,
        "cache_write": 3,
        "cache_write_1h": 2,
        "output": 16,
        "web_search": 4,
    }
    assert (await answer(CHAT, body_for("chat", text))).usage["cache_read"] == 5


@each
async def test_it_fails_as_it_is_told(name: str):
    dialect = TALKING[name]
    for instruction, status in (("error=503", 503), ("rate_limit", 429), ("nonsense", 400)):
        _, reply = await send(dialect, body_for(name, f"[[sandbox: {instruction}]]"))
        assert reply.status == status
        said = await reply.body(10**6)
        assert b"sandbox" in said.lower()
        shown, body = dialect.upstream_error(status, said)
        assert shown == status
        # Of its limits a provider's own words are not told.
        told = json.loads(body)["error"]["message"]
        assert ("sandbox" in told.lower()) is (status != 429)
        assert (reply.headers.get("retry-after") == "1") is (status == 429)


@each
async def test_it_loses_the_connection_before_or_within_its_answer(name: str):
    with pytest.raises(UpstreamGone):
        await send(TALKING[name], body_for(name, "[[sandbox: disconnect_after=0]]"))
    with pytest.raises(UpstreamBroke):
        await metered(TALKING[name], body_for(name, "[[sandbox: disconnect_after=6]]"))


@each
async def test_a_stream_is_cut_or_ends_in_an_error(name: str):
    cut = await metered(TALKING[name], body_for(name, "[[sandbox: truncate]]"))
    assert not cut.complete
    assert cut.answer().source == "partial"
    failed = await metered(TALKING[name], body_for(name, "[[sandbox: error_mid_stream]]"))
    assert failed.error is not None
    assert failed.produced
    assert b"midway" in failed.finish(Cost(nanos=1))


async def test_a_whole_answer_cut_short_is_unreadable():
    ask, reply = await send(CHAT, body_for("chat", "[[sandbox: truncate]]"))
    with pytest.raises(UnreadableAnswer):
        CHAT.read_answer(ask, await reply.body(10**6))


@each
async def test_usage_may_be_missing_or_zero(name: str):
    missing = await answer(TALKING[name], body_for(name, "[[sandbox: no_usage]]"))
    assert (missing.source, missing.reported) == ("estimated", False)
    assert missing.usage["output"] > 0
    zero = await answer(TALKING[name], body_for(name, "[[sandbox: zero_usage]]"))
    assert (zero.usage, zero.reported) == ({}, True)


@each
async def test_an_estimate_is_what_the_sandbox_would_have_counted(name: str):
    """Its tokens are four bytes, and so are those of an estimate."""
    cut = body_for(name, "[[sandbox: tokens=50, truncate]]")
    found = (await metered(TALKING[name], cut)).answer()
    assert 15 <= found.usage["output"] <= 30


async def test_it_is_as_slow_as_it_is_told():
    begun = time.monotonic()
    await metered(CHAT, body_for("chat", "[[sandbox: tokens=3, delay=0.02, slow_first_byte=0.1]]"))
    assert time.monotonic() - begun >= 0.2


async def test_instructions_may_come_in_the_metadata():
    body = body_for("chat", "hello", metadata={"sandbox": "tokens=3"})
    assert (await answer(CHAT, body)).usage["output"] == 3


async def test_the_served_tier_is_the_asked_one_unless_told():
    assert (await answer(CHAT, body_for("chat", "x", service_tier="flex"))).service_tier == "flex"
    told = body_for("chat", "[[sandbox: tier=default]]", service_tier="priority")
    assert (await answer(CHAT, told)).service_tier == "default"


async def test_embeddings_depend_on_the_text_alone_and_come_as_asked():
    _, reply = await send(EMBEDDINGS, {"model": "e", "input": ["one", "two", "one"]})
    found = json.loads(await reply.body(10**6))
    vectors = [one["embedding"] for one in found["data"]]
    assert vectors[0] == vectors[2] != vectors[1]
    assert found["usage"]["prompt_tokens"] == 3
    _, packed = await send(
        EMBEDDINGS, {"model": "e", "input": "one", "dimensions": 4, "encoding_format": "base64"}
    )
    embedding = json.loads(await packed.body(10**6))["data"][0]["embedding"]
    assert len(base64.b64decode(embedding)) == 16


async def test_pictures_speech_and_transcriptions():
    by_tokens = await answer(IMAGES, {"model": "gpt-image-1", "prompt": "a cat", "n": 2})
    assert by_tokens.usage == {"input": 2, "output_image": 200}
    assert (await answer(IMAGES, {"model": "flux", "prompt": "a cat"})).usage == {"image": 1}
    ask, reply = await send(SPEECH, {"model": "tts-1", "input": "hello", "voice": "x"})
    sound = await reply.body(10**7)
    assert sound.startswith(b"RIFF")
    assert SPEECH.read_answer(ask, sound, reply.headers["content-type"]).usage == {"character": 5}


@pytest.mark.parametrize(
    ("model", "usage"),
    [("whisper-1", {"audio_second": 3}), ("gpt-4o-transcribe", {"input_audio": 30, "output": 16})],
)
async def test_transcriptions_of_a_form(model: str, usage: dict[str, int]):
    content_type = "multipart/form-data; boundary=edge"
    form = (
        b'--edge\r\nContent-Disposition: form-data; name="model"\r\n\r\n%b\r\n'
        b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n'
        b"Content-Type: audio/wav\r\n\r\n%b\r\n--edge--\r\n"
    ) % (model.encode(), bytes(40_000))
    ask = TRANSCRIPTIONS.read(form, content_type)
    reply = await SandboxProvider().send(call_for(TRANSCRIPTIONS, ask, content_type))
    found = TRANSCRIPTIONS.read_answer(ask, await reply.body(10**6))
    assert found.usage == usage
    bounds = ask.bounds(16_000, 2_000) or {}
    assert sum(bounds.values()) >= sum(usage.values())


CONTENT = st.one_of(
    st.text(max_size=200),
    st.lists(
        st.one_of(
            st.fixed_dictionaries({"type": st.just("text"), "text": st.text(max_size=50)}),
            st.just({"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}),
        ),
        max_size=4,
    ),
)


@settings(max_examples=200, deadline=None)
@given(
    contents=st.lists(CONTENT, min_size=1, max_size=6),
    tools=st.lists(st.text("abc", min_size=1, max_size=4), max_size=3),
    limit=st.integers(1, 60),
    choices=st.integers(1, 4),
    wanted=st.integers(0, 100),
)
async def test_no_simulated_usage_exceeds_the_bound(contents, tools, limit, choices, wanted):
    script = {"sandbox": f"tokens={wanted}, reasoning={wanted // 3}"}
    body = {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": content} for content in contents],
        "tools": [{"type": "function", "function": {"name": name}} for name in tools],
        "max_tokens": limit,
        "n": choices,
        "metadata": script,
    }
    ask, reply = await send(CHAT, body)
    usage = CHAT.read_answer(ask, await reply.body(10**7)).usage
    bounds = ask.bounds(None, None)
    assert bounds is not None
    assert usage.get("input", 0) <= bounds["input"]
    assert usage.get("output", 0) + usage.get("reasoning", 0) <= bounds["output"]


def _text(answer: dict[str, Any]) -> str:
    if "choices" in answer:
        return answer["choices"][0]["message"]["content"]
    content = answer["content"] if "content" in answer else answer["output"][0]["content"]
    return content[0]["text"]
