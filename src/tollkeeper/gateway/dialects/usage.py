"""Provider usage objects → disjoint buckets, named as in `pricing.units`.

Sources: the usage schemas of OpenAI's chat completions, responses, embeddings, images and audio
references; Anthropic's messages reference; and where compatible providers differ, theirs:
DeepSeek (`prompt_cache_hit_tokens`), Groq (`x_groq`), xAI and Google (reasoning outside of
`completion_tokens`, seen only in `total_tokens`), Perplexity (`num_search_queries`), OpenRouter.
"""

from __future__ import annotations

from math import ceil, isfinite
from typing import Annotated, Any, Final, cast

import msgspec
from msgspec import Meta, Raw, Struct

from tollkeeper.gateway.dialects.loose import members_of

Usage = dict[str, int]

_MAX_COUNT: Final = 10**15
_Count = Annotated[int, Meta(ge=0, le=_MAX_COUNT)]


class Counts:
    """Reads counts out of a usage object and remembers what was odd about them."""

    def __init__(self, fields: dict[str, Any], oddities: list[str]) -> None:
        self.fields = fields
        self.oddities = oddities

    def inside(self, *names: str) -> Counts:
        """Give the counts of the first member of these names that is an object."""
        for name in names:
            value = self.fields.get(name)
            if isinstance(value, dict):
                return Counts(cast("dict[str, Any]", value), self.oddities)
        return Counts({}, self.oddities)

    def get(self, *names: str) -> int:
        """Give the first of these counts that is there; absent is 0."""
        for name in names:
            value = self.fields.get(name)
            if value is None:
                continue
            if isinstance(value, float) and isfinite(value):
                value = ceil(value)
            if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_COUNT:
                return value
            self.oddities.append(f"{name} is no count")
        return 0

    def text(self, name: str) -> str | None:
        value = self.fields.get(name)
        return value if isinstance(value, str) else None

    def take(self, total: int, name: str, part: int) -> tuple[int, int]:
        """Move `part` out of `total`; no more than there is. Gives what is left, and the part."""
        if part > total:
            self.oddities.append(f"{name} exceeds what it is part of")
        part = min(part, total)
        return total - part, part


def chat_usage(raw: Raw | bytes) -> tuple[Usage, tuple[str, ...]]:
    """Read the usage of OpenAI's chat completions and of the servers that are like it."""
    usual = _usual(raw)
    if usual is not None:
        return usual, ()
    counts = _read(raw)
    read = counts.inside("prompt_tokens_details")
    wrote = counts.inside("completion_tokens_details")
    cached = read.get("cached_tokens") or counts.get(
        "prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens", "cached_prompt_text_tokens"
    )
    usage = _input_buckets(
        counts, counts.get("prompt_tokens"), read, cached=cached, audio=read.get("audio_tokens")
    )
    rest, reasoning = _reasoning(counts, wrote)
    rest, audio = counts.take(rest, "completion audio_tokens", wrote.get("audio_tokens"))
    rest, image = counts.take(rest, "completion image_tokens", wrote.get("image_tokens"))
    usage |= {
        "output": rest,
        "reasoning": reasoning,
        "output_audio": audio,
        "output_image": image,
        "citation": counts.get("citation_tokens"),
        "web_search": _searches(counts),
    }
    return _kept(usage), tuple(counts.oddities)


class _InputDetails(Struct, forbid_unknown_fields=True):
    cached_tokens: _Count = 0
    audio_tokens: _Count = 0


class _OutputDetails(Struct, forbid_unknown_fields=True):
    reasoning_tokens: _Count = 0
    audio_tokens: _Count = 0
    accepted_prediction_tokens: _Count = 0
    rejected_prediction_tokens: _Count = 0


class _Usual(Struct, forbid_unknown_fields=True):
    """OpenAI's own usage object, and nothing besides."""

    prompt_tokens: _Count
    completion_tokens: _Count
    total_tokens: _Count
    prompt_tokens_details: _InputDetails | None = None
    completion_tokens_details: _OutputDetails | None = None


_USUAL: Final = msgspec.json.Decoder(_Usual)
_NO_INPUT_DETAILS: Final = _InputDetails()
_NO_OUTPUT_DETAILS: Final = _OutputDetails()


