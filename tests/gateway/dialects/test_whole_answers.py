"""Whole answers without usage are estimated by what was written; odd numbers spoil none."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from tollkeeper.gateway.dialects import (
    CHAT,
    EMBEDDINGS,
    MESSAGES,
    RESPONSES,
    Answer,
    Cost,
    Dialect,
    UnreadableAnswer,
)
from tollkeeper.gateway.dialects.loose import count_texts, count_written

HELLO = "Hello there, you"
LARGE = "A" * 400_000
ASKED: dict[str, dict[str, Any]] = {
    "chat": {"messages": [{"role": "user", "content": "Hi"}]},
    "responses": {"input": "Hi"},
    "messages": {"max_tokens": 900, "messages": [{"role": "user", "content": "Hi"}]},
    "embeddings": {"input": "Hi"},
}


def answered(dialect: Dialect, body: bytes | dict[str, Any], **more: Any) -> Answer:
    ask = dialect.read(msgspec.json.encode({"model": "m", **ASKED[dialect.name], **more}))
    return dialect.read_answer(ask, body if isinstance(body, bytes) else msgspec.json.encode(body))


def chatted(*, logprobs: Any = None, **message: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": HELLO, **message}
    return {"choices": [{"index": 0, "message": said, "logprobs": logprobs}]}


def test_logprobs_say_again_what_was_written():
    token = {"token": "Hello", "bytes": [72], "logprob": -0.1}
    twice = {"content": [{**token, "top_logprobs": [token] * 5}] * 80}
    assert answered(CHAT, chatted(logprobs=twice)).usage["output"] == 4
    part = {"type": "output_text", "text": HELLO, "logprobs": [token] * 80}
    item = {"type": "message", "role": "assistant", "content": [part]}
    assert answered(RESPONSES, {"output": [item]}).usage["output"] == 4


def test_pictures_and_sound_are_counted_as_such():
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + LARGE}}
    drawn = chatted(images=[image, image])
    assert answered(CHAT, drawn).usage["output"] == 4 + 2 * 1_056
    usage = answered(CHAT, drawn, modalities=["text", "image"]).usage
    assert (usage["output"], usage["output_image"]) == (4, 2 * 1_056)
    sound = chatted(content=None, audio={"id": "a", "data": LARGE, "transcript": HELLO})
    usage = answered(CHAT, sound, modalities=["text", "audio"]).usage
    assert (usage["output"], usage["output_audio"]) == (4, 125)
    assert answered(CHAT, drawn, max_tokens=7).usage["output"] == 7


def test_what_is_encrypted_is_no_text():
    reasoning = {"type": "reasoning", "encrypted_content": LARGE, "summary": []}
    drawn = {"type": "image_generation_call", "result": LARGE}
    said = {"type": "message", "content": [{"type": "output_text", "text": HELLO}]}
    usage = answered(RESPONSES, {"output": [reasoning, drawn, said]}).usage
    assert (usage["output"], usage["image_generation"]) == (4, 1)
    content = [
        {"type": "thinking", "thinking": HELLO, "signature": LARGE},
        {"type": "redacted_thinking", "data": LARGE},
        {"type": "text", "text": HELLO},
    ]
    assert answered(MESSAGES, {"type": "message", "content": content}).usage["output"] == 8


def test_all_of_what_a_tool_is_called_with_was_written():
    given = {"data": "x" * 40, "signature": "x" * 40, "id": "x" * 40, "deep": {"type": "x" * 40}}
    block = {"type": "tool_use", "id": "t", "name": "f", "input": given}
    assert count_texts(msgspec.json.encode([block])) == 160 + 1
    assert count_written(b'{"a":"Gr\\u00fc\\u00dfe"}').text_bytes == 7


ODD = '{"token":"a -Infinity \\" NaN","logprob":-Infinity,"more":[NaN,Infinity,-1.0e0]}'


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        (
            CHAT,
            '{"choices":[{"message":{"content":"Hi"},"logprobs":%s}],"usage":{"prompt_tokens":1000}}',
        ),
        (
            RESPONSES,
            '{"output":[{"type":"message","x":%s}],"usage":{"input_tokens":1000}}',
        ),
        (
            MESSAGES,
            '{"content":[{"type":"text","x":%s}],"usage":{"input_tokens":1000}}',
        ),
        (EMBEDDINGS, '{"data":[{"embedding":%s}],"usage":{"prompt_tokens":1000}}'),
    ],
    ids=lambda one: "" if isinstance(one, str) else one.name,
)
def test_an_answer_with_numbers_that_json_has_not_is_charged_and_passed_on(
    dialect: Dialect, body: str
):
    found = answered(dialect, (body % ODD).encode())
    assert found.source == "provider"
    assert found.usage["input"] == 1_000
    shown = dialect.with_cost(found, Cost(nanos=5))
    assert shown is not None
    assert ODD.encode() in shown
    assert json.loads(shown)["cost"] == 5e-9


def test_such_numbers_count_nothing_and_hide_no_text():
    usage = b'"usage":{"prompt_tokens":NaN,"completion_tokens":9,"total_tokens":Infinity}'
    found = answered(CHAT, b'{"choices":[{"message":{"content":"Hi"}}],%b}' % usage)
    assert found.usage == {"output": 9}
    assert found.oddities
    said = b'{"choices":[{"message":{"content":"%b"},"x":-Infinity}]}' % HELLO.encode()
    assert answered(CHAT, said).usage["output"] == 4


@pytest.mark.parametrize("body", [b"Infinity", b"[NaN]", b'{"a":Infinite}', b'{"a":"NaN}', b""])
def test_what_is_no_object_is_still_unreadable(body: bytes):
    for dialect in (CHAT, MESSAGES, RESPONSES, EMBEDDINGS):
        with pytest.raises(UnreadableAnswer):
            answered(dialect, body)


def test_a_stream_with_such_numbers_is_charged_and_passed_on_too():
    ask = CHAT.read(b'{"model":"m","stream":true,"messages":[{"role":"user","content":"Hi"}]}')
    piece = '{"choices":[{"index":0,"delta":{"content":"%s"},"finish_reason":%s,"logprobs":%s}]}'
    chunks = [piece % (HELLO, "null", ODD), piece % (HELLO, '"stop"', ODD)]
    meter = CHAT.meter(ask)
    passed = b"".join(meter.feed(f"data: {chunk}\n\n".encode()) for chunk in chunks)
    meter.end()
    assert meter.produced
    assert meter.answer().usage["output"] == 8
    assert chunks[0].encode() in passed
    last = meter.finish(Cost(nanos=5))
    assert ODD.encode() in last
    assert b'"cost":0.000000005' in last
