"""`/metering/holds`: reserve before a call, settle or give back after it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from tollkeeper import ledger
from tollkeeper.base.errors import IdempotencyKeyReused, NotFound, TollkeeperError, Unavailable
from tollkeeper.base.money import NANOS_PER_UNIT, Money
from tollkeeper.http import JsonReader, encode_json, invalid
from tollkeeper.ledger import (
    ChargeOutcome,
    Draw,
    EndOutcome,
    HoldOutcome,
    HoldResult,
    NewHold,
    OpenHold,
)
from tollkeeper.limits import Facts
from tollkeeper.metering import store
from tollkeeper.metering.intake.bodies import HoldOut, NewHoldIn, SettleIn, VoidOut
from tollkeeper.metering.intake.charges import charged
from tollkeeper.metering.intake.desk import Ask, Desk, Reply, call_of, facts_of, id_of
from tollkeeper.metering.intake.spenders import Spender
from tollkeeper.metering.intake.tariff import Sale, find_sale, rate_usage
from tollkeeper.metering.paying import USD, Purse, pay_first
from tollkeeper.metering.record import (
    Call,
    drawing,
    fingerprint_of,
    new_charge,
    paid_from,
    refused_call,
)
from tollkeeper.metering.record import (
    facts_of as record_facts,
)
from tollkeeper.metering.refusal import AlreadyCharged, refuse_hold, refuse_settlement
from tollkeeper.metering.rules import Refusal, Worst
from tollkeeper.orgs import Caller, KeyKind, OperatorCaller
from tollkeeper.pricing import NO_MARKUP, Markup, Overage, PriceVersion, Rating

_read_hold: Final = JsonReader(NewHoldIn)
_read_settle: Final = JsonReader(SettleIn)

# An organization and a hold: whoever settles says by this alone where it is.
_HOLD_ID: Final = re.compile(r"hold_([0-9a-f]{32})([0-9a-f]{32})")


class Context(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a hold remembers for its settlement: the prices of its moment, those of the customer's
    plan and of the currency too, what it is for, and who may end it."""

    version: UUID
    fingerprint: int
    livemode: bool
    currency: str = USD
    usd_value: int = NANOS_PER_UNIT
    markup: tuple[int, int] = (0, 0)
    overage: dict[str, tuple[int, int]] | None = None
    by_operator: bool = False
    operation: str | None = None
    request_id: str | None = None
    member_id: UUID | None = None
    end_user: str | None = None
    tags: dict[str, str] | None = None


_decode_context: Final = msgspec.json.Decoder(Context).decode


async def place(desk: Desk, ask: Ask) -> Reply:
    said = _read_hold(ask.body)
    if (said.estimate is None) == (said.max_amount is None):
        raise invalid({"estimate": ["is required, or maxAmount; not both"]})
    spender = await desk.spenders.find(ask.caller, said)
    now = desk.clock.now()
    sale = find_sale(desk.books.book, said, now)
    wish = _wish(desk, said, spender, sale, now)
    hold_id = id_of(ask, spender, said.request_id)

    def new_hold(purse: Purse) -> NewHold:
        return _new_hold(desk, said, spender, _Reserve(hold_id, purse, wish, ask.by_customer))

    async def attempt(purse: Purse) -> HoldResult:
        return await desk.meter.hold(new_hold(purse))

    paid = await pay_first(desk.meter.purses, spender.org_id, spender.livemode, attempt)
    purse, result, new = paid.purse, paid.result, new_hold(paid.purse)
    if result.outcome in (HoldOutcome.EXISTS, HoldOutcome.EXISTS_WITH_OTHER_AMOUNT):
        return 201, await _the_same_hold(desk, new)
    refusal = _refusal(desk, result, new, purse, wish)
    if refusal is not None:
        if result.outcome in _WORTH_NOTING:
            call = paid_from(_refused(new, wish, said.request_id), purse)
            desk.meter.note(refused_call(call, refusal))
        raise refusal
    return 201, _shown(new.org_id, hold_id, result.amount, purse.currency, new.expires_at)


