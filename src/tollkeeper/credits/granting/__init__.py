"""Free credit by rule: recurring grants, codes, and what a new organization is given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tollkeeper.base.clock import Clock
from tollkeeper.credits.granting import campaigns, recurring, store
from tollkeeper.credits.granting.campaigns import create as create_campaign
from tollkeeper.credits.granting.campaigns import end as end_campaign
from tollkeeper.credits.granting.campaigns import redeem
from tollkeeper.credits.granting.model import (
    Campaign,
    Every,
    RecurringGrant,
    Redemption,
    Welcome,
    period_of,
)
from tollkeeper.credits.granting.orders import campaign_from, recurring_from
from tollkeeper.credits.granting.recurring import define, give_due, give_to_newcomer
from tollkeeper.credits.granting.routes import granting_routes
from tollkeeper.credits.granting.shapes import (
    CampaignOut,
    Ending,
    NewCampaign,
    NewRecurringGrant,
    RecurringGrantOut,
    RedemptionOut,
)
from tollkeeper.db import Database

__all__ = [
    "Campaign",
    "CampaignOut",
    "Ending",
    "Every",
    "NewCampaign",
    "NewRecurringGrant",
    "RecurringGrant",
    "RecurringGrantOut",
    "Redemption",
    "RedemptionOut",
    "Welcome",
    "campaign_from",
    "campaigns",
    "create_campaign",
    "define",
    "end_campaign",
    "give_due",
    "give_to_newcomer",
    "granting_chores",
    "granting_routes",
    "period_of",
    "recurring",
    "recurring_from",
    "redeem",
    "store",
]

Chore = tuple[str, float, Callable[[], Awaitable[int]]]
_SECONDS = 5


def granting_chores(database: Database, clock: Clock) -> list[Chore]:
    """What repeats in every process that does background work."""

    async def give_recurring_grants() -> int:
        return await give_due(database, clock)

    return [("give_recurring_grants", _SECONDS, give_recurring_grants)]
