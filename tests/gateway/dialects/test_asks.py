"""What is read from a request: limits, bounds, and faults that name the field."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from tollkeeper.base.errors import InvalidRequest
from tollkeeper.gateway.dialects import (
    CHAT,
    EMBEDDINGS,
    IMAGES,
    MESSAGES,
    RESPONSES,
    SPEECH,
    Ask,
    Change,
    Dialect,
)

USER = [{"role": "user", "content": "Hello there"}]


def chat(**more: Any) -> Ask:
    return CHAT.read(json.dumps({"model": "gpt-5", "messages": USER, **more}).encode())


def messages(**more: Any) -> Ask:
    body = {"model": "claude-sonnet-4-5", "max_tokens": 100, "messages": USER, **more}
    return MESSAGES.read(json.dumps(body).encode())


def responses(**more: Any) -> Ask:
    return RESPONSES.read(json.dumps({"model": "gpt-5", "input": "Hello there", **more}).encode())


def sent(dialect: Dialect, ask: Ask, **change: Any) -> dict[str, Any]:
    return msgspec.json.decode(dialect.upstream_body(ask, Change(model="upstream-name", **change)))


def faults(dialect: Dialect, body: bytes | dict[str, Any]) -> dict[str, list[str]]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(InvalidRequest) as caught:
        ask = dialect.read(raw)
        dialect.sold(ask, ask.model)
    return dict(caught.value.faults)


BAD_BODIES = {
    "empty": b"",
    "not_json": b"model=gpt-5",
    "cut": b'{"model":"gpt-5","messages":[{"role":"user","content":"Hel',
    "list": b"[]",
    "text": b'"gpt-5"',
    "two": b'{"model":"gpt-5"}{"model":"gpt-5"}',
    "nan": b'{"model":"gpt-5","messages":[],"temperature":NaN}',
    "bad_utf8": b'{"model":"gpt-5","messages":[{"role":"user","content":"\xff\xfe"}]}',
    "lone_surrogate": b'{"model":"gpt-5","messages":[{"role":"user","content":"\\ud800"}]}',
    "deep": b'{"model":"gpt-5","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep_elsewhere": b'{"model":"x","messages":[],"y":' + b'{"a":' * 9_999 + b"1" + b"}" * 10_000,
}


@pytest.mark.parametrize("dialect", [CHAT, MESSAGES, RESPONSES, EMBEDDINGS, IMAGES, SPEECH])
@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
def test_a_body_that_is_no_json_object_is_refused(dialect: Dialect, body: bytes):
    assert faults(dialect, body)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"model": None}, "model"),
        ({"model": 5}, "model"),
        ({"model": ""}, "model"),
        ({"model": "a\u0000b"}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [{"content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": ["hi"]}]}, "messages[0].content[0]"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": -5}, "max_tokens"),
        ({"max_tokens": 10**30}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_completion_tokens": "100"}, "max_completion_tokens"),
        ({"n": 0}, "n"),
        ({"n": 10**6}, "n"),
        ({"n": True}, "n"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ({"Max_Tokens": 5}, "Max_Tokens"),
        ({"models": ["gpt-5", "o3"]}, "models"),
        ({"tools": {}}, "tools"),
    ],
)
def test_chat_names_the_field_that_is_wrong(more: dict[str, Any], field: str):
    assert list(faults(CHAT, {"model": "gpt-5", "messages": USER, **more})) == [field]


@pytest.mark.parametrize(
    ("dialect", "body", "field"),
    [
        (CHAT, {"messages": USER}, "model"),
        (MESSAGES, {"model": "c", "messages": USER}, "max_tokens"),
        (MESSAGES, {"model": "c", "messages": USER, "max_tokens": -1}, "max_tokens"),
        (
            MESSAGES,
            {"model": "c", "messages": [{"role": "user"}], "max_tokens": 1},
            "messages[0].content",
        ),
        (
            MESSAGES,
            {"model": "c", "messages": USER, "max_tokens": 1, "fallbacks": [{}]},
            "fallbacks",
        ),
        (RESPONSES, {"model": "c", "input": 5}, "input"),
        (RESPONSES, {"model": "c", "input": "x", "background": True}, "background"),
        (RESPONSES, {"model": "c", "input": "x", "tools": [{}]}, "tools[0].type"),
        (EMBEDDINGS, {"model": "c", "input": []}, "input"),
        (EMBEDDINGS, {"model": "c", "input": ["a", {"b": 1}]}, "input[1]"),
        (EMBEDDINGS, {"model": "c", "input": [True, False]}, "input[0]"),
        (IMAGES, {"model": "c", "prompt": "x", "n": 11}, "n"),
        (IMAGES, {"model": "c", "prompt": "x", "n": 2, "stream": True}, "n"),
        (IMAGES, {"model": "c", "prompt": "x", "output_format": "svg"}, "output_format"),
        (SPEECH, {"model": "gpt-4o-mini-tts", "input": "x"}, "stream_format"),
        (SPEECH, {"model": "tts-1"}, "input"),
    ],
)
def test_other_dialects_name_the_field_too(dialect: Dialect, body: dict[str, Any], field: str):
    assert list(faults(dialect, body)) == [field]


def test_what_we_do_not_need_passes_untouched_to_the_byte():
    strange = b'{"type": "json_schema", "x": 1.50, "y": 1e400, "z": 123456789012345678901234567890}'
    body = (
        b'{"model":"gpt-5","response_format":%b,"messages":[{"role":"user","content":"\\u00e9"}]}'
    )
    ask = CHAT.read(body % strange)
    out = CHAT.upstream_body(ask, Change(model="o3", output_cap=9))
    assert strange in out
    assert b'[{"role":"user","content":"\\u00e9"}]' in out


def test_half_a_character_anywhere_is_a_fault_not_an_accident():
    assert faults(CHAT, b'{"model":"m","messages":[{"role":"user"}],"x":"\\ud800"}')


def test_a_field_given_twice_is_sent_once_as_it_was_read():
    body = (
        b'{"model":"gpt-5","max_tokens":9,"messages":[{"role":"user"}],"max_tokens":5,"model":"o3"}'
    )
    ask = CHAT.read(body)
    assert (ask.model, ask.max_output_tokens) == ("o3", 5)
    out = CHAT.upstream_body(ask, Change(model=ask.model, output_cap=5))
    assert out.count(b"max_tokens") == out.count(b'"model"') == 1


def test_the_output_limit_is_always_sent():
    assert sent(CHAT, chat(), output_cap=50)["max_completion_tokens"] == 50
    assert sent(CHAT, chat(), output_cap=50, cap_field="max_tokens")["max_tokens"] == 50
    assert sent(RESPONSES, responses(), output_cap=50)["max_output_tokens"] == 50
    assert sent(MESSAGES, messages(), output_cap=50)["max_tokens"] == 50


def test_the_clients_own_limit_keeps_its_name_and_may_be_lowered():
    body = sent(CHAT, chat(max_tokens=100), output_cap=50)
    assert body["max_tokens"] == 50
    assert "max_completion_tokens" not in body
    both = sent(CHAT, chat(max_tokens=100, max_completion_tokens=80), output_cap=80)
    assert both["max_tokens"] == both["max_completion_tokens"] == 80
    assert "max_completion_tokens" in sent(CHAT, chat(max_tokens=None), output_cap=50)


def test_streams_are_asked_for_their_usage_and_other_options_stay():
    asked = chat(stream=True, stream_options={"include_obfuscation": False})
    assert not asked.wants_usage
    options = sent(CHAT, asked)["stream_options"]
    assert options == {"include_obfuscation": False, "include_usage": True}
    assert sent(CHAT, asked, ask_usage=False)["stream_options"] == {"include_obfuscation": False}
    wanted = chat(stream=True, stream_options={"include_usage": True})
    assert wanted.wants_usage
    assert "stream_options" not in sent(CHAT, wanted, ask_usage=False)
    assert "stream_options" not in sent(CHAT, chat())


def test_the_bound_covers_every_byte_and_every_choice():
    ask = chat(n=3, max_completion_tokens=100)
    assert ask.bounds(None, None) == {"input": ask.input_tokens, "output": 300}
    assert (ask.input_tokens or 0) >= len(json.dumps({"model": "gpt-5", "messages": USER}))
    assert ask.bounds(50, 60) == {"input": 50, "output": 180}
    assert chat().bounds(None, None) is None


def test_predictions_are_output_on_top():
    prediction = {"type": "content", "content": "x" * 200}
    ask = chat(prediction=prediction, max_tokens=10)
    assert ask.output_bound(None) == 10 + len(json.dumps(prediction))


def test_text_that_grows_when_normalised_counts_as_grown():
    ask = chat(messages=[{"role": "user", "content": "\ufdfa" * 100}])
    assert (ask.input_tokens or 0) > 100 * 33


@pytest.mark.parametrize(
    ("content", "bounded"),
    [
        ({"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}, True),
        (
            {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 4_000_000}},
            True,
        ),
        ({"type": "input_audio", "input_audio": {"data": "A" * 4_000, "format": "mp3"}}, True),
        ({"type": "file", "file": {"file_id": "file-1"}}, False),
        ({"type": "video_url", "video_url": {"url": "https://example.org/a.mp4"}}, False),
        ({"type": "something_new"}, False),
        ({"type": "text", "text": "x", "file": {"file_id": "file-1"}}, False),
    ],
)
def test_media_are_bounded_by_documented_maxima_or_by_the_window(content, bounded):
    ask = chat(messages=[{"role": "user", "content": [{"type": "text", "text": "See"}, content]}])
    assert (ask.input_tokens is not None) is bounded
    assert (ask.input_bound(400_000) or 0) <= 400_000
    if bounded:
        assert (ask.input_tokens or 0) < 30_000


def test_images_of_models_nobody_documented_are_bounded_by_the_window():
    image = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    ask = chat(model="vision-9", messages=[{"role": "user", "content": [image]}])
    assert ask.input_tokens is None
    assert ask.input_bound(8_192) == 8_192
    assert ask.input_bound(None) is None


def test_audio_needs_prices_of_its_own():
    sound = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    ask = chat(messages=[{"role": "user", "content": [sound]}], modalities=["text", "audio"])
    assert ask.units == {"input", "output", "input_audio", "output_audio"}
    assert ask.modalities == {"text", "audio"}


def test_searches_are_units_that_must_be_priced():
    assert chat(web_search_options={}).counted == {"web_search": 1}
    assert chat(model="gpt-4o-search-preview").counted == {"web_search": 1}
    assert "web_search" in chat(web_search_options={}).units
    assert chat().counted == {}


def test_responses_limit_calls_to_the_providers_tools():
    ask = responses(tools=[{"type": "web_search"}, {"type": "function", "name": "f"}])
    assert ask.counted == {"web_search": 8}
    assert sent(RESPONSES, ask)["max_tool_calls"] == 8
    assert ask.input_tokens is None
    assert ask.input_bound(100_000) == 900_000
    limited = responses(tools=[{"type": "web_search"}], max_tool_calls=2)
    assert (limited.counted, limited.passes) == ({"web_search": 2}, 3)
    assert responses(tools=[{"type": "function", "name": "f"}]).input_tokens is not None


def test_tools_nobody_has_priced_are_units_of_their_own():
    ask = responses(tools=[{"type": "mcp", "server_url": "https://example.org"}])
    assert "mcp_call" in ask.units
    assert "tool_quantum_oracle" in responses(tools=[{"type": "quantum-oracle"}]).units
    assert "image_generation" in responses(tools=[{"type": "image_generation"}]).units


@pytest.mark.parametrize(
    "more",
    [
        {"previous_response_id": "resp_1"},
        {"conversation": "conv_1"},
        {"prompt": {"id": "pmpt_1"}},
        {"input": [{"type": "item_reference", "id": "msg_1"}]},
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]},
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_data": "AAAA"}]}]},
    ],
)
def test_what_is_stored_elsewhere_is_bounded_by_the_window(more: dict[str, Any]):
    ask = responses(**more)
    assert ask.input_tokens is None
    assert ask.input_bound(400_000) == 400_000


def test_nested_images_of_a_responses_tool_count():
    image = {"type": "input_image", "image_url": "data:image/png;base64," + "A" * 1_000_000}
    ask = responses(input=[{"type": "function_call_output", "call_id": "c", "output": [image]}])
    assert 24_600 < (ask.input_tokens or 0) < 30_000


def test_messages_web_search_gets_a_limit():
    ask = messages(tools=[{"type": "web_search_20250305", "name": "web_search"}])
    assert ask.counted == {"web_search": 5}
    assert sent(MESSAGES, ask)["tools"][0]["max_uses"] == 5
    assert ask.passes == 6
    own = messages(tools=[{"type": "web_search_20250305", "name": "web_search", "max_uses": 2}])
    assert (own.counted, own.passes) == ({"web_search": 2}, 3)
    assert sent(MESSAGES, own)["tools"][0]["max_uses"] == 2


@pytest.mark.parametrize(
    "tool",
    [
        b'{"type":"web\\u005fsearch_20250305","name":"web_search"}',
        b'{"typ\\u0065":"web_search_20250305","name":"web_search"}',
        b'{"type":"web_search_20250305","name":"web_search","max_uses":1,"max_uses":null}',
    ],
)
def test_a_web_search_is_limited_however_it_is_written(tool: bytes):
    body = b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}],"tools":[%b]}'
    ask = MESSAGES.read(body % tool)
    assert ask.counted == {"web_search": 5}
    assert sent(MESSAGES, ask)["tools"][0]["max_uses"] == 5


def test_messages_tools_of_the_client_are_bounded_by_the_body():
    custom = {"name": "f", "input_schema": {"type": "object"}}
    assert messages(tools=[custom, {"type": "bash_20250124", "name": "bash"}]).input_tokens
    assert messages(tools=[{"type": "brand_new_20270101", "name": "x"}]).input_tokens is None
    assert messages(mcp_servers=[{"type": "url", "url": "https://x"}]).passes == 11


def test_messages_name_the_cache_they_write_to():
    def cached(**control: str) -> Ask:
        block = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral", **control}}
        return messages(system=[block])

    assert messages().units == {"input", "output"}
    assert cached().units == {"input", "output", "cache_write"}
    assert cached(ttl="1h").units == {"input", "output", "cache_write", "cache_write_1h"}
    hidden = b'{"model":"c","max_tokens":1,"messages":[{"role":"user","content":"\\u0063ache"}]}'
    assert "cache_write_1h" in MESSAGES.read(hidden).units


def test_what_raises_anthropics_price_is_a_tier():
    assert messages(speed="fast").service_tier == "fast"
    assert messages(inference_geo="us").service_tier == "inference_geo_us"
    assert messages(inference_geo="global").service_tier is None
    assert messages(service_tier="standard_only").service_tier == "standard_only"


def test_documents_are_bounded_by_the_window_and_images_are_not():
    def with_block(block: dict[str, Any]) -> Ask:
        return messages(messages=[{"role": "user", "content": [block]}])

    pdf = {"type": "base64", "media_type": "application/pdf", "data": "A" * 1_000}
    png = {"type": "base64", "media_type": "image/png", "data": "A" * 1_000_000}
    assert with_block({"type": "document", "source": pdf}).input_tokens is None
    assert (with_block({"type": "image", "source": png}).input_tokens or 0) < 6_000
    text = {"type": "text", "media_type": "text/plain", "data": "hello"}
    assert with_block({"type": "document", "source": text}).input_tokens is not None
    nested = {
        "type": "tool_result",
        "tool_use_id": "t",
        "content": [{"type": "image", "source": png}],
    }
    assert 4_784 < (with_block(nested).input_tokens or 0) < 6_000


def test_embeddings_count_tokens_exactly_and_each_input_has_its_window():
    ask = EMBEDDINGS.read(b'{"model":"e","input":[[1,2,3],[4]]}')
    assert ask.bounds(8_192, None) == {"input": 4}
    texts = EMBEDDINGS.read(json.dumps({"model": "e", "input": ["x" * 20_000] * 3}).encode())
    assert texts.bounds(8_192, None) == {"input": 3 * 8_192}
    assert texts.input_estimate == 15_000


def test_images_are_counted_or_bounded_in_tokens():
    by_count = IMAGES.read(b'{"model":"flux-1","prompt":"a cat","n":3}')
    assert by_count.bounds(None, None) == {"image": 3}
    by_tokens = IMAGES.read(b'{"model":"gpt-image-1","prompt":"a cat","n":3}')
    assert (by_tokens.bounds(None, None) or {})["output"] == 3 * 6_240
    unknown = IMAGES.read(b'{"model":"gpt-image-9","prompt":"a cat"}')
    assert unknown.bounds(None, None) is None
    assert not by_tokens.can_cap


def test_speech_is_counted_in_characters():
    ask = SPEECH.read(json.dumps({"model": "tts-1", "input": "Grüße", "voice": "x"}).encode())
    assert ask.bounds(None, None) == {"character": 5}


def test_the_log_gets_short_clean_text():
    long = [{"role": "user", "content": "a\u0000b" + "x" * 5_000}, {"role": "assistant"}]
    ask = chat(messages=long, user="u" * 900, metadata={"run": 5, "tags": ["x"], "a\u0000": "b"})
    assert ask.preview.startswith("a�b")
    assert len(ask.preview) == 1_000
    assert len(ask.end_user or "") == 512
    assert ask.metadata == {"run": "5", "a�": "b"}
    assert messages(metadata={"user_id": "u7"}).end_user == "u7"
    assert chat(user={"not": "text"}).end_user is None
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    assert chat(messages=[{"role": "user", "content": parts}]).preview == "one\ntwo"


def test_a_body_of_a_million_items_is_read_or_refused_quickly():
    many = b'{"model":"e","input":[' + b"1," * 99_999 + b"1]}"
    assert EMBEDDINGS.read(many).input_tokens == 100_000
    assert faults(EMBEDDINGS, b'{"model":"e","input":[' + b"1," * 999_999 + b"1]}")
    messages_ = b",".join([b'{"role":"user","content":"x"}'] * 200_000)
    assert CHAT.read(b'{"model":"m","messages":[%b]}' % messages_).input_tokens
