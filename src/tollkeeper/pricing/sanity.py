"""What no honest price looks like: checked wherever a price enters."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

from tollkeeper.base.money import NANOS_PER_UNIT, format_nanos
from tollkeeper.pricing import units
from tollkeeper.pricing.book import SNAPSHOT
from tollkeeper.pricing.model import STANDARD_TIERS, PriceVersion, Rate, Rates

# A fault is where it is and what is wrong with it.
Fault = tuple[str, str]

_MTOK: Final = 1_000_000
# In dollars per million tokens. The dearest tokens sold so far cost 600, the cheapest 0.0028.
_LEAST_TOKEN_NANOS: Final = NANOS_PER_UNIT // 10_000
_MOST_TOKEN_NANOS: Final = 2_000 * NANOS_PER_UNIT
# For one picture, search, request or whatever else an operator counts.
_MOST_UNIT_NANOS: Final = 10_000 * NANOS_PER_UNIT
_MOST_PER: Final = 1_000_000_000

_PROVIDER: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_MODEL: Final = re.compile(r"[^\s\x00-\x1f\x7f<>]{1,200}")
_TIER: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")


def faults_in(version: PriceVersion) -> list[Fault]:
    """List everything that is wrong with one version; nothing when it may be published."""
    return [*_name_faults(version), *_rates_faults(version), *_limit_faults(version)]


def clashes_in(versions: Iterable[PriceVersion]) -> list[Fault]:
    """List names that would mean two models at once."""
    owners: dict[tuple[str, str], set[str]] = defaultdict(set)
    names: set[tuple[str, str]] = set()
    for version in versions:
        names.add((version.provider, version.model))
        for alias in version.aliases:
            owners[version.provider, alias].add(version.model)
    faults: list[Fault] = []
    for (provider, alias), models in sorted(owners.items()):
        meant = {*models, alias} if (provider, alias) in names else models
        if len(meant) > 1:
            said = f"means more than one model: {', '.join(sorted(meant))}"
            faults.append((f"{provider}.aliases.{alias}", said))
    return faults


def _name_faults(version: PriceVersion) -> Iterator[Fault]:
    if not _PROVIDER.fullmatch(version.provider):
        yield "provider", "must be small letters, digits, dots, hyphens and underscores"
    if not _MODEL.fullmatch(version.model):
        yield "model", "must be 1 to 200 characters without spaces or angle brackets"
    for alias in version.aliases:
        if not _MODEL.fullmatch(alias.removesuffix(SNAPSHOT)):
            yield "aliases", f"{alias!r} is no model's name; only {SNAPSHOT} may end it"
    if not version.source:
        yield "source", "must say where the price comes from"
    if version.effective_from.tzinfo is None:
        yield "from", "must have a time zone"


def _rates_faults(version: PriceVersion) -> Iterator[Fault]:
    if version.ended:
        if version.rates or version.service_tiers:
            yield "rates", "must be absent from a version that ends the price"
        return
    if not version.rates:
        yield "rates", "must name at least one unit and its price; a free unit has the price 0"
    yield from _tier_faults("rates", version.rates)
    for tier, rates in version.service_tiers.items():
        if tier in STANDARD_TIERS or not _TIER.fullmatch(tier):
            yield f"service_tiers.{tier}", "is no name for a tier beside the standard one"
        yield from _tier_faults(f"service_tiers.{tier}", rates)


def _tier_faults(where: str, rates: Rates) -> Iterator[Fault]:
    for unit, rate in rates.items():
        for said in _rate_faults(unit, rate):
            yield f"{where}.{unit}", said
    for cached, full in (("cache_read", "input"), ("cache_read_audio", "input_audio")):
        if cached in rates and full in rates and _dearer(rates[cached], rates[full]):
            yield f"{where}.{cached}", f"is dearer than {full}, which no cache is"


def _rate_faults(unit: str, rate: Rate) -> Iterator[str]:
    if not units.is_unit(unit):
        yield "is no name for a unit: small letters, digits and underscores, not fee"
    if not 1 <= rate.per <= _MOST_PER:
        yield f"per must be from 1 to {_MOST_PER}"
        return
    starts = [start for start, _ in rate.above]
    if starts != sorted({*starts}) or any(start < 1 for start in starts):
        yield "above must name different numbers of tokens, ascending"
    for price in (rate.price_nanos, *(price for _, price in rate.above)):
        if price < 0:
            yield "must not be negative"
        elif unit in units.TOKENS:
            yield from _token_price_faults(price * _MTOK // rate.per)
        elif price > _MOST_UNIT_NANOS * rate.per:
            yield f"is above {format_nanos(_MOST_UNIT_NANOS)} dollars for one"


def _token_price_faults(nanos_per_mtok: int) -> Iterator[str]:
    shown = format_nanos(nanos_per_mtok)
    if 0 < nanos_per_mtok < _LEAST_TOKEN_NANOS:
        yield (
            f"is {shown} dollars per million tokens: was the price of one token written"
            " where the price of a million belongs?"
        )
    if nanos_per_mtok > _MOST_TOKEN_NANOS:
        yield f"is {shown} dollars per million tokens, more than any model costs"


def _dearer(cached: Rate, full: Rate) -> bool:
    return cached.price_nanos * full.per > full.price_nanos * cached.per


def _limit_faults(version: PriceVersion) -> Iterator[Fault]:
    for name in ("context", "max_input_tokens", "max_output_tokens"):
        limit: int | None = getattr(version, name)
        if limit is not None and not 1 <= limit <= 2**31:
            yield name, "must be a positive number of tokens"
