"""`/console/live`: what changes while a page is open, and what every page shows of the balance."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager

from litestar import get
from litestar.response import Stream
from litestar.types import ControllerRouterHandler

from tollkeeper import credits, ledger, metering  # noqa: A004 (the room's name)
from tollkeeper.base.money import Money
from tollkeeper.base.settings import Settings
from tollkeeper.console import store
from tollkeeper.console.doors import AnyRequest, Door, session_of
from tollkeeper.console.live import Glance, Live, News, Owner, State
from tollkeeper.console.model import Session
from tollkeeper.console.rendering import say, show_money
from tollkeeper.credits import Buying
from tollkeeper.db import Connection, Database
from tollkeeper.ledger import Watched
from tollkeeper.metering import AutoTopUp, Balance

_HEADERS = {
    "cache-control": "no-store",
    # nginx would hold a stream back until it has a buffer full of it.
    "x-accel-buffering": "no",
    "x-content-type-options": "nosniff",
}
_BADGES = {"empty": "bad", "low": "warn", "healthy": "good"}


def live_page(door: Door, live: Live) -> ControllerRouterHandler:
    async def check(session: Session) -> Session | None:
        async with door.database.connection() as connection:
            now = door.clock.now()
            return await store.find_session(connection, session.org_id, session.session_id, now)

    @get("/live", include_in_schema=False)
    async def tell(request: AnyRequest) -> Stream:
        session = session_of(request)
        live.check_room(session)
        return Stream(
            live.events(session, check),
            media_type="text/event-stream",
            headers=_HEADERS,
        )

    return tell


@asynccontextmanager
async def open_live(settings: Settings, database: Database) -> AsyncGenerator[Live]:
    async def look(owners: Sequence[Owner]) -> Mapping[Owner, State]:
        async with database.connection() as connection:
            return await read_states(connection, settings, owners)

    live = Live(look)
    try:
        yield live
    finally:
        await live.close()


def glance_of(settings: Settings) -> Glance:
    """Return what reads how a session's organization stands, as far as its role may know."""

    async def read(connection: Connection, session: Session) -> State:
        owner = (session.org_id, session.livemode)
        state = (await read_states(connection, settings, [owner]))[owner]
        return {name: one for name, one in state.items() if session.sees_money or not one.money}

    return read


async def read_states(
    connection: Connection, settings: Settings, owners: Sequence[Owner]
) -> dict[Owner, State]:
    watched = await ledger.watch_wallets(connection, list({org_id for org_id, _ in owners}))
    wallets: dict[Owner, dict[str, Watched]] = {owner: {} for owner in owners}
    for one in watched:
        owner = (one.wallet.org_id, one.wallet.livemode)
        if owner in wallets:
            wallets[owner][one.wallet.currency] = one
    bought = await credits.watch_purchases(connection, owners)
    return {
        (one.org_id, one.livemode): _state(settings, wallets[one.org_id, one.livemode], one)
        for one in bought
    }


def _state(settings: Settings, watched: Mapping[str, Watched], buying: Buying) -> State:
    own = {currency: one.wallet for currency, one in watched.items()}
    top_up = AutoTopUp()
    if buying.threshold_nanos is not None:
        top_up = AutoTopUp(enabled=True, threshold=Money(buying.threshold_nanos))
    low = settings.billing.low_balance_nanos
    balance = metering.show_balance(own, settings.spending, low, top_up)
    records = sum(one.records for one in watched.values())
    return {
        "balance": _news_of(balance),
        "usage": News(mark=str(records), money=False, data={"records": records}),
        "top_up": News(mark=buying.top_up, money=True),
        "purchase": News(mark=buying.purchases, money=True),
    }


def _news_of(balance: Balance) -> News:
    state = "low" if balance.low_balance else "healthy"
    if not balance.can_consume:
        state = "empty"
    amounts = (str(balance.available), str(balance.held), str(balance.posted))
    currency = balance.consumption_currency
    data = dict(zip(("available", "held", "posted"), amounts, strict=True)) | {
        "currency": currency,
        "state": state,
        "badge": _BADGES[state],
        "said": say(f"credits.{state}"),
        "shown": show_money(balance.available, currency).striptags(),
    }
    return News(mark=" ".join((*amounts, currency, state)), money=True, data=data)
