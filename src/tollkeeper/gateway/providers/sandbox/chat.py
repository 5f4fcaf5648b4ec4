"""The simulated model's chat completions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from tollkeeper.gateway import sse
from tollkeeper.gateway.providers.sandbox.hearing import (
    json_tokens,
    last_user_text,
    message_tokens,
    tier_of,
    tool_to_call,
)
from tollkeeper.gateway.providers.sandbox.script import read_script
from tollkeeper.gateway.providers.sandbox.shapes import items, members
from tollkeeper.gateway.providers.sandbox.text import Heard, Said, compose

_FINISH = {"tool": "tool_calls", "refusal": "stop"}


def hear(body: dict[str, Any]) -> Heard:
    messages = items(body.get("messages"))
    text = last_user_text(messages)
    limit: Any = body.get("max_completion_tokens") or body.get("max_tokens")
    options = members(body.get("stream_options"))
    return Heard(
        model=body["model"],
        prompt_tokens=sum(message_tokens(message) for message in messages)
        + json_tokens(body.get("tools")),
        text=text,
        script=read_script(text, members(body.get("metadata"))),
        stream=bool(body.get("stream")),
        include_usage=bool(options.get("include_usage")),
        limit=limit,
        choices=body.get("n") or 1,
        tool=_called(body, messages),
        json_schema=_wanted_schema(body.get("response_format")),
        tier=body.get("service_tier"),
    )


def whole(heard: Heard, reply_id: str, created: int) -> dict[str, Any]:
    said = compose(heard)
    choices = [
        {
            "index": index,
            "message": _message(said, reply_id, index),
            "logprobs": None,
            "finish_reason": _FINISH.get(said.finish, said.finish),
        }
        for index in range(heard.choices)
    ]
    answer = _head(heard, reply_id, created, "chat.completion") | {"choices": choices}
    usage = usage_of(heard, said)
    return answer if usage is None else answer | {"usage": usage}


def stream(heard: Heard, reply_id: str, created: int) -> Iterator[bytes]:
    said = compose(heard)
    head = _head(heard, reply_id, created, "chat.completion.chunk")
    usage = usage_of(heard, said) if heard.include_usage else None
    null = {"usage": None} if usage is not None else {}
    for index in range(heard.choices):
        yield _chunk(head, index, {"role": "assistant", "content": "", "refusal": None}, None, null)
        if said.tool is not None:
            yield _chunk(head, index, _tool_start(said.tool, reply_id, index), None, null)
        for piece in said.pieces:
            yield _chunk(head, index, _delta(said, piece), None, null)
        yield _chunk(head, index, {}, _FINISH.get(said.finish, said.finish), null)
    if usage is not None:
        yield sse.event(msgspec.json.encode({**head, "choices": [], "usage": usage}))
    yield sse.event(b"[DONE]")


def usage_of(heard: Heard, said: Said) -> dict[str, Any] | None:
    script = heard.script
    if script.no_usage:
        return None
    prompt = 0 if script.zero_usage else heard.prompt_tokens
    written = 0 if script.zero_usage else said.tokens * heard.choices
    usage: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": written,
        "total_tokens": prompt + written,
        "prompt_tokens_details": {
            "cached_tokens": min(script.cached, prompt),
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": min(said.reasoning * heard.choices, written),
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
    if script.web_search:
        usage["server_tool_use"] = {"web_search_requests": script.web_search}
    return usage


def _head(heard: Heard, reply_id: str, created: int, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{reply_id}",
        "object": kind,
        "created": created,
        "model": heard.model,
        "service_tier": tier_of(heard.tier, heard.script.tier, "default"),
        "system_fingerprint": "fp_sandbox",
    }


def _message(said: Said, reply_id: str, index: int) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": said.text, "refusal": None}
    if said.finish == "refusal":
        return message | {"content": None, "refusal": said.text}
    if said.tool is not None:
        call = {"name": said.tool, "arguments": said.text}
        calls = [{"id": _call_id(reply_id, index), "type": "function", "function": call}]
        return message | {"content": None, "tool_calls": calls}
    return message


def _tool_start(name: str, reply_id: str, index: int) -> dict[str, Any]:
    function = {"name": name, "arguments": ""}
    call = {"index": 0, "id": _call_id(reply_id, index), "type": "function", "function": function}
    return {"tool_calls": [call]}


def _delta(said: Said, piece: str) -> dict[str, Any]:
    if said.finish == "refusal":
        return {"refusal": piece}
    if said.tool is not None:
        return {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
    return {"content": piece}


def _chunk(
    head: dict[str, Any],
    index: int,
    delta: dict[str, Any],
    finish: str | None,
    more: dict[str, Any],
) -> bytes:
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
    return sse.event(msgspec.json.encode({**head, "choices": [choice], **more}))


def _call_id(reply_id: str, index: int) -> str:
    return f"call_{reply_id}_{index}"


def _called(body: dict[str, Any], messages: list[Any]) -> tuple[str, Any] | None:
    """Call a tool if there are any, but not once its result has come."""
    functions = [members(members(tool).get("function")) for tool in items(body.get("tools"))]
    named = {one["name"]: one.get("parameters") for one in functions if _is_name(one.get("name"))}
    choice: Any = body.get("tool_choice")
    if choice == "none" or (messages and members(messages[-1]).get("role") == "tool"):
        return None
    return tool_to_call(named, members(members(choice).get("function")).get("name"))


def _is_name(value: Any) -> bool:
    return isinstance(value, str)


def _wanted_schema(response_format: Any) -> Any:
    fields = members(response_format)
    if fields.get("type") == "json_schema":
        return members(members(fields.get("json_schema")).get("schema"))
    return {} if fields.get("type") == "json_object" else None
