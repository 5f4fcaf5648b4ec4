"""A subscription from its intent to its end.

What the processor is to be told is written down and committed; then it is told, under a number that
is this act's own, and what came of it is written down in one transaction with what follows. Whoever
hears first, the caller, a webhook or the sweep, records it; the others find it recorded.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from tollkeeper.base.ids import show_id
from tollkeeper.db import Connection
from tollkeeper.payments.errors import (
    NoPaidSubscription,
    SubscriptionBusy,
    SubscriptionExists,
    SubscriptionFixed,
)
from tollkeeper.payments.methods import customers, keeping
from tollkeeper.payments.methods.keeping import Owner
from tollkeeper.payments.model import Absent, Failure, FailureCode, Unknown
from tollkeeper.payments.paying import OVER_BY, Stale
from tollkeeper.payments.processors import Processor
from tollkeeper.payments.subscribing import store
from tollkeeper.payments.subscribing.recording import record
from tollkeeper.payments.subscription import (
    NewSubscription,
    PaymentWay,
    Price,
    Stopping,
    Subscription,
    SubscriptionAct,
    SubscriptionAnswer,
    SubscriptionFact,
    SubscriptionRefused,
    SubscriptionSought,
    SubscriptionStatus,
)
from tollkeeper.payments.till import Till

# Whoever meant it is about to tell the processor.
_FIRST_CHECK: Final = timedelta(seconds=30)
# Who sets out later may still be on their way when it is given up.
_TOLD_BY: Final = OVER_BY - timedelta(minutes=2)
_TRIES: Final = 4
_STOPPING: Final = {
    SubscriptionAct.CANCEL: Stopping.AT_PERIOD_END,
    SubscriptionAct.KEEP: Stopping.NOT,
    SubscriptionAct.END: Stopping.NOW,
}
_BATCH: Final = 20

_log = structlog.stdlib.get_logger(__name__)


# ── Meaning it ───────────────────────────────────────────────────────────────────────────────────


async def intend_subscription(
    tx: Connection, till: Till, new: NewSubscription, now: datetime
) -> Subscription:
    """Write down a subscription that is to be started; `pursue` starts it.

    The same id again gives the one there is. Raises PaymentsNotConfigured, SubscriptionExists.
    """
    processor = till.processors.serving(livemode=new.livemode)
    inserted = await store.insert(tx, new, processor.name, now, now + _FIRST_CHECK)
    found = await store.read(tx, new.org_id, new.subscription_id)
    if found is None or not (inserted or found.price == new.price):
        raise SubscriptionExists("Change the subscription there is, or cancel it first")
    return found


async def intend_change(
    tx: Connection, seen: Subscription, price: Price, now: datetime, *, at_period_end: bool
) -> Subscription:
    """Raises SubscriptionBusy, SubscriptionFixed."""
    check_change(seen, price)
    wished = replace(
        seen,
        next_product_id=price.product_id,
        next_product_name=price.product_name,
        next_fee_minor=price.fee_minor,
        next_at_period_end=at_period_end,
    )
    return await intend_act(tx, wished, SubscriptionAct.CHANGE, now)


def check_change(seen: Subscription, price: Price) -> None:
    """Raises SubscriptionBusy, and SubscriptionFixed for another interval or currency."""
    if (price.interval, price.currency) != (seen.interval, seen.currency):
        raise SubscriptionFixed(
            f"What is paid for now is billed in {seen.currency} each {seen.interval}: cancel that,"
            " and subscribe anew when it has ended"
        )
    if not seen.status.begun or seen.next_product_id is not None:
        raise SubscriptionBusy("A payment is still open: make it, or cancel")


async def intend_act(
    tx: Connection,
    seen: Subscription,
    act: SubscriptionAct,
    now: datetime,
) -> Subscription:
    """Write down what the processor is to be told of a subscription that the caller has locked.

    Raises SubscriptionBusy while it has not confirmed another act; only an end waits for nothing.
    """
    if seen.act is not None and act is not SubscriptionAct.END:
        raise SubscriptionBusy("What was asked before has no answer yet; try again in a moment")
    wished = replace(
        seen,
        act=act,
        act_number=seen.act_number + 1,
        acted_at=now,
        failure_code=None,
        failure_retryable=None,
        failure_detail=None,
    )
    await store.write(tx, wished, now + _FIRST_CHECK)
    return await get_subscription(tx, seen.org_id, seen.subscription_id)


async def get_subscription(
    connection: Connection, org_id: UUID, subscription_id: UUID
) -> Subscription:
    """Raises NoPaidSubscription."""
    found = await store.read(connection, org_id, subscription_id)
    if found is None:
        raise NoPaidSubscription(f"There is no subscription {show_id('sub', subscription_id)}")
    return found


# ── Telling the processor ────────────────────────────────────────────────────────────────────────


async def pursue(till: Till, org_id: UUID, subscription_id: UUID) -> Subscription:
    """Tell the processor what is meant and not confirmed, or else ask; return how it then stands.

    Safe to call again, from anywhere. Without an answer it stays open, and is pursued later.
    """
    for _ in range(_TRIES):
        async with till.database.connection() as connection:
            seen = await get_subscription(connection, org_id, subscription_id)
        if seen.status is SubscriptionStatus.CANCELLED and seen.act is None:
            return seen
        answer = await _tell(till, seen)
        try:
            async with till.database.transaction() as tx:
                return await record(tx, till, seen, answer, told=seen.act)
        except Stale:
            continue
    async with till.database.connection() as connection:
        return await get_subscription(connection, org_id, subscription_id)


async def ask(till: Till, seen: Subscription) -> SubscriptionAnswer:
    """Ask the processor how a subscription stands; nothing is set in motion."""
    processor = till.processors.named(seen.processor, livemode=seen.livemode)
    return await processor.find_subscription(await _sought(till, seen))


async def _tell(till: Till, seen: Subscription) -> SubscriptionAnswer:
    processor = till.processors.named(seen.processor, livemode=seen.livemode)
    sought = await _sought(till, seen)
    if seen.act is None:
        return await processor.find_subscription(sought)
    way = None
    if seen.act in (SubscriptionAct.START, SubscriptionAct.PAY, SubscriptionAct.CHANGE):
        charges = not (seen.act is SubscriptionAct.CHANGE and seen.next_at_period_end)
        age = till.clock.now() - seen.acted_at
        if charges and age > OVER_BY:
            # Its customer has long gone: nothing is charged now that was not charged then.
            return await _given_up(processor, sought, seen.act)
        if charges and age > _TOLD_BY:
            found = await processor.find_subscription(sought)
            begun = seen.act is SubscriptionAct.START and isinstance(found, SubscriptionFact)
            return found if begun else Unknown("it is too late to ask, and too early to give up")
        way = await _way(till, seen)
        if way is None:
            return SubscriptionRefused(failure=Failure.of(FailureCode.METHOD_UNUSABLE))
    return await _act(processor, sought, seen, way)


async def _given_up(
    processor: Processor, sought: SubscriptionSought, act: SubscriptionAct
) -> SubscriptionAnswer:
    found = await processor.find_subscription(sought)
    if isinstance(found, Absent) and act is SubscriptionAct.START:
        return SubscriptionRefused(failure=Failure.of(FailureCode.NEVER_SENT))
    return found


async def _act(
    processor: Processor, sought: SubscriptionSought, seen: Subscription, way: PaymentWay | None
) -> SubscriptionAnswer:
    stopping = _STOPPING.get(seen.act) if seen.act is not None else None
    if stopping is not None:
        return await processor.stop_subscription(sought, stopping)
    if seen.act is SubscriptionAct.CHANGE and seen.next_price is not None:
        at_once = None if seen.next_at_period_end else way
        return await processor.change_subscription(sought, seen.next_price, at_once)
    if seen.act is SubscriptionAct.START and way is not None:
        return await processor.start_subscription(sought, seen.price, way)
    if seen.act is SubscriptionAct.PAY and way is not None:
        return await processor.pay_subscription(sought, way)
    return await processor.find_subscription(sought)


async def _sought(till: Till, seen: Subscription) -> SubscriptionSought:
    return SubscriptionSought(
        org_id=seen.org_id,
        subscription_id=seen.subscription_id,
        customer_ref=await customers.ensure(till, seen.org_id, livemode=seen.livemode),
        ref=seen.ref,
        intended_at=seen.intended_at,
    )


async def _way(till: Till, seen: Subscription) -> PaymentWay | None:
    owner = Owner(org_id=seen.org_id, livemode=seen.livemode)
    async with till.database.connection() as connection:
        method = await keeping.default_method(connection, till, owner)
    if method is None:
        return None
    return PaymentWay(method_ref=method.ref, return_url=seen.return_url, attempt=seen.act_number)


# ── What nobody has told us ──────────────────────────────────────────────────────────────────────


async def pursue_unfinished(till: Till, processors: list[str]) -> int:
    """Pursue what has no answer yet, and ask about what should have been renewed. Returns how many
    were pursued."""
    async with till.database.connection() as connection:
        due = await store.claim(connection, processors, till.clock.now(), _BATCH)
    for seen in due:
        try:
            await pursue(till, seen.org_id, seen.subscription_id)
        except Exception:  # noqa: BLE001 (one that cannot be pursued must not keep the others waiting)
            _log.exception("unfinished", what="subscription")
    return len(due)
