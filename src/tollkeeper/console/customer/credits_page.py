"""Credits: what is left in each currency, how long it lasts, what moved last, and who pays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from litestar import get
from litestar.params import FromQuery
from litestar.response import Response
from litestar.types import ControllerRouterHandler

from tollkeeper import ledger, metering
from tollkeeper.base.errors import NotFound
from tollkeeper.base.money import Money
from tollkeeper.console.customer.auto_top_up_page import Desk, read_desk
from tollkeeper.console.customer.saying import card_name
from tollkeeper.console.customer.top_up_words import Plan, say_plan, standing_of
from tollkeeper.console.doors import AnyRequest, Door, money_only, session_of
from tollkeeper.console.model import USD, Session
from tollkeeper.console.rendering import say, say_with, show_day, show_money
from tollkeeper.console.shelves import Shelves
from tollkeeper.db import Connection
from tollkeeper.ledger import Entry, Lot, LotKind, Wallet
from tollkeeper.metering import AutoTopUp, Forecast, ForecastState

_MOVEMENTS: Final = 5
_LONG: Final = timedelta(days=3 * 365)
# The first of the reminders that are sent by mail.
_SOON: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A balance in one currency, with a badge for how it stands."""

    available: Money
    held: Money
    posted: Money
    added: Money
    spent: Money
    badge: str
    state: str


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
    soon: bool

    @classmethod
    def of(cls, lot: Lot, left: int, now: datetime) -> LotLeft:
        return cls(
            kind=lot.kind,
            label=lot.label,
            granted=Money(lot.amount),
            left=Money(left),
            expires_at=lot.expires_at,
            soon=lot.expires_at is not None and lot.expires_at - now < _SOON,
        )


def credits_pages(door: Door, shelves: Shelves) -> list[ControllerRouterHandler]:
    @get("/credits", include_in_schema=False, guards=[money_only])
    async def show_credits(request: AnyRequest, currency: FromQuery[str] = "") -> Response[bytes]:
        session, now = session_of(request), door.clock.now()
        async with door.database.transaction() as tx:
            own = await _wallets(tx, session)
            chosen = _choose(own, currency, shelves)
            told = await _read(tx, shelves, own, chosen, now)
            desk = await read_desk(tx, shelves.top_ups, session) if USD in own else None
        # It looks at one moment, which a transaction has to say first.
        async with door.database.transaction() as tx:
            forecast_of = (session.org_id, session.livemode, chosen)
            forecast = await metering.read_forecast(tx, forecast_of, now)
        return door.page(
            request,
            "customer/credits.html",
            wallets=[
                {"currency": one.currency, "available": Money(one.available)}
                for one in own.values()
            ],
            forecast=say_forecast(forecast, now),
            oob=False,
            **told,
            **_paying(desk, now),
        )

    @get("/credits/balance", include_in_schema=False, guards=[money_only])
    async def show_balance(request: AnyRequest, currency: FromQuery[str] = "") -> Response[bytes]:
        """What moves with each call, for pages that are open."""
        session, now = session_of(request), door.clock.now()
        async with door.database.transaction() as tx:
            own = await _wallets(tx, session)
            told = await _read(tx, shelves, own, _choose(own, currency, shelves), now)
        return door.page(request, "customer/credits_live.html", oob=True, **told)

    return [show_credits, show_balance]


async def _wallets(tx: Connection, session: Session) -> dict[str, Wallet]:
    wallets = await ledger.wallets_of(tx, session.org_id)
    return {one.currency: one for one in wallets if one.livemode == session.livemode}


def _choose(own: Mapping[str, Wallet], currency: str, shelves: Shelves) -> str:
    """The currency that is asked for; without one, that of the next call."""
    if currency and currency not in own and currency != USD:
        raise NotFound(f"There is no balance in {currency}")
    if currency:
        return currency
    low = shelves.settings.billing.low_balance_nanos
    shown = metering.show_balance(own, shelves.settings.spending, low, AutoTopUp())
    return shown.consumption_currency


async def _read(
    tx: Connection, shelves: Shelves, own: Mapping[str, Wallet], currency: str, now: datetime
) -> dict[str, Any]:
    wallet = own.get(currency)
    if wallet is None:
        return {"currency": currency, "figures": _NOTHING, "entries": [], "lots": []}
    top_up = await shelves.read_top_up(tx, wallet) if currency == USD else AutoTopUp()
    org_id, wallet_id = wallet.org_id, wallet.wallet_id
    entries = await ledger.entries(tx, org_id, wallet_id, limit=_MOVEMENTS)
    drawn = await ledger.drawn_lots(tx, org_id, wallet_id, wallet.posted)
    return {
        "currency": currency,
        "figures": _figures(wallet, shelves, top_up),
        "entries": [Movement.of(entry) for entry in entries],
        "lots": [LotLeft.of(lot, drawn.remaining[lot.lot_id], now) for lot in drawn.left],
    }


def _figures(wallet: Wallet, shelves: Shelves, top_up: AutoTopUp) -> Figures:
    badge, state = _standing(wallet, shelves, top_up)
    return Figures(
        available=Money(wallet.available),
        held=Money(wallet.held),
        posted=Money(wallet.posted),
        added=Money(wallet.added),
        spent=Money(wallet.spent),
        badge=badge,
        state=say(f"credits.{state}"),
    )


def _standing(wallet: Wallet, shelves: Shelves, top_up: AutoTopUp) -> tuple[str, str]:
    settings = shelves.settings
    low = settings.billing.low_balance_nanos
    alone = metering.show_balance({wallet.currency: wallet}, settings.spending, low, top_up)
    if wallet.frozen_reason is not None:
        return "bad", "frozen"
    if wallet.spendable <= 0:
        return "bad", "empty"
    return ("warn", "low") if alone.low_balance else ("good", "healthy")


def _paying(desk: Desk | None, now: datetime) -> dict[str, Any]:
    if desk is None:
        return {"desk": None}
    default = next((one for one in desk.cards or [] if one.is_default), None)
    card = None
    if default is not None:
        expires = f"{default.exp_month:02}/{default.exp_year}" if default.exp_year else ""
        card = {"name": card_name(default), "expires": expires, "expired": default.expired(now)}
    return {
        "desk": desk,
        "how": standing_of(desk.kept),
        "plan": say_plan(Plan.kept(desk.kept), desk.card(desk.kept.payment_method_id)),
        "card": card,
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


_NOTHING: Final = Figures(
    available=Money(0),
    held=Money(0),
    posted=Money(0),
    added=Money(0),
    spent=Money(0),
    badge="bad",
    state=say("credits.empty"),
)
