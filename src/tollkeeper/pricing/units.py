"""What usage is counted in: plain names, in buckets that never overlap.

A token is in exactly one bucket. `input` are uncached text tokens, not all input tokens, and
`output` are text tokens in no other bucket. Units that are not listed here are an operator's own
(`page`, `second`, …) and need only a price.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

Quantity = int | Decimal
Usage = Mapping[str, int] | Mapping[str, Decimal] | Mapping[str, Quantity]

TEXT: Final = "text"
AUDIO: Final = "audio"
IMAGE: Final = "image"
VIDEO: Final = "video"

# Tokens that a model reads, by modality. All of them count towards a context tier.
INPUT_TOKENS: Final[Mapping[str, str]] = {
    "input": TEXT,
    "cache_read": TEXT,
    "cache_write": TEXT,  # kept five minutes, or for a time the provider does not tell
    "cache_write_1h": TEXT,
    "input_audio": AUDIO,
    "cache_read_audio": AUDIO,
    "input_image": IMAGE,
    "cache_read_image": IMAGE,
    "input_video": VIDEO,
}
# Tokens that a model writes, by modality. A request's max_tokens bounds their sum.
OUTPUT_TOKENS: Final[Mapping[str, str]] = {
    "output": TEXT,
    "reasoning": TEXT,
    "output_audio": AUDIO,
    "output_image": IMAGE,
    "output_video": VIDEO,
}
# Neither read from the request nor bounded by max_tokens.
OTHER_TOKENS: Final = ("citation",)
COUNTS: Final = ("image", "request", "web_search", "file_search", "code_execution")

# The line of a mark-up's fixed part; nothing can be metered under its name.
FEE: Final = "fee"

TOKENS: Final = frozenset({*INPUT_TOKENS, *OUTPUT_TOKENS, *OTHER_TOKENS})
KNOWN: Final = (*INPUT_TOKENS, *OUTPUT_TOKENS, *OTHER_TOKENS, *COUNTS)

MODALITIES: Final = frozenset({TEXT, AUDIO, IMAGE, VIDEO})

_RANK: Final = {unit: rank for rank, unit in enumerate(KNOWN)}
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,47}")
_TOKEN_SIZES: Final = {1: "token", 1_000: "ktoken", 1_000_000: "mtoken"}
_SIZES: Final = {1: "unit", 1_000: "kunit", 1_000_000: "munit"}


def is_unit(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and name != FEE


def usual_per(unit: str) -> int:
    """Say how many units one price is for unless a price says otherwise."""
    return 1_000_000 if unit in TOKENS else 1


def rank(unit: str) -> tuple[int, str]:
    """Order units as an invoice lists them: known ones first, then by name."""
    return _RANK.get(unit, len(KNOWN)), unit


def sku_name(model: str, unit: str, per: int) -> str:
    """Name a SKU the way Venice does: `gpt-5-llm-input-mtoken`, `flux-image-unit`."""
    kind = unit.replace("_", "-")
    if unit in TOKENS:
        return f"{model}-llm-{kind}-{_TOKEN_SIZES.get(per, f'{per}-tokens')}"
    return f"{model}-{kind}-{_SIZES.get(per, f'{per}-units')}"
