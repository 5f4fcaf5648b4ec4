"""Tools of chat that the provider runs: each is a unit that must have a price."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tollkeeper.base.errors import InvalidRequest
from tollkeeper.gateway.dialects import CHAT, Ask

FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
COMPLETION = {
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"content": "Hello"}}],
    "usage": {"prompt_tokens": 90_000, "completion_tokens": 5, "total_tokens": 90_005},
}


def chat(**more: Any) -> Ask:
    body = {"model": "gpt-5", "messages": [{"role": "user", "content": "Hello"}], **more}
    return CHAT.read(msgspec.json.encode(body))


@pytest.mark.parametrize(
    ("kind", "unit"),
    [
        ("browser_search", "tool_browser_search"),
        ("code_interpreter", "code_execution"),
        ("mcp", "mcp_call"),
        ("web_search", "web_search"),
        ("web_search_preview", "web_search"),
        ("builtin_function", "tool_builtin_function"),
        ("openrouter:datetime", "tool_openrouter_datetime"),
        ("tool_search", "tool_search"),
        ("local_shell", "tool_local_shell"),
    ],
)
def test_a_tool_that_the_provider_runs_is_a_unit_and_reads_the_window_again(kind: str, unit: str):
    ask = chat(tools=[FUNCTION, {"type": kind}])
    assert unit in ask.units
    assert ask.counted == {unit: 1}
    assert ask.input_tokens is None
    assert ask.input_bound(100_000) == 900_000


def test_a_tool_without_a_type_is_nobodys_function():
    assert "tool_untyped" in chat(tools=[{"google_search": {}}]).units
    assert chat(tools=[{"function": {"name": "f"}}]).counted == {}


def test_tools_of_the_client_cost_nothing_beside_their_tokens():
    ask = chat(tools=[FUNCTION, {"type": "custom", "custom": {"name": "c"}}])
    assert ask.counted == {}
    assert ask.input_tokens is not None
    escaped = b'{"model":"m","messages":[{"role":"user","content":"x"}],"tools":%b}'
    assert CHAT.read(escaped % b'[{"type":"\\u0066unction","function":{}}]').counted == {}
    assert CHAT.read(escaped % b'[{"type":"m\\u0063p"}]').counted == {"mcp_call": 1}


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"tools": [{"type": "function", "Type": "mcp"}]}, "Type"),
        ({"tools": [{"type": 5}]}, "tools[0].type"),
        ({"tools": ["mcp"]}, "tools[0]"),
        ({"compound_custom": {"tools": {"enabled_tools": ["web_search"]}}}, "compound_custom"),
        ({"enable_search": True}, "enable_search"),
        ({"web_search": {"enable": True}}, "web_search"),
    ],
)
def test_other_ways_to_have_tools_run_are_refused(more: dict[str, Any], field: str):
    with pytest.raises(InvalidRequest) as caught:
        chat(**more)
    assert list(caught.value.faults) == [field]


def test_a_tool_whose_use_nobody_tells_is_charged_once():
    ask = chat(tools=[{"type": "mcp"}])
    whole = CHAT.read_answer(ask, msgspec.json.encode(COMPLETION))
    assert whole.usage == {"input": 90_000, "output": 5, "mcp_call": 1}
    meter = CHAT.meter(ask)
    chunk = {"choices": [{"index": 0, "delta": {"content": "Hello"}, "finish_reason": "stop"}]}
    last = {"choices": [], "usage": COMPLETION["usage"]}
    for one in (chunk, last):
        meter.feed(b"data: " + msgspec.json.encode(one) + b"\n\n")
    meter.feed(b"data: [DONE]\n\n")
    assert meter.answer().usage == whole.usage
