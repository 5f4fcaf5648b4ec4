"""The folder, opened: rules from the settings, ears at the till."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from litestar.types import ControllerRouterHandler

from tollkeeper.base.settings import AutoTopUpSettings, Settings
from tollkeeper.credits.model import Purchase, PurchaseSucceeded, Shop
from tollkeeper.credits.purchases import find_purchase, resume
from tollkeeper.credits.topping_up import acts
from tollkeeper.credits.topping_up.acts import TopUps
from tollkeeper.credits.topping_up.model import TopUpRules
from tollkeeper.credits.topping_up.recovery import RecoveryLinks, recovery_pages
from tollkeeper.db import Connection
from tollkeeper.http import Cursors
from tollkeeper.jobs import Handler
from tollkeeper.payments.model import (
    DisputeChanged,
    MethodAdded,
    MethodRemoval,
    Payment,
    PaymentChanged,
)


def open_top_ups(settings: Settings, shop: Shop, cursors: Cursors, base_url: str) -> TopUps:
    """Have payments of auto top-ups move their state; after `open_shop`, whose ear comes first,
    and before what else hears of purchases."""
    top_ups = TopUps(
        shop=shop,
        rules=rules_of(settings.auto_top_up),
        links=RecoveryLinks(cursors, base_url),
        low_balance=settings.billing.low_balance_nanos,
    )

    async def succeeded(tx: Connection, told: PurchaseSucceeded) -> None:
        await acts.follow_success(tx, top_ups, told.purchase)

    async def payment_changed(tx: Connection, change: PaymentChanged) -> None:
        await acts.follow_payment(tx, top_ups, change)

    async def dispute_changed(tx: Connection, change: DisputeChanged) -> None:
        await acts.follow_dispute(tx, top_ups, change)

    async def method_added(tx: Connection, change: MethodAdded) -> None:
        await acts.welcome_method(tx, change.method)

    async def method_removal(tx: Connection, change: MethodRemoval) -> None:
        await acts.refuse_removal(tx, shop, change.method)

    shop.succeeded.append(succeeded)
    handlers = shop.till.handlers
    handlers.on(PaymentChanged, payment_changed)
    handlers.on(DisputeChanged, dispute_changed)
    handlers.on(MethodAdded, method_added)
    handlers.on(MethodRemoval, method_removal)
    return top_ups


def rules_of(said: AutoTopUpSettings) -> TopUpRules:
    return TopUpRules(
        amount_min=said.amount_min_nanos,
        amount_max=said.amount_max_nanos,
        threshold_min=said.threshold_min_nanos,
        threshold_max=said.threshold_max_nanos,
        cap_multiple=said.monthly_cap_multiple,
        cooldown=timedelta(seconds=said.cooldown_seconds),
        daily_count=said.daily_count,
    )


def top_up_jobs(top_ups: TopUps) -> list[Handler]:
    async def charge(org_id: str, purchase_id: str) -> None:
        await acts.charge(top_ups, UUID(org_id), UUID(purchase_id))

    return [Handler(acts.CHARGE, charge)]


def top_up_pages(top_ups: TopUps) -> list[ControllerRouterHandler]:
    """Pages at the root: the link that a mail has."""
    shop = top_ups.shop

    async def find(org_id: UUID, purchase_id: UUID) -> Purchase:
        async with shop.till.database.connection() as connection:
            return await find_purchase(connection, org_id, purchase_id)

    async def go_on(purchase: Purchase, back: str) -> tuple[Purchase, Payment]:
        return await resume(shop, purchase, None, back)

    return recovery_pages(top_ups.links, shop.till.clock.now, find, go_on)
