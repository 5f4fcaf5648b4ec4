"""What an operator asks for, by HTTP or by command, as what it makes."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from tollkeeper.base.errors import InvalidRequest
from tollkeeper.base.ids import read_id, uuid7
from tollkeeper.credits.granting.campaigns import spell
from tollkeeper.credits.granting.model import Campaign, RecurringGrant
from tollkeeper.credits.granting.shapes import NewCampaign, NewRecurringGrant
from tollkeeper.http import read_moment


def recurring_from(
    data: NewRecurringGrant,
    currencies: Collection[str],
    grant_id: UUID | None,
    who: str,
    now: datetime,
) -> RecurringGrant:
    """Raises InvalidRequest."""
    _check_currency(data.currency, currencies)
    start_at = _moment(data.start_at, "startAt") or now
    return RecurringGrant(
        grant_id=grant_id or uuid7(),
        org_id=None if data.organization_id is None else read_id("org", data.organization_id),
        livemode=data.livemode,
        currency=data.currency,
        amount_nanos=data.amount,
        every=data.every,
        time_zone=data.time_zone,
        priority=data.priority,
        label=data.label,
        reason=data.reason,
        created_at=now,
        created_by=who,
        ended_at=None,
        period_start=None,
        next_at=max(start_at, now),
        given_up_to=None,
    )


def campaign_from(
    data: NewCampaign,
    currencies: Collection[str],
    campaign_id: UUID | None,
    who: str,
    now: datetime,
) -> Campaign:
    """Raises InvalidRequest."""
    _check_currency(data.currency, currencies)
    valid_until = _moment(data.valid_until, "validUntil")
    lot_expires_at = _moment(data.lot_expires_at, "lotExpiresAt")
    for name, at in (("validUntil", valid_until), ("lotExpiresAt", lot_expires_at)):
        if at is not None and at <= now:
            raise InvalidRequest(f"{name}: must lie ahead", {name: ["must lie ahead"]})
    return Campaign(
        campaign_id=campaign_id or uuid7(),
        code=spell(data.code),
        livemode=data.livemode,
        currency=data.currency,
        amount_nanos=data.amount,
        valid_from=_moment(data.valid_from, "validFrom") or now,
        valid_until=valid_until,
        most_redemptions=data.most_redemptions,
        redemptions=0,
        lot_days=data.lot_days,
        lot_expires_at=lot_expires_at,
        new_days=data.new_days,
        priority=data.priority,
        label=data.label,
        reason=data.reason,
        created_at=now,
        created_by=who,
        ended_at=None,
    )


def _moment(at: datetime | None, name: str) -> datetime | None:
    return None if at is None else read_moment(at, name)


def _check_currency(currency: str, currencies: Collection[str]) -> None:
    if currency not in currencies:
        said = f"must be one of {', '.join(sorted(currencies))}"
        raise InvalidRequest(f"currency: {said}", {"currency": [said]})
