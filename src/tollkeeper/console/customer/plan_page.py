"""Plan: what is included, and what is used of it in this cycle."""

from __future__ import annotations

from litestar import get
from litestar.response import Response
from litestar.types import ControllerRouterHandler

from tollkeeper import plans
from tollkeeper.console.doors import AnyRequest, Door, session_of
from tollkeeper.console.shelves import Shelves


def plan_page(door: Door, shelves: Shelves) -> ControllerRouterHandler:
    book = shelves.plans

    @get("/plan", include_in_schema=False)
    async def show_plan(request: AnyRequest) -> Response[bytes]:
        session, now = session_of(request), door.clock.now()
        terms = book.look_up(session.org_id, session.livemode, now)
        async with door.database.connection() as connection:
            allowances = await plans.show_allowances(connection, terms)
            shown = await plans.show_plan(connection, book, (session.org_id, session.livemode), now)
        return door.page(request, "customer/plan.html", allowances=allowances, plan=shown.plan)

    return show_plan
