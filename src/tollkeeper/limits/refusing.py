"""A limit that is reached, as the error that customers see."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from tollkeeper.base.errors import RateLimited, TollkeeperError
from tollkeeper.base.ids import show_id
from tollkeeper.base.money import Money
from tollkeeper.limits.errors import (
    EXCEEDED,
    OrganizationBudgetExceeded,
    RequestExceedsRateLimit,
)
from tollkeeper.limits.model import Limit, Measure
from tollkeeper.limits.periods import Period, Span

CURRENCY: Final = "USD"
_SECOND: Final = timedelta(seconds=1)
_PER: Final = {
    Period.MINUTE: "a minute",
    Period.HOUR: "an hour",
    Period.DAY: "a day",
    Period.WEEK: "a week",
    Period.MONTH: "a month",
    Period.BILLING_CYCLE: "a billing cycle",
    Period.LIFETIME: "in all",
}


def refuse(
    limit: Limit,
    span: Span,
    *,
    now: datetime,
    required: int,
    room: int,
    affordable_max_tokens: int | None,
    top_up_url: str | None,
) -> TollkeeperError:
    room = max(room, 0)
    members: dict[str, object] = {
        "required": units(limit, required),
        "available": units(limit, room),
        **({"currency": CURRENCY} if limit.measure is Measure.COST else {"unit": limit.measure}),
        "limitSource": f"{limit.kind}:{show_id('bud', limit.limit_id)}",
        "budgetId": show_id("bud", limit.limit_id),
        "budgetName": limit.name,
    }
    if span.end is not None:
        members["resetsAt"] = span.end
    if affordable_max_tokens is not None:
        members["affordableMaxTokens"] = affordable_max_tokens
    said = (
        f"“{limit.name}” allows {say_units(limit, limit.amount)} {_PER[limit.period]};"
        f" this needs {say_units(limit, required)} and {say_units(limit, room)} is left"
    )
    if limit.period is Period.MINUTE and span.end is not None:
        return _wait(limit, said, members, required, span.end - now)
    if top_up_url is not None:
        members["topUpUrl"] = top_up_url
    return EXCEEDED[limit.kind](said, **members)


def refuse_unknown(limit_id: UUID) -> TollkeeperError:
    """Name a limit of which nothing is known any more."""
    shown = show_id("bud", limit_id)
    return OrganizationBudgetExceeded(
        f"The budget {shown} is reached", limitSource=f"organization:{shown}", budgetId=shown
    )


def _wait(
    limit: Limit, said: str, members: dict[str, object], required: int, left: timedelta
) -> TollkeeperError:
    seconds = max(1, -(-left // _SECOND))
    members |= {
        "limit": units(limit, limit.amount),
        "remaining": members["available"],
        "resetsInSeconds": seconds,
    }
    if limit.ceiling is not None and required > limit.ceiling:
        return RequestExceedsRateLimit(said, **members)
    return RateLimited(said, **members, retryAfterSeconds=seconds)


def units(limit: Limit, count: int) -> Money | int:
    """Show an amount of what a limit measures: money, or a whole number."""
    return Money(count) if limit.measure is Measure.COST else count


def say_units(limit: Limit, count: int) -> str:
    unit = CURRENCY if limit.measure is Measure.COST else limit.measure.value
    return f"{units(limit, count)} {unit}"
