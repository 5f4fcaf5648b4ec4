"""Writing down how a subscription stands, with what follows from it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from tollkeeper.base.ids import show_id
from tollkeeper.db import Connection
from tollkeeper.payments.errors import NoPaidSubscription
from tollkeeper.payments.model import Absent, Failure, Unknown
from tollkeeper.payments.paying import Stale
from tollkeeper.payments.subscribing import store
from tollkeeper.payments.subscription import (
    FeePaid,
    Subscription,
    SubscriptionAct,
    SubscriptionAnswer,
    SubscriptionChanged,
    SubscriptionFact,
    SubscriptionFeePaid,
    SubscriptionRefused,
    SubscriptionStatus,
)
from tollkeeper.payments.till import Till

_SOON: Final = timedelta(seconds=5)
_WAITS: Final = timedelta(minutes=10)
# A processor may take an hour to make a renewal's invoice final.
_AFTER_RENEWAL: Final = timedelta(hours=2)

_log = structlog.stdlib.get_logger(__name__)


async def record(
    tx: Connection,
    till: Till,
    seen: Subscription,
    answer: SubscriptionAnswer,
    *,
    told: SubscriptionAct | None = None,
) -> Subscription:
    """Write down an answer about a subscription as it was `seen` before asking, and tell handlers.

    `told` is the act that the answer is to. Raises Stale when the subscription has changed since:
    what was heard then may be older than what is known now.
    """
    locked = await store.lock(tx, seen.org_id, seen.subscription_id)
    if locked is None:
        raise NoPaidSubscription(show_id("sub", seen.subscription_id))
    if locked.version != seen.version:
        raise Stale
    now = till.clock.now()
    after = _after(locked, answer, now, told=told)
    paid = [fee for fee in _fees(answer) if await store.insert_fee(tx, locked, fee)]
    if after != locked:
        after = await _write(tx, till, locked, after)
    elif locked.act is None and not isinstance(answer, Unknown):
        await store.check_later(tx, locked, _next_check(locked, now))
    for fee in paid:
        await till.handlers.tell(tx, SubscriptionFeePaid(after, fee))
    return after


def _fees(answer: SubscriptionAnswer) -> list[FeePaid]:
    fees = answer.fees if isinstance(answer, SubscriptionFact) else ()
    return sorted(fees, key=lambda fee: (fee.paid_at, fee.period_start))


async def _write(
    tx: Connection, till: Till, locked: Subscription, after: Subscription
) -> Subscription:
    await store.write(tx, after, _next_check(after, till.clock.now()))
    written = await store.read(tx, locked.org_id, locked.subscription_id) or after
    if written.status is not locked.status:
        _log.info(
            "subscription_changed",
            subscription=show_id("sub", locked.subscription_id),
            was=locked.status.value,
            status=written.status.value,
        )
    if written.ended_at is not None and written.act is not None and locked.act is None:
        _log.error("ended_subscription_runs", subscription=show_id("sub", locked.subscription_id))
    await till.handlers.tell(tx, SubscriptionChanged(written, locked))
    return written


def _next_check(subscription: Subscription, now: datetime) -> datetime:
    if subscription.act is not None:
        return now + _SOON
    if subscription.status is SubscriptionStatus.ACTIVE and subscription.next_product_id is None:
        return max((subscription.period_end or now) + _AFTER_RENEWAL, now + _WAITS)
    return now + _WAITS


def _after(
    known: Subscription, answer: SubscriptionAnswer, now: datetime, *, told: SubscriptionAct | None
) -> Subscription:
    match answer:
        case SubscriptionFact() if known.status is SubscriptionStatus.CANCELLED:
            return _outlived(known, answer, now)
        case SubscriptionFact():
            done = replace(known, act=None) if told is not None else known
            return _followed(done, answer, now)
        case SubscriptionRefused(failure=failure):
            return _refused(known, failure, now)
        case Absent() if told is SubscriptionAct.END:
            return _ended(known, now)
        case Absent() | Unknown():
            return known


def _outlived(known: Subscription, fact: SubscriptionFact, now: datetime) -> Subscription:
    """What has ended here stays so; where the processor has it still, it is told to end it."""
    if fact.status is SubscriptionStatus.CANCELLED:
        return replace(known, ref=fact.ref, act=None)
    if known.act is SubscriptionAct.END:
        return replace(known, ref=fact.ref)
    return replace(
        known,
        ref=fact.ref,
        act=SubscriptionAct.END,
        act_number=known.act_number + 1,
        acted_at=now,
    )


def _refused(known: Subscription, failure: Failure, now: datetime) -> Subscription:
    """The act is not done, and never will be; where nothing was begun, that is the end."""
    settled = _forgotten(replace(known, act=None))
    settled = _failed(settled, failure)
    return _ended(settled, now) if known.ref is None else settled


def _followed(known: Subscription, fact: SubscriptionFact, now: datetime) -> Subscription:
    after = replace(
        known,
        ref=fact.ref,
        status=fact.status,
        period_start=fact.period_start,
        period_end=fact.period_end,
        cancels_at_period_end=fact.cancels_at_period_end,
        action_url=fact.action_url,
    )
    after = _failed(after, fact.failure)
    if fact.status is SubscriptionStatus.PAST_DUE:
        after = replace(after, past_due_since=known.past_due_since or now)
    else:
        after = replace(after, past_due_since=None)
    after = _changed(after, fact, now)
    return _ended(after, now) if fact.status is SubscriptionStatus.CANCELLED else after


def _changed(known: Subscription, fact: SubscriptionFact, now: datetime) -> Subscription:
    """Follow the product; a change that neither was made nor waits was dropped."""
    if known.next_product_id is None or fact.change_waits:
        return known
    if fact.product_id == known.next_product_id and fact.fee_minor == known.next_fee_minor:
        made = replace(
            known,
            product_id=known.next_product_id,
            product_name=known.next_product_name or "",
            fee_minor=fact.fee_minor,
            product_from=fact.period_end if known.next_at_period_end else now,
        )
        return _forgotten(made)
    return known if known.act is SubscriptionAct.CHANGE else _forgotten(known)


def _forgotten(known: Subscription) -> Subscription:
    return replace(
        known,
        next_product_id=None,
        next_product_name=None,
        next_fee_minor=None,
        next_at_period_end=False,
    )


def _failed(known: Subscription, failure: Failure | None) -> Subscription:
    return replace(
        known,
        failure_code=None if failure is None else failure.code,
        failure_retryable=None if failure is None else failure.retryable,
        failure_detail=None if failure is None else failure.detail,
    )


def _ended(known: Subscription, now: datetime) -> Subscription:
    return replace(
        _forgotten(known),
        status=SubscriptionStatus.CANCELLED,
        act=None,
        action_url=None,
        past_due_since=None,
        ended_at=known.ended_at or now,
    )
