"""Rate the worst case, and hold it: after this a call cannot cost what is not there."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from tollkeeper.base.errors import RequestInProgress, TollkeeperError, Unavailable
from tollkeeper.gateway.call import Call, Parts, Request
from tollkeeper.gateway.models import Sale
from tollkeeper.gateway.quote import Quote, Terms, affordable_cap, by_bound, lower, quote
from tollkeeper.ledger import Draw, HoldOutcome, HoldResult, NewHold
from tollkeeper.limits import Facts
from tollkeeper.metering import Call as MeteredCall
from tollkeeper.metering import Paid, Previews, Purse, Refusal, Worst, pay_first, refuse_hold

# The balance moves while a clamped request is worked out; after so many times it is refused.
_CLAMPS: Final = 3


async def admit(parts: Parts, request: Request) -> Call:
    """Give the call, its worst case held. Raises whatever refuses it; nothing is held then."""
    now = parts.clock.now()
    request, sale = _sold(parts, request, now)
    ask, caller = request.ask, request.caller
    wish = _wish(parts, request, sale, now)
    held, purse = await _hold(parts, wish)
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
        livemode=caller.livemode,
        operation=_operation(request),
        project_id=caller.project_id,
        key_id=caller.key_id,
        member_id=caller.member_id,
        request_id=request.request_id,
        provider=wish.facts.provider,
        model=wish.facts.model,
        thread_id=request.headers.thread_id,
        end_user=wish.facts.end_user,
        tags=wish.facts.tags,
        input=previews.of(ask.preview),
    )
    return Call(request=request, sale=sale, quote=held, overage=wish.terms.overage, metered=metered)


def foresee(parts: Parts, request: Request) -> Quote:
    """Say what would be held. Raises what refuses a call for what it is, not for its money."""
    now = parts.clock.now()
    return _wish(parts, *_sold(parts, request, now), now).full


def _sold(parts: Parts, request: Request, now: datetime) -> tuple[Request, Sale]:
    """Find who answers, and meter what is asked as its model does: by whatever name it is sold."""
    ask, dialect = request.ask, request.dialect
    livemode = request.caller.livemode
    sale = parts.models.sell(ask.model, dialect.name, parts.books.book, now, livemode=livemode)
    sold = dialect.sold(ask, sale.route.model)
    return (request if sold is ask else replace(request, ask=sold)), sale


class _Wish(Struct, frozen=True, kw_only=True):
    """What is asked for, by whom, on which terms; `full` is its worst case."""

    request: Request
    facts: Facts
    terms: Terms
    full: Quote
    at: datetime


def _wish(parts: Parts, request: Request, sale: Sale, now: datetime) -> _Wish:
    ask, caller, headers = request.ask, request.caller, request.headers
    facts = Facts(
        org_id=caller.org_id,
        livemode=caller.livemode,
        project_id=caller.project_id,
        key_id=caller.key_id,
        member_id=caller.member_id,
        end_user=headers.end_user or ask.end_user,
        provider=sale.route.name,
        model=sale.route.sold_as or sale.version.model,
        tags={**ask.metadata, **headers.tags},
    )
    overage = parts.meter.rules.overage(facts, sale.version, _operation(request), now)
    terms = Terms(sale, overage)
    return _Wish(request=request, facts=facts, terms=terms, full=quote(ask, terms), at=now)


def _operation(request: Request) -> str:
    return request.dialect.path.strip("/")


async def _hold(parts: Parts, wish: _Wish) -> tuple[Quote, Purse]:
    """Reserve the quote, or a lower one where the client or its key says so, in the first wallet
    that covers it."""
    request, full = wish.request, wish.full
    said = request.headers.clamp
    clamp = request.caller.clamp if said is None else said
    wanted, lowerings = full, _CLAMPS if clamp else 0
    while True:
        paid = await _reserve_first(parts, wish, wanted)
        if paid.result.outcome is HoldOutcome.PLACED:
            return wanted, paid.purse
        lowered: Quote | None = None
        if lowerings and paid.affordable is not None:
            lowered = lower(request.ask, wish.terms, full, paid.affordable, request.dialect.name)
        if lowered is None:
            raise _refusal(parts, wish, paid)
        wanted, lowerings = lowered, lowerings - 1


async def _reserve_first(parts: Parts, wish: _Wish, wanted: Quote) -> Paid[HoldResult]:
    async def attempt(purse: Purse) -> HoldResult:
        return await _reserve(parts, wish, wanted, purse)

    caller = wish.request.caller
    return await pay_first(parts.meter.purses, caller.org_id, caller.livemode, attempt)


async def _reserve(parts: Parts, wish: _Wish, wanted: Quote, purse: Purse) -> HoldResult:
    caller = wish.request.caller
    ttl = timedelta(seconds=parts.settings.gateway.hold_ttl_seconds)
    new = NewHold(
        org_id=caller.org_id,
        wallet_id=purse.wallet_id,
        hold_id=wish.request.usage_id,
        amount=purse.price(wanted.amount_nanos),
        expires_at=parts.clock.now() + ttl,
        project_id=caller.project_id,
        key_id=caller.key_id,
        draws=_draws(parts, wish, wanted, purse),
    )
    try:
        return await parts.meter.hold(new)
    except Unavailable:
        # It may have been placed before the database was lost.
        parts.flights.start(_void(parts, new.org_id, new.wallet_id, new.hold_id))
        raise


def _draws(parts: Parts, wish: _Wish, wanted: Quote, purse: Purse) -> tuple[Draw, ...]:
    rules, sale, ask = parts.meter.rules, wish.terms.sale, wish.request.ask
    if not rules.concern(wish.facts, wish.at):
        return ()
    worst = Worst(
        version=sale.version,
        bounds=wanted.bounds,
        amount_nanos=wanted.amount_nanos,
        amounts=by_bound(ask, wish.terms, wanted.bounds),
        operation=_operation(wish.request),
        beside_nanos=sale.markup.fixed_nanos,
        modalities=ask.modalities,
    )
    return rules.draws_before(wish.facts, worst, purse=purse, at=wish.at)


async def give_hold_back(parts: Parts, metered: MeteredCall) -> None:
    """Void the hold of a call that failed by our own fault."""
    await _void(parts, metered.org_id, metered.wallet_id, metered.usage_id)


async def _void(parts: Parts, org_id: UUID, wallet_id: UUID, hold_id: UUID) -> None:
    with suppress(Unavailable):  # Then it expires.
        await parts.meter.void(org_id, wallet_id, hold_id)


def _refusal(parts: Parts, wish: _Wish, paid: Paid[HoldResult]) -> TollkeeperError:
    running = RequestInProgress("The first request with this Idempotency-Key still runs")
    if paid.result.outcome is HoldOutcome.EXISTS_WITH_OTHER_AMOUNT:
        return running  # In another wallet, or clamped: that it is the same request is known.
    request, full, purse = wish.request, wish.full, paid.purse
    tokens = None
    if paid.affordable is not None:
        dialect = request.dialect.name
        tokens = affordable_cap(request.ask, wish.terms, full, paid.affordable, dialect)
    refused = Refusal(
        facts=wish.facts,
        purse=purse,
        at=wish.at,
        required=purse.price(full.amount_nanos),
        top_up_url=parts.top_up_url,
        affordable_max_tokens=tokens,
    )
    refusal = parts.meter.rules.refuse(paid.result, refused) or refuse_hold(
        paid.result,
        required=refused.required,
        currency=purse.currency,
        top_up_url=parts.top_up_url,
        affordable_max_tokens=tokens,
    )
    return refusal or running
