"""What holds for an organization at a moment: its plan, its cycle, its counters."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from msgspec import Struct

from tollkeeper.base.ids import named_uuid
from tollkeeper.plans.covering import Coverage
from tollkeeper.plans.cycles import Cycle, Interval
from tollkeeper.plans.model import Consumable, PlanVersion, Status, Subscription

# Where organizations without a subscription have their cycles begin: months of the calendar.
DEFAULT_ANCHOR: Final = datetime(2020, 1, 1, tzinfo=UTC)
FOR_EVER: Final = datetime.max.replace(tzinfo=UTC)


class Terms(Struct, frozen=True, kw_only=True):
    """What a plan gives in the cycle from `cycle_start` to `cycle_end`.

    `limit_ids` are the consumables' counters in the ledger. They stay the same while cycles go on
    from the same anchor, so that what was used before an upgrade is used after it. From `until` on,
    other terms hold.
    """

    org_id: UUID
    livemode: bool
    plan: str
    plan_name: str
    version_id: UUID
    subscription_id: UUID | None
    cycle_start: datetime
    cycle_end: datetime
    until: datetime
    consumables: tuple[Consumable, ...]
    limit_ids: tuple[UUID, ...]
    coverage: Coverage


def terms_of(
    version: PlanVersion,
    coverage: Coverage,
    cycle: Cycle,
    scope: UUID,
    *,
    org_id: UUID,
    livemode: bool,
    subscription_id: UUID | None,
    until: datetime,
) -> Terms:
    consumables = version.terms.consumables
    return Terms(
        org_id=org_id,
        livemode=livemode,
        plan=version.code,
        plan_name=version.name,
        version_id=version.version_id,
        subscription_id=subscription_id,
        cycle_start=cycle.start,
        cycle_end=cycle.end,
        until=min(until, cycle.end),
        consumables=consumables,
        limit_ids=tuple(named_uuid(scope, one.code) for one in consumables),
        coverage=coverage,
    )


class State(Struct, frozen=True):
    """Which version holds, anchored where, and until when nothing else does."""

    version_id: UUID
    anchor: datetime
    until: datetime


def state_at(
    subscription: Subscription, intervals: dict[UUID, Interval], at: datetime
) -> State | None:
    """Say what a subscription is at a moment from its beginning on; None once it has ended.

    Where a version with another interval takes over, cycles begin anew at that moment.
    """
    ends = subscription.cancel_at or FOR_EVER
    if subscription.status is Status.CANCELLED or at >= ends:
        return None
    before, after = subscription.version_id, subscription.next_version_id
    if after is None or subscription.next_at is None:
        return State(before, subscription.anchor, ends)
    if at < subscription.next_at:
        return State(before, subscription.anchor, min(ends, subscription.next_at))
    same = intervals[before] is intervals[after]
    return State(after, subscription.anchor if same else subscription.next_at, ends)


def scope_of(owner: UUID, interval: Interval, anchor: datetime) -> UUID:
    """Name the counters of cycles of one kind: others never meet them."""
    return named_uuid(owner, f"{interval}/{anchor.astimezone(UTC).isoformat()}")
