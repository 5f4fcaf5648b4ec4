"""What the routes of this room take and give."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Self

from msgspec import Meta, Struct

from tollkeeper.base.ids import show_id
from tollkeeper.base.money import Money
from tollkeeper.plans.cycles import Interval
from tollkeeper.plans.model import (
    Consumable,
    PlanVersion,
    Source,
    Status,
    Subscription,
    When,
)
from tollkeeper.plans.plan_file import Code, PlanIn
from tollkeeper.plans.terms import Terms

Why = Annotated[str, Meta(min_length=1, max_length=1000, description="Why, for the audit log.")]


class _In(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    pass


class _Out(Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class MatcherOut(_Out, frozen=True, kw_only=True):
    sku: str | None
    units: list[str]
    provider: str | None
    model: str | None
    operation: str | None


class ConsumableOut(_Out, frozen=True, kw_only=True):
    """`overagePrice` in USD for `overagePer` units; null is what the price book says."""

    code: str
    name: str
    included: int
    unit_size: int
    overage_price: Money | None
    overage_per: int
    overage_allowed: bool
    covers: list[MatcherOut]

    @classmethod
    def of(cls, one: Consumable) -> Self:
        return cls(
            code=one.code,
            name=one.name,
            included=one.included,
            unit_size=one.unit_size,
            overage_price=price_of(one),
            overage_per=one.overage_per,
            overage_allowed=one.overage_allowed,
            covers=[
                MatcherOut(
                    sku=matcher.sku,
                    units=list(matcher.units),
                    provider=matcher.provider,
                    model=matcher.model,
                    operation=matcher.operation,
                )
                for matcher in one.covers
            ],
        )


class PlanOut(_Out, frozen=True, kw_only=True):
    """`feeMinor` is of each interval, in cents or their like."""

    code: str
    name: str
    interval: Interval
    fee_minor: int
    currency: str
    consumables: list[ConsumableOut]
    capacities: Mapping[str, int]
    effective_from: datetime

    @classmethod
    def of(cls, version: PlanVersion) -> Self:
        terms = version.terms
        return cls(
            code=version.code,
            name=version.name,
            interval=terms.interval,
            fee_minor=terms.fee_minor,
            currency=terms.currency,
            consumables=[ConsumableOut.of(one) for one in terms.consumables],
            capacities=terms.capacities,
            effective_from=version.effective_from,
        )


class PlansOut(_Out, frozen=True, kw_only=True):
    data: list[PlanOut]


class PlanVersionOut(_Out, frozen=True, kw_only=True):
    """One version, as operators see it."""

    version_id: str
    published_at: datetime
    published_by: str
    retired_at: datetime | None
    plan: PlanOut

    @classmethod
    def of(cls, version: PlanVersion) -> Self:
        return cls(
            version_id=show_id("plv", version.version_id),
            published_at=version.published_at,
            published_by=version.published_by,
            retired_at=version.retired_at,
            plan=PlanOut.of(version),
        )


class PlanVersionsOut(_Out, frozen=True, kw_only=True):
    data: list[PlanVersionOut]


class AllowanceOut(_Out, frozen=True, kw_only=True):
    """`left` of what is `included` is what is neither `used` nor `held` by calls that run."""

    allowance: str
    name: str
    included: int
    used: int
    held: int
    left: int
    overage_allowed: bool
    overage_price: Money | None
    overage_per: int
    resets_at: datetime

    @classmethod
    def of(cls, one: Consumable, terms: Terms, used: int, held: int) -> Self:
        return cls(
            allowance=one.code,
            name=one.name,
            included=one.included,
            used=used,
            held=held,
            left=max(0, one.included - used - held),
            overage_allowed=one.overage_allowed,
            overage_price=price_of(one),
            overage_per=one.overage_per,
            resets_at=terms.cycle_end,
        )


class AllowancesOut(_Out, frozen=True, kw_only=True):
    """Null and empty without a plan."""

    plan: str | None
    cycle_start: datetime | None
    cycle_end: datetime | None
    data: list[AllowanceOut]


class SubscriptionOut(_Out, frozen=True, kw_only=True):
    """`nextPlan` takes over at `nextAt`; it ends at `cancelAt`. Null without one: then the plan is
    the default one."""

    id: str
    livemode: bool
    plan: PlanOut
    status: Status
    started_at: datetime
    timezone: str
    cycle_start: datetime
    cycle_end: datetime
    next_plan: str | None
    next_at: datetime | None
    cancel_at: datetime | None
    source: Source

    @classmethod
    def of(
        cls,
        subscription: Subscription,
        version: PlanVersion,
        cycle: tuple[datetime, datetime],
        next_plan: str | None,
    ) -> Self:
        return cls(
            id=show_id("sub", subscription.subscription_id),
            livemode=subscription.livemode,
            plan=PlanOut.of(version),
            status=subscription.status,
            started_at=subscription.started_at,
            timezone=subscription.zone,
            cycle_start=cycle[0],
            cycle_end=cycle[1],
            next_plan=next_plan,
            next_at=subscription.next_at,
            cancel_at=subscription.cancel_at,
            source=subscription.source,
        )


class BillingPlanOut(_Out, frozen=True, kw_only=True):
    """What the organization has: a subscription, or the default plan, or nothing."""

    plan: PlanOut | None
    subscription: SubscriptionOut | None


class PublishPlan(_In, frozen=True, kw_only=True):
    plan: PlanIn
    reason: Why


class RetirePlan(_In, frozen=True, kw_only=True):
    reason: Why
    retired: Annotated[bool, Meta(description="False brings it back.")] = True


class SetPlan(_In, frozen=True, kw_only=True):
    """Subscribe, or change the plan there is."""

    plan: Code
    reason: Why
    livemode: bool = True
    when: Annotated[
        When | None,
        Meta(description="Unset: at once where it costs no less, else when the cycle ends."),
    ] = None
    timezone: Annotated[
        Annotated[str, Meta(min_length=1, max_length=100)] | None,
        Meta(description="IANA name; where cycles of a new subscription begin their day."),
    ] = None
    anchor: Annotated[
        Annotated[datetime, Meta(tz=True)] | None,
        Meta(description="When cycles of a new subscription begin; unset, now."),
    ] = None


class CancelPlan(_In, frozen=True, kw_only=True):
    reason: Why
    livemode: bool = True
    when: When = When.CYCLE_END


def price_of(one: Consumable) -> Money | None:
    return None if one.overage_nanos is None else Money(one.overage_nanos)
