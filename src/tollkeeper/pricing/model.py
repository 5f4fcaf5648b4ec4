"""The nouns of the price book: rates, and price versions as dated facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final
from uuid import UUID

from tollkeeper.pricing import units
from tollkeeper.pricing.markup import OWN
from tollkeeper.pricing.tables import Ceiling, Sheet

# What providers and clients call the ordinary tier, in requests and in answers.
STANDARD_TIERS: Final = frozenset({"default", "standard", "standard_only", "auto"})


# Until `seal` makes the id that follows from the content.
NO_ID: Final = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Rate:
    """`price_nanos` for every `per` units.

    `above` are cliffs, ascending: beyond so many input tokens in the whole request, every unit
    costs that price instead.
    """

    price_nanos: int
    per: int
    above: tuple[tuple[int, int], ...] = ()

    def price_at(self, input_tokens: int) -> int:
        price = self.price_nanos
        for threshold, beyond in self.above:
            if input_tokens > threshold:
                price = beyond
        return price


Rates = Mapping[str, Rate]


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceVersion:
    """What one model costs from one moment on. Never changes; a later version follows it.

    `provider` is `own` for an operator's own SKUs, whose name is then `model`. `service_tiers`
    are complete: a unit that a tier does not list has no price there. Aliases are exact names,
    or end in `<snapshot>`, which stands for a date or a short number.
    """

    id: UUID = NO_ID
    provider: str
    model: str
    effective_from: datetime
    rates: Rates
    service_tiers: Mapping[str, Rates] = field(default_factory=dict[str, Rates])
    aliases: tuple[str, ...] = ()
    context: int | None = None
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    source: str = ""
    checked_on: date | None = None
    note: str = ""
    ended: bool = False

    # Tables worked out once per mark-up and tier; they follow from the rest and may be dropped.
    sheets: dict[tuple[object, ...], Sheet] = field(
        default_factory=dict[tuple[object, ...], Sheet], init=False, repr=False, compare=False
    )
    ceilings: dict[tuple[object, ...], Ceiling] = field(
        default_factory=dict[tuple[object, ...], Ceiling],
        init=False,
        repr=False,
        compare=False,
    )

    def __hash__(self) -> int:
        return hash(self.id)

    def rates_for(self, service_tier: str | None) -> Rates | None:
        """Give the tier's rates as they are listed, or None when the tier has none."""
        if service_tier is None or service_tier in STANDARD_TIERS:
            return self.rates
        return self.service_tiers.get(service_tier)

    def sku(self, unit: str, per: int) -> str:
        if self.provider != OWN:
            return units.sku_name(self.model, unit, per)
        return self.model if len(self.rates) == 1 else f"{self.model}-{unit.replace('_', '-')}"


def resolve_rate(rates: Rates, unit: str) -> Rate | None:
    """Find the rate that a unit is charged at. None means that it has no price.

    Cache reads fall back to the uncached rate of their modality and reasoning to output.
    Cache writes fall back to input only where no cache write has a price of its own; where a
    5-minute price exists, a 1-hour write is no bargain at it. Audio, image and video tokens
    never fall back to text.
    """
    found = rates.get(unit)
    if found is not None:
        return found
    if unit in _CACHE_WRITES and not any(write in rates for write in _CACHE_WRITES):
        return rates.get("input")
    fallback = _FALLBACKS.get(unit)
    return None if fallback is None else rates.get(fallback)


_CACHE_WRITES: Final = ("cache_write", "cache_write_1h")
_FALLBACKS: Final = {
    "cache_read": "input",
    "cache_read_audio": "input_audio",
    "cache_read_image": "input_image",
    "reasoning": "output",
}