async def settle(desk: Desk, ask: Ask) -> Reply:
    said = _read_settle(ask.body)
    org_id, hold_id = _id_in(ask)
    fingerprint = fingerprint_of(said)
    found = await _find(desk, ask.caller, org_id, hold_id)
    if not isinstance(found, OpenHold):
        return 200, _first_answer(found, fingerprint)
    context = _decode_context(found.context or b"{}")
    version = await _version(desk, context.version)
    # A call that came to nothing owes no fee either.
    markup = Markup(*context.markup) if said.usage else NO_MARKUP
    sale = Sale(version, markup, said.operation or context.operation)
    rating = rate_usage(sale, said.usage, overage=context.overage)
    purse = Purse(found.wallet_id, context.currency, context.usd_value)
    call = call_of(
        desk,
        _spender_of(found, context),
        sale,
        said,
        hold_id,
        purse=purse,
        started_at=found.placed_at,
        fingerprint=fingerprint,
        request_id=context.request_id,
    )
    call = replace(
        call,
        hold_id=hold_id,
        end_user=said.end_user or context.end_user,
        tags={**(context.tags or {}), **(said.tags or {})},
    )
    record = new_charge(
        call,
        rating,
        status=said.status,
        source="reported",
        duration_ms=said.duration_ms,
        error=said.error,
    )
    draws = desk.meter.rules.draws_of(
        record_facts(call),
        rating,
        version=version,
        operation=sale.operation,
        purse=purse,
        at=found.placed_at,
    )
    result = await desk.meter.settle(drawing(record, draws))
    if result.outcome is ChargeOutcome.EXISTS:
        # Somebody else settled it while we looked; whether that was late is in the record.
        first = await _find(desk, ask.caller, org_id, hold_id)
        if isinstance(first, store.FirstCharge):
            return 200, _first_answer(first, fingerprint)
    refusal = refuse_settlement(result, currency=context.currency)
    if refusal is not None:
        raise refusal
    late = result.outcome is ChargeOutcome.POSTED_LATE
    return 200, charged(hold_id, result.amount, result.balance_after, context.currency, late=late)


async def void(desk: Desk, ask: Ask) -> Reply:
    org_id, hold_id = _id_in(ask)
    found = await _find(desk, ask.caller, org_id, hold_id)
    if isinstance(found, OpenHold):
        outcome = await desk.meter.void(org_id, found.wallet_id, hold_id)
    else:
        outcome = EndOutcome.SETTLED
    if outcome is EndOutcome.UNKNOWN:
        raise _no_hold()
    return 200, encode_json(VoidOut(id=_show(org_id, hold_id), state=outcome.value))


_WORTH_NOTING: Final = frozenset(
    {HoldOutcome.INSUFFICIENT, HoldOutcome.LIMITED, HoldOutcome.FROZEN}
)


class _Wish(Struct, frozen=True, kw_only=True):
    """What is to be held in dollars; `rating` is there where it follows from an estimate."""

    sale: Sale
    facts: Facts
    overage: Overage | None
    amount: int
    rating: Rating | None
    at: datetime


class _Reserve(Struct, frozen=True):
    """What is to be held, from which wallet, under which id, and who asks for it."""

    hold_id: UUID
    purse: Purse
    wish: _Wish
    by_customer: bool


def _wish(desk: Desk, said: NewHoldIn, spender: Spender, sale: Sale, now: datetime) -> _Wish:
    facts = facts_of(spender, sale, said.end_user, said.tags)
    overage = desk.meter.rules.overage(facts, sale.version, sale.operation, now)
    rating = None
    if said.max_amount is None:
        rating = rate_usage(sale, said.estimate or {}, "estimate", overage)
    amount = int(said.max_amount or 0) if rating is None else rating.cost_nanos
    return _Wish(sale=sale, facts=facts, overage=overage, amount=amount, rating=rating, at=now)


def _draws(desk: Desk, wish: _Wish, purse: Purse) -> tuple[Draw, ...]:
    """An amount alone says nothing of units: it is held of credit, and counts as no tokens."""
    rules, version, operation = desk.meter.rules, wish.sale.version, wish.sale.operation
    if wish.rating is not None:
        return rules.draws_of(
            wish.facts,
            wish.rating,
            version=version,
            operation=operation,
            purse=purse,
            at=wish.at,
        )
    worst = Worst(
        version=version, bounds={}, amount_nanos=wish.amount, amounts={}, operation=operation
    )
    return rules.draws_before(wish.facts, worst, purse=purse, at=wish.at)


def _refusal(
    desk: Desk, result: HoldResult, new: NewHold, purse: Purse, wish: _Wish
) -> TollkeeperError | None:
    top_up_url = desk.limits.top_up_url
    refused = Refusal(
        facts=wish.facts,
        purse=purse,
        at=wish.at,
        required=new.amount,
        top_up_url=top_up_url,
    )
    return desk.meter.rules.refuse(result, refused) or refuse_hold(
        result, required=new.amount, currency=purse.currency, top_up_url=top_up_url
    )


def _new_hold(desk: Desk, said: NewHoldIn, spender: Spender, reserve: _Reserve) -> NewHold:
    purse, wish, sale = reserve.purse, reserve.wish, reserve.wish.sale
    ttl = desk.limits.hold_ttl
    if said.ttl_seconds is not None:
        ttl = timedelta(seconds=said.ttl_seconds)
    context = Context(
        version=sale.version.id,
        fingerprint=fingerprint_of((said, spender.project_id, spender.key_id)),
        livemode=spender.livemode,
        currency=purse.currency,
        usd_value=purse.usd_value,
        markup=(sale.markup.ppm, sale.markup.fixed_nanos),
        overage=None if wish.overage is None else dict(wish.overage),
        by_operator=not reserve.by_customer,
        operation=sale.operation,
        request_id=said.request_id,
        member_id=spender.member_id,
        end_user=said.end_user,
        tags=said.tags,
    )
    return NewHold(
        org_id=spender.org_id,
        wallet_id=purse.wallet_id,
        hold_id=reserve.hold_id,
        amount=purse.price(wish.amount),
        expires_at=desk.clock.now() + ttl,
        project_id=spender.project_id,
        key_id=spender.key_id,
        context=Raw(msgspec.json.encode(context)),
        draws=_draws(desk, wish, purse),
    )


