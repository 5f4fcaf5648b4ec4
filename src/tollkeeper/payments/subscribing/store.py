"""All SQL of subscriptions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID

from psycopg.rows import class_row, kwargs_row

from tollkeeper.db import Connection
from tollkeeper.payments.model import FailureCode
from tollkeeper.payments.subscription import (
    FeePaid,
    NewSubscription,
    Subscription,
    SubscriptionAct,
    SubscriptionStatus,
)

_SUBSCRIPTION: Final = """
    org_id, subscription_id, livemode, processor, status, product_id, product_name, product_from,
    fee_minor, currency, "interval", next_product_id, next_product_name, next_fee_minor,
    next_at_period_end, cancels_at_period_end, act, act_number, return_url, ref, period_start,
    period_end, action_url, failure_code, failure_retryable, failure_detail, past_due_since,
    intended_at, acted_at, ended_at, checks, version
"""
_INSERT: Final = """
INSERT INTO payment_subscription (
    org_id, subscription_id, livemode, processor, status, product_id, product_name, product_from,
    fee_minor, currency, "interval", act, return_url, intended_at, acted_at, check_at
) VALUES (
    %(org_id)s, %(subscription_id)s, %(livemode)s, %(processor)s, 'requires_payment',
    %(product_id)s, %(product_name)s, %(now)s, %(fee_minor)s, %(currency)s, %(interval)s, 'start',
    %(return_url)s, %(now)s, %(now)s, %(check_at)s
)
ON CONFLICT DO NOTHING
"""
_READ: Final = f"""
SELECT {_SUBSCRIPTION} FROM payment_subscription
WHERE org_id = %(org_id)s AND subscription_id = %(subscription_id)s
"""
_LOCK: Final = f"{_READ} FOR NO KEY UPDATE"
_OPEN: Final = f"""
SELECT {_SUBSCRIPTION} FROM payment_subscription
WHERE org_id = %(org_id)s AND livemode = %(livemode)s AND ended_at IS NULL
"""
_LOCK_OPEN: Final = f"{_OPEN} FOR NO KEY UPDATE"
_BY_REF: Final = f"""
SELECT {_SUBSCRIPTION} FROM payment_subscription WHERE processor = %(processor)s AND ref = %(ref)s
"""
_OVERDUE: Final = f"""
SELECT {_SUBSCRIPTION} FROM payment_subscription
WHERE past_due_since < %(before)s AND act IS DISTINCT FROM 'end'
ORDER BY past_due_since LIMIT %(most)s
"""
_WRITE: Final = """
UPDATE payment_subscription SET
    status = %(status)s, product_id = %(product_id)s, product_name = %(product_name)s,
    product_from = %(product_from)s, fee_minor = %(fee_minor)s,
    next_product_id = %(next_product_id)s, next_product_name = %(next_product_name)s,
    next_fee_minor = %(next_fee_minor)s, next_at_period_end = %(next_at_period_end)s,
    cancels_at_period_end = %(cancels_at_period_end)s, act = %(act)s, act_number = %(act_number)s,
    return_url = %(return_url)s, ref = %(ref)s, period_start = %(period_start)s,
    period_end = %(period_end)s, action_url = %(action_url)s, failure_code = %(failure_code)s,
    failure_retryable = %(failure_retryable)s, failure_detail = %(failure_detail)s,
    past_due_since = %(past_due_since)s, acted_at = %(acted_at)s, ended_at = %(ended_at)s,
    checks = 0,
    check_at = CASE WHEN %(ended_at)s::timestamptz IS NULL OR %(act)s::text IS NOT NULL
        THEN %(check_at)s::timestamptz END,
    version = version + 1
WHERE org_id = %(org_id)s AND subscription_id = %(subscription_id)s
"""
_CHECK_LATER: Final = """
UPDATE payment_subscription SET checks = 0, check_at = %(check_at)s
WHERE org_id = %(org_id)s AND subscription_id = %(subscription_id)s AND ended_at IS NULL
"""
_CLAIM: Final = f"""
UPDATE payment_subscription SET
    checks = checks + 1,
    check_at = %(now)s::timestamptz
        + least(make_interval(secs => 5 * 2 ^ least(checks, 20)), interval '1 hour')
