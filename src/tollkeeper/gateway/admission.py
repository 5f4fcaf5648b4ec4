"""Rate the worst case, and hold it: after this a call cannot cost what is not there."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Final
from uuid import UUID

from tollkeeper.base.errors import RequestInProgress, TollkeeperError, Unavailable
from tollkeeper.gateway.call import Call, Parts, Request
from tollkeeper.gateway.models import Sale
from tollkeeper.gateway.quote import Quote, affordable_cap, lower, quote
from tollkeeper.ledger import HoldOutcome, HoldResult, NewHold
from tollkeeper.metering import Call as MeteredCall
from tollkeeper.metering import Paid, Previews, Purse, pay_first, refuse_hold

# The balance moves while a clamped request is worked out; after so many times it is refused.
_CLAMPS: Final = 3


async def admit(parts: Parts, request: Request) -> Call:
    """Give the call, its worst case held. Raises whatever refuses it; nothing is held then."""
    now = parts.clock.now()
    ask, caller = request.ask, request.caller
    sale = parts.models.sell(
        ask.model, request.dialect.name, parts.books.book, now, livemode=caller.livemode
    )
    full = quote(ask, sale)
    held, purse = await _hold(parts, request, sale, full)
    settings = parts.settings.gateway
    previews = Previews(settings.input_preview, settings.input_preview_chars)
    metered = MeteredCall(
        org_id=caller.org_id,
        wallet_id=purse.wallet_id,
        currency=purse.currency,
        usd_value=purse.usd_value,
        usage_id=request.usage_id,
        hold_id=request.usage_id,
        started_at=now,
        operation=request.dialect.path.strip("/"),
        project_id=caller.project_id,
        key_id=caller.key_id,
        request_id=request.request_id,
        provider=sale.route.name,
        model=sale.route.sold_as or sale.version.model,
        thread_id=request.headers.thread_id,
        end_user=request.headers.end_user or ask.end_user,
        tags={**ask.metadata, **request.headers.tags},
        input=previews.of(ask.preview),
    )
    return Call(request=request, sale=sale, quote=held, metered=metered)


async def _hold(parts: Parts, request: Request, sale: Sale, full: Quote) -> tuple[Quote, Purse]:
    """Reserve the quote, or a lower one where the client or its key says so, in the first wallet
    that covers it."""
    said = request.headers.clamp
    clamp = request.caller.clamp if said is None else said
    wanted, lowerings = full, _CLAMPS if clamp else 0
    while True:
        paid = await _reserve_first(parts, request, wanted)
        if paid.result.outcome is HoldOutcome.PLACED:
            return wanted, paid.purse
        lowered: Quote | None = None
        if lowerings and paid.affordable is not None:
            lowered = lower(request.ask, sale, full, paid.affordable, request.dialect.name)
        if lowered is None:
            raise _refusal(parts, request, sale, full, paid)
        wanted, lowerings = lowered, lowerings - 1


async def _reserve_first(parts: Parts, request: Request, wanted: Quote) -> Paid[HoldResult]:
    async def attempt(purse: Purse) -> HoldResult:
        return await _reserve(parts, request, wanted, purse)

    caller = request.caller
    return await pay_first(parts.meter.purses, caller.org_id, caller.livemode, attempt)


async def _reserve(parts: Parts, request: Request, wanted: Quote, purse: Purse) -> HoldResult:
    caller = request.caller
    ttl = timedelta(seconds=parts.settings.gateway.hold_ttl_seconds)
    new = NewHold(
        org_id=caller.org_id,
        wallet_id=purse.wallet_id,
        hold_id=request.usage_id,
        amount=purse.price(wanted.amount_nanos),
        expires_at=parts.clock.now() + ttl,
        project_id=caller.project_id,
        key_id=caller.key_id,
    )
    try:
        return await parts.meter.hold(new)
    except Unavailable:
        # It may have been placed before the database was lost.
        parts.flights.start(_void(parts, new.org_id, new.wallet_id, new.hold_id))
        raise


async def give_hold_back(parts: Parts, metered: MeteredCall) -> None:
    """Void the hold of a call that failed by our own fault."""
    await _void(parts, metered.org_id, metered.wallet_id, metered.usage_id)


async def _void(parts: Parts, org_id: UUID, wallet_id: UUID, hold_id: UUID) -> None:
    with suppress(Unavailable):  # Then it expires.
        await parts.meter.void(org_id, wallet_id, hold_id)


def _refusal(
    parts: Parts, request: Request, sale: Sale, full: Quote, paid: Paid[HoldResult]
) -> TollkeeperError:
    running = RequestInProgress("The first request with this Idempotency-Key still runs")
    if paid.result.outcome is HoldOutcome.EXISTS_WITH_OTHER_AMOUNT:
        return running  # In another wallet, or clamped: that it is the same request is known.
    tokens = None
    if paid.affordable is not None:
        tokens = affordable_cap(request.ask, sale, full, paid.affordable, request.dialect.name)
    refusal = refuse_hold(
        paid.result,
        required=paid.purse.price(full.amount_nanos),
        currency=paid.purse.currency,
        top_up_url=parts.top_up_url,
        affordable_max_tokens=tokens,
    )
    return refusal or running
