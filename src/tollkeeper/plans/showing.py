"""What an organization has and has used, read for people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from tollkeeper.db import Connection
from tollkeeper.plans import store
from tollkeeper.plans.book import PlanBook
from tollkeeper.plans.cycles import cycle_at
from tollkeeper.plans.model import PlanVersion, Status, Subscription
from tollkeeper.plans.shapes import (
    AllowanceOut,
    AllowancesOut,
    BillingPlanOut,
    PlanOut,
    SubscriptionOut,
)
from tollkeeper.plans.subscribing import settled
from tollkeeper.plans.terms import Terms


async def show_allowances(connection: Connection, terms: Terms | None) -> AllowancesOut:
    if terms is None:
        return AllowancesOut(plan=None, cycle_start=None, cycle_end=None, data=[])
    counted = await store.counted(
        connection, terms.org_id, terms.limit_ids, terms.livemode, terms.cycle_start
    )
    return AllowancesOut(
        plan=terms.plan,
        cycle_start=terms.cycle_start,
        cycle_end=terms.cycle_end,
        data=[
            AllowanceOut.of(one, terms, *counted.get(limit_id, (0, 0)))
            for one, limit_id in zip(terms.consumables, terms.limit_ids, strict=True)
        ],
    )


async def show_plan(
    connection: Connection, book: PlanBook, who: tuple[UUID, bool], now: datetime
) -> BillingPlanOut:
    """Read what the database says, which may be a second ahead of the book."""
    versions = {one.version_id: one for one in await store.read_plans(connection)}
    found = await store.read_subscription(connection, *who)
    if found is not None:
        found = settled(found, versions, now)
    if found is None or found.status is Status.CANCELLED:
        default = book.default_version(now)
        return BillingPlanOut(plan=default and PlanOut.of(default), subscription=None)
    shown = show_subscription(found, versions, now)
    return BillingPlanOut(plan=shown.plan, subscription=shown)


def show_subscription(
    subscription: Subscription, versions: Mapping[UUID, PlanVersion], now: datetime
) -> SubscriptionOut:
    version = versions[subscription.version_id]
    cycle = cycle_at(subscription.anchor, subscription.zone, version.terms.interval, now)
    following = subscription.next_version_id
    return SubscriptionOut.of(
        subscription, version, cycle, None if following is None else versions[following].code
    )
