"""A customer who subscribes, and an ear for what is told of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from banks import RETURN
from shops import Shop

from tollkeeper import payments
from tollkeeper.base.ids import named_uuid, uuid7
from tollkeeper.db import Connection
from tollkeeper.payments import (
    FeePaid,
    NewSubscription,
    Price,
    Subscription,
    SubscriptionAct,
    SubscriptionChanged,
    SubscriptionFeePaid,
)
from tollkeeper.payments.inbox.handling import catch_up

PRODUCTS = UUID(int=7)


def price(name: str = "Pro", minor: int = 2000, **more: Any) -> Price:
    given: dict[str, Any] = {
        "product_id": named_uuid(PRODUCTS, name),
        "product_name": name,
        "fee_minor": minor,
        "currency": "USD",
        "interval": "month",
        **more,
    }
    return Price(**given)


PRO, TEAM, SOLO = price(), price("Team", 5000), price("Solo", 1000)


@dataclass
class Subscriber:
    shop: Shop
    subscription_id: UUID = field(default_factory=uuid7)
    fees: list[FeePaid] = field(default_factory=list[FeePaid])
    changes: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self.shop.till.handlers.on(SubscriptionFeePaid, self._fee)
        self.shop.till.handlers.on(SubscriptionChanged, self._change)

    async def _fee(self, _: Connection, told: SubscriptionFeePaid) -> None:
        self.fees.append(told.fee)

    async def _change(self, _: Connection, told: SubscriptionChanged) -> None:
        self.changes.append(f"{told.subscription.product_name} {told.subscription.status.value}")

    async def intend(self, wanted: Price = PRO) -> Subscription:
        new = NewSubscription(
            org_id=self.shop.org_id,
            subscription_id=self.subscription_id,
            livemode=False,
            price=wanted,
            return_url=RETURN,
        )
        async with self.shop.database.transaction() as tx:
            return await payments.intend_subscription(
                tx, self.shop.till, new, self.shop.clock.now()
            )

    async def start(self, wanted: Price = PRO) -> Subscription:
        await self.intend(wanted)
        return await self.pursue()

    async def pursue(self) -> Subscription:
        return await payments.pursue(self.shop.till, self.shop.org_id, self.subscription_id)

    async def intend_change(self, wanted: Price, *, at_period_end: bool = False) -> None:
        async with self.shop.database.transaction() as tx:
            seen = await payments.lock_subscription(tx, self.shop.org_id, livemode=False)
            assert seen is not None
            await payments.intend_change(
                tx, seen, wanted, self.shop.clock.now(), at_period_end=at_period_end
            )

    async def change(self, wanted: Price, *, at_period_end: bool = False) -> Subscription:
        await self.intend_change(wanted, at_period_end=at_period_end)
        return await self.pursue()

    async def act(self, act: SubscriptionAct) -> Subscription:
        async with self.shop.database.transaction() as tx:
            seen = await payments.lock_subscription(tx, self.shop.org_id, livemode=False)
            assert seen is not None
            await payments.intend_act(tx, seen, act, self.shop.clock.now())
        return await self.pursue()

    async def read(self) -> Subscription:
        async with self.shop.database.connection() as connection:
            return await payments.get_subscription(
                connection, self.shop.org_id, self.subscription_id
            )

    async def hear(self) -> Subscription:
        """Hear from the processor, by asking for its events."""
        await catch_up(self.shop.till)
        while await payments.handle_pending(self.shop.till):
            pass
        return await self.read()

    async def wait(self, **time: float) -> Subscription:
        """Let time pass, the processor bill, and hear of it."""
        await self.shop.wait(**time)
        await self.shop.bank.bill()
        return await self.hear()

    async def make_default(self, card: str) -> None:
        method = await self.shop.on_file(card)
        await payments.make_default(self.shop.till, self.shop.owner, method.method_id)