def _usual(raw: Raw | bytes) -> Usage | None:
    """Read the shape that nearly all answers have, four times as fast. None: it is another."""
    try:
        said = _USUAL.decode(raw)
    except (ValueError, RecursionError):
        return None
    read = said.prompt_tokens_details or _NO_INPUT_DETAILS
    wrote = said.completion_tokens_details or _NO_OUTPUT_DETAILS
    text = said.prompt_tokens - read.cached_tokens - read.audio_tokens
    rest = said.completion_tokens - wrote.reasoning_tokens - wrote.audio_tokens
    if said.total_tokens != said.prompt_tokens + said.completion_tokens or text < 0 or rest < 0:
        return None
    usage = {
        "input": text,
        "cache_read": read.cached_tokens,
        "input_audio": read.audio_tokens,
        "output": rest,
        "reasoning": wrote.reasoning_tokens,
        "output_audio": wrote.audio_tokens,
    }
    return _kept(usage)


def _reasoning(counts: Counts, wrote: Counts) -> tuple[int, int]:
    """Split what was written into text and reasoning.

    xAI and Google leave reasoning out of `completion_tokens`, and only the total tells.
    Perplexity reports it at the top, beside everything. What exceeds `completion_tokens` cannot
    be within them.
    """
    completion = counts.get("completion_tokens")
    beside = max(0, counts.get("total_tokens") - counts.get("prompt_tokens") - completion)
    inside = wrote.get("reasoning_tokens")
    if beside and beside != inside:
        counts.oddities.append("total_tokens exceeds its parts")
    if not inside:
        return completion, max(beside, counts.get("reasoning_tokens"))
    inner = max(0, inside - beside)
    if inner > completion:
        counts.oddities.append("reasoning_tokens exceeds completion_tokens")
        return completion, inside
    return completion - inner, inner + beside


def responses_usage(raw: Raw | bytes) -> tuple[Usage, tuple[str, ...]]:
    """Read the usage of OpenAI's responses. Tool calls are counted from the output items."""
    counts = _read(raw)
    read = counts.inside("input_tokens_details")
    wrote = counts.inside("output_tokens_details")
    usage = _input_buckets(
        counts,
        counts.get("input_tokens"),
        read,
        cached=read.get("cached_tokens"),
        audio=read.get("audio_tokens"),
    )
    rest, reasoning = counts.take(
        counts.get("output_tokens"), "reasoning_tokens", wrote.get("reasoning_tokens")
    )
    rest, audio = counts.take(rest, "output audio_tokens", wrote.get("audio_tokens"))
    usage |= {"output": rest, "reasoning": reasoning, "output_audio": audio}
    return _kept(usage), tuple(counts.oddities)


def messages_usage(raw: Raw | bytes) -> tuple[Usage, tuple[str, ...]]:
    """Read the usage of Anthropic's messages, whose input counts do not overlap.

    Where the 5-minute and 1-hour split falls short of the total, the rest is at the default
    (5 minutes); compaction steps are not in the totals and are added.
    """
    counts = _read(raw)
    usage = _messages_buckets(counts)
    steps: Any = counts.fields.get("iterations")
    for step in cast("list[Any]", steps) if isinstance(steps, list) else []:
        inner = Counts({"step": step}, counts.oddities).inside("step")
        if inner.text("type") not in ("message", None):
            for unit, count in _messages_buckets(inner).items():
                usage[unit] += count
    return _kept(usage), tuple(counts.oddities)


def _messages_buckets(counts: Counts) -> Usage:
    written = counts.get("cache_creation_input_tokens")
    split = counts.inside("cache_creation")
    short, long = split.get("ephemeral_5m_input_tokens"), split.get("ephemeral_1h_input_tokens")
    if short + long > written > 0:
        counts.oddities.append("cache_creation exceeds cache_creation_input_tokens")
    rest, thinking = counts.take(
        counts.get("output_tokens"),
        "thinking_tokens",
        counts.inside("output_tokens_details").get("thinking_tokens"),
    )
    return {
        "input": counts.get("input_tokens"),
        "cache_read": counts.get("cache_read_input_tokens"),
        "cache_write": short + max(0, written - short - long),
        "cache_write_1h": long,
        "output": rest,
        "reasoning": thinking,
        "web_search": counts.inside("server_tool_use").get("web_search_requests"),
    }


