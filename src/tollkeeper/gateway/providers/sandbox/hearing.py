"""Counts what a request says, for every dialect of the simulated model."""

from __future__ import annotations

from typing import Any

import msgspec

from tollkeeper.gateway.providers.sandbox.shapes import items, members
from tollkeeper.gateway.providers.sandbox.text import IMAGE_TOKENS, tokens_in

# A tuple: a type may be of any type.
_IMAGES = ("image_url", "input_image", "image")


def content_tokens(content: Any) -> int:
    """Count a message's content: a text, or parts of which the images count as images."""
    if isinstance(content, str):
        return tokens_in(content)
    return sum(_part_tokens(part) for part in items(content))


def message_tokens(message: Any) -> int:
    fields = members(message)
    return content_tokens(fields.get("content")) + json_tokens(fields.get("tool_calls"))


def json_tokens(value: Any) -> int:
    return tokens_in(msgspec.json.encode(value).decode()) if value else 0


def last_user_text(messages: Any) -> str:
    if isinstance(messages, str):
        return messages
    for message in reversed(items(messages)):
        fields = members(message)
        if fields.get("role", "user") == "user" and (text := text_of(fields.get("content"))):
            return text
    return ""


def text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    texts = [members(part).get("text") for part in items(content)]
    return "\n".join(text for text in texts if isinstance(text, str))


def tool_to_call(named: dict[str, Any], wanted: Any) -> tuple[str, Any] | None:
    """The tool that is asked for, or else the first, with the schema of what it takes."""
    if not named:
        return None
    name: str = wanted if isinstance(wanted, str) and wanted in named else next(iter(named))
    return name, named[name]


def tier_of(asked: Any, told: str | None, usual: str) -> str:
    if told is not None:
        return told
    return asked if isinstance(asked, str) and asked not in _USUAL_TIERS else usual


_USUAL_TIERS = frozenset({"auto", "default", "standard", "standard_only"})


def _part_tokens(part: Any) -> int:
    if isinstance(part, str):
        return tokens_in(part)
    fields = members(part)
    if fields.get("type") in _IMAGES:
        return IMAGE_TOKENS
    text: Any = fields.get("text")
    inner = tokens_in(text) if isinstance(text, str) else 0
    return inner + content_tokens(fields.get("content"))
