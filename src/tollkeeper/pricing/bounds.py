"""The most that a request can cost, and the most output that an amount can pay for.

A bound on `input` covers every bucket that tokens of the request can land in (cache reads and
writes, and audio or images unless `modalities` rules them out); a bound on `output` covers
reasoning and every modality the model writes; any other bound covers its own unit. The dearest
of these, on every service tier and context tier in reach, is what a hold is worked out from.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from math import lcm
from typing import Final

from tollkeeper.base.money import divide_up
from tollkeeper.pricing import units
from tollkeeper.pricing.markup import NO_MARKUP, Markup
from tollkeeper.pricing.model import PriceVersion
from tollkeeper.pricing.rating import check_quantity, not_priced
from tollkeeper.pricing.sheet import Overage, overage_key, sheet_for
from tollkeeper.pricing.tables import Ceiling, Dearest, Row, Sheet, Step
from tollkeeper.pricing.units import INPUT_TOKENS, OUTPUT_TOKENS, Quantity, Usage

# What `affordable` answers when output costs nothing: more than any model writes.
NO_LIMIT: Final = 2**31 - 1

Tiers = Collection[str | None]


def worst_case(
    version: PriceVersion,
    bounds: Usage,
    *,
    markup: Markup = NO_MARKUP,
    service_tiers: Tiers | None = None,
    modalities: Collection[str] | None = None,
    overage: Overage | None = None,
) -> int:
    """Bound in nanos, rounded up, what any usage within `bounds` can cost.

    A unit in `overage` has that price instead, as in `rate`.
    `service_tiers` are those the request may be served on; None means any that the model has.
    Raises ModelNotPriced when a bounded unit has no price there, InvalidUsage for a bound that
    is no quantity.
    """
    ceiling = ceiling_for(version, markup, service_tiers, modalities, overage)
    within = _within(bounds)
    input_tokens = _input_tokens(within)
    most = 0
    for step in ceiling.steps:
        if step.threshold and input_tokens <= step.threshold:
            continue
        total, lines = _add_up(version, step, within, service_tiers)
        most = max(most, _round(total, lines, ceiling.denominator))
    return most + markup.fixed_nanos


def worst_case_by_bound(
    version: PriceVersion,
    bounds: Usage,
    *,
    markup: Markup = NO_MARKUP,
    service_tiers: Tiers | None = None,
    modalities: Collection[str] | None = None,
    overage: Overage | None = None,
) -> dict[str, int]:
    """Bound what the usage within each bound can cost for itself, beside the others.

    They need not add up to `worst_case`: the dearest for one is not always so for another.
    """
    ceiling = ceiling_for(version, markup, service_tiers, modalities, overage)
    within = _within(bounds)
    input_tokens = _input_tokens(within)
    most = dict.fromkeys(within, 0)
    for step in ceiling.steps:
        if step.threshold and input_tokens <= step.threshold:
            continue
        for unit, quantity in within.items():
            total, lines = _add_up(version, step, {unit: quantity}, service_tiers)
            most[unit] = max(most[unit], _round(total, lines, ceiling.denominator))
    return most


def affordable(
    version: PriceVersion,
    input_bounds: Usage,
    available_nanos: int,
    *,
    markup: Markup = NO_MARKUP,
    service_tiers: Tiers | None = None,
    modalities: Collection[str] | None = None,
    overage: Overage | None = None,
) -> int:
    """Say how many output tokens `available_nanos` covers beside `input_bounds`.

    The exact inverse of `worst_case`: with one more it would cost more than there is. 0 when the
    input alone is too dear; NO_LIMIT when output costs nothing.
    """
    ceiling = ceiling_for(version, markup, service_tiers, modalities, overage)
    within = _within(input_bounds)
    input_tokens = _input_tokens(within)
    left = available_nanos - markup.fixed_nanos
    most = NO_LIMIT
    for step in ceiling.steps:
        if step.threshold and input_tokens <= step.threshold:
            continue
        output = step.prices.get("output")
        if output is None:
            raise not_priced(version, ["output"], _only(service_tiers))
        spent, lines = _add_up(version, step, within, service_tiers)
        most = min(most, _units_within(left, spent, lines, output, ceiling.denominator))
    return max(most, 0)


def ceiling_for(
    version: PriceVersion,
    markup: Markup,
    service_tiers: Tiers | None,
    modalities: Collection[str] | None,
    overage: Overage | None = None,
) -> Ceiling:
    key = (
        markup.ppm,
        None if service_tiers is None else tuple(service_tiers),
        None if modalities is None else tuple(modalities),
        overage_key(overage),
    )
    ceiling = version.ceilings.get(key)
    if ceiling is None:
        within = modalities or units.MODALITIES
        ceiling = _work_out(version, markup, service_tiers, within, overage)
        # Tiers that clients make up have no prices; only what the model has is remembered.
        if service_tiers is None or all(version.rates_for(tier) for tier in service_tiers):
            version.ceilings[key] = ceiling
    return ceiling


def _work_out(
    version: PriceVersion,
    markup: Markup,
    service_tiers: Tiers | None,
    modalities: Collection[str],
    overage: Overage | None,
) -> Ceiling:
    every = (None, *version.service_tiers)
    tiers = every if service_tiers is None else tuple(service_tiers) or (None,)
    sheets = [sheet_for(version, tier, markup, overage) for tier in tiers]
    denominator = lcm(*(row.denominator for _, rows in _stairs(sheets) for row in rows.values()))
    steps = [
        Step(threshold, _dearest(rows, denominator, modalities))
        for threshold, rows in _stairs(sheets)
    ]
    if service_tiers is None:
        # A unit that only some tiers price is refused where it is checked; here it costs what it
        # costs on the others. One that the standard tier cannot price has no bound at all.
        steps = [_filled(step, steps[0].prices) for step in steps]
    return Ceiling(denominator, tuple(_undominated(steps)))


def _stairs(sheets: list[Sheet]) -> Iterator[tuple[int, dict[str, Row]]]:
    for sheet in sheets:
        yield from zip((0, *sheet.thresholds), sheet.rows, strict=True)


def _dearest(
    rows: Mapping[str, Row], denominator: int, modalities: Collection[str]
) -> dict[str, Dearest]:
    prices = {unit: row.numerator * (denominator // row.denominator) for unit, row in rows.items()}
    found: dict[str, Dearest] = {}
    for bound in prices:
        reach = [prices[unit] for unit in reach_of(bound, modalities) if unit in prices]
        found[bound] = Dearest(max(reach), sum(price > 0 for price in reach))
    return found


def reach_of(bound: str, modalities: Collection[str] | None = None) -> Collection[str]:
    """Name the units that what is bounded as `bound` can turn out to be."""
    modalities = modalities or units.MODALITIES
    if bound == "input":
        return {bound, *(unit for unit, kind in INPUT_TOKENS.items() if kind in modalities)}
    if bound == "output":
        return {bound, *(unit for unit, kind in OUTPUT_TOKENS.items() if kind in modalities)}
    return _CACHED.get(bound, (bound,))


_CACHED: Final = {
    "input_audio": ("input_audio", "cache_read_audio"),
    "input_image": ("input_image", "cache_read_image"),
}


def _filled(step: Step, standard: Mapping[str, Dearest]) -> Step:
    return Step(
        step.threshold, {unit: step.prices.get(unit, price) for unit, price in standard.items()}
    )


def _undominated(steps: list[Step]) -> list[Step]:
    """Drop steps that another one, in reach whenever they are, matches or exceeds throughout."""
    kept: list[Step] = []
    for step in sorted(steps, key=_threshold):
        if any(_exceeds(other.prices, step.prices) for other in kept):
            continue
        kept = [
            other
            for other in kept
            if other.threshold < step.threshold or not _exceeds(step.prices, other.prices)
        ]
        kept.append(step)
    return kept


def _threshold(step: Step) -> int:
    return step.threshold


def _exceeds(mine: Mapping[str, Dearest], theirs: Mapping[str, Dearest]) -> bool:
    return mine.keys() == theirs.keys() and all(
        mine[unit].price >= price and mine[unit].lines >= lines
        for unit, (price, lines) in theirs.items()
    )


def _within(bounds: Usage) -> dict[str, Quantity]:
    for unit, quantity in bounds.items():
        check_quantity(unit, quantity)
    return {unit: quantity for unit, quantity in bounds.items() if quantity}


def _input_tokens(within: Mapping[str, Quantity]) -> Quantity:
    return sum(within[unit] for unit in within if unit in INPUT_TOKENS)


def _add_up(
    version: PriceVersion, step: Step, within: Mapping[str, Quantity], tiers: Tiers | None
) -> tuple[int, int]:
    total = lines = 0
    for unit, quantity in within.items():
        dearest = step.prices.get(unit)
        if dearest is None:
            raise not_priced(version, [unit], _only(tiers))
        if type(quantity) is int:
            total += quantity * dearest.price
        else:
            top, bottom = quantity.as_integer_ratio()
            total += divide_up(top * dearest.price, bottom)
        lines += dearest.lines
    return total, lines


def _only(tiers: Tiers | None) -> str | None:
    return next(iter(tiers)) if tiers is not None and len(tiers) == 1 else None


def _round(total: int, lines: int, denominator: int) -> int:
    """Round up, and allow each line the half nano by which its own rounding may exceed it."""
    return max(
        divide_up(total, denominator), (2 * total + lines * denominator) // (2 * denominator)
    )


def _units_within(left: int, spent: int, lines: int, output: Dearest, denominator: int) -> int:
    """Solve `_round(spent + n * price, lines + output.lines) <= left` for the largest n."""
    if left < 0 or _round(spent, lines, denominator) > left:
        return 0
    if output.price == 0:
        return NO_LIMIT
    by_ceiling = (left * denominator - spent) // output.price
    halves = (lines + output.lines) * denominator
    by_lines = (2 * (left + 1) * denominator - halves - 1 - 2 * spent) // (2 * output.price)
    return min(by_ceiling, by_lines, NO_LIMIT)