def embeddings_usage(raw: Raw | bytes) -> tuple[Usage, tuple[str, ...]]:
    counts = _read(raw)
    return _kept({"input": counts.get("prompt_tokens", "total_tokens")}), tuple(counts.oddities)


def images_usage(raw: Raw | bytes) -> tuple[Usage, tuple[str, ...]]:
    """Read the usage of OpenAI's images. Without a breakdown, what is written is the image."""
    counts = _read(raw)
    read = counts.inside("input_tokens_details")
    wrote = counts.inside("output_tokens_details")
    cached = read.inside("cached_tokens_details")
    total, image = counts.take(counts.get("input_tokens"), "image_tokens", read.get("image_tokens"))
    image, cached_image = counts.take(image, "cached image_tokens", cached.get("image_tokens"))
    text_cached = cached.get("text_tokens") or max(0, read.get("cached_tokens") - cached_image)
    text, cached_text = counts.take(total, "cached_tokens", text_cached)
    written = counts.get("output_tokens")
    drawn = wrote.get("image_tokens") if wrote.fields else written
    rest, drawn = counts.take(written, "output image_tokens", drawn)
    usage = {
        "input": text,
        "cache_read": cached_text,
        "input_image": image,
        "cache_read_image": cached_image,
        "output": rest,
        "output_image": drawn,
    }
    return _kept(usage), tuple(counts.oddities)


def audio_usage(raw: Raw | bytes) -> tuple[Usage, tuple[str, ...]]:
    """Read the usage of OpenAI's transcriptions (tokens or seconds) and of streamed speech.

    What speech writes is audio, which its price list calls output.
    """
    counts = _read(raw)
    if counts.text("type") == "duration":
        return _kept({"audio_second": counts.get("seconds")}), tuple(counts.oddities)
    read = counts.inside("input_token_details", "input_tokens_details")
    text, audio = counts.take(counts.get("input_tokens"), "audio_tokens", read.get("audio_tokens"))
    usage = {"input": text, "input_audio": audio, "output": counts.get("output_tokens")}
    return _kept(usage), tuple(counts.oddities)


def reported(raw: Raw | bytes) -> bytes | None:
    """Give a usage object that holds at least one count. None: nothing was reported."""
    if not bytes(raw).startswith(b"{"):
        return None
    fields = _read(raw).fields
    return bytes(raw) if any(fields.get(name) is not None for name in _TOTALS) else None


_TOTALS: Final = (
    *("prompt_tokens", "completion_tokens", "total_tokens"),
    *("input_tokens", "output_tokens", "seconds"),
)


def upstream_cost(raw: Raw | bytes) -> str | None:
    """Give the cost that OpenRouter, Perplexity and others report, as they wrote it."""
    if b'"cost"' not in bytes(raw):
        return None
    cost = members_of(raw).get("cost", b"null")
    cost = members_of(cost).get("total_cost", cost)
    text = bytes(cost).decode("ascii", "replace")
    return text if text[:1].isdecimal() else None


def _read(raw: Raw | bytes) -> Counts:
    try:
        whole: Any = _USAGE.decode(raw)
    except (ValueError, RecursionError):
        whole = None
    return Counts({"usage": whole}, []).inside("usage")


# A number too large for a float is no count, but no accident either.
_USAGE: Final = msgspec.json.Decoder(Any, float_hook=float)


def _input_buckets(
    counts: Counts, total: int, details: Counts, *, cached: int, audio: int
) -> Usage:
    left, cached = counts.take(total, "cached_tokens", cached)
    left, audio = counts.take(left, "audio_tokens", audio)
    left, written = counts.take(left, "cache_write_tokens", details.get("cache_write_tokens"))
    _, long = counts.take(
        written,
        "ttl_12h_tokens",
        details.inside("cache_write_tokens_details").get("ttl_12h_tokens"),
    )
    return {
        "input": left,
        "cache_read": cached,
        "cache_write": written - long,
        "cache_write_12h": long,
        "input_audio": audio,
    }


def _searches(counts: Counts) -> int:
    server = counts.inside("server_tool_use", "server_tool_use_details")
    return server.get("web_search_requests") or counts.get("num_search_queries")


def _kept(usage: Usage) -> Usage:
    return {unit: count for unit, count in usage.items() if count}
