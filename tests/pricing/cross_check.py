"""Our rating beside that of genai-prices, model by model, and why they differ where they do.

`python tests/pricing/cross_check.py` writes differences.txt anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from textwrap import wrap
from typing import Final

import genai_prices
from genai_prices import types as genai
from genai_prices.data_snapshot import get_snapshot

from tollkeeper.pricing import Book, PriceVersion, Rating, rate, read_catalogue
from tollkeeper.pricing.genai_names import PROVIDERS
from tollkeeper.pricing.units import INPUT_TOKENS, OUTPUT_TOKENS

NOON: Final = datetime(2026, 11, 20, 12, tzinfo=UTC)
TABLE: Final = Path(__file__).parent / "differences.txt"

Shape = Mapping[str, int]

SHAPES: Final[Mapping[str, Shape]] = {
    "chat": {"input": 1200, "output": 300},
    "cached": {"input": 200, "cache_read": 1000, "output": 50},
    "written": {"input": 100, "cache_write": 2000, "cache_write_1h": 500, "output": 10},
    "long": {"input": 300_001, "cache_read": 20, "output": 1000},
    "rich": {
        "input": 100,
        "input_audio": 500,
        "cache_read_audio": 40,
        "output": 600,
        "reasoning": 400,
        "output_audio": 30,
        "web_search": 2,
    },
}

# Their counts overlap: each is the sum of ours that it includes.
_INCLUDED: Final[Mapping[str, tuple[str, ...]]] = {
    "input_tokens": (*INPUT_TOKENS,),
    "output_tokens": (*OUTPUT_TOKENS,),
    "cache_read_tokens": ("cache_read", "cache_read_audio"),
    "cache_write_tokens": ("cache_write", "cache_write_1h"),
    "cache_write_1h_tokens": ("cache_write_1h",),
    "input_audio_tokens": ("input_audio", "cache_read_audio"),
    "cache_audio_read_tokens": ("cache_read_audio",),
    "output_audio_tokens": ("output_audio",),
    "output_reasoning_tokens": ("reasoning",),
    "web_searches": ("web_search",),
}


@dataclass(frozen=True)
class Pair:
    """One model as we and as they have it."""

    ours: PriceVersion
    theirs: genai.ModelInfo
    provider: genai.Provider


@cache
def shipped() -> Book:
    return Book(read_catalogue())


def pairs(at: datetime) -> Iterator[Pair]:
    for provider in get_snapshot().providers:
        name = PROVIDERS.get(provider.id, provider.id)
        for model in provider.models:
            if shipped().schedule(name, model.id):
                yield Pair(shipped().find(name, model.id, at), model, provider)


def usage_of(pair: Pair, shape: Shape) -> Shape:
    # They count a request by themselves where one has a price.
    return {**shape, "request": 1} if "request" in pair.ours.rates else shape


def their_nanos(
    pair: Pair, usage: Shape, at: datetime, context: Mapping[str, str] | None = None
) -> Decimal:
    counts = {
        name: sum(usage.get(unit, 0) for unit in included) for name, included in _INCLUDED.items()
    }
    reported = genai_prices.Usage(**{name: count for name, count in counts.items() if count})
    price = pair.theirs.calc_price(
        reported, pair.provider, genai_request_timestamp=at, price_context=context
    )
    return price.total_price * 10**9


def agree(rating: Rating, theirs: Decimal) -> bool:
    """Equal, but for the half nano by which each of our lines is rounded."""
    return abs(theirs - rating.cost_nanos) <= Decimal("0.51") * len(rating.lines)


def differences() -> dict[tuple[str, str, str], list[str]]:
    """List the models of each shape, provider and reason for which the two differ."""
    found: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for pair in pairs(NOON):
        for shape, units in SHAPES.items():
            reason = _difference(pair, usage_of(pair, units))
            if reason is not None:
                found[shape, pair.ours.provider, reason].append(pair.ours.model)
    return dict(found)


def _difference(pair: Pair, usage: Shape) -> str | None:
    rating = rate(pair.ours, usage)
    theirs = their_nanos(pair, usage, NOON)
    if not rating.unpriced:
        if agree(rating, theirs):
            return None
        if pair.ours.note.startswith("Priced by time of day"):
            return "priced by time of day: ours is the dearest of the day"
        return "UNEXPLAINED"
    without = {unit: count for unit, count in usage.items() if unit not in rating.unpriced}
    the_rest_agrees = agree(rating, their_nanos(pair, without, NOON))
    if not the_rest_agrees and not pair.ours.note:
        return "UNEXPLAINED"
    missing = ", ".join(rating.unpriced)
    they = "nothing" if agree(rating, theirs) else "another unit's price"
    by_the_hour = "" if the_rest_agrees else "; priced by time of day"
    return f"no price for {missing}: we refuse, they charge {they}{by_the_hour}"


def render(found: Mapping[tuple[str, str, str], list[str]]) -> str:
    lines = [
        "# Where our rating and genai-prices differ, and why: shape | provider | reason, models.",
        "# Written by tests/pricing/cross_check.py; test_cross_check.py holds it.",
    ]
    for (shape, provider, reason), models in sorted(found.items()):
        lines += ["", f"{shape} | {provider} | {reason}"]
        lines += wrap(
            " ".join(sorted(models)),
            width=100,
            initial_indent="    ",
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TABLE.write_text(render(differences()), "utf-8")
