"""Codes that bring credit: defined by an operator, redeemed once by each organization."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from tollkeeper import ledger, orgs
from tollkeeper.base.errors import NotFound
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.base.money import Money
from tollkeeper.credits.granting import store
from tollkeeper.credits.granting.errors import (
    CodeAlreadyRedeemed,
    CodeExpired,
    CodeForNewOrganizations,
    CodeNotYetValid,
    CodeTaken,
    CodeUnknown,
    CodeUsedUp,
)
from tollkeeper.credits.granting.model import Campaign, Redemption
from tollkeeper.db import Connection
from tollkeeper.ledger import EntryKind, LotKind, NewLot, Posting
from tollkeeper.orgs import AuditEntry

ID: Final = "cmp"


def spell(code: str) -> str:
    """Codes are written in capitals, and read however they were typed."""
    return code.strip().upper()


async def create(tx: Connection, campaign: Campaign) -> Campaign:
    """The same id again changes nothing. Raises CodeTaken."""
    if not await store.insert_campaign(tx, campaign):
        known = await store.read_campaign(tx, campaign.campaign_id)
        if known is None:
            raise CodeTaken(f"There is a campaign with the code {campaign.code} already")
        return known
    await _note(tx, campaign, "campaign.create", campaign.created_by, campaign.reason)
    return campaign


async def find(connection: Connection, campaign_id: UUID) -> Campaign:
    """Raises NotFound."""
    found = await store.read_campaign(connection, campaign_id)
    if found is None:
        raise NotFound(f"There is no campaign {show_id(ID, campaign_id)}")
    return found


async def find_by_code(connection: Connection, code: str) -> Campaign:
    """Raises CodeUnknown."""
    found = await store.campaign_by_code(connection, spell(code))
    if found is None:
        raise CodeUnknown(f"There is no code {spell(code)}")
    return found


async def end(tx: Connection, campaign_id: UUID, *, who: str, why: str, now: datetime) -> Campaign:
    """Take the code out of use; what it brought stays. Raises NotFound."""
    ended = await store.end_campaign(tx, campaign_id, now)
    if ended is None:
        return await find(tx, campaign_id)
    await _note(tx, ended, "campaign.end", who, why)
    return ended


async def redeem(
    tx: Connection,
    code: str,
    *,
    org_id: UUID,
    livemode: bool,
    actor: str,
    run_id: UUID | None,
    now: datetime,
) -> tuple[Campaign, Redemption]:
    """Post the credit of a code. The same request (`run_id`) again gives the first answer back.

    The campaign's row is locked: of many who come at once, as many get something as there is.
    Raises, in this order, CodeUnknown, CodeAlreadyRedeemed, CodeNotYetValid, CodeExpired,
    CodeForNewOrganizations and CodeUsedUp.
    """
    campaign = await store.lock_campaign(tx, spell(code), livemode=livemode)
    if campaign is None:
        raise CodeUnknown("There is no such code")
    known = await store.read_redemption(tx, org_id, campaign.campaign_id)
    if known is not None:
        if run_id is not None and known.run_id == run_id:
            return campaign, known
        raise CodeAlreadyRedeemed(f"{campaign.code} was redeemed on {known.redeemed_at:%Y-%m-%d}")
    organization = await orgs.get_org(tx, org_id)
    _check(campaign, organization.created_at, now)
    redemption = await _post(tx, campaign, org_id, actor, run_id, now)
    await store.insert_redemption(tx, redemption)
    return campaign, redemption


def _check(campaign: Campaign, member_since: datetime, now: datetime) -> None:
    code = campaign.code
    if now < campaign.valid_from:
        raise CodeNotYetValid(f"{code} can be redeemed from {_show(campaign.valid_from)} on")
    last = min((at for at in (campaign.ended_at, campaign.valid_until) if at), default=None)
    if last is not None and now >= last:
        raise CodeExpired(f"{code} could be redeemed until {_show(last)}")
    expiry = campaign.lot_expiry(now)
    if expiry is not None and expiry <= now:
        raise CodeExpired(f"The credit of {code} has expired on {_show(expiry)}")
    new_days = campaign.new_days
    if new_days is not None and now > member_since + timedelta(days=new_days):
        raise CodeForNewOrganizations(
            f"{code} is for organizations that are at most {new_days} days old"
        )
    if campaign.redemptions == campaign.most_redemptions:
        raise CodeUsedUp(f"{code} has been redeemed as often as it may be")


async def _post(
    tx: Connection,
    campaign: Campaign,
    org_id: UUID,
    actor: str,
    run_id: UUID | None,
    now: datetime,
) -> Redemption:
    wallet = await ledger.open_wallet(
        tx,
        org_id=org_id,
        wallet_id=uuid7(),
        livemode=campaign.livemode,
        currency=campaign.currency,
        now=now,
    )
    lot = NewLot(
        kind=LotKind.PROMOTIONAL,
        priority=campaign.priority,
        expires_at=campaign.lot_expiry(now),
        label=campaign.label or campaign.code,
    )
    posting = Posting(
        org_id=org_id,
        wallet_id=wallet.wallet_id,
        entry_id=uuid7(),
        kind=EntryKind.GRANT,
        amount=campaign.amount_nanos,
        lot=lot,
        source=f"campaign:{campaign.campaign_id.hex}",
        actor=actor,
        reason=f"Code {campaign.code}",
    )
    entry = await ledger.post(tx, posting, now)
    return Redemption(
        org_id=org_id,
        campaign_id=campaign.campaign_id,
        redemption_id=uuid7(),
        wallet_id=wallet.wallet_id,
        entry_id=entry.entry_id,
        run_id=run_id,
        actor=actor,
        amount_nanos=entry.amount,
        balance_after=entry.balance_after,
        redeemed_at=now,
        expires_at=lot.expires_at,
    )


def _show(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


async def _note(tx: Connection, campaign: Campaign, what: str, who: str, why: str) -> None:
    entry = AuditEntry(
        audit_id=uuid7(),
        at=campaign.ended_at or campaign.created_at,
        who=who,
        what=what,
        why=why,
        org_id=None,
        details={
            "campaignId": show_id(ID, campaign.campaign_id),
            "code": campaign.code,
            "amount": str(Money(campaign.amount_nanos)),
            "currency": campaign.currency,
        },
    )
    await orgs.audit(tx, entry)
