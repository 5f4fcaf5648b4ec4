"""The room, opened: from the settings, and what runs in the background."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from tollkeeper.base.settings import Settings
from tollkeeper.payments import Chore, Till
from tollkeeper.subscriptions.following import end_overdue
from tollkeeper.subscriptions.model import FeeDesk

_LOOK_SECONDS: Final = 300.0


def desk_of(settings: Settings, till: Till, billing_page: str) -> FeeDesk:
    """`billing_page` is where customers are led back to who name no other place."""
    return FeeDesk(
        till=till,
        billing_page=billing_page,
        grace=timedelta(days=settings.plans.past_due_days),
        default_plan=settings.plans.default,
    )


def subscription_chores(desk: FeeDesk) -> list[Chore]:
    return [Chore("end_unpaid_plans", _LOOK_SECONDS, lambda: end_overdue(desk))]