WHERE (org_id, subscription_id) IN (
    SELECT org_id, subscription_id FROM payment_subscription
    WHERE check_at <= %(now)s AND (processor || livemode::text) = ANY (%(processors)s)
    ORDER BY check_at
    LIMIT %(most)s
    FOR NO KEY UPDATE SKIP LOCKED
)
RETURNING {_SUBSCRIPTION}
"""
_INSERT_FEE: Final = """
INSERT INTO payment_subscription_fee (
    org_id, subscription_id, ref, amount_minor, currency, period_start, period_end, paid_at
) VALUES (
    %(org_id)s, %(subscription_id)s, %(ref)s, %(amount_minor)s, %(currency)s, %(period_start)s,
    %(period_end)s, %(paid_at)s
)
ON CONFLICT (org_id, subscription_id, ref) DO NOTHING
"""
_FEES: Final = """
SELECT ref, amount_minor, currency, period_start, period_end, paid_at
FROM payment_subscription_fee
WHERE org_id = %(org_id)s AND subscription_id = %(subscription_id)s
ORDER BY paid_at, period_start, ref
"""


async def insert(
    tx: Connection, new: NewSubscription, processor: str, now: datetime, check_at: datetime
) -> bool:
    """Return False when the organization has one that has not ended."""
    row = {
        "org_id": new.org_id,
        "subscription_id": new.subscription_id,
        "livemode": new.livemode,
        "return_url": new.return_url,
        **asdict(new.price),
        "processor": processor,
        "now": now,
        "check_at": check_at,
    }
    inserted = await tx.execute(_INSERT, row)
    return inserted.rowcount == 1


async def read(connection: Connection, org_id: UUID, subscription_id: UUID) -> Subscription | None:
    return await _one(connection, _READ, org_id=org_id, subscription_id=subscription_id)


async def lock(tx: Connection, org_id: UUID, subscription_id: UUID) -> Subscription | None:
    return await _one(tx, _LOCK, org_id=org_id, subscription_id=subscription_id)


async def read_open(connection: Connection, org_id: UUID, *, livemode: bool) -> Subscription | None:
    """Return the one that has not ended."""
    return await _one(connection, _OPEN, org_id=org_id, livemode=livemode)


async def lock_open(tx: Connection, org_id: UUID, *, livemode: bool) -> Subscription | None:
    return await _one(tx, _LOCK_OPEN, org_id=org_id, livemode=livemode)


async def read_by_ref(connection: Connection, processor: str, ref: str) -> Subscription | None:
    return await _one(connection, _BY_REF, processor=processor, ref=ref)


async def overdue(connection: Connection, before: datetime, most: int) -> list[Subscription]:
    """Of all organizations: those whose fee has not been paid since `before`."""
    return await _all(connection, _OVERDUE, before=before, most=most)


async def write(tx: Connection, subscription: Subscription, check_at: datetime) -> None:
    await tx.execute(_WRITE, {**asdict(subscription), "check_at": check_at})


async def check_later(tx: Connection, subscription: Subscription, check_at: datetime) -> None:
    await tx.execute(
        _CHECK_LATER,
        {
            "org_id": subscription.org_id,
            "subscription_id": subscription.subscription_id,
            "check_at": check_at,
        },
    )


async def claim(
    connection: Connection, processors: Sequence[str], now: datetime, most: int
) -> list[Subscription]:
    return await _all(connection, _CLAIM, processors=list(processors), now=now, most=most)


async def insert_fee(tx: Connection, subscription: Subscription, fee: FeePaid) -> bool:
    """Return False when it is known."""
    row = {
        "org_id": subscription.org_id,
        "subscription_id": subscription.subscription_id,
        **asdict(fee),
    }
    inserted = await tx.execute(_INSERT_FEE, row)
    return inserted.rowcount == 1


async def fees_of(connection: Connection, org_id: UUID, subscription_id: UUID) -> list[FeePaid]:
    """Oldest first."""
    async with connection.cursor(row_factory=class_row(FeePaid)) as cursor:
        await cursor.execute(_FEES, {"org_id": org_id, "subscription_id": subscription_id})
        return await cursor.fetchall()


async def _one(
    connection: Connection, query: LiteralString, **asked: object
) -> Subscription | None:
    found = await _all(connection, query, **asked)
    return found[0] if found else None


async def _all(connection: Connection, query: LiteralString, **asked: object) -> list[Subscription]:
    async with connection.cursor(row_factory=kwargs_row(_make)) as cursor:
        await cursor.execute(query, asked)
        return await cursor.fetchall()


def _make(**row: Any) -> Subscription:
    status, act, code = row.pop("status"), row.pop("act"), row.pop("failure_code")
    return Subscription(
        status=SubscriptionStatus(status),
        act=None if act is None else SubscriptionAct(act),
        failure_code=None if code is None else FailureCode(code),
        **row,
    )
