"""`/operator/plans` and an organization's plan set by hand, by an operator key."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from litestar import Request, Router, get, post, put
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import Meta

from tollkeeper import orgs
from tollkeeper.base.clock import Clock
from tollkeeper.db import Database
from tollkeeper.http import OPERATOR_KEY, read_moment, read_path_id
from tollkeeper.orgs import By
from tollkeeper.plans import store
from tollkeeper.plans.book import PlanBook
from tollkeeper.plans.errors import (
    PlanBilled,
    PlanNotFound,
    PlanRetired,
    PlanVersionConflict,
    SubscriptionNotFound,
)
from tollkeeper.plans.plan_file import CODE, check_plan, terms_in
from tollkeeper.plans.publishing import bring_back_plan, publish_plan, retire_plan
from tollkeeper.plans.shapes import (
    AllowancesOut,
    BillingPlanOut,
    CancelPlan,
    PlanVersionOut,
    PlanVersionsOut,
    PublishPlan,
    RetirePlan,
    SetPlan,
)
from tollkeeper.plans.showing import show_allowances, show_plan
from tollkeeper.plans.subscribing import cancel_plan, set_plan

AnyRequest = Request[Any, Any, State]
_CODE: Final = re.compile(CODE)
Mode = Annotated[FromQuery[bool], Meta(description="Of live keys, or of test keys.")]


def operator_plan_routes(book: PlanBook) -> list[ControllerRouterHandler]:
    """`book` learns at once what changes through here."""
    handlers = [
        list_versions,
        _publish(book),
        _retire(book),
        _read(book),
        _read_allowances(book),
        _set(book),
        _cancel(book),
    ]
    return [
        Router(
            "/operator",
            route_handlers=handlers,
            guards=[orgs.operator_only],
            tags=["Operator"],
            opt={"security": OPERATOR_KEY},
        )
    ]


@get("/plans", summary="List every version of every plan")
async def list_versions(database: NamedDependency[Database]) -> PlanVersionsOut:
    async with database.connection() as connection:
        found = await store.read_plans(connection)
    return PlanVersionsOut(data=[PlanVersionOut.of(version) for version in found])


def _publish(book: PlanBook) -> ControllerRouterHandler:
    @post(
        "/plans",
        summary="Publish a plan, or another version of one",
        description="Who subscribes keeps the version they have.",
        opt={"errors": (PlanVersionConflict,)},
    )
    async def publish(
        request: AnyRequest,
        data: JSONBody[PublishPlan],
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
    ) -> PlanVersionOut:
        check_plan(data.plan, "plan.")
        since = data.plan.effective_from
        async with database.transaction() as tx:
            made = await publish_plan(
                tx,
                code=data.plan.code,
                name=data.plan.name,
                terms=terms_in(data.plan),
                effective_from=since and read_moment(since, "plan.effectiveFrom"),
                by=_by(request, data.reason),
                now=clock.now(),
            )
        await book.refresh()
        return PlanVersionOut.of(made)

    return publish


def _retire(book: PlanBook) -> ControllerRouterHandler:
    @put(
        "/plans/{code:str}/retired",
        summary="Sell a plan no more, or again",
        description="Who has it keeps it.",
        opt={"errors": (PlanNotFound,)},
    )
    async def retire(
        request: AnyRequest,
        code: FromPath[str],
        data: JSONBody[RetirePlan],
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
    ) -> PlanVersionsOut:
        if _CODE.fullmatch(code) is None:
            raise PlanNotFound("There is no such plan")
        act = retire_plan if data.retired else bring_back_plan
        async with database.transaction() as tx:
            await act(tx, code, by=_by(request, data.reason), now=clock.now())
            found = [one for one in await store.read_plans(tx) if one.code == code]
        await book.refresh()
        return PlanVersionsOut(data=[PlanVersionOut.of(version) for version in found])

    return retire


def _read(book: PlanBook) -> ControllerRouterHandler:
    @get("/organizations/{organization_id:str}/plan", summary="Get an organization's plan")
    async def read(
        organization_id: FromPath[str],
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
        livemode: Mode = True,
    ) -> BillingPlanOut:
        org_id = read_path_id("org", organization_id)
        async with database.connection() as connection:
            await orgs.get_org(connection, org_id)
            return await show_plan(connection, book, (org_id, livemode), clock.now())

    return read


def _read_allowances(book: PlanBook) -> ControllerRouterHandler:
    @get(
        "/organizations/{organization_id:str}/allowances",
        summary="List what is left of an organization's plan",
    )
    async def read_allowances(
        organization_id: FromPath[str],
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
        livemode: Mode = True,
    ) -> AllowancesOut:
        org_id = read_path_id("org", organization_id)
        async with database.connection() as connection:
            await orgs.get_org(connection, org_id)
            terms = book.look_up(org_id, livemode, clock.now())
            return await show_allowances(connection, terms)

    return read_allowances


def _set(book: PlanBook) -> ControllerRouterHandler:
    @put(
        "/organizations/{organization_id:str}/plan",
        summary="Set an organization's plan by hand",
        description="No fee is billed for it. Where there is a subscription, it is changed; one"
        " that the payment processor bills is cancelled first, by its customer or there.",
        opt={"errors": (PlanNotFound, PlanRetired, PlanBilled)},
    )
    async def set_by_hand(
        request: AnyRequest,
        organization_id: FromPath[str],
        data: JSONBody[SetPlan],
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
    ) -> BillingPlanOut:
        org_id, now = read_path_id("org", organization_id), clock.now()
        async with database.transaction() as tx:
            await set_plan(
                tx,
                (org_id, data.livemode),
                data.plan,
                when=data.when,
                anchor=data.anchor and read_moment(data.anchor, "anchor"),
                zone=data.timezone,
                by=_by(request, data.reason),
                now=now,
            )
            shown = await show_plan(tx, book, (org_id, data.livemode), now)
        await book.refresh()
        return shown

    return set_by_hand


def _cancel(book: PlanBook) -> ControllerRouterHandler:
    @post(
        "/organizations/{organization_id:str}/plan/cancel",
        summary="Cancel an organization's plan by hand",
        opt={"errors": (SubscriptionNotFound, PlanBilled)},
    )
    async def cancel_by_hand(
        request: AnyRequest,
        organization_id: FromPath[str],
        data: JSONBody[CancelPlan],
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
    ) -> BillingPlanOut:
        org_id, now = read_path_id("org", organization_id), clock.now()
        async with database.transaction() as tx:
            who, by = (org_id, data.livemode), _by(request, data.reason)
            await cancel_plan(tx, who, now=now, when=data.when, by=by)
            shown = await show_plan(tx, book, who, now)
        await book.refresh()
        return shown

    return cancel_by_hand


def _by(request: AnyRequest, why: str) -> By:
    return By(who=orgs.name_of(orgs.operator_of(request)), why=why)
