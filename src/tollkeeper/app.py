"""The one place that knows every room: opens them in order, and closes them in the other.

From the bottom up: database, price book, keys, meter, gateway, jobs, HTTP. Stopping goes from the
top down: nothing is accepted any more, calls in flight end, what they cost is written, and only
then are the connections closed.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import Final
from uuid import UUID

import structlog
from litestar.types import ControllerRouterHandler

from tollkeeper import (
    credits,  # noqa: A004 (the room's name)
    exports,
    invoices,
    jobs,
    ledger,
    margins,
    metering,
    notifications,
    operator,
    orgs,
    payments,
    plans,
    profiles,
    subscriptions,
)
from tollkeeper.base.clock import Clock, SystemClock
from tollkeeper.base.money import Money
from tollkeeper.base.settings import Settings, with_page_to_buy
from tollkeeper.console import (
    Door,
    Live,
    Shelves,
    console_pages,
    door_of,
    open_live,
    portal_routes,
    signing_in_jobs,
    with_policies,
)
from tollkeeper.credits import PurchaseSucceeded, Shop, TopUps
from tollkeeper.db import Connection, Database, pending_on
from tollkeeper.gateway import Gateway
from tollkeeper.http import Api, App, Cursors, HotRoute, Idempotency, make_api
from tollkeeper.http.store import instance_secret
from tollkeeper.invoices import Desk, Typesetter
from tollkeeper.ledger import Wallet
from tollkeeper.limits import Cycle, LimitBook, budget_routes, limit_chores, operator_budget_routes
from tollkeeper.metering import AutoTopUp, Meter, Rules, SpikeWatch
from tollkeeper.notifications import Courier
from tollkeeper.ops import Job, Jobs, Metrics, NotReady, Observed, health_routes
from tollkeeper.orgs import KEYRING, Capacities, Capacity, KeyRing, Maker, Organization
from tollkeeper.payments import Payments, Till
from tollkeeper.plans import CapacityExceeded, PlanBook
from tollkeeper.pricing import BookKeeper
from tollkeeper.subscriptions import FeeDesk

# How much one statement of a job takes on; a job goes on while there is so much to do.
_HOLDS: Final = 500
_WALLETS: Final = 100
_ANSWERS: Final = 1_000
# A late report of a call finds its hold for this long after the hold has ended.
_ENDED_HOLDS_KEPT: Final = timedelta(days=7)

_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """Everything that one process has open."""

    clock: Clock
    metrics: Metrics
    database: Database
    books: BookKeeper
    plans: PlanBook
    keys: KeyRing
    limits: LimitBook
    meter: Meter
    idempotency: Idempotency
    cursors: Cursors
    gateway: Gateway
    courier: Courier
    payments: Payments
    shop: Shop
    top_ups: TopUps
    invoices: Desk
    fees: FeeDesk
    live: Live
    door: Door


@dataclass(frozen=True, slots=True, kw_only=True)
class Tollkeeper:
    """A process at work: `asgi` answers requests, `jobs` repeat."""

    asgi: App
    api: Api
    jobs: Jobs
    rooms: Rooms

    async def drain(self, grace_seconds: float) -> int:
        """End what runs beside the requests; return how many calls had to be given up."""
        await self.rooms.live.close()
        return await self.rooms.gateway.drain(grace_seconds)


@asynccontextmanager
async def open_app(
    settings: Settings,
    url: str,
    clock: Clock | None = None,
    *,
    with_jobs: bool = True,
    address: str | None = None,
) -> AsyncGenerator[Tollkeeper]:
    """Open everything on a migrated database. Raises Unavailable when it cannot be reached.

    `address` is what is listened on, such as `http://127.0.0.1:8080`. At the end of the block,
    calls in flight have `server.shutdown_grace_seconds` to end.
    """
    async with AsyncExitStack() as opened:
        server = settings.server
        base_url = server.public_url or address or f"http://{server.host}:{server.port}"
        settings = with_page_to_buy(settings, base_url)
        rooms = await _open_rooms(opened, settings, url, clock or SystemClock(), base_url)
        work = background_jobs(settings, rooms) if with_jobs else []
        known = [_book_job(rooms), Job("refresh_plans", 1, rooms.plans.refresh)]
        repeated = Jobs([*known, _watch_job(rooms), *work], rooms.metrics.note_job)
        await opened.enter_async_context(repeated.running())
        if with_jobs:
            handlers = job_handlers(settings, rooms)
            till = rooms.payments.till
            schedules = [
                *credits.reconciliation_schedules(till),
                *credits.foretelling_schedules(till, settings.grants.reminder_days),
                *operator.verification_schedules(rooms.database, rooms.clock),
            ]
            await opened.enter_async_context(jobs.working(rooms.database, handlers, schedules))
        api = _make_api(settings, rooms, repeated)
        asgi = Observed(with_policies(api, rooms.door.theme), rooms.metrics)
        yield Tollkeeper(asgi=asgi, api=api, jobs=repeated, rooms=rooms)


async def _open_database(opened: AsyncExitStack, settings: Settings, url: str) -> Database:
    limits = settings.database
    return await opened.enter_async_context(
        Database.open(url, min_size=limits.pool_min, max_size=limits.pool_max)
    )


async def _secret_of(database: Database) -> bytes:
    async with database.connection() as connection:
        return await instance_secret(connection, secrets.token_bytes(32))


async def _open_rooms(
    opened: AsyncExitStack, settings: Settings, url: str, clock: Clock, base_url: str
) -> Rooms:
    grace = settings.server.shutdown_grace_seconds
    database = await _open_database(opened, settings, url)
    secret = await _secret_of(database)
    books = BookKeeper(database)
    await books.refresh()
    plan_book = PlanBook(database, settings.plans.default, clock)
    await plan_book.refresh()
    keys = await opened.enter_async_context(KeyRing.open(database, clock))
    budgets = await opened.enter_async_context(
        LimitBook.open(database, clock, _cycle_of(plan_book))
    )
    meter = await opened.enter_async_context(
        _meter(settings, database, clock, Rules(budgets, plan_book))
    )
    metrics = Metrics(version("tollkeeper"))
    idempotency = Idempotency(database, clock)
    gateway = await opened.enter_async_context(
        Gateway.open(
            settings,
            clock=clock,
            keys=keys,
            books=books,
            meter=meter,
            idempotency=idempotency,
            registry=metrics.registry,
        )
    )
    opened.push_async_callback(_drain, gateway, grace)
    courier = await opened.enter_async_context(_courier(settings))
    opened_till = payments.open_payments(settings, database, clock, secret, base_url)
    till = await opened.enter_async_context(opened_till)
    setter = opened.enter_context(Typesetter.open(settings.invoices.font_dirs))
    desk = invoices.desk_of(settings, setter)
    cursors = Cursors(secret)
    top_ups = open_shop(settings, till.till, desk, cursors, base_url)
    return Rooms(
        clock=clock,
        metrics=metrics,
        database=database,
        books=books,
        plans=plan_book,
        keys=keys,
        limits=budgets,
        meter=meter,
        idempotency=idempotency,
        cursors=cursors,
        gateway=gateway,
        courier=courier,
        payments=till,
        shop=top_ups.shop,
        top_ups=top_ups,
        invoices=desk,
        fees=subscriptions.desk_of(settings, till.till, top_ups.shop.billing_page),
        live=await opened.enter_async_context(open_live(settings, database)),
        door=door_of(settings, database, clock, secret, base_url),
    )


def _meter(
    settings: Settings, database: Database, clock: Clock, rules: Rules
) -> AbstractAsyncContextManager[Meter]:
    grace = settings.server.shutdown_grace_seconds
    return Meter.open(database, clock, grace_seconds=grace, spending=settings.spending, rules=rules)


def _cycle_of(plans: PlanBook) -> Cycle:
    def cycle(org_id: UUID, livemode: bool, at: datetime) -> tuple[datetime, datetime] | None:
        terms = plans.look_up(org_id, livemode, at)
        return None if terms is None else (terms.cycle_start, terms.cycle_end)

    return cycle


def _courier(settings: Settings) -> AbstractAsyncContextManager[Courier]:
    return Courier.open(
        allow_private=settings.webhooks.private_targets,
        timeout_seconds=settings.webhooks.timeout_seconds,
    )


def open_shop(
    settings: Settings, till: Till, desk: Desk, cursors: Cursors, base_url: str
) -> TopUps:
    """Have money move credit, and leave documents."""

    async def issue(tx: Connection, told: PurchaseSucceeded) -> None:
        await invoices.issue_for_purchase(tx, desk, told)

    shop = credits.open_shop(settings, till, base_url.rstrip("/") + payments.BILLING_PATH)
    top_ups = credits.open_top_ups(settings, shop, cursors, base_url)
    page = shop.billing_page
    subscriptions.hear_of_subscriptions(subscriptions.desk_of(settings, till, page))
    # The last to hear of anything: it locks the row that all invoices are numbered by.
    shop.succeeded.append(issue)
    invoices.hear_of_money_back(till.handlers, desk)
    invoices.hear_of_fees(till.handlers, desk, shop.taxes)
    return top_ups


async def _drain(gateway: Gateway, grace_seconds: int) -> None:
    given_up = await gateway.drain(grace_seconds)
    if given_up:
        _log.error("calls_given_up", calls=given_up, grace_seconds=grace_seconds)


def _make_api(settings: Settings, rooms: Rooms, repeated: Jobs) -> Api:
    token = settings.server.metrics_token
    checks = {
        "database": lambda: _check_database(rooms.database),
        "prices": lambda: _check_prices(rooms.books),
        "jobs": lambda: _check_jobs(repeated),
    }
    return make_api(
        _routes(settings, rooms),
        [*rooms.gateway.routes, *_metering(settings, rooms), *rooms.payments.hot_routes],
        idempotency=rooms.idempotency,
        max_body_bytes=settings.server.max_body_bytes,
        other_routes=[
            *health_routes(checks, rooms.metrics, token.reveal() if token else None),
            *rooms.payments.pages,
            *credits.top_up_pages(rooms.top_ups),
            *console_pages(rooms.door, _shelves(settings, rooms, repeated)),
        ],
        dependencies={
            "database": rooms.database,
            "clock": rooms.clock,
            "cursors": rooms.cursors,
            "keeper": rooms.books,
        },
        state={KEYRING: rooms.keys},
    )


def _shelves(settings: Settings, rooms: Rooms, repeated: Jobs) -> Shelves:
    return Shelves(
        settings=settings,
        capacities=_capacities(rooms),
        chat=rooms.gateway.visits,
        courier=rooms.courier,
        cursors=rooms.cursors,
        fees=rooms.fees,
        invoices=rooms.invoices,
        keys=rooms.keys,
        late_jobs=repeated.late,
        limits=rooms.limits,
        live=rooms.live,
        meter=rooms.meter,
        payments=rooms.payments,
        plans=rooms.plans,
        prices=rooms.books,
        read_top_up=_read_top_up,
        top_ups=rooms.top_ups,
    )


def _routes(settings: Settings, rooms: Rooms) -> list[ControllerRouterHandler]:
    opening = operator.opening_of(settings)

    async def opened(tx: Connection, made: Organization) -> None:
        await operator.open_balances(tx, made.org_id, opening, made.created_at)

    return [
        *orgs.organization_routes(
            clamp_new_keys=settings.gateway.clamp, capacities=_capacities(rooms)
        ),
        *orgs.operator_routes(opened),
        *budget_routes(rooms.limits),
        *operator_budget_routes(rooms.limits),
        *operator.credit_routes(settings.currencies, rooms.shop),
        *plans.plan_routes(rooms.plans),
        *plans.operator_plan_routes(rooms.plans),
        *metering.billing_routes(settings, _read_top_up, credits.given_each_period),
        *metering.analytics_routes(settings),
        *metering.level_routes(rooms.books),
        *notifications.notice_routes(),
        *notifications.webhook_routes(rooms.courier),
        *profiles.profile_routes(credits.introduce_later),
        *credits.top_up_routes(rooms.top_ups),
        *credits.purchase_routes(rooms.shop, settings.stripe.publishable_key),
        *credits.reconciliation_routes(rooms.payments.till),
        *credits.granting_routes(settings.currencies),
        *credits.revenue_routes(),
        *subscriptions.subscription_routes(rooms.fees),
        *rooms.payments.routes,
        *invoices.invoice_routes(rooms.invoices),
        *invoices.operator_invoice_routes(rooms.invoices),
        *exports.export_routes(),
        *exports.operator_export_routes(),
        *margins.margin_routes(settings),
        *portal_routes(rooms.door.base_url),
    ]


def _capacities(rooms: Rooms) -> Capacities:
    # Where plans are paid for with money, a test key makes no more room than was paid for.
    money = any(processor.livemode for processor in rooms.payments.till.processors.all)

    def check(maker: Maker, capacity: Capacity, wanted: int) -> None:
        livemode = money or maker.livemode
        rooms.plans.check_capacity(
            maker.org_id, capacity, wanted, at=rooms.clock.now(), livemode=livemode
        )

    return Capacities(check, (CapacityExceeded,))


async def _read_top_up(connection: Connection, wallet: Wallet) -> AutoTopUp:
    found = await credits.read_top_up(connection, wallet.org_id, wallet.wallet_id)
    if found is None or not found.enabled:
        return AutoTopUp()
    return AutoTopUp(enabled=True, threshold=Money(found.threshold_nanos))


def _metering(settings: Settings, rooms: Rooms) -> list[HotRoute]:
    return metering.metering_routes(
        database=rooms.database,
        clock=rooms.clock,
        meter=rooms.meter,
        books=rooms.books,
        keys=rooms.keys,
        idempotency=rooms.idempotency,
        settings=settings,
        # An operator whose API is its own has no provider here, and means real credit.
        default_livemode=True,
    )


def background_jobs(settings: Settings, rooms: Rooms) -> list[Job]:
    """What repeats in every process that serves, and in `tollkeeper worker`."""
    database, clock = rooms.database, rooms.clock
    spikes = SpikeWatch(database, clock, settings)

    async def expire_holds() -> int:
        async with database.connection() as connection:
            done = ended = await ledger.expire_holds(connection, clock.now(), limit=_HOLDS)
            while ended == _HOLDS:
                ended = await ledger.expire_holds(connection, clock.now(), limit=_HOLDS)
                done += ended
        return done

    async def expire_lots() -> int:
        async with database.connection() as connection:
            done = expired = await ledger.expire_due_lots(connection, clock.now(), limit=_WALLETS)
            while expired == _WALLETS:
                expired = await ledger.expire_due_lots(connection, clock.now(), limit=_WALLETS)
                done += expired
        return done

    async def forget_holds() -> int:
        async with database.connection() as connection:
            return await ledger.forget_ended_holds(connection, clock.now() - _ENDED_HOLDS_KEPT)

    async def forget_answers() -> int:
        done = swept = await rooms.idempotency.sweep(_ANSWERS)
        while swept == _ANSWERS:
            swept = await rooms.idempotency.sweep(_ANSWERS)
            done += swept
        return done

    return [
        Job("expire_holds", 5, expire_holds),
        Job("expire_lots", 30, expire_lots),
        Job("forget_ended_holds", 600, forget_holds),
        Job("forget_idempotent_answers", 60, forget_answers),
        *(Job(*told) for told in metering.usage_jobs(database, rooms.meter, spikes.note)),
        *(Job(*told) for told in metering.level_jobs(database, clock, rooms.meter, rooms.books)),
        Job(*spikes.job),
        *(Job(*told) for told in jobs.job_upkeep(database)),
        *(Job(*chore) for chore in plans.allowance_chores(database, clock, rooms.plans)),
        *(Job(*chore) for chore in rooms.payments.chores),
        *(Job(*chore) for chore in subscriptions.subscription_chores(rooms.fees)),
        *(Job(*chore) for chore in limit_chores(database, clock, rooms.limits)),
        *(Job(*chore) for chore in credits.granting_chores(database, clock)),
        *(Job(*chore) for chore in credits.top_up_chores(rooms.top_ups, rooms.meter.take_moved)),
        *(
            Job(*chore)
            for chore in credits.reconciliation_chores(
                rooms.payments.till, rooms.metrics.note_reconciliation
            )
        ),
    ]


def job_handlers(settings: Settings, rooms: Rooms) -> list[jobs.Handler]:
    """Who does the jobs that rooms add, in every process that runs background work."""
    mail, mailer = settings.mail, notifications.mailer_of(settings.mail)
    return [
        *credits.top_up_jobs(rooms.top_ups),
        *credits.introduction_jobs(rooms.payments.till),
        *notifications.notification_handlers(
            rooms.database, rooms.clock, rooms.courier, mailer=mailer, sender=mail.sender
        ),
        *signing_in_jobs(rooms.door, settings, mailer),
    ]


def _book_job(rooms: Rooms) -> Job:
    async def refresh() -> int:
        return int(await rooms.books.refresh())

    return Job("refresh_prices", 1, refresh)


def _watch_job(rooms: Rooms) -> Job:
    async def watch() -> int:
        rooms.metrics.prices.set(len(rooms.books.book))
        rooms.metrics.in_flight.set(rooms.metrics.answering)
        rooms.metrics.calls_running.set(rooms.gateway.running)
        rooms.metrics.settlements_waiting.set(rooms.meter.unsettled)
        return 0

    return Job("watch", 1, watch)


async def _check_database(database: Database) -> None:
    async with database.connection() as connection:
        pending = await pending_on(connection)
    if pending:
        raise NotReady(f"{len(pending)} migrations are pending")


async def _check_prices(books: BookKeeper) -> None:
    if not len(books.book):
        raise NotReady("no prices are published")


async def _check_jobs(repeated: Jobs) -> None:
    late = repeated.late()
    if late:
        raise NotReady(f"have not succeeded for long: {', '.join(late)}")