async def _the_same_hold(desk: Desk, new: NewHold) -> bytes:
    """Show the hold that this request placed before. Raises IdempotencyKeyReused for another."""
    async with desk.database.connection() as connection:
        first = await ledger.find_hold(connection, new.org_id, new.hold_id)
    if first is None:
        raise AlreadyCharged("A call with this request id has been charged")
    asked, known = (_decode_context(c or b"{}") for c in (new.context, first.context))
    if asked.fingerprint != known.fingerprint:
        raise IdempotencyKeyReused("This request id was used for a request with other content")
    return _shown(first.org_id, first.hold_id, first.amount, known.currency, first.expires_at)


async def _find(
    desk: Desk, caller: Caller | OperatorCaller, org_id: UUID, hold_id: UUID
) -> OpenHold | store.FirstCharge:
    """Find a hold that was placed here, or what it was settled with. Raises NotFound, also for
    other people's."""
    async with desk.database.connection() as connection:
        found = await ledger.find_hold(connection, org_id, hold_id) or await store.first_charge(
            connection, org_id, hold_id
        )
    if found is None or not _was_reported(found):
        raise _no_hold()
    if isinstance(caller, Caller):
        own = caller.kind is KeyKind.ADMIN or caller.key_id == found.key_id
        if not own or _is_the_operators(found) or not await _is_of(desk, caller, found.wallet_id):
            raise _no_hold()
    return found


def _was_reported(found: OpenHold | store.FirstCharge) -> bool:
    """Tell what was placed here from what the gateway holds, which it alone ends."""
    kept = found.context if isinstance(found, OpenHold) else found.fingerprint
    return kept is not None


def _is_the_operators(found: OpenHold | store.FirstCharge) -> bool:
    """Tell a hold that the operator placed; its id follows from the request's, which the customer
    may know."""
    if not isinstance(found, OpenHold):
        return False
    return _decode_context(found.context or b"{}").by_operator


async def _is_of(desk: Desk, caller: Caller, wallet_id: UUID) -> bool:
    """Tell whether a wallet is one that the caller spends, in live or in test mode."""
    purses = desk.meter.purses
    for look in (purses.of, purses.again):
        known = await look(caller.org_id, caller.livemode)
        if any(purse.wallet_id == wallet_id for purse in known):
            return True
    return False


async def _version(desk: Desk, version_id: UUID) -> PriceVersion:
    version = desk.books.book.version(version_id)
    if version is None:
        # Another process placed the hold by a price published within the last second.
        await desk.books.refresh()
        version = desk.books.book.version(version_id)
    if version is None:
        raise Unavailable("The price of this hold is not known here yet")
    return version


def _first_answer(first: store.FirstCharge, fingerprint: int) -> bytes:
    if first.fingerprint != fingerprint:
        raise IdempotencyKeyReused("This hold was settled with other content")
    return charged(
        first.usage_id, first.amount, first.balance_after, first.currency, late=first.late
    )


def _refused(new: NewHold, wish: _Wish, request_id: str | None) -> Call:
    sale, facts = wish.sale, wish.facts
    return Call(
        org_id=new.org_id,
        wallet_id=new.wallet_id,
        usage_id=new.hold_id,
        started_at=wish.at,
        livemode=facts.livemode,
        operation=sale.operation,
        project_id=new.project_id,
        key_id=new.key_id,
        member_id=facts.member_id,
        request_id=request_id,
        provider=sale.version.provider,
        model=sale.version.model,
        end_user=facts.end_user,
        tags=facts.tags,
    )


def _spender_of(hold: OpenHold, context: Context) -> Spender:
    assert hold.project_id is not None  # noqa: S101 (every hold placed here has one)
    return Spender(hold.org_id, hold.project_id, hold.key_id, context.livemode, context.member_id)


def _id_in(ask: Ask) -> tuple[UUID, UUID]:
    found = _HOLD_ID.fullmatch(ask.scope["path_params"]["id"])
    if found is None:
        raise _no_hold()
    return UUID(hex=found[1]), UUID(hex=found[2])


def _show(org_id: UUID, hold_id: UUID) -> str:
    return f"hold_{org_id.hex}{hold_id.hex}"


def _shown(org_id: UUID, hold_id: UUID, amount: int, currency: str, expires_at: datetime) -> bytes:
    shown = HoldOut(
        id=_show(org_id, hold_id),
        amount=Money(amount),
        currency=currency,
        expires_at=expires_at,
    )
    return encode_json(shown)


def _no_hold() -> NotFound:
    return NotFound("There is no such hold")
