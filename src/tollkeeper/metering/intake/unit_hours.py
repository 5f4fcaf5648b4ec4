"""Levels become usage of the past: one record for each hour of each, as `plans` works it out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog

from tollkeeper import plans
from tollkeeper.base.clock import Clock
from tollkeeper.base.errors import TollkeeperError
from tollkeeper.db import Database
from tollkeeper.ledger import ChargeResult, NewCharge
from tollkeeper.limits import Facts
from tollkeeper.metering.intake.bodies import Sold
from tollkeeper.metering.intake.levels import only_unit
from tollkeeper.metering.intake.tariff import find_sale, rate_usage
from tollkeeper.metering.jobs import Job
from tollkeeper.metering.meter import Meter
from tollkeeper.metering.paying import USD, Purse
from tollkeeper.metering.posting import Past, post_past
from tollkeeper.metering.record import Call, drawing, fingerprint_of, new_charge
from tollkeeper.metering.refusal import refuse_settlement
from tollkeeper.metering.rules import only_counted
from tollkeeper.plans import LevelHour
from tollkeeper.pricing import BookKeeper

_EVERY_SECONDS: Final = 60.0

_log = structlog.stdlib.get_logger(__name__)


def level_jobs(database: Database, clock: Clock, meter: Meter, books: BookKeeper) -> list[Job]:
    """Meter each hour of each level once it is over."""
    emitter = _Emitter(meter, books, clock)

    async def meter_levels() -> int:
        return await plans.emit_due(database, clock, emitter.emit)

    return [("meter_levels", _EVERY_SECONDS, meter_levels)]


class _Emitter:
    def __init__(self, meter: Meter, books: BookKeeper, clock: Clock) -> None:
        self._meter = meter
        self._books = books
        self._clock = clock

    async def emit(self, hours: Sequence[LevelHour]) -> list[bool]:
        """Charge hours of levels; what has no price, or no wallet, waits until it has."""
        made = [await self._make(hour) for hour in hours]
        pasts = [one for one in made if isinstance(one, Past)]
        answers = iter(await post_past(self._meter, pasts))
        told = [next(answers) if isinstance(one, Past) else one for one in made]
        return [_is_usage(hour, answer) for hour, answer in zip(hours, told, strict=True)]

    async def _make(self, hour: LevelHour) -> Past | TollkeeperError:
        try:
            purses = await self._meter.purses.of(hour.org_id, hour.livemode)
            return self._past(hour, purses)
        except TollkeeperError as refusal:
            if refusal.retryable:
                raise
            return refusal

    def _past(self, hour: LevelHour, purses: Sequence[Purse]) -> Past:
        now, book, rules = self._clock.now(), self._books.book, self._meter.rules
        sale = find_sale(book, Sold(sku=hour.name), hour.began_at)
        facts = Facts(
            org_id=hour.org_id,
            livemode=hour.livemode,
            provider=sale.version.provider,
            model=sale.version.model,
        )
        overage = rules.overage(facts, sale.version, sale.operation, now)
        unit = only_unit(book, hour.name, hour.began_at)
        rating = rate_usage(sale, {unit: hour.units}, overage=overage)

        def charge(purse: Purse) -> NewCharge:
            # It counts in the period in which it is metered, as reports of the past do.
            draws = rules.draws_of(
                facts, rating, version=sale.version, operation=sale.operation, purse=purse, at=now
            )
            call = Call(
                org_id=hour.org_id,
                wallet_id=purse.wallet_id,
                currency=purse.currency,
                usd_value=purse.usd_value,
                usage_id=hour.event_id,
                # Whoever comes second has the same hour, even if its price has changed meanwhile.
                fingerprint=fingerprint_of(hour.event_id.hex),
                started_at=hour.began_at,
                livemode=hour.livemode,
                operation=sale.operation,
                provider=sale.version.provider,
                model=sale.version.model,
            )
            return drawing(new_charge(call, rating, source="reported"), only_counted(draws))

        return Past(purses, charge)


def _is_usage(hour: LevelHour, answer: ChargeResult | Exception) -> bool:
    if isinstance(answer, ChargeResult):
        refusal = refuse_settlement(answer, currency=USD)
        if refusal is None:
            return True
        answer = refusal
    _log.error(
        "level_not_metered",
        org_id=str(hour.org_id),
        name=hour.name,
        hour=hour.began_at.isoformat(),
        reason=str(answer) or type(answer).__name__,
    )
    return False
