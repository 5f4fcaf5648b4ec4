"""When the balance buys, and how much. Pure: every decision is a function of values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from tollkeeper.base.money import NANOS_PER_UNIT

MOST_FAILURES: Final = 3
# Why one is suspended whose card pays well: its holder has the bank take the money back.
DISPUTED: Final = "disputed"
# How long to leave a card alone after it was declined the first time, and the second.
BACK_OFF: Final = (timedelta(hours=1), timedelta(hours=6))
# A bank that asks for its customer's consent is waited for so long.
LINK_VALID: Final = timedelta(hours=24)
NOTICED_PERCENTS: Final = (80, 90, 100)
_CENT: Final = NANOS_PER_UNIT // 100


class TopUpState(StrEnum):
    OFF = "off"
    ACTIVE = "active"
    COOLING_DOWN = "cooling_down"
    """It waits a little: after a top-up, or longer after a declined one."""
    SUSPENDED = "suspended"
    """Three payments failed, or one was disputed; a new payment method or saving again makes it
    active."""
    CAPPED = "capped"
    """The month's cap, or the day's number of top-ups, is reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopUpRules:
    """What may be set, and how often a balance may buy. Nanos of USD."""

    amount_min: int
    amount_max: int
    threshold_min: int
    threshold_max: int | None
    cap_multiple: int
    cooldown: timedelta
    daily_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TopUp:
    """A wallet's setting, and how its last payments went. Of `amount_nanos` (always so much) and
    `target_nanos` (up to there) exactly one is set."""

    org_id: UUID
    wallet_id: UUID
    livemode: bool
    currency: str
    enabled: bool
    threshold_nanos: int
    amount_nanos: int | None
    target_nanos: int | None
    monthly_cap_nanos: int
    method_id: UUID | None
    failures: int
    suspended_reason: str | None
    not_before: datetime | None
    last_failure: str | None
    last_failure_at: datetime | None

    @property
    def wanted(self) -> bool:
        """Whether it is to buy, now or when it has rested."""
        return self.enabled and self.suspended_reason is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """What has been bought so far: in this month, how often on this day, and whether one is under
    way."""

    month_nanos: int
    day_count: int
    under_way: bool


@dataclass(frozen=True, slots=True)
class Fire:
    amount: int


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing is bought; `until` is when that may change by itself."""

    state: TopUpState
    until: datetime | None = None


def decide(
    top_up: TopUp, sums: Sums, available: int, rules: TopUpRules, now: datetime
) -> Fire | Rest:
    """Say whether a balance buys now: it has to be strictly below the threshold."""
    resting = state_of(top_up, sums, available, rules, now)
    if resting.state is not TopUpState.ACTIVE:
        return resting
    if sums.under_way or available >= top_up.threshold_nanos:
        return resting
    return Fire(amount_of(top_up, available, rules))


def state_of(top_up: TopUp, sums: Sums, available: int, rules: TopUpRules, now: datetime) -> Rest:
    if not top_up.enabled:
        return Rest(TopUpState.OFF)
    if top_up.suspended_reason is not None:
        return Rest(TopUpState.SUSPENDED)
    if top_up.not_before is not None and top_up.not_before > now:
        return Rest(TopUpState.COOLING_DOWN, top_up.not_before)
    if sums.day_count >= rules.daily_count:
        return Rest(TopUpState.CAPPED, day_of(now) + timedelta(days=1))
    if sums.month_nanos + amount_of(top_up, available, rules) > top_up.monthly_cap_nanos:
        return Rest(TopUpState.CAPPED, next_month(now))
    return Rest(TopUpState.ACTIVE)


def amount_of(top_up: TopUp, available: int, rules: TopUpRules) -> int:
    """What one top-up buys: whole cents, within what one may buy."""
    if top_up.target_nanos is None:
        return top_up.amount_nanos or 0
    missing = top_up.target_nanos - available
    cents = -(-missing // _CENT)
    return min(max(cents * _CENT, rules.amount_min), rules.amount_max)


def after_failure(failures: int, now: datetime) -> datetime | None:
    """Say when to try again after so many in a row; None is never by itself."""
    return None if failures >= MOST_FAILURES else now + BACK_OFF[failures - 1]


def crossed(before: int, after: int, cap: int) -> int | None:
    """Return the highest share of the cap that was reached just now, in percent."""
    reached = [p for p in NOTICED_PERCENTS if before * 100 < p * cap <= after * 100]
    return reached[-1] if reached else None


def day_of(now: datetime) -> datetime:
    """Days and months are UTC's."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def month_of(now: datetime) -> datetime:
    return day_of(now).replace(day=1)


def next_month(now: datetime) -> datetime:
    return month_of(month_of(now) + timedelta(days=32))
