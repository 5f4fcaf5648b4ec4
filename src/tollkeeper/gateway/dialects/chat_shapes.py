"""The shapes of chat completions that their reader and their stream meter share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw, Struct

from tollkeeper.gateway.dialects.loose import members_of
from tollkeeper.gateway.dialects.model import ABSENT
from tollkeeper.gateway.dialects.usage import reported
from tollkeeper.pricing.units import INPUT_TOKENS, OUTPUT_TOKENS


class Groq(Struct):
    """Groq puts a stream's usage here (API reference: "Chat", `x_groq`)."""

    usage: Raw = ABSENT
    error: str | None = None


class Choice(Struct):
    finish_reason: str | None = None


class Completion(Struct):
    choices: list[Choice] | None = None
    id: str | None = None
    model: str | None = None
    service_tier: str | None = None
    usage: Raw = ABSENT
    error: Raw = ABSENT
    x_groq: Groq | None = None


def reported_in(usage: Raw, groq: Groq | None) -> bytes | None:
    """Give the usage object, wherever it is; null and absent are None."""
    return reported(usage) or (reported(groq.usage) if groq is not None else None)


def shown_usage(usage: Mapping[str, int]) -> dict[str, Any]:
    """Write buckets as a usage object, where the provider wrote none."""
    prompt = sum(count for unit, count in usage.items() if unit in INPUT_TOKENS)
    completion = sum(count for unit, count in usage.items() if unit in OUTPUT_TOKENS)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def chunk_like(first: bytes | None, model: str) -> dict[str, Raw]:
    """Make a chunk without choices that belongs to the stream `first` is from."""
    fields = {} if first is None else members_of(first)
    made = {
        "id": Raw(b'"chatcmpl"'),
        "object": Raw(b'"chat.completion.chunk"'),
        "created": Raw(b"0"),
        "model": Raw(msgspec.json.encode(model)),
    }
    made |= {name: fields[name] for name in made if name in fields}
    return {**made, "choices": Raw(b"[]")}
