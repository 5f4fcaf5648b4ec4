"""Who has which plan: begun, changed, cancelled.

Each function runs in the caller's transaction, locks the subscription, and does nothing where
what is asked for is so already. Those of somebody (`by`) leave their audit row; a payment
processor's are told by its own records.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from tollkeeper import orgs
from tollkeeper.base.errors import InvalidRequest
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.db import Connection
from tollkeeper.orgs import By
from tollkeeper.plans import store
from tollkeeper.plans.book import yearly_fee
from tollkeeper.plans.cycles import cycle_at, zone_of
from tollkeeper.plans.errors import (
    AlreadySubscribed,
    PlanBilled,
    PlanNotFound,
    PlanRetired,
    SubscriptionNotFound,
)
from tollkeeper.plans.model import (
    NewSubscription,
    PlanVersion,
    Source,
    Status,
    Subscription,
    When,
)


async def subscribe(
    tx: Connection,
    new: NewSubscription,
    *,
    now: datetime,
    takes_over: bool = False,
    by: By | None = None,
) -> Subscription:
    """Give an organization a plan, from now on.

    The same `ref` of the same source again gives the first one back. Raises AlreadySubscribed
    where there is another, unless this `takes_over`; PlanNotFound, PlanRetired, InvalidRequest.
    """
    if new.ref is not None:
        known = await store.subscription_by_ref(tx, new.org_id, new.source, new.ref)
        if known is not None:
            return known
    await orgs.get_org(tx, new.org_id)
    version = await _sold(tx, new.plan, now)
    _check_zone(new.zone)
    before = await store.lock_current(tx, new.org_id, new.livemode)
    if before is not None:
        ended = before.cancel_at is not None and before.cancel_at <= now
        if not ended and not takes_over:
            raise AlreadySubscribed("This organization has a plan; change it instead")
        await store.update_subscription(tx, replace(before, status=Status.CANCELLED))
    made = Subscription(
        org_id=new.org_id,
        subscription_id=uuid7(),
        livemode=new.livemode,
        version_id=version.version_id,
        status=new.status,
        started_at=now,
        anchor=new.anchor or now,
        zone=new.zone,
        next_version_id=None,
        next_at=None,
        cancel_at=None,
        source=new.source,
        ref=new.ref,
    )
    await store.insert_subscription(tx, made)
    await _note(tx, by, now, "plan.subscribe", made, plan=version.code)
    return made


async def set_plan(
    tx: Connection,
    who: tuple[UUID, bool],
    plan: str,
    *,
    now: datetime,
    by: By,
    when: When | None = None,
    anchor: datetime | None = None,
    zone: str | None = None,
) -> Subscription:
    """Give (organization, live or test) this plan by hand: a subscription, or a change of one.

    `anchor` and `zone` are for a new one. Raises PlanBilled: its customer would pay on for another.
    """
    known = await store.lock_current(tx, *who)
    if known is not None and (known.cancel_at is None or known.cancel_at > now):
        _check_unbilled(known)
        return await change(
            tx, known.org_id, known.subscription_id, plan, now=now, when=when, by=by
        )
    new = NewSubscription(
        org_id=who[0], livemode=who[1], plan=plan, anchor=anchor, zone=zone or "UTC"
    )
    return await subscribe(tx, new, now=now, by=by)


async def cancel_plan(
    tx: Connection,
    who: tuple[UUID, bool],
    *,
    now: datetime,
    by: By,
    when: When = When.CYCLE_END,
) -> Subscription:
    """End the plan of (organization, live or test). Raises SubscriptionNotFound, PlanBilled."""
    known = await current_subscription(tx, *who)
    if known.cancel_at is None or known.cancel_at > now:
        _check_unbilled(known)
    return await cancel(tx, known.org_id, known.subscription_id, now=now, when=when, by=by)


def _check_unbilled(subscription: Subscription) -> None:
    if subscription.source is Source.PROCESSOR and subscription.ref is not None:
        raise PlanBilled(
            "The payment processor bills this plan: first have its customer cancel it, or cancel"
            " the subscription at the processor"
        )


async def change(
    tx: Connection,
    org_id: UUID,
    subscription_id: UUID,
    plan: str,
    *,
    now: datetime,
    when: When | None = None,
    by: By | None = None,
) -> Subscription:
    """Move a subscription to the newest version of a plan.

    Unless `when` is said, at once where that costs no less in a year, else at the end of the cycle.
    At once means that what was used in this cycle counts against what the new plan includes;
    where the interval differs, cycles begin anew. What was to come instead, a cancellation too, is
    forgotten.
    """
    versions = await _versions(tx)
    found = settled(await _lock(tx, org_id, subscription_id), versions, now)
    _check_running(found, now)
    version = await _sold(tx, plan, now)
    current = versions[found.version_id]
    if when is None:
        dearer = yearly_fee(version) >= yearly_fee(current)
        same_money = version.terms.currency == current.terms.currency
        when = When.CYCLE_END if same_money and not dearer else When.NOW
    plainly = replace(found, next_version_id=None, next_at=None, cancel_at=None)
    if version.version_id == current.version_id:
        changed = plainly
    elif when is When.NOW:
        same = version.terms.interval is current.terms.interval
        changed = replace(
            plainly, version_id=version.version_id, anchor=found.anchor if same else now
        )
    else:
        end = cycle_at(found.anchor, found.zone, current.terms.interval, now).end
        changed = replace(plainly, next_version_id=version.version_id, next_at=end)
    return await _keep(tx, found, changed, by, now, "plan.change", plan=version.code, when=when)


async def cancel(
    tx: Connection,
    org_id: UUID,
    subscription_id: UUID,
    *,
    now: datetime,
    when: When = When.CYCLE_END,
    by: By | None = None,
) -> Subscription:
    """End a subscription, now or with its cycle. One that has ended stays as it is."""
    versions = await _versions(tx)
    found = settled(await _lock(tx, org_id, subscription_id), versions, now)
    if found.status is Status.CANCELLED:
        return found
    if when is When.NOW:
        at = now if found.cancel_at is None else min(found.cancel_at, now)
        changed = replace(found, status=Status.CANCELLED, cancel_at=at)
    else:
        interval = versions[found.version_id].terms.interval
        end = cycle_at(found.anchor, found.zone, interval, now).end
        changed = replace(found, cancel_at=found.cancel_at or end)
    changed = replace(changed, next_version_id=None, next_at=None)
    return await _keep(tx, found, changed, by, now, "plan.cancel", when=when)


async def set_status(
    tx: Connection,
    org_id: UUID,
    subscription_id: UUID,
    status: Status,
    *,
    now: datetime,
    by: By | None = None,
) -> Subscription:
    """Say whether it is paid. Whoever is past due keeps the plan until it is cancelled."""
    if status is Status.CANCELLED:
        return await cancel(tx, org_id, subscription_id, now=now, when=When.NOW, by=by)
    found = await _lock(tx, org_id, subscription_id)
    _check_running(found, now)
    changed = replace(found, status=status)
    return await _keep(tx, found, changed, by, now, "plan.status", status=status)


async def set_cycle(
    tx: Connection, org_id: UUID, subscription_id: UUID, anchor: datetime, *, now: datetime
) -> Subscription:
    """Have cycles begin at another moment, as the processor bills them. Counters begin anew."""
    found = settled(await _lock(tx, org_id, subscription_id), await _versions(tx), now)
    _check_running(found, now)
    return await _keep(tx, found, replace(found, anchor=anchor), None, now, "plan.cycle")


def settled(
    subscription: Subscription, versions: Mapping[UUID, PlanVersion], now: datetime
) -> Subscription:
    """Write down what a moment past has done to a subscription by itself."""
    if subscription.cancel_at is not None and subscription.cancel_at <= now:
        return replace(subscription, status=Status.CANCELLED)
    after, at = subscription.next_version_id, subscription.next_at
    if after is None or at is None or now < at:
        return subscription
    same = versions[after].terms.interval is versions[subscription.version_id].terms.interval
    return replace(
        subscription,
        version_id=after,
        anchor=subscription.anchor if same else at,
        next_version_id=None,
        next_at=None,
    )


async def current_subscription(
    tx: Connection,
    org_id: UUID,
    livemode: bool,
) -> Subscription:
    """Raises SubscriptionNotFound."""
    found = await store.lock_current(tx, org_id, livemode)
    if found is None:
        raise SubscriptionNotFound("This organization has no subscription")
    return found


async def _sold(tx: Connection, code: str, now: datetime) -> PlanVersion:
    found = [
        version
        for version in await store.read_plans(tx)
        if version.code == code and version.effective_from <= now
    ]
    if not found:
        raise PlanNotFound(f"There is no plan {code}")
    if found[-1].retired_at is not None:
        raise PlanRetired(f"The plan {code} is not sold any more")
    return found[-1]


async def _versions(tx: Connection) -> dict[UUID, PlanVersion]:
    return {version.version_id: version for version in await store.read_plans(tx)}


async def _lock(tx: Connection, org_id: UUID, subscription_id: UUID) -> Subscription:
    found = await store.lock_subscription(tx, org_id, subscription_id)
    if found is None:
        raise SubscriptionNotFound("There is no such subscription")
    return found


def _check_running(subscription: Subscription, now: datetime) -> None:
    ended = subscription.cancel_at is not None and subscription.cancel_at <= now
    if subscription.status is Status.CANCELLED or ended:
        raise SubscriptionNotFound("This subscription has ended; begin another")


def _check_zone(zone: str) -> None:
    try:
        zone_of(zone)
    except ValueError as wrong:
        raise InvalidRequest(f"timezone: {wrong}", {"timezone": [str(wrong)]}) from None


async def _keep(
    tx: Connection,
    found: Subscription,
    changed: Subscription,
    by: By | None,
    now: datetime,
    what: str,
    **details: object,
) -> Subscription:
    if changed == await store.lock_subscription(tx, found.org_id, found.subscription_id):
        return changed
    await store.update_subscription(tx, changed)
    await _note(tx, by, now, what, changed, **details)
    return changed


async def _note(
    tx: Connection,
    by: By | None,
    now: datetime,
    what: str,
    subscription: Subscription,
    **details: object,
) -> None:
    which = {
        "subscriptionId": show_id("sub", subscription.subscription_id),
        "livemode": subscription.livemode,
    }
    await orgs.note(tx, by, what, subscription.org_id, now, **which, **details)
