"""The simulated model's messages, as Anthropic's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec

from tollkeeper.gateway import sse
from tollkeeper.gateway.providers.sandbox.hearing import (
    content_tokens,
    json_tokens,
    last_user_text,
    message_tokens,
    tier_of,
    tool_to_call,
)
from tollkeeper.gateway.providers.sandbox.script import read_script
from tollkeeper.gateway.providers.sandbox.shapes import items, members
from tollkeeper.gateway.providers.sandbox.text import Heard, Said, compose

_STOP = {"stop": "end_turn", "length": "max_tokens", "tool": "tool_use"}


def hear(body: dict[str, Any]) -> Heard:
    messages = items(body.get("messages"))
    text = last_user_text(messages)
    read = sum(message_tokens(message) for message in messages)
    return Heard(
        model=body["model"],
        prompt_tokens=read + content_tokens(body.get("system")) + json_tokens(body.get("tools")),
        text=text,
        script=read_script(text, members(body.get("metadata"))),
        stream=bool(body.get("stream")),
        limit=body["max_tokens"],
        tool=_called(body, messages),
        json_schema=_wanted_schema(body.get("output_config")),
        tier=body.get("service_tier"),
    )


def whole(heard: Heard, reply_id: str, created: int) -> dict[str, Any]:
    del created  # Messages carry no time.
    said = compose(heard)
    return _message(heard, reply_id) | {
        "content": _content(said, reply_id),
        "stop_reason": _STOP.get(said.finish, said.finish),
        **({} if heard.script.no_usage else {"usage": _usage(heard, said.tokens, said)}),
    }


def stream(heard: Heard, reply_id: str, created: int) -> Iterator[bytes]:
    del created
    said = compose(heard)
    start: dict[str, Any] = _message(heard, reply_id) | {"content": [], "stop_reason": None}
    if not heard.script.no_usage:
        start["usage"] = _usage(heard, min(1, said.tokens), said)
    yield _event("message_start", message=start)
    yield _event("content_block_start", index=0, content_block=_block(said, reply_id, ""))
    yield _event("ping")
    for piece in said.pieces:
        yield _event("content_block_delta", index=0, delta=_delta(said, piece))
    yield _event("content_block_stop", index=0)
    delta = {"stop_reason": _STOP.get(said.finish, said.finish), "stop_sequence": None}
    usage = {} if heard.script.no_usage else {"usage": _usage_delta(heard, said)}
    yield _event("message_delta", delta=delta, **usage)
    yield _event("message_stop")


def _message(heard: Heard, reply_id: str) -> dict[str, Any]:
    return {
        "id": f"msg_{reply_id}",
        "type": "message",
        "role": "assistant",
        "model": heard.model,
        "stop_sequence": None,
    }


def _usage(heard: Heard, written: int, said: Said) -> dict[str, Any]:
    script = heard.script
    if script.zero_usage:
        return {"input_tokens": 0, "output_tokens": 0}
    left = heard.prompt_tokens
    cached = min(script.cached, left)
    short = min(script.cache_write, left - cached)
    long = min(script.cache_write_1h, left - cached - short)
    usage: dict[str, Any] = {
        "input_tokens": left - cached - short - long,
        "cache_creation_input_tokens": short + long,
        "cache_read_input_tokens": cached,
        "cache_creation": {
            "ephemeral_5m_input_tokens": short,
            "ephemeral_1h_input_tokens": long,
        },
        "output_tokens": written,
        "service_tier": tier_of(heard.tier, script.tier, "standard"),
    }
    if said.reasoning:
        usage["output_tokens_details"] = {"thinking_tokens": min(said.reasoning, written)}
    if script.web_search:
        usage["server_tool_use"] = {"web_search_requests": script.web_search}
    return usage


def _usage_delta(heard: Heard, said: Said) -> dict[str, Any]:
    usage = _usage(heard, said.tokens, said)
    for name in ("cache_creation", "service_tier"):
        usage.pop(name, None)
    return usage


def _content(said: Said, reply_id: str) -> list[dict[str, Any]]:
    if said.finish == "refusal":
        return []
    return [_block(said, reply_id, said.text)] if said.pieces else []


def _block(said: Said, reply_id: str, text: str) -> dict[str, Any]:
    if said.tool is None:
        return {"type": "text", "text": text}
    given: Any = {}
    with suppress(msgspec.DecodeError):  # The limit may have cut the arguments short.
        given = msgspec.json.decode(text)
    return {"type": "tool_use", "id": f"toolu_{reply_id}", "name": said.tool, "input": given}


def _delta(said: Said, piece: str) -> dict[str, Any]:
    if said.tool is not None:
        return {"type": "input_json_delta", "partial_json": piece}
    return {"type": "text_delta", "text": piece}


def _event(name: str, /, **members: Any) -> bytes:
    return sse.event(msgspec.json.encode({"type": name, **members}), name)


def _called(body: dict[str, Any], messages: list[Any]) -> tuple[str, Any] | None:
    """Call a tool if there are any, but not once its result has come."""
    tools = [members(tool) for tool in items(body.get("tools"))]
    named = {
        tool["name"]: tool["input_schema"]
        for tool in tools
        if "input_schema" in tool and isinstance(tool.get("name"), str)
    }
    choice = members(body.get("tool_choice"))
    last = items(members(messages[-1]).get("content")) if messages else []
    if choice.get("type") == "none" or any(_is_result(block) for block in last):
        return None
    return tool_to_call(named, choice.get("name"))


def _is_result(block: Any) -> bool:
    return members(block).get("type") == "tool_result"


def _wanted_schema(output_config: Any) -> Any:
    wanted = members(members(output_config).get("format"))
    return members(wanted.get("schema")) if wanted else None
