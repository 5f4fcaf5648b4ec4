"""Budgets and limits: what may be used, and what is used of it now."""

from __future__ import annotations

from typing import Final

from litestar import get
from litestar.params import FromQuery
from litestar.response import Response
from litestar.types import ControllerRouterHandler

from tollkeeper import limits
from tollkeeper.base.money import NANOS_PER_UNIT, Money
from tollkeeper.console.doors import AnyRequest, Door, money_only, session_of
from tollkeeper.console.rendering import say, show_count, show_money
from tollkeeper.console.shelves import Shelves
from tollkeeper.limits import BudgetOut, Measure

_PAGE: Final = 50
_PATH: Final = "/console/limits"


def limits_page(door: Door, shelves: Shelves) -> ControllerRouterHandler:
    @get("/limits", include_in_schema=False, guards=[money_only])
    async def show_limits(request: AnyRequest, before: FromQuery[str] = "") -> Response[bytes]:
        session = session_of(request)
        async with door.database.connection() as connection:
            page = await limits.page_of_budgets(
                connection,
                shelves.limits,
                session.org_id,
                livemode=session.livemode,
                now=door.clock.now(),
                cursors=shelves.cursors,
                cursor=before or None,
                limit=_PAGE,
            )
        following = page.next_cursor
        return door.page(
            request,
            "customer/limits.html",
            budgets=page.data,
            scope=_say_scope,
            amount=_show_amount,
            percent=_percent,
            older=None if following is None else f"{_PATH}?before={following}",
            newest=_PATH if before else None,
        )

    return show_limits


def _say_scope(budget: BudgetOut) -> str:
    named = (
        budget.project_id,
        budget.api_key_id,
        budget.member_id,
        budget.end_user,
        budget.provider,
        budget.model,
        budget.tag,
    )
    said = [one for one in named if one is not None]
    if budget.each is not None:
        said.append(say("limits.each", subject=budget.each))
    return ", ".join(said) or say("limits.everything")


def _show_amount(budget: BudgetOut, amount: Money) -> str:
    if budget.measure is Measure.COST:
        return show_money(amount)
    count = show_count(amount.nanos // NANOS_PER_UNIT)
    return say(f"limits.{budget.measure}", count=count)


def _percent(budget: BudgetOut) -> int:
    """How much of it is used or held; a budget of nothing is all used."""
    if budget.used is None or budget.held is None:
        return 0
    taken = budget.used.nanos + budget.held.nanos
    return min(100, 100 * taken // budget.amount.nanos) if budget.amount.nanos else 100
