"""A rating as it is kept with its usage record, and the proof that it can be worked out again."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from tollkeeper.base.money import format_nanos
from tollkeeper.pricing.book import Book
from tollkeeper.pricing.errors import ModelNotPriced
from tollkeeper.pricing.markup import PPM, Markup
from tollkeeper.pricing.rating import Line, Rating, rate
from tollkeeper.pricing.sheet import Overage
from tollkeeper.pricing.units import Quantity

Record = dict[str, Any]


def to_record(rating: Rating) -> Record:
    """Write a rating as compact JSON values; fractional quantities become strings.

    `lines` are `[sku, unit, quantity, per, price_nanos, list_nanos, amount_nanos]`. Members that
    say nothing (`tier`, `markup`, `unpriced`, `overage`) are left out.
    """
    record: Record = {
        "version": str(rating.version_id),
        "usage": {unit: _plain(quantity) for unit, quantity in rating.usage.items()},
        "cost": rating.cost_nanos,
        "lines": [
            [n.sku, n.unit, _plain(n.quantity), n.per, n.price_nanos, n.list_nanos, n.amount_nanos]
            for n in rating.lines
        ],
    }
    if rating.service_tier is not None:
        record["tier"] = rating.service_tier
    if rating.markup.ppm or rating.markup.fixed_nanos:
        record["markup"] = list(rating.markup)
    if rating.unpriced:
        record["unpriced"] = {unit: _plain(n) for unit, n in rating.unpriced.items()}
    if rating.overage:
        record["overage"] = {unit: list(price) for unit, price in rating.overage.items()}
    return record


def from_record(record: Mapping[str, Any]) -> Rating:
    """Read a rating back as it was written."""
    lines = (
        Line(sku, unit, _quantity(quantity), per, price, list_price, amount)
        for sku, unit, quantity, per, price, list_price, amount in record["lines"]
    )
    return Rating(
        cost_nanos=record["cost"],
        lines=tuple(lines),
        unpriced=_quantities(record.get("unpriced", {})),
        version_id=UUID(record["version"]),
        usage=_quantities(record["usage"]),
        service_tier=record.get("tier"),
        markup=Markup(*record.get("markup", ())),
        overage=_overage(record),
    )


def recompute(record: Mapping[str, Any], book: Book) -> int:
    """Work out a record's cost again from its usage, prices, tier and mark-up (L6).

    Raises ModelNotPriced when the book does not know the price version.
    """
    version = book.version(UUID(record["version"]))
    if version is None:
        raise ModelNotPriced(f"The book has no price version {record['version']}")
    return rate(
        version,
        _quantities(record["usage"]),
        markup=Markup(*record.get("markup", ())),
        service_tier=record.get("tier"),
        overage=_overage(record),
    ).cost_nanos


def explain(rating: Rating) -> str:
    """Write the formula for a person, one line per SKU and their sum."""
    percent = f" x {format_nanos((PPM + rating.markup.ppm) * 1000)}" if rating.markup.ppm else ""
    beyond = rating.overage or {}
    said = [_formula(line, "" if line.unit in beyond else percent) for line in rating.lines]
    said += [f"{unit}: {quantity} without a price" for unit, quantity in rating.unpriced.items()]
    return "\n".join([*said, f"= {format_nanos(rating.cost_nanos)}"])


def _formula(line: Line, percent: str) -> str:
    each = "" if line.per == 1 else f" / {line.per}"
    price = f"{line.quantity} x {format_nanos(line.list_nanos)}{each}"
    marked_up = percent if line.unit != "fee" else ""
    return f"{line.sku}: {price}{marked_up} = {format_nanos(line.amount_nanos)}"


def _overage(record: Mapping[str, Any]) -> Overage | None:
    said: Mapping[str, tuple[int, int]] = record.get("overage", {})
    return {unit: (nanos, per) for unit, (nanos, per) in said.items()} or None


def _plain(quantity: Quantity) -> int | str:
    return quantity if type(quantity) is int else f"{quantity:f}"


def _quantity(value: int | str) -> Quantity:
    return value if isinstance(value, int) else Decimal(value)


def _quantities(values: Mapping[str, int | str]) -> dict[str, Quantity]:
    return {unit: _quantity(value) for unit, value in values.items()}
