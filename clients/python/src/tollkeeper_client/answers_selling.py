"""What Tollkeeper answers operators of plans, credit given away, levels and what was earned."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from tollkeeper_client.answers_spending import Plan


@dataclass(frozen=True)
class Level:
    """`metered_to`: the hours until then are charged."""

    name: str
    level: Decimal
    since: datetime
    metered_to: datetime


@dataclass(frozen=True)
class PlanVersion:
    version_id: str
    published_at: datetime
    published_by: str
    retired_at: datetime | None
    plan: Plan


@dataclass(frozen=True)
class RecurringGrant:
    """Of all organizations where `organization_id` is None."""

    id: str
    organization_id: str | None
    amount: Decimal
    currency: str
    livemode: bool
    every: str
    time_zone: str
    priority: int
    label: str | None
    reason: str
    created_at: datetime
    created_by: str
    ended_at: datetime | None
    period_start: datetime | None
    next_at: datetime | None


@dataclass(frozen=True)
class Campaign:
    id: str
    code: str
    amount: Decimal
    currency: str
    livemode: bool
    valid_from: datetime
    valid_until: datetime | None
    most_redemptions: int | None
    redemptions: int
    lot_days: int | None
    lot_expires_at: datetime | None
    new_days: int | None
    priority: int
    label: str | None
    reason: str
    created_at: datetime
    created_by: str
    ended_at: datetime | None


@dataclass(frozen=True)
class Redemption:
    id: str
    organization_id: str
    amount: Decimal
    entry_id: str
    lot_id: str
    actor: str
    redeemed_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True)
class RevenueMonth:
    """`opening` and all that moved add up to `closing`: what is owed to customers."""

    month: str
    currency: str
    complete: bool
    opening: Decimal
    purchased: Decimal
    refunded: Decimal
    disputed: Decimal
    granted: Decimal
    earned: Decimal
    breakage: Decimal
    adjusted: Decimal
    closing: Decimal
    earned_from_purchased: Decimal
    earned_from_promotional: Decimal
    earned_from_other: Decimal
    breakage_of_purchased: Decimal
    breakage_of_promotional: Decimal
    closing_purchased: Decimal
    closing_promotional: Decimal
    closing_other: Decimal


@dataclass(frozen=True)
class Margin:
    """`margin` is of the calls whose cost is known; the others are `unknown_…`."""

    key: str
    calls: int
    charged: Decimal
    cost: Decimal
    margin: Decimal
    margin_percent: Decimal | None
    unknown_calls: int
    unknown_charged: Decimal
    unknown_percent: Decimal | None


@dataclass(frozen=True)
class Margins:
    data: list[Margin]
    total: Margin
