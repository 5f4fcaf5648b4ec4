"""What units are called in the overview of usage: of which kind, and which part of a call."""

from __future__ import annotations

from typing import Final, NamedTuple

from tollkeeper.pricing import INPUT_TOKENS, TOKENS


class Kind(NamedTuple):
    """What is counted, and what sort of model counts in it."""

    units: str
    model: str | None


_TOKENS: Final = Kind("tokens", "LLM")
_KINDS: Final = {
    "image": Kind("images", "IMAGE"),
    "char": Kind("chars", "TTS"),
    "character": Kind("chars", "TTS"),
    "minute": Kind("minutes", "ASR"),
    "second": Kind("seconds", "ASR"),
    "video_second": Kind("seconds", "VIDEO"),
}


def kind_of(unit: str) -> Kind:
    """An operator's own unit goes by its own name, in the plural."""
    return _TOKENS if unit in TOKENS else _KINDS.get(unit, Kind(f"{unit}s", None))


def type_of(unit: str) -> str:
    """Say which part of a call it is: `Input`, `Output`, `Cache Read`, `Cache Write`, or itself."""
    if unit not in TOKENS:
        return unit.replace("_", " ").title()
    if unit.startswith("cache_read"):
        return "Cache Read"
    if unit.startswith("cache_write"):
        return "Cache Write"
    return "Input" if unit in INPUT_TOKENS else "Output"
