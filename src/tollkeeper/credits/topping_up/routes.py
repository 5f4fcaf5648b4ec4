"""`/billing/auto-top-up`: by an ADMIN key."""

from __future__ import annotations

from typing import Any

from litestar import Request, Router, get, put
from litestar.datastructures import State
from litestar.params import JSONBody
from litestar.types import ControllerRouterHandler

from tollkeeper import orgs
from tollkeeper.credits.errors import AutoTopUpNeedsMethod, PaymentsNotConfigured
from tollkeeper.credits.topping_up.acts import TopUps
from tollkeeper.credits.topping_up.setting import (
    AutoTopUp,
    NewAutoTopUp,
    set_top_up,
    show_top_up,
)
from tollkeeper.orgs import Caller
from tollkeeper.payments import Owner, PaymentMethodNotFound

AnyRequest = Request[Any, Any, State]


def top_up_routes(top_ups: TopUps) -> list[ControllerRouterHandler]:
    return [
        Router(
            "/billing",
            route_handlers=[_read(top_ups), _save(top_ups)],
            guards=[orgs.admin_only],
            tags=["Auto top-up"],
        )
    ]


def _read(top_ups: TopUps) -> ControllerRouterHandler:
    @get("/auto-top-up", summary="Get auto top-up")
    async def read_auto_top_up(request: AnyRequest) -> AutoTopUp:
        owner = _owner(orgs.caller_of(request))
        async with top_ups.shop.till.database.connection() as connection:
            return await show_top_up(connection, top_ups, owner)

    return read_auto_top_up


def _save(top_ups: TopUps) -> ControllerRouterHandler:
    @put(
        "/auto-top-up",
        summary="Set auto top-up",
        description="What is left out stays as it was. Saving makes a suspended one active again,"
        " and a balance that is below the threshold buys at once. Turning it off is never refused"
        " for its amounts: those that do not fit stay as they were.",
        opt={"errors": (AutoTopUpNeedsMethod, PaymentMethodNotFound, PaymentsNotConfigured)},
    )
    async def save_auto_top_up(request: AnyRequest, data: JSONBody[NewAutoTopUp]) -> AutoTopUp:
        caller = orgs.caller_of(request)
        return await set_top_up(top_ups, _owner(caller), data, orgs.by_key(caller))

    return save_auto_top_up


def _owner(caller: Caller) -> Owner:
    return Owner(org_id=caller.org_id, livemode=caller.livemode)
