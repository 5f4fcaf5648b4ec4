"""`POST /metering/charges`: hold and settle in one, for calls whose usage is known."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct

from tollkeeper.base.errors import TollkeeperError
from tollkeeper.base.money import format_nanos
from tollkeeper.http import JsonReader
from tollkeeper.ledger import ChargeOutcome, ChargeResult, Draw
from tollkeeper.limits import Facts
from tollkeeper.metering import store
from tollkeeper.metering.intake.bodies import ChargeIn
from tollkeeper.metering.intake.desk import Ask, Desk, Reply, call_of, facts_of, id_of
from tollkeeper.metering.intake.tariff import check_used, find_sale, rate_usage
from tollkeeper.metering.paying import Purse, pay_first
from tollkeeper.metering.record import Call, drawing, fingerprint_of, new_charge, refused_call
from tollkeeper.metering.refusal import refuse_charge
from tollkeeper.metering.rules import Refusal
from tollkeeper.pricing import Rating

_read: Final = JsonReader(ChargeIn)


async def charge(desk: Desk, ask: Ask) -> Reply:
    said = _read(ask.body)
    check_used(said)
    made = await _make(desk, ask, said)

    async def attempt(purse: Purse) -> ChargeResult:
        record = new_charge(
            made.call(purse),
            made.rating,
            status=said.status,
            source="reported",
            duration_ms=said.duration_ms,
            error=said.error,
        )
        return await desk.meter.charge(drawing(record, made.draws(purse)))

    org_id = made.facts.org_id
    paid = await pay_first(desk.meter.purses, org_id, made.facts.livemode, attempt)
    purse, result = paid.purse, paid.result
    refusal = _refusal(desk, made, purse, result)
    if refusal is not None:
        if result.outcome in _WORTH_NOTING:
            desk.meter.note(refused_call(made.call(purse), refusal))
        raise refusal
    usage_id = made.call(purse).usage_id
    currency = purse.currency
    if result.outcome is ChargeOutcome.EXISTS:
        currency = await _first_currency(desk, org_id, usage_id, currency)
    return 200, charged(usage_id, result.amount, result.balance_after, currency)


class _Made(Struct, frozen=True, kw_only=True):
    """What is to be charged: its cost in dollars, and, for the wallet that pays, the rest."""

    facts: Facts
    rating: Rating
    at: datetime
    call: Callable[[Purse], Call]
    draws: Callable[[Purse], tuple[Draw, ...]]


async def _make(desk: Desk, ask: Ask, said: ChargeIn) -> _Made:
    spender = await desk.spenders.find(ask.caller, said)
    now = desk.clock.now()
    sale = find_sale(desk.books.book, said, now)
    facts = facts_of(spender, sale, said.end_user, said.tags)
    rules = desk.meter.rules
    overage = rules.overage(facts, sale.version, sale.operation, now)
    rating = rate_usage(sale, said.usage, overage=overage)
    usage_id = id_of(ask, spender, said.request_id)
    fingerprint = fingerprint_of((said, spender.project_id, spender.key_id))

    def call(purse: Purse) -> Call:
        return call_of(
            desk,
            spender,
            sale,
            said,
            usage_id,
            purse=purse,
            started_at=now,
            fingerprint=fingerprint,
            request_id=said.request_id,
        )

    def draws(purse: Purse) -> tuple[Draw, ...]:
        return rules.draws_of(
            facts, rating, version=sale.version, operation=sale.operation, purse=purse, at=now
        )

    return _Made(facts=facts, rating=rating, at=now, call=call, draws=draws)


def _refusal(desk: Desk, made: _Made, purse: Purse, result: ChargeResult) -> TollkeeperError | None:
    required, top_up_url = purse.price(made.rating.cost_nanos), desk.limits.top_up_url
    refusal = refuse_charge(
        result, required=required, currency=purse.currency, top_up_url=top_up_url
    )
    if refusal is None:
        return None
    refused = Refusal(
        facts=made.facts,
        purse=purse,
        at=made.at,
        required=required,
        top_up_url=top_up_url,
    )
    return desk.meter.rules.refuse(result, refused) or refusal


async def _first_currency(desk: Desk, org_id: UUID, usage_id: UUID, asked: str) -> str:
    """Say what the first charge of a call was in, which another wallet may have paid."""
    if not desk.meter.purses.several:
        return asked
    async with desk.database.connection() as connection:
        first = await store.first_charge(connection, org_id, usage_id)
    return asked if first is None else first.currency


# Written into the log as failed calls: they say to the customer why nothing happened.
_WORTH_NOTING: Final = frozenset(
    {ChargeOutcome.INSUFFICIENT, ChargeOutcome.LIMITED, ChargeOutcome.FROZEN}
)


def charged(
    usage_id: UUID, amount: int, balance_after: int, currency: str, *, late: bool = False
) -> bytes:
    """Write a `ChargeOut`."""
    said = (
        f'{{"cost":{format_nanos(amount)},"currency":"{currency}",'
        f'"balance":{format_nanos(balance_after)},"usageId":"use_{usage_id.hex}"'
    )
    return f"{said}{_LATE if late else _ON_TIME}".encode()


_ON_TIME: Final = "}"
_LATE: Final = ',"late":true}'
