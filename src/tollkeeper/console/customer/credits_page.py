"""Credits: what is left, how long it lasts, and what moved last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from litestar import get
from litestar.response import Response
from litestar.types import ControllerRouterHandler

from tollkeeper import ledger, metering
from tollkeeper.base.money import Money
from tollkeeper.console.doors import AnyRequest, Door, money_only, session_of
from tollkeeper.console.rendering import say, say_with, show_day, show_money
from tollkeeper.console.shelves import Shelves
from tollkeeper.db import Connection
from tollkeeper.ledger import Entry, Lot, LotKind, Wallet
from tollkeeper.metering import AutoTopUp, Balance, Forecast, ForecastState

USD: Final = "USD"
_MOVEMENTS: Final = 5
_LONG: Final = timedelta(days=3 * 365)


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """An entry with its amounts as money."""

    entry: Entry
    amount: Money
    balance_after: Money

    @property
    def kind(self) -> str:
        return self.entry.kind.value

    @property
    def posted_at(self) -> datetime:
        return self.entry.posted_at

    @classmethod
    def of(cls, entry: Entry) -> Movement:
        return cls(
            entry=entry, amount=Money(entry.amount), balance_after=Money(entry.balance_after)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LotLeft:
    kind: LotKind
    label: str | None
    granted: Money
    left: Money
    expires_at: datetime | None

    @classmethod
    def of(cls, lot: Lot, left: int) -> LotLeft:
        return cls(
            kind=lot.kind,
            label=lot.label,
            granted=Money(lot.amount),
            left=Money(left),
            expires_at=lot.expires_at,
        )


def credits_page(door: Door, shelves: Shelves) -> ControllerRouterHandler:
    settings, read_top_up = shelves.settings, shelves.read_top_up

    @get("/credits", include_in_schema=False, guards=[money_only])
    async def show_credits(request: AnyRequest) -> Response[bytes]:
        session, now = session_of(request), door.clock.now()
        async with door.database.transaction() as tx:
            forecast_of = (session.org_id, session.livemode, USD)
            forecast = await metering.read_forecast(tx, forecast_of, now)
            wallets = await ledger.wallets_of(tx, session.org_id)
            own = {one.currency: one for one in wallets if one.livemode == session.livemode}
            top_up = await read_top_up(tx, own[USD]) if USD in own else AutoTopUp()
            shown = metering.show_balance(
                own, settings.spending, settings.billing.low_balance_nanos, top_up
            )
            told = await _read_movements(tx, own.get(shown.consumption_currency))
        return door.page(
            request,
            "customer/credits.html",
            balance=shown,
            currency=shown.consumption_currency,
            forecast=say_forecast(forecast, now),
            top_up=_say_top_up(shown),
            **told,
        )

    return show_credits


async def _read_movements(tx: Connection, wallet: Wallet | None) -> dict[str, Any]:
    if wallet is None:
        return {"entries": [], "lots": []}
    org_id, wallet_id = wallet.org_id, wallet.wallet_id
    entries = await ledger.entries(tx, org_id, wallet_id, limit=_MOVEMENTS)
    drawn = await ledger.drawn_lots(tx, org_id, wallet_id, wallet.posted)
    return {
        "entries": [Movement.of(entry) for entry in entries],
        "lots": [LotLeft.of(lot, drawn.remaining[lot.lot_id]) for lot in drawn.left],
    }


def say_forecast(forecast: Forecast, now: datetime) -> str:
    """Say it in a sentence."""
    if forecast.state is not ForecastState.SPENDING:
        return say(f"credits.forecast_{forecast.state}")
    rate = show_money(forecast.burn_rate, forecast.currency)
    if forecast.ends_at is None or forecast.ends_at - now > _LONG:
        return say_with("credits.forecast_long", rate=rate)
    said = say_with("credits.forecast_spending", rate=rate, day=show_day(forecast.ends_at))
    if forecast.ends_earliest is None or forecast.ends_latest is None:
        return said
    earliest, latest = show_day(forecast.ends_earliest), show_day(forecast.ends_latest)
    return said + " " + say_with("credits.forecast_between", earliest=earliest, latest=latest)


def _say_top_up(balance: Balance) -> str:
    top_up = balance.auto_top_up
    if not top_up.enabled or top_up.threshold is None:
        return say("credits.auto_off")
    return say_with("credits.auto_on", threshold=show_money(top_up.threshold))
