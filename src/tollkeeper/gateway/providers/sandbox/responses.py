"""The simulated model's responses, as OpenAI's."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
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
from tollkeeper.gateway.providers.sandbox.text import Heard, Said, compose, tokens_in


def hear(body: dict[str, Any]) -> Heard:
    asked: Any = body.get("input")
    text = last_user_text(asked)
    if isinstance(asked, str):
        read = tokens_in(asked)
    else:
        read = sum(message_tokens(item) + content_tokens(_output(item)) for item in items(asked))
    return Heard(
        model=body["model"],
        prompt_tokens=read
        + content_tokens(body.get("instructions"))
        + json_tokens(body.get("tools")),
        text=text,
        script=read_script(text, members(body.get("metadata"))),
        stream=bool(body.get("stream")),
        limit=body.get("max_output_tokens"),
        tool=_called(body, items(asked)),
        json_schema=_wanted_schema(body.get("text")),
        tier=body.get("service_tier"),
    )


def whole(heard: Heard, reply_id: str, created: int) -> dict[str, Any]:
    said = compose(heard)
    cut = said.finish == "length"
    return _response(heard, reply_id, created) | {
        "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "output": _output_items(heard, said, reply_id),
        "usage": _usage(heard, said),
    }


def stream(heard: Heard, reply_id: str, created: int) -> Iterator[bytes]:
    said = compose(heard)
    number = count()
    begun = _response(heard, reply_id, created)

    def event(name: str, /, **more: Any) -> bytes:
        body = {"type": f"response.{name}", "sequence_number": next(number), **more}
        return sse.event(msgspec.json.encode(body), f"response.{name}")

    yield event("created", response=begun)
    yield event("in_progress", response=begun)
    done = whole(heard, reply_id, created)
    for at, item in enumerate(done["output"]):
        yield event("output_item.added", output_index=at, item=_begun(item))
        place = {"item_id": item["id"], "output_index": at, "content_index": 0}
        if item["type"] == "message":
            part = item["content"][0]
            yield event("content_part.added", **place, part=_begun(part))
        if item["type"] in ("message", "function_call"):
            kind = _delta_kind(said)
            for piece in said.pieces:
                yield event(f"{kind}.delta", **place, delta=piece)
            yield event(f"{kind}.done", **place, **_whole_text(said))
        if item["type"] == "message":
            yield event("content_part.done", **place, part=item["content"][0])
        yield event("output_item.done", output_index=at, item=item)
    yield event(done["status"], response=done)


def _begun(item: dict[str, Any]) -> dict[str, Any]:
    """Show an item or a part as it is before anything is in it."""
    empty: dict[str, Any] = {
        "content": [],
        "arguments": "",
        "text": "",
        "refusal": "",
        "status": "in_progress",
    }
    return {name: empty.get(name, value) for name, value in item.items()}


def _response(heard: Heard, reply_id: str, created: int) -> dict[str, Any]:
    return {
        "id": f"resp_{reply_id}",
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "model": heard.model,
        "output": [],
        "parallel_tool_calls": True,
        "service_tier": tier_of(heard.tier, heard.script.tier, "default"),
        "tool_choice": "auto",
        "tools": [],
        "usage": None,
    }


def _usage(heard: Heard, said: Said) -> dict[str, Any] | None:
    script = heard.script
    if script.no_usage:
        return None
    read = 0 if script.zero_usage else heard.prompt_tokens
    written = 0 if script.zero_usage else said.tokens
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": min(script.cached, read)},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": min(said.reasoning, written)},
        "total_tokens": read + written,
    }


def _output_items(heard: Heard, said: Said, reply_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "type": "web_search_call",
            "id": f"ws_{reply_id}_{at}",
            "status": "completed",
            "action": {"type": "search", "query": "sandbox"},
        }
        for at in range(heard.script.web_search)
    ]
    if said.reasoning:
        found.append({"type": "reasoning", "id": f"rs_{reply_id}", "summary": []})
    found.append(_spoken(said, reply_id))
    return found


def _spoken(said: Said, reply_id: str) -> dict[str, Any]:
    status = "incomplete" if said.finish == "length" else "completed"
    if said.tool is not None:
        return {
            "type": "function_call",
            "id": f"fc_{reply_id}",
            "call_id": f"call_{reply_id}",
            "name": said.tool,
            "arguments": said.text,
            "status": status,
        }
    part: dict[str, Any] = {"type": "output_text", "text": said.text, "annotations": []}
    if said.finish == "refusal":
        part = {"type": "refusal", "refusal": said.text}
    return {
        "type": "message",
        "id": f"msg_{reply_id}",
        "role": "assistant",
        "status": status,
        "content": [part],
    }


def _delta_kind(said: Said) -> str:
    if said.tool is not None:
        return "function_call_arguments"
    return "refusal" if said.finish == "refusal" else "output_text"


def _whole_text(said: Said) -> dict[str, str]:
    if said.tool is not None:
        return {"name": said.tool, "arguments": said.text}
    return {"refusal" if said.finish == "refusal" else "text": said.text}


def _output(item: Any) -> Any:
    return members(item).get("output")


def _called(body: dict[str, Any], asked: list[Any]) -> tuple[str, Any] | None:
    """Call a function if there are any, but not once its output has come."""
    tools = [members(tool) for tool in items(body.get("tools"))]
    named = {
        tool["name"]: tool.get("parameters")
        for tool in tools
        if tool.get("type") == "function" and isinstance(tool.get("name"), str)
    }
    choice: Any = body.get("tool_choice")
    has_output = bool(asked) and members(asked[-1]).get("type") == "function_call_output"
    if choice == "none" or has_output:
        return None
    return tool_to_call(named, members(choice).get("name"))


def _wanted_schema(text: Any) -> Any:
    wanted = members(members(text).get("format"))
    if wanted.get("type") == "json_schema":
        return members(wanted.get("schema"))
    return {} if wanted.get("type") == "json_object" else None
