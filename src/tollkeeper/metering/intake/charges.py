"""`POST /metering/charges`: hold and settle in one, for calls whose usage is known."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from tollkeeper.base.money import format_nanos
from tollkeeper.http import JsonReader
from tollkeeper.ledger import ChargeOutcome
from tollkeeper.metering.intake.bodies import ChargeIn
from tollkeeper.metering.intake.desk import Ask, Desk, Reply, call_of, id_of
from tollkeeper.metering.intake.spenders import CURRENCY
from tollkeeper.metering.intake.tariff import check_used, find_sale, rate_usage
from tollkeeper.metering.record import fingerprint_of, new_charge, refused_call
from tollkeeper.metering.refusal import refuse_charge

_read: Final = JsonReader(ChargeIn)


async def charge(desk: Desk, ask: Ask) -> Reply:
    said = _read(ask.body)
    check_used(said)
    spender = await desk.spenders.find(ask.caller, said)
    now = desk.clock.now()
    sale = find_sale(desk.books.book, said, now)
    rating = rate_usage(sale, said.usage)
    call = call_of(
        desk,
        spender,
        sale,
        said,
        id_of(ask, spender, said.request_id),
        started_at=now,
        fingerprint=fingerprint_of((said, spender.project_id, spender.key_id)),
        request_id=said.request_id,
    )
    record = new_charge(
        call,
        rating,
        status=said.status,
        source="reported",
        duration_ms=said.duration_ms,
        error=said.error,
    )
    result = await desk.meter.charge(record)
    refusal = refuse_charge(
        result, required=record.amount, currency=CURRENCY, top_up_url=desk.limits.top_up_url
    )
    if refusal is not None:
        if result.outcome in _WORTH_NOTING:
            desk.meter.note(refused_call(call, refusal))
        raise refusal
    return 200, charged(call.usage_id, result.amount, result.balance_after, CURRENCY)


# Written into the log as failed calls: they say to the customer why nothing happened.
_WORTH_NOTING: Final = frozenset({ChargeOutcome.INSUFFICIENT, ChargeOutcome.FROZEN})


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
