"""Free credit by rule: what comes again each period, and what a code brings.

Amounts are nanos of the currency.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

# Below what is bought (100), so that it is spent before it lapses.
PRIORITY: Final = 50
_WEEK: Final = 7
_MONTHS: Final = 12


class Every(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Period:
    """[start, end), in UTC."""

    start: datetime
    end: datetime


def period_of(every: Every, time_zone: str, at: datetime) -> Period:
    """The day, week (from Monday on) or month of that zone's calendar that `at` lies in."""
    zone = ZoneInfo(time_zone)
    today = at.astimezone(zone).date()
    match every:
        case Every.DAY:
            first, following = today, today + timedelta(days=1)
        case Every.WEEK:
            first = today - timedelta(days=today.weekday())
            following = first + timedelta(days=_WEEK)
        case Every.MONTH:
            first = today.replace(day=1)
            years, month = divmod(first.month, _MONTHS)
            following = date(first.year + years, month + 1, 1)
    return Period(_begin_of(first, zone), _begin_of(following, zone))


def _begin_of(day: date, zone: ZoneInfo) -> datetime:
    # Where clocks go forward at midnight this is the moment they do: the day's first.
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecurringGrant:
    """`org_id` is None for all organizations, those of the future included."""

    grant_id: UUID
    org_id: UUID | None
    livemode: bool
    currency: str
    amount_nanos: int
    every: Every
    time_zone: str
    priority: int
    label: str | None
    reason: str
    created_at: datetime
    created_by: str
    ended_at: datetime | None
    period_start: datetime | None
    next_at: datetime
    given_up_to: UUID | None

    def period_at(self, now: datetime) -> Period:
        """The period to be given, which never lies before one that was begun."""
        begun = now if self.period_start is None else max(now, self.period_start)
        return period_of(self.every, self.time_zone, begun)


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    campaign_id: UUID
    code: str
    livemode: bool
    currency: str
    amount_nanos: int
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

    def lot_expiry(self, now: datetime) -> datetime | None:
        return self.lot_expires_at if self.lot_days is None else now + timedelta(self.lot_days)


@dataclass(frozen=True, slots=True, kw_only=True)
class Redemption:
    org_id: UUID
    campaign_id: UUID
    redemption_id: UUID
    wallet_id: UUID
    entry_id: UUID
    run_id: UUID | None
    actor: str
    amount_nanos: int
    balance_after: int
    redeemed_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Welcome:
    """What each new organization is given once; nothing, where it is 0."""

    amount_nanos: int = 0
    days: int = 30
