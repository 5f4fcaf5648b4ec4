"""`/billing/redemptions` by an ADMIN key; recurring grants and campaigns by an operator key."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any

from litestar import Request, Router, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Response
from litestar.types import ControllerRouterHandler

from tollkeeper import orgs
from tollkeeper.base.clock import Clock
from tollkeeper.base.errors import NotFound
from tollkeeper.base.ids import show_id
from tollkeeper.credits.granting import campaigns, recurring, store
from tollkeeper.credits.granting.errors import (
    CodeAlreadyRedeemed,
    CodeExpired,
    CodeForNewOrganizations,
    CodeNotYetValid,
    CodeTaken,
    CodeUnknown,
    CodeUsedUp,
)
from tollkeeper.credits.granting.orders import campaign_from, recurring_from
from tollkeeper.credits.granting.shapes import (
    CampaignOut,
    Ending,
    NewCampaign,
    NewRecurringGrant,
    NewRedemption,
    RecurringGrantOut,
    Redeemed,
    RedemptionOut,
)
from tollkeeper.db import Database
from tollkeeper.http import (
    OPERATOR_KEY,
    Cursors,
    CursorText,
    Limit,
    Page,
    list_answer,
    page_of,
    read_path_id,
    run_id_of,
)

AnyRequest = Request[Any, Any, State]
_REFUSALS = (
    CodeUnknown,
    CodeAlreadyRedeemed,
    CodeNotYetValid,
    CodeExpired,
    CodeForNewOrganizations,
    CodeUsedUp,
)


def granting_routes(currencies: Collection[str]) -> list[ControllerRouterHandler]:
    """`currencies` are those that may be granted."""
    operators = [
        _define_route(currencies),
        list_recurring_grants,
        read_recurring_grant,
        end_recurring_grant,
        _campaign_route(currencies),
        list_campaigns,
        read_campaign,
        end_campaign,
        list_redemptions,
    ]
    return [
        Router(
            "/billing",
            route_handlers=[redeem_code],
            guards=[orgs.admin_only],
            tags=["Buying credit"],
        ),
        Router(
            "/operator",
            route_handlers=operators,
            guards=[orgs.operator_only],
            tags=["Operator"],
            opt={"security": OPERATOR_KEY},
        ),
    ]


@post(
    "/redemptions",
    summary="Redeem a code",
    description="Once per organization and code.",
    opt={"errors": _REFUSALS},
)
async def redeem_code(
    request: AnyRequest,
    data: JSONBody[NewRedemption],
    database: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> Redeemed:
    caller = orgs.caller_of(request)
    async with database.transaction() as tx:
        campaign, made = await campaigns.redeem(
            tx,
            data.code,
            org_id=caller.org_id,
            livemode=caller.livemode,
            actor=show_id("key", caller.key_id),
            run_id=run_id_of(request),
            now=clock.now(),
        )
    return Redeemed.of(campaign, made)


def _define_route(currencies: Collection[str]) -> ControllerRouterHandler:
    @post(
        "/recurring-grants",
        summary="Give credit again each period",
        description="It is given within seconds, for the whole of the period that is running.",
    )
    async def define_recurring_grant(
        request: AnyRequest,
        data: JSONBody[NewRecurringGrant],
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
    ) -> RecurringGrantOut:
        who = orgs.name_of(orgs.operator_of(request))
        grant = recurring_from(data, currencies, run_id_of(request), who, clock.now())
        async with database.transaction() as tx:
            return RecurringGrantOut.of(await recurring.define(tx, grant))

    return define_recurring_grant


@get(
    "/recurring-grants",
    summary="List recurring grants, newest first",
    opt={"csv": True, "errors": (NotFound,)},
)
async def list_recurring_grants(
    request: AnyRequest,
    database: NamedDependency[Database],
    cursors: NamedDependency[Cursors],
    organization_id: Annotated[
        str | None,
        QueryParameter(name="organizationId", description="Only this organization's own."),
    ] = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response[Page[RecurringGrantOut]]:
    org_id = None if organization_id is None else read_path_id("org", organization_id)
    bound = ("operator/recurring-grants", org_id)
    after = cursors.after(bound, cursor)
    async with database.connection() as connection:
        found = await store.list_recurring(connection, org_id, after, limit + 1)
    page = page_of(
        found, limit, RecurringGrantOut.of, lambda last: cursors.seal(bound, [last.grant_id])
    )
    return list_answer(request, page, RecurringGrantOut, "recurring_grants.csv")


@get("/recurring-grants/{recurring_grant_id:str}", summary="Get a recurring grant")
async def read_recurring_grant(
    recurring_grant_id: FromPath[str], database: NamedDependency[Database]
) -> RecurringGrantOut:
    grant_id = read_path_id(recurring.ID, recurring_grant_id)
    async with database.connection() as connection:
        return RecurringGrantOut.of(await recurring.find(connection, grant_id))


@post(
    "/recurring-grants/{recurring_grant_id:str}/end",
    summary="Give no more of it",
    description="What was given stays until its period ends.",
    status_code=200,
)
async def end_recurring_grant(
    request: AnyRequest,
    recurring_grant_id: FromPath[str],
    data: JSONBody[Ending],
    database: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> RecurringGrantOut:
    grant_id = read_path_id(recurring.ID, recurring_grant_id)
    who = orgs.name_of(orgs.operator_of(request))
    async with database.transaction() as tx:
        ended = await recurring.end(tx, grant_id, who=who, why=data.reason, now=clock.now())
    return RecurringGrantOut.of(ended)


def _campaign_route(currencies: Collection[str]) -> ControllerRouterHandler:
    @post("/campaigns", summary="Define a code that brings credit", opt={"errors": (CodeTaken,)})
    async def create_campaign(
        request: AnyRequest,
        data: JSONBody[NewCampaign],
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
    ) -> CampaignOut:
        who = orgs.name_of(orgs.operator_of(request))
        campaign = campaign_from(data, currencies, run_id_of(request), who, clock.now())
        async with database.transaction() as tx:
            return CampaignOut.of(await campaigns.create(tx, campaign))

    return create_campaign


@get("/campaigns", summary="List campaigns, newest first", opt={"csv": True})
async def list_campaigns(
    request: AnyRequest,
    database: NamedDependency[Database],
    cursors: NamedDependency[Cursors],
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response[Page[CampaignOut]]:
    bound = ("operator/campaigns",)
    after = cursors.after(bound, cursor)
    async with database.connection() as connection:
        found = await store.list_campaigns(connection, after, limit + 1)
    page = page_of(
        found, limit, CampaignOut.of, lambda last: cursors.seal(bound, [last.campaign_id])
    )
    return list_answer(request, page, CampaignOut, "campaigns.csv")


@get("/campaigns/{campaign_id:str}", summary="Get a campaign")
async def read_campaign(
    campaign_id: FromPath[str], database: NamedDependency[Database]
) -> CampaignOut:
    known = read_path_id(campaigns.ID, campaign_id)
    async with database.connection() as connection:
        return CampaignOut.of(await campaigns.find(connection, known))


@post(
    "/campaigns/{campaign_id:str}/end",
    summary="Take a code out of use",
    description="What it brought stays.",
    status_code=200,
)
async def end_campaign(
    request: AnyRequest,
    campaign_id: FromPath[str],
    data: JSONBody[Ending],
    database: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> CampaignOut:
    known = read_path_id(campaigns.ID, campaign_id)
    who = orgs.name_of(orgs.operator_of(request))
    async with database.transaction() as tx:
        ended = await campaigns.end(tx, known, who=who, why=data.reason, now=clock.now())
    return CampaignOut.of(ended)


@get(
    "/campaigns/{campaign_id:str}/redemptions",
    summary="List who redeemed a code, newest first",
    opt={"csv": True},
)
async def list_redemptions(
    request: AnyRequest,
    campaign_id: FromPath[str],
    database: NamedDependency[Database],
    cursors: NamedDependency[Cursors],
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response[Page[RedemptionOut]]:
    known = read_path_id(campaigns.ID, campaign_id)
    bound = ("operator/redemptions", known)
    after = cursors.after(bound, cursor)
    async with database.connection() as connection:
        await campaigns.find(connection, known)
        found = await store.list_redemptions(connection, known, after, limit + 1)
    page = page_of(
        found, limit, RedemptionOut.of, lambda last: cursors.seal(bound, [last.redemption_id])
    )
    return list_answer(request, page, RedemptionOut, "redemptions.csv")
