"""Subscriptions in the sandbox: what it is asked to do with them, each act a transaction."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from tollkeeper.base.clock import Clock
from tollkeeper.base.ids import show_id
from tollkeeper.db import Connection, Database
from tollkeeper.payments.model import (
    Absent,
    Answer,
    Declined,
    Failure,
    FailureCode,
    Processing,
    RequiresAction,
)
from tollkeeper.payments.processors.sandbox import acts, periods, store
from tollkeeper.payments.processors.sandbox.answers import answer_of
from tollkeeper.payments.processors.sandbox.model import Change, OnFile, Payment, Subscription
from tollkeeper.payments.subscription import (
    FeePaid,
    PaymentWay,
    Price,
    Stopping,
    SubscriptionAnswer,
    SubscriptionFact,
    SubscriptionSought,
    SubscriptionStatus,
)

_BATCH: Final = 50
_STATUS: Final = {
    "incomplete": SubscriptionStatus.REQUIRES_PAYMENT,
    "active": SubscriptionStatus.ACTIVE,
    "past_due": SubscriptionStatus.PAST_DUE,
    "canceled": SubscriptionStatus.CANCELLED,
}


class Subscriptions:
    def __init__(self, database: Database, clock: Clock, bank_url: Callable[[str], str]) -> None:
        self._database = database
        self._clock = clock
        self._bank_url = bank_url

    async def renew_due(self) -> int:
        """Renew, charge again or end what its time has come for; the body of a background job."""
        now = self._clock.now()
        async with self._database.connection() as connection:
            refs = await store.due(connection, Subscription, now, _BATCH)
        for ref in refs:
            async with self._database.transaction() as tx:
                found = await store.lock(tx, Subscription, ref)
                if found is not None:
                    await periods.come_due(tx, found, now)
        return len(refs)

    async def start(
        self, sought: SubscriptionSought, price: Price, way: PaymentWay
    ) -> SubscriptionAnswer:
        our_id, now = show_id("sub", sought.subscription_id), self._clock.now()
        async with self._database.transaction() as tx:
            made = _new(sought, price, now)
            if await store.insert(tx, made, parent=sought.customer_ref, our_id=our_id):
                made.fee = (await periods.new_fee(tx, made, made.amount, now, now)).ref
                await periods.settle(tx, made, now)
                await periods.tell(tx, made, "subscription.created", now)
            found = await store.lock_ours(tx, Subscription, our_id) or made
            if found.status == "incomplete":
                failure = await self._pay(tx, found, way)
                return await self._fact(tx, found, failure)
            return await self._fact(tx, found)

    async def change(
        self, sought: SubscriptionSought, price: Price, way: PaymentWay | None
    ) -> SubscriptionAnswer:
        now = self._clock.now()
        async with self._database.transaction() as tx:
            found = await _lock(tx, sought)
            if found is None:
                return Absent()
            if found.status == "canceled":
                return await self._fact(tx, found)
            if (found.product_id, found.amount) == (price.product_id, price.fee_minor):
                return await self._fact(tx, found)
            due = 0
            if way is not None:
                due = periods.prorated(price.fee_minor - found.amount, found, now)
            if way is None or due <= 0:
                found.product_id, found.amount = price.product_id, price.fee_minor
                found.name = price.product_name
                await periods.settle(tx, found, now)
                await periods.tell(tx, found, "subscription.updated", now)
                return await self._fact(tx, found)
            if found.change is None:
                await _begin_change(tx, found, price, due, now)
            failure = await self._pay(tx, found, way)
            if failure is not None:
                await periods.drop_change(tx, found, now)
            await periods.settle(tx, found, now)
            return await self._fact(tx, found, failure)

    async def pay(self, sought: SubscriptionSought, way: PaymentWay) -> SubscriptionAnswer:
        async with self._database.transaction() as tx:
            found = await _lock(tx, sought)
            if found is None:
                return Absent()
            failure = None
            if found.status != "canceled":
                failure = await self._pay(tx, found, way)
            return await self._fact(tx, found, failure)

    async def stop(self, sought: SubscriptionSought, stopping: Stopping) -> SubscriptionAnswer:
        now = self._clock.now()
        async with self._database.transaction() as tx:
            found = await _lock(tx, sought)
            if found is None:
                return Absent()
            if found.status != "canceled":
                if stopping is Stopping.NOW:
                    await periods.end(tx, found, now)
                else:
                    found.cancels = stopping is Stopping.AT_PERIOD_END
                    await periods.settle(tx, found, now)
                    await periods.tell(tx, found, "subscription.updated", now)
            return await self._fact(tx, found)

    async def find(self, sought: SubscriptionSought) -> SubscriptionAnswer:
        async with self._database.transaction() as tx:
            found = await _lock(tx, sought)
            if found is None:
                return Absent()
            await periods.settle(tx, found, self._clock.now())
            return await self._fact(tx, found)

    async def _pay(
        self, tx: Connection, subscription: Subscription, way: PaymentWay
    ) -> Failure | None:
        """Try to have the open fee paid; say why it was not."""
        now = self._clock.now()
        fee = await store.lock(tx, Payment, _open_fee(subscription))
        method = await store.read(tx, OnFile, way.method_ref)
        if method is None or not method.attached or method.customer != subscription.customer:
            return Failure.of(FailureCode.METHOD_UNUSABLE)
        if fee is not None and fee.status in ("open", "failed", "requires_action"):
            if not fee.at_bank:
                await acts.confirm(
                    tx, fee, method, now, off_session=False, return_url=way.return_url
                )
            if fee.status == "failed":
                answer = self._answer(fee)
                return answer.failure if isinstance(answer, Declined) else None
        await periods.settle(tx, subscription, now)
        return None

    def _answer(self, fee: Payment) -> Answer:
        return answer_of(fee, None, self._bank_url(fee.ref))

    async def _fact(
        self, tx: Connection, found: Subscription, failure: Failure | None = None
    ) -> SubscriptionFact:
        fees = await store.list_of(tx, Payment, found.ref)
        open_fee = next((fee for fee in fees if fee.ref == _open_fee(found)), None)
        answer = None
        if open_fee is not None and open_fee.status != "succeeded" and found.status != "canceled":
            answer = self._answer(open_fee)
        status = _STATUS[found.status]
        if status is SubscriptionStatus.REQUIRES_PAYMENT:
            if isinstance(answer, RequiresAction):
                status = SubscriptionStatus.REQUIRES_ACTION
            elif isinstance(answer, Processing):
                status = SubscriptionStatus.PROCESSING
        if failure is None and isinstance(answer, Declined):
            failure = answer.failure
        return SubscriptionFact(
            ref=found.ref,
            status=status,
            product_id=found.product_id,
            fee_minor=found.amount,
            period_start=found.period_start,
            period_end=found.period_end,
            cancels_at_period_end=found.cancels,
            change_waits=found.change is not None,
            action_url=answer.url if isinstance(answer, RequiresAction) else None,
            failure=failure,
            fees=tuple(_paid(fee) for fee in fees if fee.status == "succeeded"),
        )


def _new(sought: SubscriptionSought, price: Price, now: datetime) -> Subscription:
    return Subscription(
        ref=store.new_ref(Subscription),
        created_at=now,
        customer=sought.customer_ref,
        org_id=sought.org_id,
        subscription_id=sought.subscription_id,
        product_id=price.product_id,
        name=price.product_name,
        amount=price.fee_minor,
        currency=price.currency,
        interval=price.interval,
        anchor=now,
        period_start=now,
        period_end=periods.begin_of(now, 1, price.interval),
    )


async def _begin_change(
    tx: Connection, found: Subscription, price: Price, due: int, now: datetime
) -> None:
    fee = await periods.new_fee(tx, found, due, now, now)
    fee.description = price.product_name
    await store.write(tx, fee)
    found.change = Change(
        product_id=price.product_id,
        amount=price.fee_minor,
        fee=fee.ref,
        expires_at=min(now + periods.OPEN_FOR, found.period_end),
    )


async def _lock(tx: Connection, sought: SubscriptionSought) -> Subscription | None:
    return await store.lock_ours(tx, Subscription, show_id("sub", sought.subscription_id))


def _open_fee(subscription: Subscription) -> str:
    return subscription.fee if subscription.change is None else subscription.change.fee


def _paid(fee: Payment) -> FeePaid:
    begin = fee.period_start or fee.created_at
    return FeePaid(
        ref=fee.ref,
        amount_minor=fee.amount,
        currency=fee.currency,
        period_start=begin,
        period_end=fee.period_end or begin,
        paid_at=fee.settled_at or fee.created_at,
    )
