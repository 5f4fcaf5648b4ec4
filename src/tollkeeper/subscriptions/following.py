"""Plans follow what is paid: in the transaction that writes down what the processor said."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import structlog

from tollkeeper import payments, plans
from tollkeeper.db import Connection
from tollkeeper.payments import (
    PaymentMethodInUse,
    Subscription,
    SubscriptionAct,
    SubscriptionChanged,
    SubscriptionStatus,
)
from tollkeeper.payments.model import MethodRemoval
from tollkeeper.plans import NewSubscription, Source, Status, When
from tollkeeper.subscriptions.model import FeeDesk, plan_of, ref_of

_BATCH: Final = 50

_log = structlog.stdlib.get_logger(__name__)


def hear_of_subscriptions(desk: FeeDesk) -> None:
    """Have plans follow what is paid, and keep the method that pays."""

    async def changed(tx: Connection, change: SubscriptionChanged) -> None:
        await follow(tx, change, desk.till.clock.now())

    async def removal(tx: Connection, change: MethodRemoval) -> None:
        await _keep_last_method(tx, desk, change)

    desk.till.handlers.on(SubscriptionChanged, changed)
    desk.till.handlers.on(MethodRemoval, removal)


async def follow(tx: Connection, change: SubscriptionChanged, now: datetime) -> None:
    billed, was = change.subscription, change.was
    plan = await plan_of(tx, billed.product_id)
    held = await plans.subscription_by_ref(tx, billed.org_id, Source.PROCESSOR, ref_of(billed))
    if plan is None:
        _log.error("paid_plan_unknown", subscription=ref_of(billed), product=billed.product_name)
    elif held is None:
        if billed.status.begun:
            await _begin(tx, billed, plan, now)
    elif not _ended(held, now):
        await _follow(tx, held, plan, billed, was, now)


async def _begin(tx: Connection, billed: Subscription, plan: str, now: datetime) -> None:
    """The first fee is paid: from here on the plan holds, in the processor's cycles."""
    new = NewSubscription(
        org_id=billed.org_id,
        livemode=billed.livemode,
        plan=plan,
        anchor=billed.period_start,
        status=_status(billed),
        source=Source.PROCESSOR,
        ref=ref_of(billed),
    )
    await plans.subscribe(tx, new, now=now, takes_over=True)


async def _follow(
    tx: Connection,
    held: plans.Subscription,
    plan: str,
    billed: Subscription,
    was: Subscription,
    now: datetime,
) -> None:
    org_id, held_id = held.org_id, held.subscription_id
    if billed.status is SubscriptionStatus.CANCELLED:
        await plans.cancel(tx, org_id, held_id, now=now, when=When.NOW)
        return
    await _keep_cycle(tx, held, billed, now)
    kept = was.cancels_at_period_end and not billed.cancels_at_period_end
    if billed.product_id != was.product_id or kept:
        when = When.NOW if billed.product_from <= now else When.CYCLE_END
        # Of a plan that it has already, this forgets what was to come instead.
        await plans.change(tx, org_id, held_id, plan, now=now, when=when)
    if billed.cancels_at_period_end and not was.cancels_at_period_end:
        await plans.cancel(tx, org_id, held_id, now=now, when=When.CYCLE_END)
    if held.status is not _status(billed):
        await plans.set_status(tx, org_id, held_id, _status(billed), now=now)


async def _keep_cycle(
    tx: Connection, held: plans.Subscription, billed: Subscription, now: datetime
) -> None:
    """Cycles are the processor's: where ours would begin at another moment, they are moved."""
    if billed.period_start is None:
        return
    interval = plans.Interval(billed.interval)
    ours = plans.cycle_at(held.anchor, held.zone, interval, billed.period_start)
    if ours.start != billed.period_start:
        await plans.set_cycle(tx, held.org_id, held.subscription_id, billed.period_start, now=now)


def _status(billed: Subscription) -> Status:
    if billed.status is SubscriptionStatus.PAST_DUE:
        return Status.PAST_DUE
    return Status.ACTIVE


def _ended(held: plans.Subscription, now: datetime) -> bool:
    over = held.cancel_at is not None and held.cancel_at <= now
    return over or held.status is Status.CANCELLED


async def _keep_last_method(tx: Connection, desk: FeeDesk, change: MethodRemoval) -> None:
    method = change.method
    billed = await payments.open_subscription(tx, method.org_id, livemode=method.livemode)
    if billed is None or billed.cancels_at_period_end:
        return
    owner = payments.Owner(org_id=method.org_id, livemode=method.livemode)
    others = await payments.list_methods(tx, desk.till, owner)
    if all(other.method_id == method.method_id for other in others):
        raise PaymentMethodInUse("The plan is paid with it: add another first, or cancel the plan")


# ── Fees that are not paid ───────────────────────────────────────────────────────────────────────


async def end_overdue(desk: FeeDesk) -> int:
    """End subscriptions whose fee has not been paid for longer than the grace.

    The body of a background job, safe in many processes at once. The plan ends with the intent;
    the processor is told after it, again and again until it has heard. Returns how many ended.
    """
    before = desk.till.clock.now() - desk.grace
    async with desk.till.database.connection() as connection:
        found = await payments.overdue_subscriptions(connection, before, _BATCH)
    for billed in found:
        if await _end_plan(desk, billed, before):
            await payments.pursue(desk.till, billed.org_id, billed.subscription_id)
    return len(found)


async def _end_plan(desk: FeeDesk, seen: Subscription, before: datetime) -> bool:
    now = desk.till.clock.now()
    async with desk.till.database.transaction() as tx:
        billed = await payments.lock_subscription(tx, seen.org_id, livemode=seen.livemode)
        if billed is None or billed.subscription_id != seen.subscription_id:
            return False
        due = billed.past_due_since
        if due is None or due >= before or billed.act is SubscriptionAct.END:
            return False
        await payments.intend_act(tx, billed, SubscriptionAct.END, now)
        held = await plans.subscription_by_ref(tx, billed.org_id, Source.PROCESSOR, ref_of(billed))
        if held is not None and not _ended(held, now):
            await plans.cancel(tx, held.org_id, held.subscription_id, now=now, when=When.NOW)
    _log.warning("plan_ended_unpaid", subscription=ref_of(billed), plan=billed.product_name)
    return True
