"""The nouns of plans: what is sold by the month, and what of a call it covers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from msgspec import Struct

from tollkeeper.plans.cycles import Interval


class Matcher(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a consumable covers: lines of a rating for which everything that is said here holds.

    `*` stands for anything in `sku`, `provider`, `model` and `operation`. `units` are names of
    units, or `tokens` for all of them.
    """

    sku: str | None = None
    units: tuple[str, ...] = ()
    provider: str | None = None
    model: str | None = None
    operation: str | None = None


class Consumable(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """So many units of something in each cycle.

    One unit is `unit_size` of what lines count: minutes out of seconds are 60. `overage_nanos`
    for `overage_per` units is the price of all that the call's lines of it cost, drawn or not;
    None leaves that to the price book. Without `overage_allowed` a call that the rest does not
    cover is refused, whatever credit there is.
    """

    code: str
    name: str
    covers: tuple[Matcher, ...]
    included: int
    unit_size: int = 1
    overage_nanos: int | None = None
    overage_per: int = 1
    overage_allowed: bool = True


class PlanTerms(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a plan says; kept as JSON. `capacities` never bill."""

    interval: Interval = Interval.MONTH
    fee_minor: int = 0
    currency: str = "USD"
    consumables: tuple[Consumable, ...] = ()
    capacities: Mapping[str, int] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanVersion:
    """A plan from one moment on. Never changes; a later version follows it."""

    version_id: UUID
    code: str
    name: str
    effective_from: datetime
    terms: PlanTerms
    published_at: datetime
    published_by: str
    retired_at: datetime | None = None


class Status(StrEnum):
    ACTIVE = "active"
    PAST_DUE = "past_due"
    CANCELLED = "cancelled"


class Source(StrEnum):
    OPERATOR = "operator"
    PROCESSOR = "processor"


class When(StrEnum):
    NOW = "now"
    CYCLE_END = "cycle_end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """An organization's plan in live or in test mode. See `terms.state_at` for what holds when."""

    org_id: UUID
    subscription_id: UUID
    livemode: bool
    version_id: UUID
    status: Status
    started_at: datetime
    anchor: datetime
    zone: str
    next_version_id: UUID | None
    next_at: datetime | None
    cancel_at: datetime | None
    source: Source
    ref: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSubscription:
    """Who gets which plan. Cycles begin at `anchor`: when it begins, unless something is said."""

    org_id: UUID
    livemode: bool
    plan: str
    anchor: datetime | None = None
    zone: str = "UTC"
    status: Status = Status.ACTIVE
    source: Source = Source.OPERATOR
    ref: str | None = None
