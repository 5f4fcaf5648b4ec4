"""Nothing that a client or a provider sends makes a dialect raise what it does not declare."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from golden_cases import cases
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_streams import COST

from tollkeeper.base.errors import InvalidRequest
from tollkeeper.gateway.dialects import DIALECTS, Ask, Change, Dialect, UnreadableAnswer
from tollkeeper.gateway.providers import Call, SandboxProvider, UpstreamFailed

CASES = cases()
JSON_DIALECTS = [one for one in DIALECTS.values() if one.name != "transcriptions"]
_NAMES_WORDS = """
model messages input role content type text n stream stream_options
include_usage tools function name parameters max_tokens max_output_tokens system
source data image_url url usage prompt_tokens completion_tokens total_tokens
input_tokens output_tokens choices delta finish_reason error message output item
response metadata user id tool_choice response_format service_tier
prompt_tokens_details cached_tokens cache_creation iterations server_tool_use
output_config format schema properties required enum items anyOf tool_calls
prompt stop_reason content_block embedding data duration seconds action
container_id tool_usage
"""
NAMES = st.sampled_from(_NAMES_WORDS.split())
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=6),
    st.sampled_from(
        ["user", "text", "object", "array", "stop", "message", "[[sandbox: tokens=2]]"]
    ),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=5)),
    max_leaves=12,
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=8)
LIKELY: dict[str, dict[str, Any]] = {
    "chat": {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
    "responses": {"model": "m", "input": "hi"},
    "embeddings": {"model": "m", "input": "hi"},
    "messages": {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]},
    "images": {"model": "m", "prompt": "hi"},
    "speech": {"model": "m", "input": "hi"},
}


def read(dialect: Dialect, body: dict[str, Any]) -> Ask | InvalidRequest:
    try:
        return dialect.read(msgspec.json.encode(body))
    except InvalidRequest as fault:
        return fault


def every_dialect(test: Any) -> Any:
    return pytest.mark.parametrize("dialect", JSON_DIALECTS, ids=lambda one: one.name)(test)


@every_dialect
@settings(max_examples=60, deadline=None)
@given(body=OBJECTS, extra=OBJECTS)
async def test_requests_are_read_or_refused_and_simulated(
    dialect: Dialect, body: dict[str, Any], extra: dict[str, Any]
):
    for whole in (body, {**LIKELY[dialect.name], **extra}, {**extra, **LIKELY[dialect.name]}):
        ask = read(dialect, whole)
        if isinstance(ask, InvalidRequest):
            assert ask.faults
            assert dialect.error_body(ask)
            continue
        ask.bounds(10, 10)
        sent = dialect.upstream_body(ask, Change(model="m", output_cap=9))
        call = Call(dialect=dialect.name, path=dialect.path, body=sent, stream=ask.stream)
        with suppress(UpstreamFailed):
            reply = await SandboxProvider().send(call)
            assert await reply.body(10**8)


@every_dialect
@settings(max_examples=60, deadline=None)
@given(answer=OBJECTS, junk=st.binary(max_size=40))
def test_answers_are_read_or_unreadable(dialect: Dialect, answer: dict[str, Any], junk: bytes):
    ask = dialect.read(msgspec.json.encode(LIKELY[dialect.name]))
    for body in (msgspec.json.encode(answer), junk):
        with suppress(UnreadableAnswer):
            found = dialect.read_answer(ask, body)
            assert all(count > 0 for count in found.usage.values())
            dialect.with_cost(found, COST)


STREAMED = [one for one in JSON_DIALECTS if one.name != "embeddings"]
_EVENT_TYPES_WORDS = """
message_start content_block_start content_block_delta message_delta message_stop
error ping response.created response.output_text.delta response.output_item.done
response.completed response.failed image_generation.completed speech.audio.done
"""
EVENT_TYPES = st.sampled_from(_EVENT_TYPES_WORDS.split())


@pytest.mark.parametrize("dialect", STREAMED, ids=lambda one: one.name)
@settings(max_examples=60, deadline=None)
@given(
    found=st.lists(st.tuples(EVENT_TYPES, OBJECTS), max_size=8),
    junk=st.binary(max_size=30),
    done=st.booleans(),
)
def test_streams_of_anything_are_metered(
    dialect: Dialect, found: list[tuple[str, dict[str, Any]]], junk: bytes, done: bool
):
    ask = dialect.read(msgspec.json.encode(LIKELY[dialect.name]))
    meter = dialect.meter(ask)
    for name, fields in found:
        meter.feed(b"data: " + msgspec.json.encode({"type": name, **fields}) + b"\n\n")
    meter.feed(junk + b"\n\n" + (b"data: [DONE]\n\n" if done else b""))
    meter.end()
    answer = meter.answer()
    assert all(count > 0 for count in answer.usage.values())
    meter.finish(COST)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@settings(max_examples=10, deadline=None)
@given(choice=st.randoms(use_true_random=False))
def test_recorded_answers_with_damage_are_read_or_unreadable(case, choice):
    whole = bytearray(case.response or case.stream)
    for _ in range(choice.randint(1, 6)):
        whole[choice.randrange(len(whole))] = choice.randrange(256)
    damaged = bytes(whole[: choice.randrange(len(whole) + 1)])
    if case.response is not None:
        with suppress(UnreadableAnswer):
            case.dialect.with_cost(case.dialect.read_answer(case.ask, damaged), COST)
        return
    meter = case.dialect.meter(case.ask)
    meter.feed(damaged)
    meter.end()
    assert all(count > 0 for count in meter.answer().usage.values())
    meter.finish(COST)
