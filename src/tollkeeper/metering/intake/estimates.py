"""`POST /metering/estimate`: what a call would cost that is not made."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from msgspec import Raw

from tollkeeper.base.money import Money
from tollkeeper.http import JsonReader, encode_json, invalid
from tollkeeper.metering.intake.bodies import EstimateIn, EstimateOut, LineOut
from tollkeeper.metering.intake.desk import Ask, Desk, Reply, facts_of
from tollkeeper.metering.intake.spenders import Spender
from tollkeeper.metering.intake.tariff import find_sale, rate_usage
from tollkeeper.metering.paying import USD
from tollkeeper.pricing import Line, Quantity

_read: Final = JsonReader(EstimateIn)


async def estimate(desk: Desk, ask: Ask) -> Reply:
    said = _read(ask.body)
    if (said.usage is None) == (said.estimate is None):
        raise invalid({"usage": ["is required, or estimate; not both"]})
    where = "usage" if said.usage is not None else "estimate"
    payer = await _payer(desk, ask, said)
    now = desk.clock.now()
    sale = find_sale(desk.books.book, said, now)
    overage = None
    if payer is not None:
        facts = facts_of(payer, sale, None, None)
        overage = desk.meter.rules.overage(facts, sale.version, sale.operation, now)
    rating = rate_usage(sale, said.usage or said.estimate or {}, where, overage)
    out = EstimateOut(
        cost=Money(rating.cost_nanos),
        currency=USD,
        lines=[_shown(line) for line in rating.lines],
    )
    return 200, encode_json(out)


async def _payer(desk: Desk, ask: Ask, said: EstimateIn) -> Spender | None:
    """Say who would pay, whose plan has prices of its own; an operator need not name anybody."""
    nobody = said.api_key is said.organization_id is said.project_id is None
    if nobody and not ask.by_customer:
        return None
    return await desk.spenders.find(ask.caller, said)


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
