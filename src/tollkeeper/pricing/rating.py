"""Usage times price version → cost: pure, exact, and rounded once per line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final
from uuid import UUID

from msgspec import Struct

from tollkeeper.base.money import MAX_NANOS, divide_half_up
from tollkeeper.pricing import units
from tollkeeper.pricing.errors import InvalidUsage, ModelNotPriced
from tollkeeper.pricing.markup import NO_MARKUP, Markup
from tollkeeper.pricing.model import PriceVersion
from tollkeeper.pricing.sheet import Overage, Row, sheet_for
from tollkeeper.pricing.units import INPUT_TOKENS, Quantity, Usage

MAX_QUANTITY: Final = 10**15
_DECIMALS: Final = 9
_LONGEST_NAME: Final = 100  # of what is said back
_NOTHING: Final[Mapping[str, int]] = {}
_ONE_REQUEST: Final[Mapping[str, int]] = {"request": 1}


class Line(Struct, frozen=True, gc=False):
    """`amount_nanos` for `quantity` units at `price_nanos` per `per` of them.

    `price_nanos` is what the customer pays, rounded for show where the mark-up leaves a fraction
    of a nano; `list_nanos` is the price before the mark-up, from which the amount is worked out.
    """

    sku: str
    unit: str
    quantity: Quantity
    per: int
    price_nanos: int
    list_nanos: int
    amount_nanos: int


class Rating(Struct, frozen=True):
    """What usage costs, and everything needed to work it out again (L6).

    `unpriced` are the quantities that have no price: never charged, never to be overlooked.
    `overage` are prices of the customer's plan that replaced those of the version.
    """

    cost_nanos: int
    lines: tuple[Line, ...]
    unpriced: Mapping[str, Quantity]
    version_id: UUID
    usage: Mapping[str, Quantity]
    service_tier: str | None
    markup: Markup
    overage: Overage | None = None


def rate(
    version: PriceVersion,
    usage: Usage,
    *,
    markup: Markup = NO_MARKUP,
    service_tier: str | None = None,
    overage: Overage | None = None,
) -> Rating:
    """Work out what `usage` costs on the tier it was served on.

    A unit in `overage` costs that price, nanos for so many, instead of its own and its mark-up.
    Raises InvalidUsage for quantities that cannot be and sums beyond the largest amount.
    """
    sheet = sheet_for(version, service_tier, markup, overage)
    rows = sheet.rows_at(_input_tokens(usage)) if sheet.thresholds else sheet.rows[0]
    lines: list[Line] = []
    unpriced: dict[str, Quantity] = {}
    cost = 0
    for unit, quantity in usage.items():
        if type(quantity) is not int or not 0 <= quantity <= MAX_QUANTITY:
            check_quantity(unit, quantity)
        if not quantity:
            continue
        row = rows.get(unit)
        if row is None:
            unpriced[unit] = quantity
            continue
        amount = _amount(quantity, row)
        cost += amount
        sku, per, list_nanos, price_nanos, _, _ = row
        lines.append(Line(sku, unit, quantity, per, price_nanos, list_nanos, amount))
    if len(lines) > 1:
        lines.sort(key=_invoice_order)
    if markup.fixed_nanos:
        cost += markup.fixed_nanos
        lines.append(_fee(version, markup.fixed_nanos))
    if cost > MAX_NANOS:
        raise InvalidUsage("This usage costs more than the largest amount there is")
    return Rating(
        cost, tuple(lines), unpriced, version.id, dict(usage), service_tier, markup, overage or None
    )


def check_priced(
    version: PriceVersion,
    wanted: Iterable[str],
    *,
    service_tier: str | None = None,
    overage: Overage | None = None,
) -> None:
    """Raise ModelNotPriced, naming the units, unless each has a price on this tier."""
    rows = sheet_for(version, service_tier, NO_MARKUP, overage).rows[0]
    missing = sorted({unit for unit in wanted if unit not in rows}, key=units.rank)
    if missing:
        raise not_priced(version, missing, service_tier)


def per_call(version: PriceVersion) -> Mapping[str, int]:
    """Give what every call of a model uses whatever it says: one request, if that has a price.

    To be added to a model call's bounds and usage; nobody reports it.
    """
    return _ONE_REQUEST if "request" in version.rates else _NOTHING


def not_priced(
    version: PriceVersion, missing: list[str], service_tier: str | None
) -> ModelNotPriced:
    named = service_tier and service_tier[:_LONGEST_NAME]
    tier = f" on the service tier {named}" if named else ""
    return ModelNotPriced(
        f"{version.model} has no price for {', '.join(missing)}{tier}",
        provider=version.provider,
        model=version.model,
        units=missing,
        serviceTier=named,
    )


def check_quantity(unit: str, quantity: object) -> None:
    """Raise InvalidUsage unless this is a number of things, with at most 9 decimals."""
    if type(quantity) is Decimal:
        if not quantity.is_finite():
            raise InvalidUsage(f"{unit} is not a number", {unit: ["must be a number"]})
        exponent = quantity.as_tuple().exponent
        fine = isinstance(exponent, int) and -_DECIMALS <= exponent <= _DECIMALS + 6
        if not fine:
            said = f"must have at most {_DECIMALS} decimals"
            raise InvalidUsage(f"{unit} is finer than we count", {unit: [said]})
    elif type(quantity) is not int:
        raise InvalidUsage(f"{unit} is not a number", {unit: ["must be a whole or decimal number"]})
    if quantity < 0:
        raise InvalidUsage(f"{unit} is negative", {unit: ["must not be negative"]})
    if quantity > MAX_QUANTITY:
        raise InvalidUsage(f"{unit} is too large", {unit: [f"must be at most {MAX_QUANTITY}"]})


def _amount(quantity: Quantity, row: Row) -> int:
    if type(quantity) is int:
        return divide_half_up(quantity * row.numerator, row.denominator)
    top, bottom = quantity.as_integer_ratio()
    return divide_half_up(top * row.numerator, bottom * row.denominator)


def _input_tokens(usage: Usage) -> Quantity:
    return sum(usage[unit] for unit in usage if unit in INPUT_TOKENS)


def _invoice_order(line: Line) -> tuple[int, str]:
    return units.rank(line.unit)


def _fee(version: PriceVersion, fixed_nanos: int) -> Line:
    sku = f"{version.model}-request-fee"
    return Line(sku, units.FEE, 1, 1, fixed_nanos, fixed_nanos, fixed_nanos)
