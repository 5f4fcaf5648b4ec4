"""What a customer does: subscribe, change, cancel. Each is meant first, and then asked for."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from tollkeeper import orgs, payments, plans
from tollkeeper.db import Connection
from tollkeeper.orgs import By
from tollkeeper.payments import (
    NewSubscription,
    NoPaidSubscription,
    Owner,
    PaymentMethodNotFound,
    Subscription,
    SubscriptionAct,
    SubscriptionStatus,
)
from tollkeeper.plans import AlreadySubscribed, PlanVersion, Source, When
from tollkeeper.subscriptions.choosing import (
    Effect,
    check_free_to_buy,
    effect_on_billed,
    plan_in_force,
)
from tollkeeper.subscriptions.model import (
    FeeDesk,
    Subscriber,
    Wish,
    plan_of,
    price_of,
    product_of,
    ref_of,
    sold_plan,
)


async def subscribe(desk: FeeDesk, wish: Wish) -> Subscription | None:
    """Begin a plan; one with a fee holds from when its first fee is paid.

    Asked for again, it pays what is open: a first fee that was declined, or one that is past due.
    Returns what is billed, None for a plan without a fee. Raises AlreadySubscribed, PlanNotFound,
    PlanRetired, PaymentMethodNotFound, PaymentsNotConfigured and what the processor's answer is.
    """
    now = desk.till.clock.now()
    async with desk.till.database.connection() as connection:
        version = await sold_plan(connection, wish.plan, now)
    if version.terms.fee_minor == 0:
        await _subscribe_free(desk, wish, now)
        return None
    await _have_method(desk, wish)
    await _answered(desk, wish.subscriber)
    async with desk.till.database.transaction() as tx:
        billed = await _intend(tx, desk, wish, version, now)
    return await payments.pursue(desk.till, billed.org_id, billed.subscription_id)


async def _subscribe_free(desk: FeeDesk, wish: Wish, now: datetime) -> None:
    who = wish.subscriber
    async with desk.till.database.transaction() as tx:
        if await payments.lock_subscription(tx, who.org_id, livemode=who.livemode) is not None:
            raise AlreadySubscribed("A plan is being paid for; change or cancel that one")
        new = plans.NewSubscription(
            org_id=who.org_id, livemode=who.livemode, plan=wish.plan, source=Source.PROCESSOR
        )
        await plans.subscribe(tx, new, now=now, by=wish.by)


async def _have_method(desk: FeeDesk, wish: Wish) -> None:
    """Everything is charged to one method, the default: a chosen one becomes it."""
    owner = Owner(org_id=wish.subscriber.org_id, livemode=wish.subscriber.livemode)
    async with desk.till.database.connection() as connection:
        default = await payments.default_method(connection, desk.till, owner)
    if wish.method_id is None:
        if default is None:
            raise PaymentMethodNotFound("A plan with a fee needs a payment method on file")
    elif default is None or default.method_id != wish.method_id:
        await payments.make_default(desk.till, owner, wish.method_id, wish.by)


async def _answered(desk: FeeDesk, who: Subscriber) -> Subscription | None:
    """Return what is billed, once the processor has answered what it was asked before."""
    async with desk.till.database.connection() as connection:
        billed = await payments.open_subscription(connection, who.org_id, livemode=who.livemode)
    if billed is None or billed.act is None:
        return billed
    billed = await payments.pursue(desk.till, billed.org_id, billed.subscription_id)
    return None if billed.status is SubscriptionStatus.CANCELLED else billed


async def _intend(
    tx: Connection, desk: FeeDesk, wish: Wish, version: PlanVersion, now: datetime
) -> Subscription:
    who = wish.subscriber
    billed = await payments.lock_subscription(tx, who.org_id, livemode=who.livemode)
    await _check_free_to_buy(tx, who, now)
    if billed is None:
        new = NewSubscription(
            org_id=who.org_id,
            subscription_id=wish.run_id,
            livemode=who.livemode,
            price=price_of(version),
            return_url=wish.return_url,
        )
        billed = await payments.intend_subscription(tx, desk.till, new, now)
        await _note(tx, wish.by, "plan.subscribe", billed, now)
        return billed
    if billed.product_id != product_of(wish.plan):
        raise AlreadySubscribed("Another plan is being paid for; change or cancel that one")
    if billed.subscription_id == wish.run_id and billed.act is SubscriptionAct.START:
        return billed
    if billed.status is SubscriptionStatus.ACTIVE:
        if billed.cancels_at_period_end:
            return await _intend_act(tx, wish.by, billed, SubscriptionAct.KEEP, now)
        return billed
    if billed.status is SubscriptionStatus.PROCESSING:
        return billed
    billed = replace(billed, return_url=wish.return_url)
    return await _intend_act(tx, wish.by, billed, SubscriptionAct.PAY, now)


async def _check_free_to_buy(tx: Connection, who: Subscriber, now: datetime) -> None:
    held = await plans.read_subscription(tx, who.org_id, who.livemode)
    check_free_to_buy(held, await plans.read_plans(tx), now)


# ── Changing ─────────────────────────────────────────────────────────────────────────────────────


async def change(desk: FeeDesk, wish: Wish) -> Subscription | None:
    """Move to another plan: a dearer one at once, paid for what is left of the period; a cheaper
    one when the period ends. Raises what `subscribe` does, SubscriptionBusy, SubscriptionFixed."""
    billed = await _answered(desk, wish.subscriber)
    if billed is None:
        return await _change_unbilled(desk, wish)
    now = desk.till.clock.now()
    async with desk.till.database.connection() as connection:
        version = await sold_plan(connection, wish.plan, now)
        # What is refused changes nothing: a cancellation is not taken back for it.
        await _effect(connection, desk, billed, version, now)
    if version.terms.fee_minor == 0:
        return await cancel(desk, wish.subscriber, at_once=False, by=wish.by)
    if wish.method_id is not None:
        await _have_method(desk, wish)
    if billed.cancels_at_period_end and billed.status.begun:
        await _act(desk, wish.subscriber, SubscriptionAct.KEEP, wish.by)
    async with desk.till.database.transaction() as tx:
        await _intend_change(tx, desk, wish, version, now)
    return await payments.pursue(desk.till, billed.org_id, billed.subscription_id)


async def _intend_change(
    tx: Connection, desk: FeeDesk, wish: Wish, version: PlanVersion, now: datetime
) -> None:
    who, wanted = wish.subscriber, price_of(version)
    billed = await payments.lock_subscription(tx, who.org_id, livemode=who.livemode)
    if billed is None:
        raise NoPaidSubscription("It has just ended; subscribe anew")
    effect = await _effect(tx, desk, billed, version, now)
    if effect is Effect.KEPT:
        return
    billed = replace(billed, return_url=wish.return_url)
    if billed.next_product_id == wanted.product_id:
        await _intend_act(tx, wish.by, billed, SubscriptionAct.PAY, now)
        return
    later = effect is not Effect.AT_ONCE
    intended = await payments.intend_change(tx, billed, wanted, now, at_period_end=later)
    await _note(tx, wish.by, "plan.change", intended, now)


async def _effect(
    connection: Connection, desk: FeeDesk, billed: Subscription, version: PlanVersion, now: datetime
) -> Effect:
    in_force = await plan_in_force(connection, billed, await plans.read_plans(connection), now)
    return effect_on_billed(desk, billed, in_force, version)


async def _change_unbilled(desk: FeeDesk, wish: Wish) -> Subscription | None:
    now, who = desk.till.clock.now(), wish.subscriber
    async with desk.till.database.transaction() as tx:
        version = await sold_plan(tx, wish.plan, now)
        if version.terms.fee_minor == 0:
            await _check_free_to_buy(tx, who, now)
            held = await plans.current_subscription(tx, who.org_id, who.livemode)
            known = held.org_id, held.subscription_id
            await plans.change(tx, *known, wish.plan, now=now, by=wish.by)
            return None
    return await subscribe(desk, wish)


# ── Cancelling ───────────────────────────────────────────────────────────────────────────────────


async def cancel(
    desk: FeeDesk, who: Subscriber, *, at_once: bool, by: By | None = None
) -> Subscription | None:
    """End a plan with its period, or `at_once`; what is paid is not given back.

    Raises NoPaidSubscription, SubscriptionNotFound.
    """
    billed = await _answered(desk, who)
    if billed is not None:
        ends_now = at_once or not billed.status.begun
        act = SubscriptionAct.END if ends_now else SubscriptionAct.CANCEL
        return await _act(desk, who, act, by)
    now = desk.till.clock.now()
    async with desk.till.database.transaction() as tx:
        held = await plans.current_subscription(tx, who.org_id, who.livemode)
        if held.source is not Source.PROCESSOR:
            raise NoPaidSubscription("This organization's plan is arranged with the operator")
        when = When.NOW if at_once else When.CYCLE_END
        await plans.cancel(tx, held.org_id, held.subscription_id, now=now, when=when, by=by)
    return None


async def _act(desk: FeeDesk, who: Subscriber, act: SubscriptionAct, by: By | None) -> Subscription:
    async with desk.till.database.transaction() as tx:
        billed = await payments.lock_subscription(tx, who.org_id, livemode=who.livemode)
        if billed is None:
            raise NoPaidSubscription("It has just ended")
        await _intend_act(tx, by, billed, act, desk.till.clock.now())
    return await payments.pursue(desk.till, billed.org_id, billed.subscription_id)


# ── The audit log ────────────────────────────────────────────────────────────────────────────────


async def _intend_act(
    tx: Connection, by: By | None, billed: Subscription, act: SubscriptionAct, now: datetime
) -> Subscription:
    intended = await payments.intend_act(tx, billed, act, now)
    ends = act in (SubscriptionAct.END, SubscriptionAct.CANCEL)
    await _note(tx, by, "plan.cancel" if ends else "plan.resume", intended, now)
    return intended


async def _note(
    tx: Connection, by: By | None, what: str, billed: Subscription, now: datetime
) -> None:
    """What is meant is noted with the intent: what comes of it is the processor's."""
    wanted = billed.next_product_id or billed.product_id
    told = {
        "livemode": billed.livemode,
        "subscriptionId": ref_of(billed),
        "plan": await plan_of(tx, wanted),
    }
    await orgs.note(tx, by, what, billed.org_id, now, **told)
