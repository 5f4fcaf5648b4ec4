"""What Tollkeeper answers of costs, budgets and plans."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any


@dataclass(frozen=True)
class CostRow:
    """What the calls of a span cost that have `group` in common. `units` are there by SKU."""

    start: datetime
    end: datetime
    group: dict[str, str | None]
    calls: int
    failed: int | None
    cost: Decimal
    currency: str
    unit: str | None
    units: Decimal | None


@dataclass(frozen=True)
class SpentDay:
    start: datetime
    end: datetime
    spent: Decimal


@dataclass(frozen=True)
class Forecast:
    """`state` is `spending`, `idle` or `depleted`; rates are by day, of the last `days`."""

    state: str
    currency: str
    available: Decimal
    burn_rate: Decimal
    burn_rate_low: Decimal
    burn_rate_high: Decimal
    ends_at: datetime | None
    ends_earliest: datetime | None
    ends_latest: datetime | None
    days: list[SpentDay]


@dataclass(frozen=True)
class UsageAnalytics:
    """Rows as the API has them, the dearest first; their numbers are Decimal, or int if whole."""

    lookback: str
    by_date: list[dict[str, Any]]
    by_model: list[dict[str, Any]]
    by_model_daily: list[dict[str, Any]]
    top_models: list[str]
    by_key: list[dict[str, Any]]
    by_key_daily: list[dict[str, Any]]
    top_key_names: list[str]


@dataclass(frozen=True)
class Budget:
    """`used`, `held` and `remaining` are of the current period; None where `each` counts apart."""

    id: str
    name: str
    measure: str
    amount: Decimal
    period: str
    time_zone: str
    project_id: str | None
    api_key_id: str | None
    member_id: str | None
    end_user: str | None
    provider: str | None
    model: str | None
    tag: str | None
    each: str | None
    enforcement: str
    tolerance_percent: int
    alert_percents: list[int]
    created_at: datetime
    livemode: bool
    period_start: datetime
    resets_at: datetime | None
    used: Decimal | None
    held: Decimal | None
    remaining: Decimal | None


@dataclass(frozen=True)
class BudgetCounter:
    subject: str
    period_start: datetime
    used: Decimal
    held: Decimal
    remaining: Decimal


@dataclass(frozen=True)
class Matcher:
    """A line of a call is covered where all that is named here is true of it."""

    sku: str | None
    units: list[str]
    provider: str | None
    model: str | None
    operation: str | None


@dataclass(frozen=True)
class Consumable:
    """`overage_price` is for `overage_per` units beyond; None is what the price book says."""

    code: str
    name: str
    included: int
    unit_size: int
    overage_price: Decimal | None
    overage_per: int
    overage_allowed: bool
    covers: list[Matcher]


@dataclass(frozen=True)
class Plan:
    code: str
    name: str
    interval: str
    fee_minor: int
    currency: str
    consumables: list[Consumable]
    capacities: dict[str, int]
    effective_from: datetime


@dataclass(frozen=True)
class Allowance:
    """Units of the plan; `held` by running calls."""

    allowance: str
    name: str
    included: int
    used: int
    held: int
    left: int
    overage_allowed: bool
    overage_price: Decimal | None
    overage_per: int
    resets_at: datetime


@dataclass(frozen=True)
class Allowances:
    plan: str | None
    cycle_start: datetime | None
    cycle_end: datetime | None
    data: list[Allowance]


@dataclass(frozen=True)
class Subscription:
    id: str
    livemode: bool
    plan: Plan
    status: str
    started_at: datetime
    timezone: str
    cycle_start: datetime
    cycle_end: datetime
    next_plan: str | None
    next_at: datetime | None
    cancel_at: datetime | None
    source: str


@dataclass(frozen=True)
class CurrentPlan:
    """`plan` may be there without a subscription: the one that everybody has."""

    plan: Plan | None
    subscription: Subscription | None


@dataclass(frozen=True)
class PlanFee:
    """`status` is `active`, or `requires_action` and `requires_payment`: the customer goes on at
    `action_url`, or pays by another method."""

    status: str
    id: str | None
    plan: str | None
    plan_from: datetime | None
    next_plan: str | None
    fee: Decimal | None
    currency: str | None
    interval: str | None
    period_start: datetime | None
    period_end: datetime | None
    cancels_at_period_end: bool
    action_url: str | None
    failure_code: str | None
    past_due_since: datetime | None


@dataclass(frozen=True)
class Redeemed:
    id: str
    code: str
    label: str | None
    amount: Decimal
    currency: str
    balance_after: Decimal
    entry_id: str
    lot_id: str
    redeemed_at: datetime
    expires_at: datetime | None
