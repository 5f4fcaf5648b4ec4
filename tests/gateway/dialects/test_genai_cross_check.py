"""Our reading of usage against that of genai-prices, on every recorded answer it can read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from genai_prices import extract_usage
from golden_cases import Case, cases
from wire_streams import run

# genai-prices counts input and output whole, with parts of them beside; we count disjointly.
_WRITES = ("cache_write", "cache_write_1h", "cache_write_12h")
_INPUT = ("input", "cache_read", *_WRITES, "input_audio", "input_image")
_OUTPUT = ("output", "reasoning", "output_audio", "output_image")
_PARTS = {
    "cache_read": "cache_read_tokens",
    "input_audio": "input_audio_tokens",
    "input_image": "input_image_tokens",
    "output_audio": "output_audio_tokens",
    "output_image": "output_image_tokens",
    "reasoning": "output_reasoning_tokens",
    "web_search": "web_searches",
}
_PROVIDERS = {"xai": "x-ai"}
_FLAVOURS = {"messages": "default", "images": "images", "embeddings": "embeddings"}

# What differs, and why.
DIFFERENCES: Mapping[str, str] = {
    "anthropic/compaction": "It leaves out the tokens of compactions, which are in no total.",
    "deepseek/chat_stream": "It does not read DeepSeek's first names for cached tokens.",
    "google/chat_stream": "It leaves out thinking that shows only in the total.",
    "google/chat_thinking": "It leaves out thinking that shows only in the total.",
    "openai/chat_cached_beyond_prompt": "It refuses counts that contradict each other.",
    "openai/chat_web_search": "Search models' one search for each call is not in the usage.",
    "openai/images_stream": "It does not say what was drawn where no breakdown does; we do.",
    "openai/responses_tool_usage": "It counts no calls to tools.",
    "openai/responses_web_search": "It counts no calls to tools.",
    "openrouter/chat": "It counts no searches here.",
}

# Not its flavours: it has no extractor for them, or the answer reports no usage.
SUPPORTED = {"openai", "anthropic", "deepseek", "mistral", "groq", "xai", "openrouter", "google"}
CASES = [
    case
    for case in cases()
    if case.provider in SUPPORTED
    and case.expected.dialect != "speech"
    and case.expected.reported
    and case.expected.source == "provider"
    and case.expected.usage.keys() != {"image"}
]


def theirs(case: Case) -> dict[str, int]:
    usage, model = _reported(case)
    key = {"model": model or case.ask.model, "usage": usage}
    provider = _PROVIDERS.get(case.provider, case.provider)
    flavour = _FLAVOURS.get(case.expected.dialect, case.expected.dialect)
    if case.provider in ("groq", "mistral"):
        flavour = "default"
    found = extract_usage(key, provider_id=provider, api_flavor=flavour).usage
    names = ("input_tokens", "output_tokens", "cache_write_tokens", *_PARTS.values())
    counts = {name: getattr(found, name, None) or 0 for name in names}
    return {name: count for name, count in counts.items() if count}


def ours(usage: Mapping[str, int]) -> dict[str, int]:
    counts = {
        "input_tokens": sum(usage.get(unit, 0) for unit in _INPUT),
        "output_tokens": sum(usage.get(unit, 0) for unit in _OUTPUT),
        "cache_write_tokens": sum(usage.get(unit, 0) for unit in _WRITES),
        **{name: usage.get(unit, 0) for unit, name in _PARTS.items()},
    }
    return {name: count for name, count in counts.items() if count}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_both_count_the_same_or_the_reason_is_known(case: Case):
    try:
        counted = theirs(case)
    except ValueError:
        counted = {}
    same = counted == ours(case.expected.usage)
    assert same is (case.name not in DIFFERENCES), (counted, ours(case.expected.usage))


def test_most_of_the_folder_is_compared():
    assert len(CASES) > 40
    assert set(DIFFERENCES) <= {case.name for case in CASES}


def _reported(case: Case) -> tuple[Any, str | None]:
    if case.response is not None:
        body = msgspec.json.decode(case.response)
        return body["usage"], body.get("model")
    assert case.stream is not None
    answer = run(case.dialect.meter(case.ask), [case.stream])[2]
    assert answer.raw_usage is not None
    return msgspec.json.decode(answer.raw_usage), answer.model
