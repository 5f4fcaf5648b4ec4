"""`POST /metering/events`: usage of the past, thousands at a time; it always posts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from tollkeeper.base.errors import InvalidRequest, TollkeeperError
from tollkeeper.base.ids import named_uuid
from tollkeeper.http import encode_json, header, invalid
from tollkeeper.ledger import ChargeOutcome, ChargeResult, NewCharge
from tollkeeper.metering.intake.bodies import EventIn, EventResult, EventsOut
from tollkeeper.metering.intake.desk import Ask, Desk, Reply, call_of, facts_of
from tollkeeper.metering.intake.envelopes import read_events
from tollkeeper.metering.intake.spenders import Spender
from tollkeeper.metering.intake.tariff import check_used, find_sale, rate_usage
from tollkeeper.metering.paying import USD, Purse
from tollkeeper.metering.posting import Past, post_past
from tollkeeper.metering.record import drawing, fingerprint_of, names_of, new_charge
from tollkeeper.metering.refusal import refuse_settlement
from tollkeeper.metering.rules import only_counted

# Rated in one go; between two of them others get their turn.
_TURN: Final = 100
# Clocks differ.
_AHEAD: Final = timedelta(minutes=5)

Made = Past | TollkeeperError


async def ingest(desk: Desk, ask: Ask) -> Reply:
    content_type = header(ask.scope, b"content-type")
    read = read_events(content_type, ask.body, desk.limits.events)
    batch = _Batch(desk, ask, desk.clock.now())
    made: list[Made] = []
    sent: list[asyncio.Task[list[ChargeResult | Exception]]] = []
    for start in range(0, len(read), _TURN):
        turn = [await batch.make(one) for one in read[start : start + _TURN]]
        made += turn
        pasts = [one for one in turn if isinstance(one, Past)]
        # The database is at work on these while the next are rated.
        sent.append(asyncio.create_task(post_past(desk.meter, pasts)))
        await asyncio.sleep(0)
    answers = iter([answer for part in await asyncio.gather(*sent) for answer in part])
    results = [
        _result(_id_of(one), next(answers) if isinstance(past, Past) else past)
        for one, past in zip(read, made, strict=True)
    ]
    return 200, encode_json(_summed(results))


class _Batch:
    """Makes charges of events; who pays is found once for each who is named."""

    def __init__(self, desk: Desk, ask: Ask, now: datetime) -> None:
        self._desk = desk
        self._ask = ask
        self._now = now
        self._latest = now + _AHEAD
        self._earliest = now - desk.limits.late
        self._spenders: dict[tuple[object, ...], Spender | TollkeeperError] = {}

    async def make(self, read: EventIn | tuple[str | None, InvalidRequest]) -> Made:
        if not isinstance(read, EventIn):
            return read[1]
        try:
            check_used(read)
            spender = await self._spender(read)
            purses = await self._desk.meter.purses.of(spender.org_id, spender.livemode)
            return self._past(read, spender, purses, self._moment(read.time))
        except TollkeeperError as refusal:
            return refusal

    async def _spender(self, event: EventIn) -> Spender:
        named = (event.api_key, event.organization_id, event.project_id, event.livemode)
        found = self._spenders.get(named)
        if found is None:
            try:
                found = await self._desk.spenders.find(self._ask.caller, event, past=True)
            except TollkeeperError as refusal:
                if refusal.retryable:
                    raise
                found = refusal
            self._spenders[named] = found
        if isinstance(found, TollkeeperError):
            raise found
        return found

    def _moment(self, said: datetime | None) -> datetime:
        if said is None:
            return self._now
        if said > self._latest:
            raise invalid({"time": ["lies in the future"]})
        if said < self._earliest:
            days = self._desk.limits.late.days
            raise invalid({"time": [f"lies more than {days} days back"]})
        return said.astimezone(UTC)

    def _past(
        self, event: EventIn, spender: Spender, purses: Sequence[Purse], moment: datetime
    ) -> Past:
        sale = find_sale(self._desk.books.book, event, moment)
        facts = facts_of(spender, sale, event.end_user, event.tags)
        rules = self._desk.meter.rules
        overage = rules.overage(facts, sale.version, sale.operation, self._now)
        rating = rate_usage(sale, event.usage, overage=overage)
        fingerprint = fingerprint_of((event, spender.project_id, spender.key_id))

        def charge(purse: Purse) -> NewCharge:
            # Budgets count it in the period in which it is reported, whenever it was.
            draws = rules.draws_of(
                facts,
                rating,
                version=sale.version,
                operation=sale.operation,
                purse=purse,
                at=self._now,
                happened_at=moment,
            )
            call = call_of(
                self._desk,
                spender,
                sale,
                event,
                self._id_of(event, spender),
                purse=purse,
                started_at=moment,
                fingerprint=fingerprint,
                request_id=event.id,
            )
            record = new_charge(
                call,
                rating,
                status=event.status,
                source="reported",
                duration_ms=event.duration_ms,
                error=event.error,
            )
            return drawing(record, only_counted(draws))

        return Past(purses, charge)

    def _id_of(self, event: EventIn, spender: Spender) -> UUID:
        """Name the record of an event: unique by organization, mode, reporter, source and id."""
        names, source = names_of(spender.livemode, self._ask.by_customer), event.source
        return named_uuid(spender.org_id, f"{names}/event/{len(source)}/{source}/{event.id}")


def _id_of(read: EventIn | tuple[str | None, InvalidRequest]) -> str | None:
    return read.id if isinstance(read, EventIn) else read[0]


def _result(event_id: str | None, answer: ChargeResult | Exception) -> EventResult:
    if isinstance(answer, ChargeResult):
        refusal = refuse_settlement(answer, currency=USD)
        if refusal is None:
            known = answer.outcome is ChargeOutcome.EXISTS
            return EventResult(id=event_id, status="duplicate" if known else "accepted")
        answer = refusal
    code, reason = "not_recordable", "This event cannot be recorded"
    if isinstance(answer, TollkeeperError):
        code, reason = answer.code, answer.detail
    return EventResult(id=event_id, status="rejected", code=code, reason=reason)


def _summed(results: Sequence[EventResult]) -> EventsOut:
    said = [result.status for result in results]
    return EventsOut(
        accepted=said.count("accepted"),
        duplicate=said.count("duplicate"),
        rejected=said.count("rejected"),
        results=list(results),
    )
