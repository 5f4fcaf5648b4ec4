"""LiteLLM's usage in the units of Tollkeeper's price book, which do not overlap."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_PROVIDERS: Final = {
    "azure": "openai",
    "cohere_chat": "cohere",
    "fireworks_ai": "fireworks",
    "gemini": "google",
    "moonshot": "moonshotai",
    "text-completion-openai": "openai",
    "together_ai": "together",
    "vertex_ai": "google",
    "vertex_ai_beta": "google",
    "voyage": "voyageai",
}
_WRITTEN: Final = ("output", "reasoning")


def price_book_name(provider: str, model: str) -> tuple[str, str]:
    return _PROVIDERS.get(provider, provider), model


def units_of(usage: Any) -> dict[str, int]:
    """Split LiteLLM's totals. Its prompt tokens include what was read from and put into caches."""
    read = _part(usage, "prompt_tokens_details", "input_tokens_details")
    written = _part(usage, "completion_tokens_details", "output_tokens_details")
    kept_1h = _count(_part(read, "cache_creation_token_details"), "ephemeral_1h_input_tokens")
    special = {
        "cache_read": _count(read, "cached_tokens"),
        "cache_write": _count(read, "cache_creation_tokens", "cache_write_tokens") - kept_1h,
        "cache_write_1h": kept_1h,
        "input_audio": _count(read, "audio_tokens"),
        "input_image": _count(read, "image_tokens"),
    }
    made = {
        "reasoning": _count(written, "reasoning_tokens"),
        "output_audio": _count(written, "audio_tokens"),
        "output_image": _count(written, "image_tokens"),
    }
    units = {
        "input": _count(usage, "prompt_tokens", "input_tokens") - sum(special.values()),
        **special,
        "output": _count(usage, "completion_tokens", "output_tokens") - sum(made.values()),
        **made,
        "web_search": _count(_part(usage, "server_tool_use"), "web_search_requests"),
    }
    return {name: count for name, count in units.items() if count > 0}


def as_text_alone(units: Mapping[str, int]) -> dict[str, int]:
    kinds = {"input": 0, "output": 0}
    for name, count in units.items():
        if name != "web_search":
            kinds["output" if name.startswith(_WRITTEN) else "input"] += count
    return kinds


def _part(whole: Any, *names: str) -> Any:
    for name in names:
        part = getattr(whole, name, None)
        if part is not None:
            return part
    return None


def _count(whole: Any, *names: str) -> int:
    return max(int(_part(whole, *names) or 0), 0)
