"""`POST /metering/estimate`: what a call would cost that is not made."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from msgspec import Raw

from tollkeeper.base.money import Money
from tollkeeper.http import JsonReader, encode_json, invalid
from tollkeeper.metering.intake.bodies import EstimateIn, EstimateOut, LineOut
from tollkeeper.metering.intake.desk import Ask, Desk, Reply
from tollkeeper.metering.intake.tariff import find_sale, rate_usage
from tollkeeper.metering.paying import USD
from tollkeeper.pricing import Line, Quantity

_read: Final = JsonReader(EstimateIn)


async def estimate(desk: Desk, ask: Ask) -> Reply:
    said = _read(ask.body)
    if (said.usage is None) == (said.estimate is None):
        raise invalid({"usage": ["is required, or estimate; not both"]})
    where = "usage" if said.usage is not None else "estimate"
    if said.api_key is not None or said.organization_id is not None or said.project_id is not None:
        await desk.spenders.find(ask.caller, said)
    sale = find_sale(desk.books.book, said, desk.clock.now())
    rating = rate_usage(sale, said.usage or said.estimate or {}, where)
    out = EstimateOut(
        cost=Money(rating.cost_nanos),
        currency=USD,
        lines=[_shown(line) for line in rating.lines],
    )
    return 200, encode_json(out)


def _shown(line: Line) -> LineOut:
    return LineOut(
        sku=line.sku,
        unit=line.unit,
        quantity=plain(line.quantity),
        price=Money(line.price_nanos),
        per=line.per,
        amount=Money(line.amount_nanos),
    )


def plain(quantity: Quantity) -> int | Raw:
    """Write a quantity as a plain JSON number."""
    return Raw(f"{quantity:f}".encode()) if isinstance(quantity, Decimal) else quantity
