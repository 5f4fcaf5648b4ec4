"""Prices out of the genai-prices library, in our shape, for a person to look at.

The library is a source, never an authority: nothing here runs when a call is rated. What it
leaves open is either settled the dear way and noted (prices by time of day), or left out with
its reason (no price at all, an unknown unit), so that it is refused rather than guessed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_UP, Decimal
from importlib.metadata import version as installed_version
from typing import Any, Final

from genai_prices import types as genai
from genai_prices.data_snapshot import get_snapshot

from tollkeeper.base.money import NANOS_PER_UNIT
from tollkeeper.pricing.content import seal
from tollkeeper.pricing.genai_names import PROVIDERS, UNITS, aliases_of
from tollkeeper.pricing.imported import Imported, Skipped
from tollkeeper.pricing.model import PriceVersion, Rate
from tollkeeper.pricing.price_file import ALWAYS
from tollkeeper.pricing.sanity import faults_in

# What the library calls a context, and which of its values is a service tier of ours.
_TIER_KEYS: Final = ("service_tier", "processing", "speed")
_BY_THE_HOUR: Final = "Priced by time of day; this is the dearest of the day."


def read_library(providers: Collection[str] | None, read_on: date) -> Imported:
    found = {PROVIDERS.get(source.id, source.id): source for source in get_snapshot().providers}
    unknown = sorted(set(providers or ()) - found.keys())
    if unknown:
        raise ValueError(f"genai-prices has no provider {', '.join(unknown)}")
    versions: list[PriceVersion] = []
    skipped: list[Skipped] = []
    for name in sorted(found if providers is None else providers):
        _read_provider(name, found[name], read_on, versions, skipped)
    return Imported(tuple(versions), tuple(skipped))


def _read_provider(
    name: str,
    provider: genai.Provider,
    read_on: date,
    versions: list[PriceVersion],
    skipped: list[Skipped],
) -> None:
    aliases = aliases_of(provider)
    urls = provider.pricing_urls or []
    source = "; ".join([f"genai-prices {installed_version('genai-prices')}", *urls[:1]])
    for model in provider.models:
        blank = PriceVersion(
            provider=name,
            model=model.id,
            effective_from=ALWAYS,
            rates={},
            aliases=aliases[model.id],
            context=model.context_window,
            source=source,
            checked_on=read_on,
        )
        try:
            history = _history(blank, model)
        except _Unusable as reason:
            skipped.append(Skipped(name, model.id, str(reason)))
            continue
        skipped += [Skipped(name, model.id, reason) for reason in _left_out(model)]
        versions += history


class _Unusable(Exception):
    """Why a model cannot be imported."""


def _history(blank: PriceVersion, model: genai.ModelInfo) -> list[PriceVersion]:
    history: list[PriceVersion] = []
    for start in _starts(model):
        version = _version_on(blank, model, start)
        if history and _same_prices(history[-1], version):
            continue
        if not version.rates:
            if history:
                version = replace(version, ended=True, service_tiers={})
            else:
                continue
        faults = faults_in(version)
        if faults:
            raise _Unusable("; ".join(f"{place} {said}" for place, said in faults))
        history.append(seal(version))
    if not history:
        raise _Unusable("has no price there; free and unpriced cannot be told apart")
    return history


def _same_prices(one: PriceVersion, other: PriceVersion) -> bool:
    return one.rates == other.rates and one.service_tiers == other.service_tiers


def _version_on(blank: PriceVersion, model: genai.ModelInfo, start: datetime) -> PriceVersion:
    moments = [*_moments(model, start)]
    return replace(
        blank,
        effective_from=start,
        rates=_rates_on(model, moments, {}),
        service_tiers={
            tier: _rates_on(model, moments, context)
            for tier, context in _tiers_on(model, start).items()
        },
        note=_BY_THE_HOUR if len(moments) > 1 else "",
    )


def _starts(model: genai.ModelInfo) -> list[datetime]:
    days = {
        entry.constraint.start_date
        for entry in (*_dated(model), *(model.price_variants or ()))
        if isinstance(entry.constraint, genai.StartDateConstraint)
    }
    return [ALWAYS, *(datetime.combine(day, time(), UTC) for day in sorted(days))]


def _moments(model: genai.ModelInfo, start: datetime) -> Iterator[datetime]:
    """One moment in each part of the day that has prices of its own."""
    yield start
    for entry in _dated(model):
        if isinstance(entry.constraint, genai.TimeOfDateConstraint):
            yield datetime.combine(start.date(), entry.constraint.start_time)
            yield datetime.combine(start.date(), entry.constraint.end_time)


def _dated(model: genai.ModelInfo) -> Sequence[genai.ConditionalPrice]:
    return model.prices if isinstance(model.prices, list) else ()


def _tiers_on(model: genai.ModelInfo, start: datetime) -> Mapping[str, Mapping[str, str]]:
    tiers: dict[str, Mapping[str, str]] = {}
    for variant in model.price_variants or ():
        tier = _tier_of(variant)
        active = variant.constraint is None or variant.constraint.active(start)
        if tier is not None and active and vars(variant.prices):
            tiers[tier] = variant.when
    return dict(sorted(tiers.items()))


def _tier_of(variant: genai.PriceVariant) -> str | None:
    ((key, value), *more) = variant.when.items()
    return value if key in _TIER_KEYS and not more and value != "default" else None


def _left_out(model: genai.ModelInfo) -> Iterator[str]:
    for variant in model.price_variants or ():
        if _tier_of(variant) is None and vars(variant.prices):
            shown = ", ".join(f"{key} {value}" for key, value in variant.when.items())
            yield f"its price for {shown} is not for a service tier"


def _rates_on(
    model: genai.ModelInfo, moments: Iterable[datetime], context: Mapping[str, str]
) -> dict[str, Rate]:
    dearest: dict[str, Rate] = {}
    for moment in moments:
        for unit, rate in _rates_of(model.get_prices(moment, context)).items():
            if unit not in dearest or rate.price_nanos > dearest[unit].price_nanos:
                dearest[unit] = rate
    if model.id.startswith(_DRAWS_ONLY) and "output" in dearest:
        dearest.setdefault("output_image", dearest["output"])
    return dearest


def _rates_of(prices: genai.ModelPrice) -> dict[str, Rate]:
    rates: dict[str, Rate] = {}
    written: Mapping[str, Any] = vars(prices)
    for key, price in written.items():
        if price is None:
            continue
        if key not in UNITS:
            raise _Unusable(f"has a price for {key}, which we do not count")
        unit, per = UNITS[key]
        rate = _rate(price, per)
        if rates.setdefault(unit, rate) != rate:
            raise _Unusable(f"has two prices for {unit}")
    return rates


def _rate(price: Decimal | genai.TieredPrices, per: int) -> Rate:
    if isinstance(price, Decimal):
        return _per_one(Rate(_nanos(price), per))
    above = tuple((tier.start, _nanos(tier.price)) for tier in price.tiers)
    return Rate(_nanos(price.base), per, above)


def _per_one(rate: Rate) -> Rate:
    """Write a price for a thousand searches as the price of one, where that is exact."""
    exact = rate.per == _THOUSAND and rate.price_nanos % _THOUSAND == 0
    return Rate(rate.price_nanos // _THOUSAND, 1) if exact else rate


_THOUSAND: Final = 1_000


def _nanos(price: Decimal) -> int:
    # Some of the library's prices went through floats and carry 17 digits of noise.
    nanos = int((price * NANOS_PER_UNIT).to_integral_value(ROUND_HALF_UP))
    if abs(Decimal(nanos) - price * NANOS_PER_UNIT) * _NOISE > price * NANOS_PER_UNIT:
        raise _Unusable(f"has the price {price}, finer than a nano")
    return nanos


_NOISE: Final = 1_000_000
# What they write is pictures alone, and the library calls it output; the gateway counts pictures.
_DRAWS_ONLY: Final = "gpt-image-"
