"""A price version worked out for one tier and one mark-up, so that rating only looks up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from tollkeeper.base.money import divide_half_up
from tollkeeper.pricing import units
from tollkeeper.pricing.markup import PPM, Markup
from tollkeeper.pricing.model import STANDARD_TIERS, PriceVersion, Rate, Rates, resolve_rate
from tollkeeper.pricing.tables import Row, Sheet

NO_PRICES: Final = Sheet((), ({},))
# What a customer pays for some units instead: (nanos, for how many) for each, whatever the tier,
# the length of the input and the mark-up.
Overage = Mapping[str, tuple[int, int]]


def sheet_for(
    version: PriceVersion,
    service_tier: str | None,
    markup: Markup,
    overage: Overage | None = None,
) -> Sheet:
    if overage:
        return _sheet_beyond(version, service_tier, markup, overage)
    tier = None if service_tier in STANDARD_TIERS else service_tier
    key = (tier, markup.ppm)
    sheet = version.sheets.get(key)
    if sheet is None:
        rates = version.rates_for(tier)
        if rates is None:
            return NO_PRICES
        sheet = version.sheets[key] = _work_out(version, rates, markup.ppm)
    return sheet


def sku_of(version: PriceVersion, unit: str) -> str:
    """Name what a unit of the model is sold as on the standard tier."""
    rate = resolve_rate(version.rates, unit)
    return version.sku(unit, units.usual_per(unit) if rate is None else rate.per)


def overage_key(overage: Overage | None) -> Iterable[object]:
    return frozenset(overage.items()) if overage else ()


def _sheet_beyond(
    version: PriceVersion, service_tier: str | None, markup: Markup, overage: Overage
) -> Sheet:
    tier = None if service_tier in STANDARD_TIERS else service_tier
    key = (tier, markup.ppm, overage_key(overage))
    sheet = version.sheets.get(key)
    if sheet is None:
        plain = sheet_for(version, service_tier, markup)
        sheet = Sheet(
            plain.thresholds,
            tuple(
                rows
                | {
                    unit: Row(sku_of(version, unit), per, nanos, nanos, nanos, per)
                    for unit, (nanos, per) in overage.items()
                }
                for rows in plain.rows
            ),
        )
        # A tier that a client made up has no prices, and is not remembered either.
        if plain is not NO_PRICES:
            version.sheets[key] = sheet
    return sheet


def _work_out(version: PriceVersion, rates: Rates, ppm: int) -> Sheet:
    thresholds = sorted({start for rate in rates.values() for start, _ in rate.above})
    return Sheet(
        tuple(thresholds),
        tuple(
            {unit: _row(version, unit, rate, beyond, ppm) for unit, rate in _priced(rates)}
            for beyond in (0, *(start + 1 for start in thresholds))
        ),
    )


def _priced(rates: Rates) -> list[tuple[str, Rate]]:
    names = sorted({*units.KNOWN, *rates}, key=units.rank)
    return [(unit, rate) for unit in names if (rate := resolve_rate(rates, unit)) is not None]


def _row(version: PriceVersion, unit: str, rate: Rate, input_tokens: int, ppm: int) -> Row:
    price = rate.price_at(input_tokens)
    marked_up = price * (PPM + ppm)
    return Row(
        sku=version.sku(unit, rate.per),
        per=rate.per,
        list_nanos=price,
        price_nanos=divide_half_up(marked_up, PPM),
        numerator=marked_up if ppm else price,
        denominator=rate.per * PPM if ppm else rate.per,
    )
