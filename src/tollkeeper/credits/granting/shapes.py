"""What the routes of recurring grants and campaigns take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final
from zoneinfo import available_timezones

from msgspec import Meta

from tollkeeper.base.ids import show_id
from tollkeeper.base.money import Money, PositiveMoneyIn
from tollkeeper.credits.granting import campaigns, recurring
from tollkeeper.credits.granting.model import (
    PRIORITY,
    Campaign,
    Every,
    RecurringGrant,
    Redemption,
)
from tollkeeper.credits.shapes import In, Out

Why = Annotated[str, Meta(min_length=1, max_length=1000, description="Why, for the audit log.")]
Currency = Annotated[
    str, Meta(pattern=r"^[A-Z][A-Z0-9_]{1,31}\Z", examples=["USD"], description="Its code.")
]
Live = Annotated[bool, Meta(description="The live balance, or the one of test keys.")]
Priority = Annotated[int, Meta(ge=0, le=1000, description="Lower is spent first; bought is 100.")]
Label = Annotated[str, Meta(min_length=1, max_length=200)]
Moment = Annotated[datetime, Meta(tz=True)]
Days = Annotated[int, Meta(ge=1, le=3650)]
Code = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{2,39}\Z",
        examples=["LAUNCH-2026"],
        description="Read in capitals, however it is typed.",
    ),
]

_ZONES: Final = available_timezones()


class Ending(In, frozen=True, kw_only=True):
    reason: Why


class NewRecurringGrant(In, frozen=True, kw_only=True):
    """Without an `organizationId` all organizations get it, those of the future too. Its credit
    lapses when its period ends and the next one arrives."""

    reason: Why
    amount: PositiveMoneyIn
    every: Every
    organization_id: Annotated[str, Meta(pattern=r"^org_[0-9a-f]{32}\Z")] | None = None
    currency: Currency = "USD"
    livemode: Live = True
    time_zone: Annotated[
        str,
        Meta(
            max_length=64,
            examples=["Europe/Berlin"],
            description="Whose midnight a period begins at; IANA's name for it.",
        ),
    ] = "UTC"
    priority: Priority = PRIORITY
    label: Label | None = None
    start_at: Annotated[
        Moment | None,
        Meta(description="The period that this lies in is the first; at once without it."),
    ] = None

    def __post_init__(self) -> None:
        if self.time_zone not in _ZONES:
            raise ValueError("timeZone must be a name of IANA's, such as Europe/Berlin")


class RecurringGrantOut(Out, frozen=True, kw_only=True):
    """`nextAt` is when the next period is given; `periodStart` the one given last."""

    id: str
    organization_id: str | None
    amount: Money
    currency: str
    livemode: bool
    every: Every
    time_zone: str
    priority: int
    label: str | None
    reason: str
    created_at: datetime
    created_by: str
    ended_at: datetime | None
    period_start: datetime | None
    next_at: datetime | None

    @classmethod
    def of(cls, grant: RecurringGrant) -> RecurringGrantOut:
        return cls(
            id=show_id(recurring.ID, grant.grant_id),
            organization_id=None if grant.org_id is None else show_id("org", grant.org_id),
            amount=Money(grant.amount_nanos),
            currency=grant.currency,
            livemode=grant.livemode,
            every=grant.every,
            time_zone=grant.time_zone,
            priority=grant.priority,
            label=grant.label,
            reason=grant.reason,
            created_at=grant.created_at,
            created_by=grant.created_by,
            ended_at=grant.ended_at,
            period_start=grant.period_start,
            next_at=None if grant.ended_at else grant.next_at,
        )


class NewCampaign(In, frozen=True, kw_only=True):
    """Its credit expires `lotDays` after it was redeemed, or at `lotExpiresAt`, or never."""

    reason: Why
    code: Code
    amount: PositiveMoneyIn
    currency: Currency = "USD"
    livemode: Live = True
    valid_from: Annotated[Moment | None, Meta(description="At once without it.")] = None
    valid_until: Moment | None = None
    most_redemptions: Annotated[int, Meta(ge=1, le=10**12)] | None = None
    lot_days: Days | None = None
    lot_expires_at: Moment | None = None
    new_days: Annotated[
        Days | None, Meta(description="Only organizations that are no older than so many days.")
    ] = None
    priority: Priority = PRIORITY
    label: Annotated[
        Label | None, Meta(description="What customers see beside it; the code without it.")
    ] = None

    def __post_init__(self) -> None:
        if self.lot_days is not None and self.lot_expires_at is not None:
            raise ValueError("must not have both lotDays and lotExpiresAt")
        begins, ends = self.valid_from, self.valid_until
        if begins is not None and ends is not None and ends <= begins:
            raise ValueError("validUntil must lie after validFrom")


class CampaignOut(Out, frozen=True, kw_only=True):
    id: str
    code: str
    amount: Money
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

    @classmethod
    def of(cls, campaign: Campaign) -> CampaignOut:
        same = {name: getattr(campaign, name) for name in cls.__struct_fields__[4:]}
        return cls(
            id=show_id(campaigns.ID, campaign.campaign_id),
            code=campaign.code,
            amount=Money(campaign.amount_nanos),
            currency=campaign.currency,
            **same,
        )


class RedemptionOut(Out, frozen=True, kw_only=True):
    """One organization's use of a code."""

    id: str
    organization_id: str
    amount: Money
    entry_id: str
    lot_id: str
    actor: str
    redeemed_at: datetime
    expires_at: datetime | None

    @classmethod
    def of(cls, made: Redemption) -> RedemptionOut:
        return cls(
            id=show_id("red", made.redemption_id),
            organization_id=show_id("org", made.org_id),
            amount=Money(made.amount_nanos),
            entry_id=show_id("ent", made.entry_id),
            lot_id=show_id("lot", made.entry_id),
            actor=made.actor,
            redeemed_at=made.redeemed_at,
            expires_at=made.expires_at,
        )


class NewRedemption(In, frozen=True, kw_only=True):
    code: Annotated[str, Meta(min_length=1, max_length=100, examples=["LAUNCH-2026"])]


class Redeemed(Out, frozen=True, kw_only=True):
    """What a code brought. `lotId` is where `GET /billing/lots` shows what is left of it."""

    id: str
    code: str
    label: str | None
    amount: Money
    currency: str
    balance_after: Money
    entry_id: str
    lot_id: str
    redeemed_at: datetime
    expires_at: datetime | None

    @classmethod
    def of(cls, campaign: Campaign, made: Redemption) -> Redeemed:
        return cls(
            id=show_id("red", made.redemption_id),
            code=campaign.code,
            label=campaign.label,
            amount=Money(made.amount_nanos),
            currency=campaign.currency,
            balance_after=Money(made.balance_after),
            entry_id=show_id("ent", made.entry_id),
            lot_id=show_id("lot", made.entry_id),
            redeemed_at=made.redeemed_at,
            expires_at=made.expires_at,
        )
