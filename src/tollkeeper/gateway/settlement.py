"""Meter and settle: what was used, what it costs by the price of its beginning, posted once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final

import structlog
from msgspec import Raw, Struct
from msgspec.structs import replace

from tollkeeper import pricing
from tollkeeper.gateway.call import CURRENCY, Call, Parts
from tollkeeper.gateway.dialects import Answer, Cost, Source
from tollkeeper.ledger import ChargeResult, Draw
from tollkeeper.metering import Purse, drawing, facts_of, failed_call, new_charge
from tollkeeper.pricing import INPUT_TOKENS, OUTPUT_TOKENS, InvalidUsage, Rating

_log = structlog.stdlib.get_logger(__name__)

_OK: Final = 200


class Settled(Struct, frozen=True, kw_only=True):
    cost: Cost
    balance_nanos: int


async def settle(
    parts: Parts,
    call: Call,
    answer: Answer,
    *,
    source: Source,
    error: str | None = None,
    notes: Iterable[str] = (),
) -> Settled:
    """Charge what was used. Posts in any case: past the hold, below zero, after an outage."""
    rating, said = rate(call, answer)
    said += answer.oddities
    if rating.cost_nanos > call.quote.amount_nanos:
        said.append("cost more than was held for it")
    charge = new_charge(
        call.metered,
        rating,
        status=_OK,
        source=source,
        duration_ms=_milliseconds_since(call.request.started),
        usage=None if answer.raw_usage is None else Raw(answer.raw_usage),
        response_id=answer.id,
        error=error,
        notes="; ".join((*notes, *said)) or None,
    )
    result = await parts.meter.settle(drawing(charge, _draws(parts, call, rating)))
    _note(parts, call, answer, rating, source)
    since = asyncio.get_running_loop().time() - call.request.started
    parts.metrics.note_added(call.dialect.name, since - call.upstream_seconds)
    if said or rating.unpriced:
        _warn(call, rating, said)
    return Settled(cost=_cost(call, rating, result), balance_nanos=result.balance_after)


async def give_back(parts: Parts, call: Call, *, status: int, error: str) -> None:
    """Charge nothing: end the hold, and record in the same step what went wrong."""
    duration_ms = _milliseconds_since(call.request.started)
    record = failed_call(call.metered, status=status, error=error, duration_ms=duration_ms)
    await parts.meter.settle(replace(record, hold_id=call.metered.hold_id))


def rate(call: Call, answer: Answer) -> tuple[Rating, list[str]]:
    """Work out the cost, on the tier that served, and say what was remarkable.

    A tier without a price is charged as the one that was asked for, never nothing. Estimates
    stay within what was held for, whatever was seen.
    """
    said: list[str] = []
    version, asked = call.sale.version, call.ask.service_tier
    tier = answer.service_tier or asked
    if version.rates_for(tier) is None:
        said.append(f"served on the tier {tier}, which has no price: charged as asked for")
        tier = asked
    usage = answer.usage
    if answer.source != "provider":
        usage = within(usage, call.quote.bounds)
    try:
        return _rate(call, usage, tier), said
    except InvalidUsage as why:
        said.append(f"the provider's counts cannot be charged ({why.detail}): as held for")
        return _rate(call, within(usage, call.quote.bounds), tier), said


def _rate(call: Call, usage: Mapping[str, int], tier: str | None) -> Rating:
    version = call.sale.version
    made = {**usage, **pricing.per_call(version)}
    return pricing.rate(
        version, made, markup=call.sale.markup, service_tier=tier, overage=call.overage
    )


def _draws(parts: Parts, call: Call, rating: Rating) -> tuple[Draw, ...]:
    paid = call.metered
    return parts.meter.rules.draws_of(
        facts_of(paid),
        rating,
        version=call.sale.version,
        operation=paid.operation,
        purse=Purse(paid.wallet_id, paid.currency, paid.usd_value),
        at=paid.started_at,
    )


def within(usage: Mapping[str, int], bounds: Mapping[str, int]) -> dict[str, int]:
    """Cut counts to bounds: tokens read and written by their sums, all else by its own."""
    left = dict(bounds)
    cut: dict[str, int] = {}
    for unit, count in usage.items():
        bound = "input" if unit in INPUT_TOKENS else "output" if unit in OUTPUT_TOKENS else unit
        if unit in left:
            bound = unit
        cut[unit] = min(count, left.get(bound, count))
        if bound in left:
            left[bound] -= cut[unit]
    return {unit: count for unit, count in cut.items() if count}


def _cost(call: Call, rating: Rating, result: ChargeResult) -> Cost:
    """Give what was charged, which after a repetition is what was charged the first time.

    In dollars; where another currency paid, what was deducted of it stands beside.
    """
    read = written = 0
    for line in rating.lines:
        if line.unit in INPUT_TOKENS:
            read += line.amount_nanos
        elif line.unit in OUTPUT_TOKENS:
            written += line.amount_nanos
    paid = call.metered
    if paid.currency == CURRENCY and result.amount < rating.cost_nanos:
        # What an allowance has paid is none of it.
        read = read * result.amount // rating.cost_nanos
        written = written * result.amount // rating.cost_nanos
    if paid.currency == CURRENCY:
        return Cost(nanos=result.amount, input_nanos=read, output_nanos=written)
    purse = Purse(paid.wallet_id, paid.currency, paid.usd_value)
    first = result.amount == purse.price(rating.cost_nanos)
    return Cost(
        nanos=rating.cost_nanos if first else purse.affords(result.amount),
        input_nanos=read,
        output_nanos=written,
        currency=paid.currency,
        deducted_nanos=result.amount,
    )


def _note(parts: Parts, call: Call, answer: Answer, rating: Rating, source: str) -> None:
    parts.metrics.note_usage(answer.usage, source)
    if rating.unpriced:
        parts.metrics.unpriced.inc()
    if rating.cost_nanos > call.quote.amount_nanos:
        parts.metrics.past_hold.inc()
    if answer.oddities:
        parts.metrics.odd.labels(call.sale.route.name).inc()


def _warn(call: Call, rating: Rating, said: list[str]) -> None:
    unpriced: dict[str, Any] = {unit: str(count) for unit, count in rating.unpriced.items()}
    _log.warning(
        "call_remarkable",
        usage_id=str(call.metered.usage_id),
        provider=call.sale.route.name,
        model=call.sale.version.model,
        unpriced=unpriced,
        said=said,
    )


def _milliseconds_since(moment: float) -> int:
    return round((asyncio.get_running_loop().time() - moment) * 1000)
