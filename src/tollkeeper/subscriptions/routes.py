"""`POST|PATCH|DELETE /billing/subscription`: by an ADMIN key. `plans` answers the GET."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Router, delete, patch, post
from litestar.datastructures import State
from litestar.params import JSONBody, QueryParameter
from litestar.types import ControllerRouterHandler

from tollkeeper import orgs
from tollkeeper.base.ids import read_id, uuid7
from tollkeeper.http import run_id_of
from tollkeeper.payments import (
    AmountNotPayable,
    NoPaidSubscription,
    PaymentMethodNotFound,
    PaymentsNotConfigured,
    ProcessorRefused,
    ProcessorUnavailable,
    Subscription,
    SubscriptionBusy,
    SubscriptionFixed,
)
from tollkeeper.plans import AlreadySubscribed, PlanNotFound, PlanRetired, SubscriptionNotFound
from tollkeeper.subscriptions import subscribing
from tollkeeper.subscriptions.model import FeeDesk, Subscriber, Wish, plan_of
from tollkeeper.subscriptions.shapes import NewPlanSubscription, PlanFee, PlanSubscriptionChange

AnyRequest = Request[Any, Any, State]
_OF_PROCESSORS = (
    PaymentsNotConfigured,
    PaymentMethodNotFound,
    ProcessorUnavailable,
    ProcessorRefused,
    SubscriptionBusy,
    AmountNotPayable,
)
_OF_PLANS = (AlreadySubscribed, PlanNotFound, PlanRetired, SubscriptionNotFound)


def subscription_routes(desk: FeeDesk) -> list[ControllerRouterHandler]:
    handlers = [_subscribe(desk), _change(desk), _cancel(desk)]
    return [Router("/billing", route_handlers=handlers, guards=[orgs.admin_only], tags=["Plans"])]


def _subscribe(desk: FeeDesk) -> ControllerRouterHandler:
    @post(
        "/subscription",
        summary="Subscribe to a plan",
        description="A plan with a fee holds from when its first fee is paid: the answer says how"
        " far that is. Sent again, it pays what is open, with whatever method is the default then.",
        status_code=200,
        opt={"errors": (*_OF_PLANS, *_OF_PROCESSORS)},
    )
    async def subscribe_to_plan(
        request: AnyRequest, data: JSONBody[NewPlanSubscription]
    ) -> PlanFee:
        return await _shown(desk, await subscribing.subscribe(desk, _wish(desk, request, data)))

    return subscribe_to_plan


def _change(desk: FeeDesk) -> ControllerRouterHandler:
    @patch(
        "/subscription",
        summary="Change to another plan",
        description="A dearer plan holds at once, when the difference for what is left of the"
        " period is paid; a cheaper one from the next period on.",
        opt={"errors": (*_OF_PLANS, *_OF_PROCESSORS, SubscriptionFixed, NoPaidSubscription)},
    )
    async def change_plan(request: AnyRequest, data: JSONBody[PlanSubscriptionChange]) -> PlanFee:
        return await _shown(desk, await subscribing.change(desk, _wish(desk, request, data)))

    return change_plan


def _cancel(desk: FeeDesk) -> ControllerRouterHandler:
    @delete(
        "/subscription",
        summary="Cancel the plan",
        description="It ends with the period that is paid, or `now`; what is paid is not given"
        " back. The default plan holds after it.",
        status_code=200,
        opt={"errors": (SubscriptionNotFound, NoPaidSubscription, *_OF_PROCESSORS)},
    )
    async def cancel_plan(
        request: AnyRequest,
        now: Annotated[bool, QueryParameter(description="Whether it is to end at once.")] = False,
    ) -> PlanFee:
        by = orgs.by_key(orgs.caller_of(request))
        billed = await subscribing.cancel(desk, _who(request), at_once=now, by=by)
        return await _shown(desk, billed)

    return cancel_plan


def _who(request: AnyRequest) -> Subscriber:
    caller = orgs.caller_of(request)
    return Subscriber(org_id=caller.org_id, livemode=caller.livemode)


def _wish(desk: FeeDesk, request: AnyRequest, data: NewPlanSubscription) -> Wish:
    return Wish(
        subscriber=_who(request),
        plan=data.plan,
        run_id=run_id_of(request) or uuid7(),
        method_id=_method(data.payment_method_id),
        return_url=data.return_url or desk.billing_page,
        by=orgs.by_key(orgs.caller_of(request)),
    )


def _method(text: str | None) -> UUID | None:
    if text is None:
        return None
    try:
        return read_id("met", text)
    except ValueError:
        raise PaymentMethodNotFound(f"There is no payment method {text}") from None


async def _shown(desk: FeeDesk, billed: Subscription | None) -> PlanFee:
    if billed is None:
        return PlanFee(status="none")
    async with desk.till.database.connection() as connection:
        plan = await plan_of(connection, billed.product_id)
        coming = await plan_of(connection, billed.next_product_id)
    return PlanFee.of(billed, plan, coming)
