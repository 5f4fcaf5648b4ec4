"""Which consumable covers a priced line: each line at most one, the first that says so."""

from __future__ import annotations

import re
from collections.abc import Collection
from fnmatch import translate
from typing import Final, NamedTuple

from tollkeeper import pricing
from tollkeeper.plans.model import Consumable, Matcher
from tollkeeper.pricing import TOKENS, Overage, PriceVersion, units

ALL_TOKENS: Final = "tokens"
NOT_COVERED: Final = -1
# Operations are names that callers choose; beyond so many answers, they are worked out again.
_REMEMBERED: Final = 10_000


class Said(NamedTuple):
    """All that a matcher can ask of a line."""

    sku: str
    unit: str
    provider: str | None
    model: str | None
    operation: str | None


class Coverage:
    """The consumables of one plan version, and the answers they gave."""

    def __init__(self, consumables: tuple[Consumable, ...]) -> None:
        self._rules = [
            (place, _Rule(matcher))
            for place, one in enumerate(consumables)
            for matcher in one.covers
        ]
        self._consumables = consumables
        self._known: dict[Said, int] = {}
        self._within: dict[tuple[object, ...], frozenset[int]] = {}
        self._overages: dict[tuple[PriceVersion, str | None], Overage | None] = {}
        self.priced = any(one.overage_nanos is not None for one in consumables)

    def place_of(self, said: Said) -> int:
        """Give the place of the consumable that covers this, or NOT_COVERED."""
        place = self._known.get(said)
        if place is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = (place for place, rule in self._rules if rule.holds(said))
            place = self._known[said] = next(found, NOT_COVERED)
        return place

    def places_within(
        self,
        version: PriceVersion,
        bound: str,
        operation: str | None,
        modalities: Collection[str] | None,
    ) -> frozenset[int]:
        """Give the places of all that what is bounded as `bound` can turn out to be."""
        key = (version, bound, operation, None if modalities is None else tuple(modalities))
        places = self._within.get(key)
        if places is None:
            if len(self._within) >= _REMEMBERED:
                self._within.clear()
            places = self._within[key] = frozenset(
                self.place_of(said_of(version, unit, operation))
                for unit in pricing.reach_of(bound, modalities)
            )
        return places

    def overage(self, version: PriceVersion, operation: str | None) -> Overage | None:
        """Give the plan's own prices for what this version sells, by unit."""
        if not self.priced:
            return None
        key = (version, operation)
        if key not in self._overages:
            if len(self._overages) >= _REMEMBERED:
                self._overages.clear()
            self._overages[key] = self._price(version, operation)
        return self._overages[key]

    def _price(self, version: PriceVersion, operation: str | None) -> Overage | None:
        found: dict[str, tuple[int, int]] = {}
        for unit in {*units.KNOWN, *version.rates}:
            place = self.place_of(said_of(version, unit, operation))
            one = None if place == NOT_COVERED else self._consumables[place]
            if one is None or one.overage_nanos is None or not _sells(version, unit):
                continue
            found[unit] = (one.overage_nanos, one.overage_per * one.unit_size)
        return found or None


def said_of(version: PriceVersion, unit: str, operation: str | None) -> Said:
    sku = pricing.sku_of(version, unit)
    return Said(sku, unit, version.provider, version.model, operation)


def _sells(version: PriceVersion, unit: str) -> bool:
    """A plan says what a unit costs that is sold, not that it is."""
    try:
        pricing.check_priced(version, [unit])
    except pricing.ModelNotPriced:
        return False
    return True


class _Rule:
    def __init__(self, matcher: Matcher) -> None:
        wanted = (matcher.sku, None, matcher.provider, matcher.model, matcher.operation)
        self._patterns = [
            (place, re.compile(translate(text)).match)
            for place, text in enumerate(wanted)
            if text is not None
        ]
        self._by_sku = matcher.sku is not None
        self._units = {
            name
            for unit in matcher.units
            for name in (TOKENS if unit == ALL_TOKENS else frozenset({unit}))
        }

    def holds(self, said: Said) -> bool:
        if self._units:
            if said.unit not in self._units:
                return False
        elif said.unit == units.FEE and not self._by_sku:
            # A mark-up's fixed part is no unit of anything, unless somebody names it.
            return False
        return all(match(said[place] or "") is not None for place, match in self._patterns)
