"""`GET /billing/forecast` (B10): how fast credit is spent, and the day it ends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromQuery
from msgspec import Meta, Struct

from tollkeeper import ledger
from tollkeeper.base.check import Faults
from tollkeeper.base.clock import Clock
from tollkeeper.base.money import Money
from tollkeeper.base.settings import Settings
from tollkeeper.db import Connection, Database
from tollkeeper.ledger import Drawn, Wallet
from tollkeeper.metering.analytics import burning, store
from tollkeeper.metering.analytics.store import Question
from tollkeeper.metering.billing.asked import AnyRequest, check, check_currency
from tollkeeper.orgs import caller_of

_LEAST_DAYS: Final = 2

LotsLeft = list[tuple[int, datetime | None]]


class ForecastState(StrEnum):
    IDLE = "idle"
    SPENDING = "spending"
    DEPLETED = "depleted"


class SpentDay(Struct, frozen=True, kw_only=True, rename="camel"):
    start: datetime
    end: datetime
    spent: Money


class Forecast(Struct, frozen=True, kw_only=True, rename="camel"):
    """`burnRate` is what a day costs: the average of the last seven days of 24 hours, since the
    first with spending, where the newest counts seven times and the oldest once. `burnRateLow` and
    `burnRateHigh` lie from it as far as those days do on the average.

    `endsAt` is when the available credit is used up at that rate; credit that expires first is not
    counted beyond its day. `endsEarliest` and `endsLatest` are the same at the high and the low
    rate; null where two days are not known, and for what is more than a century away. While
    nothing is spent the state is `idle`, and credit ends only by expiring.
    """

    state: ForecastState
    currency: str
    available: Money
    burn_rate: Money
    burn_rate_low: Money
    burn_rate_high: Money
    ends_at: datetime | None
    ends_earliest: datetime | None
    ends_latest: datetime | None
    days: list[SpentDay]


def forecast_route(settings: Settings) -> HTTPRouteHandler:
    @get("/forecast", summary="Say how long credit will last")
    async def get_forecast(
        request: AnyRequest,
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
        currency: Annotated[FromQuery[str], Meta(description="Whose balance.")] = "USD",
    ) -> Forecast:
        caller, now, faults = caller_of(request), clock.now(), Faults()
        check_currency(currency, settings.currencies, faults)
        check(faults)
        who = (caller.org_id, caller.livemode, currency)
        async with database.transaction() as tx:
            return await read_forecast(tx, who, now)

    return get_forecast


async def read_forecast(tx: Connection, who: tuple[UUID, bool, str], now: datetime) -> Forecast:
    """`who`: an organization, live or test, and a currency. First in its transaction."""
    org_id, livemode, currency = who
    bounds = burning.hours_until(now, burning.DAYS)
    hours, lots, available = [0] * (len(bounds) - 1), LotsLeft(), 0
    await store.see_one_moment(tx)
    for wallet in await ledger.wallets_of(tx, org_id):
        if (wallet.livemode, wallet.currency) == (livemode, currency):
            hours = await spent_by_hour(tx, org_id, wallet.wallet_id, bounds)
            drawn = await ledger.drawn_lots(tx, org_id, wallet.wallet_id, wallet.posted)
            lots, available = _lots_left(wallet, drawn), wallet.available
    return _forecast(currency, available, hours, lots, bounds, now)


async def spent_by_hour(
    connection: Connection, org_id: UUID, wallet_id: UUID, bounds: Sequence[datetime]
) -> list[int]:
    """Nanos that were spent between each two bounds, which lie on hours of UTC."""
    asked = Question(org_id=org_id, wallet_id=wallet_id, bounds=bounds, filters={})
    hours = [0] * (len(bounds) - 1)
    for one in await store.sums(connection, asked, 0):
        hours[one.place] = one.amount
    return hours


def _lots_left(wallet: Wallet, drawn: Drawn) -> LotsLeft:
    """What is left of each lot, in the order of spending, less what running calls hold."""
    found: LotsLeft = [(-drawn.debt, None)] if drawn.debt < 0 else []
    found += [(drawn.remaining[lot.lot_id], lot.expires_at) for lot in drawn.left]
    held, left = wallet.held, LotsLeft()
    for amount, expires_at in found:
        taken = min(held, amount)
        held -= taken
        if amount > taken:
            left.append((amount - taken, expires_at))
    return left


def _forecast(
    currency: str,
    available: int,
    hours: Sequence[int],
    lots: LotsLeft,
    bounds: Sequence[datetime],
    now: datetime,
) -> Forecast:
    days = burning.by_day(hours)
    burn = burning.burn_rate(days)
    known = sum(spent > 0 for spent in days) >= _LEAST_DAYS
    state = ForecastState.IDLE if burn is None else ForecastState.SPENDING
    if available <= 0:
        state = ForecastState.DEPLETED
    low, likely, high = (0, 0, 0) if burn is None else (burn.low, burn.likely, burn.high)

    def ends(rate: int) -> datetime | None:
        return None if available <= 0 else burning.credit_ends(lots, rate, now)

    edges = bounds[:: burning.HOURS_OF_DAY]
    return Forecast(
        state=state,
        currency=currency,
        available=Money(available),
        burn_rate=Money(likely),
        burn_rate_low=Money(low),
        burn_rate_high=Money(high),
        ends_at=ends(likely),
        ends_earliest=ends(high) if known else None,
        ends_latest=ends(low) if known else None,
        days=[
            SpentDay(start=edges[place], end=edges[place + 1], spent=Money(spent))
            for place, spent in enumerate(days)
        ],
    )
