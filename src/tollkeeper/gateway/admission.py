"""Rate the worst case, and hold it: after this a call cannot cost what is not there."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Final
from uuid import UUID

from tollkeeper.base.errors import RequestInProgress, TollkeeperError, Unavailable
from tollkeeper.gateway.call import CURRENCY, Call, Parts, Request
from tollkeeper.gateway.models import Sale
from tollkeeper.gateway.quote import Quote, affordable_cap, lower, quote
from tollkeeper.ledger import HoldOutcome, HoldResult, NewHold
from tollkeeper.metering import Call as MeteredCall
from tollkeeper.metering import Previews, refuse_hold

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
    wallet_id = await parts.meter.wallet(caller.org_id, caller.livemode, CURRENCY)
    held = await _hold(parts, request, sale, full, wallet_id)
    settings = parts.settings.gateway
    previews = Previews(settings.input_preview, settings.input_preview_chars)
    metered = MeteredCall(
        org_id=caller.org_id,
        wallet_id=wallet_id,
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


async def _hold(parts: Parts, request: Request, sale: Sale, full: Quote, wallet_id: UUID) -> Quote:
    """Reserve the quote, or a lower one where the client or its key says so."""
    said = request.headers.clamp
    clamp = request.caller.clamp if said is None else said
    wanted, lowerings = full, _CLAMPS if clamp else 0
    while True:
        result = await _reserve(parts, request, wallet_id, wanted.amount_nanos)
        if result.outcome is HoldOutcome.PLACED:
            return wanted
        lowered: Quote | None = None
        if lowerings and result.outcome is HoldOutcome.INSUFFICIENT:
            lowered = lower(request.ask, sale, full, result.spendable, request.dialect.name)
        if lowered is None:
            raise _refusal(parts, request, sale, full, result)
        wanted, lowerings = lowered, lowerings - 1


async def _reserve(
    parts: Parts, request: Request, wallet_id: UUID, amount_nanos: int
) -> HoldResult:
    caller = request.caller
    ttl = timedelta(seconds=parts.settings.gateway.hold_ttl_seconds)
    new = NewHold(
        org_id=caller.org_id,
        wallet_id=wallet_id,
        hold_id=request.usage_id,
        amount=amount_nanos,
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
    parts: Parts, request: Request, sale: Sale, full: Quote, result: HoldResult
) -> TollkeeperError:
    tokens = None
    if result.outcome is HoldOutcome.INSUFFICIENT:
        tokens = affordable_cap(request.ask, sale, full, result.spendable, request.dialect.name)
    refusal = refuse_hold(
        result,
        required=full.amount_nanos,
        currency=CURRENCY,
        top_up_url=parts.top_up_url,
        affordable_max_tokens=tokens,
    )
    return refusal or RequestInProgress("The first request with this Idempotency-Key still runs")
