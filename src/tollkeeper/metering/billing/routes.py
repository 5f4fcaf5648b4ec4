"""The endpoints of `/billing` that are about usage and balance: by ADMIN keys only."""

from __future__ import annotations

from litestar import Router
from litestar.types import ControllerRouterHandler

from tollkeeper.base.settings import Settings
from tollkeeper.metering.billing.balance import ReadAllocations, ReadTopUp, balance_route
from tollkeeper.metering.billing.credit import list_entries
from tollkeeper.metering.billing.history import history_route
from tollkeeper.metering.billing.lots import list_lots, operator_lot_routes
from tollkeeper.metering.billing.records import record_routes
from tollkeeper.metering.billing.usage import usage_route
from tollkeeper.orgs import AdminKeyRequired, admin_only


def billing_routes(
    settings: Settings,
    read_top_up: ReadTopUp | None = None,
    read_allocations: ReadAllocations | None = None,
) -> list[ControllerRouterHandler]:
    """They ask for the dependencies `database`, `clock`, `cursors`, and `keeper` (the prices)."""
    handlers = [
        usage_route(settings),
        history_route(settings),
        balance_route(settings, read_top_up, read_allocations),
        *record_routes(settings),
        list_entries,
        list_lots,
    ]
    return [
        Router(
            "/billing",
            route_handlers=handlers,
            guards=[admin_only],
            tags=["Billing"],
            opt={"errors": (AdminKeyRequired,)},
        ),
        *operator_lot_routes(),
    ]
