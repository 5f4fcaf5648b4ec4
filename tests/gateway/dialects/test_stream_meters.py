"""A metered stream is the same however it is cut, and ends with its cost."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_streams import COST, at_random, chunks, each_byte, events, named, run

from tollkeeper.gateway.dialects import CHAT, MESSAGES, SPEECH, Ask

HELLO = b'{"model":"gpt-5","messages":[{"role":"user","content":"hello"}],"stream":true}'
USAGE = {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}


def ask(*, wants_usage: bool = False) -> Ask:
    return msgspec.structs.replace(CHAT.read(HELLO), wants_usage=wants_usage)


def chunk(text: str | None = None, finish: str | None = None, **more: object) -> dict[str, object]:
    delta = {} if text is None else {"content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "created": 5, "model": "gpt-5-x"} | {
        "choices": [choice],
        **more,
    }


def usage_chunk() -> dict[str, object]:
    return chunk() | {"choices": [], "usage": USAGE}


def test_a_client_that_asked_gets_the_usage_chunk_with_the_cost():
    stream = chunks(chunk("Hé"), chunk("llo"), chunk(None, "stop"), usage_chunk())
    passed, withheld, answer = run(CHAT.meter(ask(wants_usage=True)), [stream])
    assert [one["choices"][0]["delta"]["content"] for one in events(passed)] == ["Hé", "llo"]
    finish, usage, done = events(withheld)
    assert "cost" not in finish
    assert usage["choices"] == []
    assert usage["usage"]["total_tokens"] == 14
    assert b'"cost":0.001234567' in withheld
    assert done == "[DONE]"
    assert answer.usage == {"input": 10, "output": 4}
    assert (answer.source, answer.reported, answer.produced) == ("provider", True, True)


def test_a_client_that_did_not_ask_gets_the_cost_in_the_finishing_chunk():
    stream = chunks(chunk("Hi"), chunk(None, "stop"), usage_chunk())
    _, withheld, _ = run(CHAT.meter(ask()), [stream])
    finish, done = events(withheld)
    assert finish["choices"][0]["finish_reason"] == "stop"
    assert finish["usage"]["cost"] == finish["cost"] == 0.001234567
    assert done == "[DONE]"


def test_a_stream_without_usage_is_estimated_and_says_so():
    _, withheld, answer = run(CHAT.meter(ask()), [chunks(chunk("x" * 40), chunk(None, "stop"))])
    assert answer.source == "estimated"
    assert answer.usage["output"] == 10
    assert events(withheld)[0]["usage"]["completion_tokens"] == 10


def test_a_stream_that_breaks_is_partial_and_has_no_end_marker():
    _, withheld, answer = run(CHAT.meter(ask()), [chunks(chunk("x" * 40), done=False)])
    assert answer.source == "partial"
    assert answer.usage["output"] == 10
    assert "[DONE]" not in events(withheld)
    assert events(withheld)[-1]["cost"] == 0.001234567


def test_an_error_inside_the_stream_comes_after_the_cost():
    error = {"error": {"message": "overloaded for sk-proj-abcdef123456", "type": "server_error"}}
    passed, withheld, answer = run(CHAT.meter(ask()), [chunks(chunk("x"), error)])
    assert len(events(passed)) == 1
    assert answer.error is not None
    assert "sk-proj" not in answer.error.message
    assert "error" in events(withheld)[-1]
    assert events(withheld)[0]["cost"] == 0.001234567


def test_an_error_before_any_output_is_all_that_comes():
    _, withheld, answer = run(CHAT.meter(ask()), [chunks({"error": {"message": "no"}})])
    assert not answer.produced
    assert answer.usage == {}
    assert [list(one) for one in events(withheld)] == [["error"]]


def test_usage_in_every_chunk_counts_once_and_passes_without_delay():
    parts = [chunk("abcd", usage={**USAGE, "completion_tokens": n}) for n in (1, 2, 3)]
    stream = chunks(*parts, chunk("", "stop", usage=USAGE))
    passed, withheld, answer = run(CHAT.meter(ask(wants_usage=True)), [stream])
    assert len(events(passed)) == 3
    assert answer.usage == {"input": 10, "output": 4}
    assert [one["usage"]["cost"] for one in events(withheld)[:-1]] == [0.001234567]


def test_two_choices_end_when_both_have_finished():
    both = msgspec.structs.replace(ask(), choices=2)
    meter = CHAT.meter(both)
    assert meter.feed(chunks(chunk("a"), chunk(None, "stop"), done=False))
    assert not meter.complete
    assert meter.feed(chunks(chunk("b"), done=False)).count(b"stop") == 1
    meter.feed(chunks(chunk(None, "length"), done=False))
    assert meter.complete


def test_an_empty_finish_reason_is_none():
    """Some servers write one in every chunk: such a stream broken off is not complete."""
    words = [chunk("one ", ""), chunk("two ", ""), chunk("three", "")]
    passed, _, answer = run(CHAT.meter(ask()), [chunks(*words, done=False)])
    assert [one["choices"][0]["delta"]["content"] for one in events(passed)] == [
        *("one ", "two ", "three")
    ]
    assert answer.source == "partial"
    stream = chunks(*words, chunk("", "stop"), usage_chunk())
    passed, withheld, answer = run(CHAT.meter(ask()), [stream])
    assert len(events(passed)) == 3
    assert [one["cost"] for one in events(withheld)[:-1]] == [0.001234567]
    assert (answer.source, answer.usage) == ("provider", {"input": 10, "output": 4})


START = {"id": "m1", "model": "claude-x", "usage": {"input_tokens": 25, "output_tokens": 1}}


def messages_stream(*, whole: bool = True) -> bytes:
    events_ = [
        {"type": "message_start", "message": START},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": "Grüße" * 9},
        },
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": 15},
        },
        {"type": "message_stop"},
    ]
    return named(*(events_ if whole else events_[:4]))


def messages_ask() -> Ask:
    body = b'{"model":"claude-x","max_tokens":99,"messages":[{"role":"user","content":"hi"}]}'
    return MESSAGES.read(body)


def test_a_message_carries_its_cost_in_the_last_delta():
    passed, withheld, answer = run(MESSAGES.meter(messages_ask()), [messages_stream()])
    assert [one["type"] for one in events(passed)][-1] == "content_block_stop"
    delta, stop = events(withheld)
    assert delta["cost"] == delta["usage"]["cost"] == 0.001234567
    assert delta["usage"]["output_tokens"] == 15
    assert stop == {"type": "message_stop"}
    assert answer.usage == {"input": 25, "output": 15}
    assert answer.source == "provider"


def test_a_message_that_breaks_is_charged_for_its_input_and_what_was_written():
    stream = messages_stream(whole=False)
    _, withheld, answer = run(MESSAGES.meter(messages_ask()), [stream])
    assert answer.source == "partial"
    assert answer.usage == {"input": 25, "output": 16}
    assert events(withheld)[0]["cost"] == 0.001234567


def searched(*results: object) -> bytes:
    blocks: list[dict[str, object]] = []
    for result in results:
        blocks.append({"type": "server_tool_use", "name": "web_search", "input": {}})
        if result is not None:
            blocks.append({"type": "web_search_tool_result", "content": result})
    start = {"type": "content_block_start", "index": 0}
    events_ = [{**start, "content_block": block} for block in blocks]
    return named({"type": "message_start", "message": START}, *events_)


def test_searches_of_a_message_that_breaks_are_charged():
    """But for one that failed; the last has just begun."""
    found = [{"type": "web_search_result", "title": "x", "encrypted_content": "z" * 100}]
    failed = {"type": "web_search_tool_result_error", "error_code": "unavailable"}
    stream = searched(found, found, failed, None)
    _, _, answer = run(MESSAGES.meter(messages_ask()), [stream])
    assert (answer.source, answer.usage["web_search"]) == ("partial", 3)


@pytest.mark.parametrize("counted", [0, 2, 5])
def test_the_providers_count_of_searches_stands(counted: int):
    usage = {"output_tokens": 15, "server_tool_use": {"web_search_requests": counted}}
    ending = named({"type": "message_delta", "delta": {}, "usage": usage}, {"type": "message_stop"})
    _, _, answer = run(MESSAGES.meter(messages_ask()), [searched([], [], []) + ending])
    assert (answer.source, answer.usage.get("web_search", 0)) == ("provider", counted)


def speech_ask(model: str) -> Ask:
    said = {"model": model, "input": "Hello " * 500, "voice": "alloy", "stream_format": "sse"}
    return SPEECH.read(msgspec.json.encode(said))


def test_sound_of_a_stream_that_breaks_is_charged():
    sound = [{"type": "speech.audio.delta", "audio": "A" * 40_000}] * 100
    _, _, answer = run(SPEECH.meter(speech_ask("gpt-4o-mini-tts")), [named(*sound)])
    assert answer.source == "partial"
    assert answer.usage == {"input": 750, "output": 1_250}
    _, _, answer = run(SPEECH.meter(speech_ask("tts-1")), [named(*sound)])
    assert answer.usage == {"character": 3_000}


def test_reported_sound_is_charged_as_reported():
    usage = {"input_tokens": 700, "output_tokens": 9, "total_tokens": 709}
    done = {"type": "speech.audio.done", "usage": usage}
    stream = named({"type": "speech.audio.delta", "audio": "A" * 40_000}, done)
    _, _, answer = run(SPEECH.meter(speech_ask("gpt-4o-mini-tts")), [stream])
    assert (answer.source, answer.usage) == ("provider", {"input": 700, "output": 9})


TEXTS = st.lists(st.text(max_size=8), max_size=6)
ENDS = st.sampled_from(["\n", "\r\n", "\r"])


@settings(max_examples=300, deadline=None)
@given(texts=TEXTS, end=ENDS, seed=st.integers(0, 9), asked=st.booleans(), comments=st.booleans())
def test_however_a_stream_is_cut_the_client_reads_the_same(texts, end, seed, asked, comments):
    parts = [chunk(text) for text in texts]
    stream = chunks(*parts, chunk(None, "stop"), usage_chunk())
    if comments:
        stream = stream.replace(b"\n\n", b"\n\n: keep-alive\n\n", 3)
    stream = stream.replace(b"\n", end.encode())
    whole = run(CHAT.meter(ask(wants_usage=asked)), [stream])
    assert run(CHAT.meter(ask(wants_usage=asked)), each_byte(stream)) == whole
    assert run(CHAT.meter(ask(wants_usage=asked)), at_random(stream, seed)) == whole
    passed, withheld, _ = whole
    said = [one["choices"][0]["delta"].get("content") for one in events(passed)]
    assert said == texts
    assert events(withheld)[-1] == "[DONE]"


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_messages_read_the_same_however_they_are_cut(end):
    stream = messages_stream().replace(b"\n", end)
    whole = run(MESSAGES.meter(messages_ask()), [stream])
    assert run(MESSAGES.meter(messages_ask()), each_byte(stream)) == whole
    for seed in range(20):
        assert run(MESSAGES.meter(messages_ask()), at_random(stream, seed)) == whole


def test_the_cost_is_written_as_it_is():
    assert COST.nanos == 1_234_567
