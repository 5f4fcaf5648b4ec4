"""The sandbox's calendar of subscriptions, and what happens to one when its time has come."""

from __future__ import annotations

from calendar import monthrange
from datetime import datetime, timedelta
from typing import Final

from tollkeeper.base.ids import uuid7
from tollkeeper.db import Connection
from tollkeeper.payments.model import FailureCode
from tollkeeper.payments.processors.sandbox import acts, store
from tollkeeper.payments.processors.sandbox.model import (
    Customer,
    OnFile,
    Payment,
    Subscription,
)
from tollkeeper.payments.subscription import Interval

# As long as Stripe waits for a first fee, and for the fee of a change.
OPEN_FOR: Final = timedelta(hours=23)
_TRY_AGAIN: Final = timedelta(days=1)
_TRIES: Final = 3
_MONTHS: Final = {"month": 1, "year": 12}


def begin_of(anchor: datetime, periods: int, interval: Interval) -> datetime:
    """Say when so many periods after the anchor are over: on its day, or a short month's last."""
    months = anchor.year * 12 + anchor.month - 1 + periods * _MONTHS[interval]
    year, month = months // 12, months % 12 + 1
    return anchor.replace(year=year, month=month, day=min(anchor.day, monthrange(year, month)[1]))


def prorated(amount: int, subscription: Subscription, now: datetime) -> int:
    """Return the part of a fee that is for what is left of the period, in whole cents."""
    whole = subscription.period_end - subscription.period_start
    left = max(subscription.period_end - now, timedelta(0))
    return amount * int(left.total_seconds()) // int(whole.total_seconds())


async def new_fee(
    tx: Connection, subscription: Subscription, amount: int, begin: datetime, now: datetime
) -> Payment:
    fee = Payment(
        ref=store.new_ref(Payment),
        created_at=now,
        customer=subscription.customer,
        org_id=subscription.org_id,
        payment_id=uuid7(),
        amount=amount,
        currency=subscription.currency,
        description=subscription.name,
        subscription=subscription.ref,
        period_start=begin,
        period_end=subscription.period_end,
    )
    await store.insert(tx, fee, parent=subscription.ref)
    return fee


async def settle(tx: Connection, subscription: Subscription, now: datetime) -> None:
    """Let it stand as its fees stand; nobody is charged."""
    await _settle_change(tx, subscription, now)
    fee = await store.read(tx, Payment, subscription.fee)
    if subscription.status != "canceled" and fee is not None:
        if fee.status == "succeeded":
            subscription.status, subscription.tries = "active", 1
        elif subscription.status != "incomplete" and fee.status in ("failed", "requires_action"):
            subscription.status = "past_due"
    subscription.due_at = _due_at(subscription, fee)
    await store.write(tx, subscription)


async def _settle_change(tx: Connection, subscription: Subscription, now: datetime) -> None:
    change = subscription.change
    if change is None:
        return
    fee = await store.read(tx, Payment, change.fee)
    if fee is not None and fee.status == "succeeded":
        subscription.product_id, subscription.amount = change.product_id, change.amount
        subscription.name = fee.description
        subscription.change = None
    elif change.expires_at <= now:
        await drop_change(tx, subscription, now)


async def drop_change(tx: Connection, subscription: Subscription, now: datetime) -> None:
    if subscription.change is not None:
        await _drop(tx, subscription.change.fee, now)
        subscription.change = None


async def _drop(tx: Connection, fee_ref: str, now: datetime) -> None:
    """Nobody pays this fee any more."""
    fee = await store.lock(tx, Payment, fee_ref)
    if fee is not None:
        await acts.cancel(tx, fee, now)


def _due_at(subscription: Subscription, fee: Payment | None) -> datetime | None:
    match subscription.status:
        case "canceled":
            return None
        case "incomplete":
            return subscription.created_at + OPEN_FOR
        case "past_due" if fee is not None:
            return fee.created_at + subscription.tries * _TRY_AGAIN
        case _:
            change = subscription.change
            ends = [subscription.period_end, *([] if change is None else [change.expires_at])]
            return min(ends)


async def come_due(tx: Connection, subscription: Subscription, now: datetime) -> None:
    """Do what its time has come for: renew, try again, give up, end."""
    await settle(tx, subscription, now)
    while subscription.due_at is not None and subscription.due_at <= now:
        match subscription.status:
            case "incomplete":
                await end(tx, subscription, now)
            case "past_due" if subscription.tries >= _TRIES:
                await end(tx, subscription, now)
            case "past_due":
                subscription.tries += 1
                await _try_default(tx, subscription, now)
            case _ if subscription.cancels:
                await end(tx, subscription, now)
            case _:
                await _renew(tx, subscription, now)
        await settle(tx, subscription, now)


async def _renew(tx: Connection, subscription: Subscription, now: datetime) -> None:
    begin = subscription.period_end
    subscription.periods += 1
    subscription.period_start = begin
    subscription.period_end = begin_of(
        subscription.anchor, subscription.periods, subscription.interval
    )
    # As of when it fell due, however late the sandbox looked: retries are counted from there.
    fee = await new_fee(tx, subscription, subscription.amount, begin, begin)
    subscription.fee, subscription.tries = fee.ref, 1
    await _try_default(tx, subscription, now)
    await tell(tx, subscription, "subscription.renewed", now)


async def _try_default(tx: Connection, subscription: Subscription, now: datetime) -> None:
    fee = await store.lock(tx, Payment, subscription.fee)
    customer = await store.read(tx, Customer, subscription.customer)
    ref = None if customer is None else customer.default_method
    method = None if ref is None else await store.read(tx, OnFile, ref)
    if fee is None or fee.status in ("succeeded", "processing"):
        return
    if method is None or not method.attached:
        await acts.fail(tx, fee, FailureCode.METHOD_UNUSABLE, now)
    else:
        await acts.confirm(tx, fee, method, now, off_session=True, return_url="")


async def end(tx: Connection, subscription: Subscription, now: datetime) -> None:
    subscription.status = "canceled"
    await drop_change(tx, subscription, now)
    await _drop(tx, subscription.fee, now)
    await settle(tx, subscription, now)
    await tell(tx, subscription, "subscription.canceled", now)


async def tell(tx: Connection, subscription: Subscription, type_: str, now: datetime) -> None:
    await acts.tell(tx, type_, {"subscription": subscription.ref}, now)
