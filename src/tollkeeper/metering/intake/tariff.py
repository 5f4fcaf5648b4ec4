"""What reported usage is sold for: which price, and what it comes to."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec import Struct

from tollkeeper import pricing
from tollkeeper.base.check import Faults
from tollkeeper.http import invalid
from tollkeeper.metering.intake.bodies import Report, Sold
from tollkeeper.pricing import (
    OWN,
    Book,
    InvalidUsage,
    Markup,
    Overage,
    PriceVersion,
    Rating,
    Usage,
    check_priced,
    per_call,
)

_FAILED: Final = 400


class Sale(Struct, frozen=True):
    """What is sold: the price and mark-up of one moment, and what the record calls it."""

    version: PriceVersion
    markup: Markup
    operation: str | None


def find_sale(book: Book, sold: Sold, at: datetime) -> Sale:
    """Find the price in force. Raises ModelNotPriced, InvalidRequest when nothing is named."""
    if sold.sku is not None and sold.provider is None and sold.model is None:
        version = book.find_sku(sold.sku, at)
        operation = sold.operation or sold.sku
    elif sold.sku is None and sold.provider is not None and sold.model is not None:
        version = book.find(sold.provider, sold.model, at)
        operation = sold.operation
    elif sold.operation is not None and sold.provider is None and sold.model is None:
        version = book.find_sku(sold.operation, at)
        operation = sold.operation
    else:
        raise invalid(_faults_of(sold))
    return Sale(version, book.markup(version.provider, version.model, None, at), operation)


def rate_usage(
    sale: Sale, usage: Usage, where: str = "usage", overage: Overage | None = None
) -> Rating:
    """Rate, or refuse what has no price. `where` is the member that the usage came in, `overage`
    the prices of the customer's plan.

    Raises ModelNotPriced and InvalidUsage.
    """
    also = per_call(sale.version)
    if also and usage and sale.version.provider != OWN:
        # What a call of a model costs by being made; of an own SKU, every request is reported.
        usage = {**also, **usage}
    try:
        rating = pricing.rate(sale.version, usage, markup=sale.markup, overage=overage)
    except InvalidUsage as fault:
        faults = {f"{where}.{unit}": said for unit, said in fault.faults.items()}
        raise InvalidUsage(fault.detail, faults or {where: [fault.detail]}) from None
    if rating.unpriced:
        check_priced(sale.version, rating.unpriced)
    return rating


def check_used(said: Report) -> None:
    """Refuse a report of nothing, unless it is the report of a failure."""
    if not said.usage and said.status < _FAILED:
        raise invalid({"usage": ["must not be empty"]})


def _faults_of(sold: Sold) -> Faults:
    faults: Faults = {}
    if sold.sku is not None:
        beside = {"provider": sold.provider, "model": sold.model}
        said = "may not be given beside sku"
        return {name: [said] for name, value in beside.items() if value is not None}
    if (sold.provider is None) == (sold.model is None):
        faults["sku"] = ["is required: sku, operation, or provider and model"]
    elif sold.provider is None:
        faults["provider"] = ["is required beside model"]
    else:
        faults["model"] = ["is required beside provider"]
    return faults
