"""`/plans`, `/allowances` and `/billing/subscription`: what there is, and what one has."""

from __future__ import annotations

from typing import Any

from litestar import Request, Router, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.types import ControllerRouterHandler

from tollkeeper import orgs
from tollkeeper.base.clock import Clock
from tollkeeper.db import Database
from tollkeeper.plans.book import PlanBook
from tollkeeper.plans.shapes import AllowancesOut, BillingPlanOut, PlanOut, PlansOut
from tollkeeper.plans.showing import show_allowances, show_plan

AnyRequest = Request[Any, Any, State]


def plan_routes(book: PlanBook) -> list[ControllerRouterHandler]:
    open_to_all = [_list_plans(book), _list_allowances(book)]
    return [
        Router("/", route_handlers=open_to_all, guards=[orgs.any_key], tags=["Plans"]),
        Router(
            "/billing/subscription",
            route_handlers=[_read_subscription(book)],
            guards=[orgs.admin_only],
            tags=["Plans"],
        ),
    ]


def _list_plans(book: PlanBook) -> ControllerRouterHandler:
    @get("/plans", summary="List the plans that are sold")
    async def list_plans(clock: NamedDependency[Clock]) -> PlansOut:
        return PlansOut(data=[PlanOut.of(version) for version in book.sold(clock.now())])

    return list_plans


def _list_allowances(book: PlanBook) -> ControllerRouterHandler:
    @get(
        "/allowances",
        summary="List what is left of the plan in this cycle",
        description="Of live calls for a live key, of test calls for a test key.",
    )
    async def list_allowances(
        request: AnyRequest, database: NamedDependency[Database], clock: NamedDependency[Clock]
    ) -> AllowancesOut:
        caller = orgs.caller_of(request)
        terms = book.look_up(caller.org_id, caller.livemode, clock.now())
        async with database.connection() as connection:
            return await show_allowances(connection, terms)

    return list_allowances


def _read_subscription(book: PlanBook) -> ControllerRouterHandler:
    @get("/", summary="Get the plan and the subscription")
    async def read_subscription(
        request: AnyRequest, database: NamedDependency[Database], clock: NamedDependency[Clock]
    ) -> BillingPlanOut:
        caller = orgs.caller_of(request)
        who = (caller.org_id, caller.livemode)
        async with database.connection() as connection:
            return await show_plan(connection, book, who, clock.now())

    return read_subscription
